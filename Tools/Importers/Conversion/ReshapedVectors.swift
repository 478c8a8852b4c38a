import Tally

/// Vectors that are read as images, as in decoders: Linear, Reshape to [N, C, H, W], Conv.
///
/// A fully connected node gives a vector (SPEC 6.2), and none of the operations moves channels to
/// positions. Two convolutions of ones do: padded so far that each output position sees the one input
/// position through another weight, each spreads the channels along one axis. Every value is copied, so
/// nothing is lost; C·W·H² + C·W² weights are spent.
extension FloatNetwork {
  /// The same function with every fully connected layer giving a vector.
  func withReshapesAsLayers() -> FloatNetwork {
    var result = self
    // From the end, so that the numbers of the tensors before stay what they are.
    for index in nodes.indices.reversed() {
      guard case .fullyConnected = nodes[index].operation, nodes[index].shape.positions > 1 else {
        continue
      }
      result.reshape(index)
    }
    return result
  }

  private mutating func reshape(_ layer: Int) {
    let shape = nodes[layer].shape
    // Activations in between work on the vector.
    let readers = self.readers
    var last = layer
    while readers[last + 1].count == 1, last + 1 != output,
      case let next = readers[last + 1][0], next == last + 1,
      case .activation = nodes[next].operation
    {
      last = next
    }
    for index in layer...last {
      nodes[index].shape = TensorShape(height: 1, width: 1, channels: shape.count)
    }
    // The end of the network is the same list of numbers under any shape.
    if last + 1 == output, readers[last + 1].isEmpty { return }
    nodes[layer].permuteOutputs(shape.rowsInnermost)
    let spread = spreadingLayers(shape, after: last)
    for index in nodes.indices where index > last {
      nodes[index].inputs = nodes[index].inputs.map { $0 > last ? $0 + spread.count : $0 }
    }
    nodes.insert(contentsOf: spread, at: last + 1)
    if output > last { output += spread.count }
  }

  /// Layers that turn 1×1×(C·W·H), rows innermost, into H×W×C: along the rows, then the columns.
  private func spreadingLayers(_ shape: TensorShape, after index: Int) -> [FloatNode] {
    let name = nodes[index].name
    let quantization = (index...index).compactMap { nodes[$0].quantization?.output }.first
    var made: [FloatNode] = []
    func add(_ suffix: String, _ geometry: WindowGeometry, _ size: Int, _ output: TensorShape) {
      let channels = output.channels
      // Output position p sees the input through kernel element size − 1 − p.
      var weights = [Float](repeating: 0, count: channels * size * size)
      for channel in 0..<channels {
        for element in 0..<size {
          weights[(channel * size + element) * size + size - 1 - element] = 1
        }
      }
      var node = FloatNode(
        name: "\(name)/\(suffix)", inputs: [index + 1 + made.count],
        operation: .convolution(
          geometry: geometry, groups: channels, outputChannels: channels, weights: weights,
          bias: [Float](repeating: 0, count: channels)),
        shape: output)
      if let quantization {
        node.quantization = ImportedQuantization(
          inputs: [quantization], output: quantization, weightScales: [1],
          weights: weights.map { Int8($0) }, bias: [Int32](repeating: 0, count: channels))
      }
      made.append(node)
    }
    if shape.height > 1 {
      let height = shape.height
      add(
        "rows",
        WindowGeometry(
          kernelHeight: height, kernelWidth: 1, padTop: height - 1, padBottom: height - 1),
        height, TensorShape(height: height, width: 1, channels: shape.channels * shape.width))
    }
    if shape.width > 1 {
      let width = shape.width
      add(
        "columns",
        WindowGeometry(
          kernelHeight: 1, kernelWidth: width, padLeft: width - 1, padRight: width - 1),
        width, shape)
    }
    return made
  }
}

extension TensorShape {
  /// Number of positions, height × width.
  var positions: Int { height * width }

  /// For the order channels, columns, rows (innermost): the elements of the order rows, columns,
  /// channels.
  fileprivate var rowsInnermost: [Int] {
    (0..<channels).flatMap { channel in
      (0..<width).flatMap { column in
        (0..<height).map { row in (row * width + column) * channels + channel }
      }
    }
  }
}

extension FloatNode {
  /// Output i becomes what output `source[i]` was.
  fileprivate mutating func permuteOutputs(_ source: [Int]) {
    guard case .fullyConnected(let outputs, let weights, let bias) = operation else { return }
    let depth = weights.count / outputs
    func rows<Element>(_ values: [Element], _ run: Int) -> [Element] {
      source.flatMap { values[$0 * run..<($0 + 1) * run] }
    }
    operation = .fullyConnected(
      outputs: outputs, weights: rows(weights, depth), bias: rows(bias, 1))
    guard var integers = quantization, !integers.weights.isEmpty else { return }
    integers.weights = rows(integers.weights, depth)
    integers.bias = rows(integers.bias, 1)
    if integers.weightScales.count > 1 {
      integers.weightScales = rows(integers.weightScales, 1)
      integers.exactWeightScales = integers.exactWeightScales.map { rows($0, 1) }
    }
    quantization = integers
  }
}
