extension ImportGraph {
  /// Takes a quantised file's affine function of its input out of the graph: nothing rounds before the
  /// QuantizeLinear behind it, so it belongs to the preparation of the data.
  ///
  /// - Returns: nil if the file has none, or if something else reads the input too.
  mutating func takeInputAffine() -> InputAffine? {
    let readers = consumers()[0]
    guard readers.count == 1, inputQuantization == nil, case let node = nodes[readers[0]],
      case .affine(let scale, let offset) = node.operation, let quantization = node.quantization,
      max(scale.count, offset.count) <= max(1, inputShape.channels), node.shape == inputShape
    else { return nil }
    let tensor = readers[0] + 1
    for index in nodes.indices {
      nodes[index].inputs = nodes[index].inputs.map { $0 == tensor ? 0 : $0 }
    }
    inputQuantization = quantization
    return InputAffine(scale: scale, offset: offset)
  }
}
