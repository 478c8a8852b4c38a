import Tally

/// Data that would have to move: resolved where a layer's weights can do it.
extension ImportGraph {
  /// Removes rearrangements by permuting the rows of the fully connected layer they follow, or
  /// by a 1×1 convolution if only channels change places. What is left is an obstacle.
  mutating func resolveRearrangements() {
    let readers = consumers()
    for index in nodes.indices {
      guard case .rearrange(let order) = nodes[index].operation else { continue }
      if let (chain, layer) = fullyConnectedSource(of: nodes[index].inputs[0], readers) {
        permuteRows(of: layer, source: order.source)
        for member in chain + [layer] { nodes[member].shape = nodes[index].shape }
        // What is left is the identity, which costs nothing and is removed with the affines.
        nodes[index].operation = .affine(scale: [1], offset: [0])
      } else if let permutation = channelPermutation(order, of: nodes[index].inputs[0]) {
        nodes[index].operation = .network(Self.shuffle(permutation))
      }
    }
  }

  /// The fully connected layer that alone makes a tensor, through activations that have no
  /// other reader.
  private func fullyConnectedSource(
    of tensor: Int, _ readers: [[Int]]
  ) -> (chain: [Int], layer: Int)? {
    var tensor = tensor
    var chain: [Int] = []
    while tensor > 0, readers[tensor].count == 1 {
      let made = nodes[tensor - 1]
      switch made.operation {
      case .network(.activation): chain.append(tensor - 1)
      case .network(.fullyConnected): return (chain, tensor - 1)
      default: return nil
      }
      tensor = made.inputs[0]
    }
    return nil
  }

  private mutating func permuteRows(of index: Int, source: [Int]) {
    guard
      case .network(.fullyConnected(let outputs, let weights, let bias)) = nodes[index].operation
    else { return }
    let run = weights.count / outputs
    func rows<Element>(_ values: [Element], _ run: Int) -> [Element] {
      source.flatMap { values[$0 * run..<($0 + 1) * run] }
    }
    nodes[index].operation = .network(
      .fullyConnected(outputs: outputs, weights: rows(weights, run), bias: rows(bias, 1)))
    guard var integers = nodes[index].weightIntegers else { return }
    integers.values = rows(integers.values, run)
    if integers.scales.count > 1 {
      integers.scales = rows(integers.scales, 1)
      integers.exactScales = integers.exactScales.map { rows($0, 1) }
    }
    integers.bias = integers.bias.map { rows($0, 1) }
    nodes[index].weightIntegers = integers
  }

  /// The channel that each channel comes from, if positions stay where they are.
  private func channelPermutation(_ order: Rearrangement, of tensor: Int) -> [Int]? {
    let shape = shape(of: tensor)
    func isRun(_ factors: [Factor], _ size: Int, stride: Int) -> Bool {
      factors == (size == 1 ? [] : [Factor(size: size, stride: stride)])
    }
    guard shape.channels <= 4096 else { return nil }
    let source = offsets(of: order.channels)
    guard isRun(order.height, shape.height, stride: shape.width * shape.channels),
      isRun(order.width, shape.width, stride: shape.channels),
      source.sorted() == Array(0..<shape.channels)
    else { return nil }
    return source
  }

  private static func shuffle(_ source: [Int]) -> FloatOperation {
    let count = source.count
    var weights = [Float](repeating: 0, count: count * count)
    for (output, input) in source.enumerated() { weights[output * count + input] = 1 }
    return .convolution(
      geometry: WindowGeometry(kernelHeight: 1, kernelWidth: 1), groups: 1, outputChannels: count,
      weights: weights, bias: [Float](repeating: 0, count: count))
  }
}

extension ImportGraph.Rearrangement {
  /// For every element of the result, in memory order, the element it comes from.
  var source: [Int] { offsets(of: height + width + channels) }
}
