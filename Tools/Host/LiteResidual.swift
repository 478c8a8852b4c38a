public import Importers
import Tally

/// TinyTL's lite residual modules: small branches beside the convolutions, for training alone.
///
/// A module halves its convolution's input (mean of 2 × 2), convolves it 3 × 3 in two groups, spreads it
/// over the output again where the convolution keeps the size, and adds it to the output. Its weights
/// and biases are zero, so the model computes what it did before. Its name is the convolution's with
/// `.lite` behind it.
extension ModelBuilder {
  /// The name's ending of the layers that were added.
  public static var liteSuffix: String { ".lite" }

  /// Adds a module beside every convolution of one group, larger than 1 × 1, whose input has even sides
  /// and whose output has the same or half of them.
  ///
  /// - Returns: the number of modules.
  public mutating func addLiteResiduals() -> Int {
    let old = nodes
    nodes = []
    // Where each old tensor is found now.
    var place = [0]
    var count = 0
    for node in old {
      var moved = node
      moved.inputs = node.inputs.map { place[$0] }
      nodes.append(moved)
      place.append(nodes.count)
      guard case .convolution(let shape) = node.operation, !node.hasAccumulators,
        let factor = ModelBuilder.liteFactor(shape)
      else { continue }
      place[place.count - 1] = addLite(
        beside: nodes.count, from: moved.inputs[0], shape, node, upsampling: factor)
      count += 1
    }
    return count
  }

  /// 2 where a halved input must be spread again, 1 where the convolution halves too; `nil` for none.
  private static func liteFactor(_ shape: Convolution) -> Int? {
    let (input, output) = (shape.input, shape.output)
    guard shape.groups == 1, shape.geometry.kernelHeight * shape.geometry.kernelWidth > 1,
      input.height % 2 == 0, input.width % 2 == 0
    else { return nil }
    if output.height == input.height && output.width == input.width { return 2 }
    return output.height * 2 == input.height && output.width * 2 == input.width ? 1 : nil
  }

  /// - Returns: the tensor of the sum.
  private mutating func addLite(
    beside tensor: Int, from source: Int, _ shape: Convolution, _ node: Node, upsampling: Int
  ) -> Int {
    let half = Shape(
      height: shape.input.height / 2, width: shape.input.width / 2, channels: shape.input.channels)
    let quantization = source == 0 ? inputQuantization : nodes[source - 1].quantization
    let name = node.name + ModelBuilder.liteSuffix
    nodes.append(
      Node(
        name: name + " mean",
        operation: .averagePooling(
          Pooling(
            input: shape.input, output: half,
            geometry: WindowGeometry(
              kernelHeight: 2, kernelWidth: 2, strideHeight: 2, strideWidth: 2))),
        inputs: [source], output: half, quantization: quantization))
    let small = Shape(height: half.height, width: half.width, channels: shape.output.channels)
    let groups = half.channels % 2 == 0 && small.channels % 2 == 0 ? 2 : 1
    let lite = Convolution(
      input: half, output: small,
      geometry: WindowGeometry(
        kernelHeight: 3, kernelWidth: 3, padTop: 1, padLeft: 1, padBottom: 1, padRight: 1),
      groups: groups)
    // The output's own Scale, so that the sum takes it as it is.
    let plain = Quantization(scale: node.quantization.scale, zeroPoint: 0)
    nodes.append(
      Node(
        name: name, operation: .convolution(lite), inputs: [nodes.count], output: small,
        quantization: plain, weights: [Int8](repeating: 0, count: lite.weightCount),
        biases: [Int32](repeating: 0, count: small.channels),
        weightScales: [InitialWeights.scale(depth: lite.depth)]))
    if upsampling > 1 {
      let spread = Upsampling(input: small, rows: upsampling, columns: upsampling)
      nodes.append(
        Node(
          name: name + " spread", operation: .upsample(spread), inputs: [nodes.count],
          output: spread.output, quantization: plain))
    }
    nodes.append(
      Node(
        name: name + " sum", operation: .add, inputs: [tensor, nodes.count], output: node.output,
        quantization: node.quantization))
    return nodes.count
  }
}
