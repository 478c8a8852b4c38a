extension ImportGraph {
  /// A product with one value per channel that was repeated over an image first (`expand_as`) becomes
  /// a gate: the product repeats it itself.
  mutating func shortenGates() {
    for index in nodes.indices {
      guard case .network(.multiply) = nodes[index].operation,
        nodes[index].inputs[0] != nodes[index].inputs[1]
      else { continue }
      if repeatedSource(of: nodes[index].inputs[1]) == nil,
        repeatedSource(of: nodes[index].inputs[0]) != nil
      {
        nodes[index].inputs.swapAt(0, 1)
      }
      if let source = repeatedSource(of: nodes[index].inputs[1]) { nodes[index].inputs[1] = source }
    }
  }

  /// What an upsampling of a single position repeats, if nothing is rounded in between.
  private func repeatedSource(of tensor: Int) -> Int? {
    guard tensor > 0, case let made = nodes[tensor - 1], case .network(.upsample) = made.operation,
      case let source = made.inputs[0], shape(of: source).positions == 1,
      made.quantization == nil || made.quantization == quantization(of: source)
    else { return nil }
    return source
  }
}
