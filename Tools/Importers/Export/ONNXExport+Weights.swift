import Tally

extension ONNXExport {
  /// Weights and biases of a weighted node, as real values of the graph.
  ///
  /// - Parameters:
  ///   - isVector: the input of a fully connected node is [N, n] already; else it is an image that
  ///     was flattened with the channels first.
  mutating func weights(
    _ index: Int, _ shape: Convolution, isVector: Bool
  ) throws(InputError) -> [String] {
    let node = model.nodes[index]
    let name = layerNames[index]
    let input = model.quantization(node.inputs[0]).scale
    var isFullyConnected = false
    if case .fullyConnected = node.operation { isFullyConnected = true }
    let area = isFullyConnected ? 1 : shape.geometry.kernelHeight * shape.geometry.kernelWidth
    let outputs = shape.output.channels
    let source: [Int]
    let sizes: [Int]
    if isFullyConnected {
      let image = isVector ? Shape(vector: shape.depth) : model.shape(node.inputs[0])
      source = Self.channelsFirst(outputs, image.positions, image.channels)
      sizes = [outputs, shape.depth]
    } else {
      let depth = shape.depth / area
      source = Self.channelsFirst(outputs, area, depth)
      sizes = [outputs, depth, shape.geometry.kernelHeight, shape.geometry.kernelWidth]
    }
    if isDequantized {
      let real = node.realWeights
      return [
        floats("\(name).weight", sizes, source.map { real[$0] }),
        floats("\(name).bias", [outputs], node.realBiases(input)),
      ]
    }
    let isPerChannel = node.weightScales.count > 1
    let weights = integers("\(name).weight", .int8, sizes, source.map { Int64(node.weights[$0]) })
    let weightScales = try scales(
      "\(name).weight.scale", node.weightScales, isScalar: !isPerChannel)
    let axis = isPerChannel ? [ONNXAttribute("axis", .integer(0))] : []
    let real = add("DequantizeLinear", [weights, weightScales], "\(name).weight.value", axis)
    let biases = integers("\(name).bias", .int32, [outputs], node.biases.map { Int64($0) })
    let biasScales = try scales(
      "\(name).bias.scale", node.weightScales.map { input * $0 }, isScalar: !isPerChannel)
    return [
      real, add("DequantizeLinear", [biases, biasScales], "\(name).bias.value", axis),
    ]
  }

  /// [outer][positions][channels] → [outer][channels][positions], as a list of sources.
  private static func channelsFirst(_ outer: Int, _ positions: Int, _ channels: Int) -> [Int] {
    var source: [Int] = []
    source.reserveCapacity(outer * positions * channels)
    for row in 0..<outer {
      for channel in 0..<channels {
        for position in 0..<positions {
          source.append((row * positions + position) * channels + channel)
        }
      }
    }
    return source
  }
}
