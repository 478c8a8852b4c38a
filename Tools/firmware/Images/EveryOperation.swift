import Importers
import Tally
import TallyTestSupport

/// A network with an operation of every kind (SPEC 6), on 8 × 8 images of ten classes.
func everyOperation() -> ModelBuilder {
  let input = Shape(height: 8, width: 8, channels: 1)
  let unit = Scale(1) / Scale(255)
  var network = ModelBuilder(
    inputShape: input, inputQuantization: Quantization(scale: unit, zeroPoint: -128),
    inputMaps: [.init(scale: .powerOfTwo(0), offset: -128 << 32)])
  func shape(_ side: Int, _ channels: Int) -> Shape {
    Shape(height: side, width: side, channels: channels)
  }
  /// Adds a node without weights and gives its output tensor.
  func add(
    _ name: String, _ operation: Tally.Operation, _ inputs: [Int], _ output: Shape,
    _ quantization: Quantization? = nil, table: (values: [Int8], slopes: [Int16])? = nil
  ) -> Int {
    network.nodes.append(
      .init(
        name: name, operation: operation, inputs: inputs, output: output,
        quantization: quantization ?? network.quantization(inputs[0]), table: table))
    return network.nodes.count
  }
  func convolve(_ name: String, _ tensor: Int, kernel: Int, _ output: Shape, groups: Int = 1) -> Int
  {
    let pad = kernel / 2
    return network.addWeighted(
      name,
      .convolution(
        Convolution(
          input: network.shape(tensor), output: output,
          geometry: .init(
            kernelHeight: kernel, kernelWidth: kernel, padTop: pad, padLeft: pad, padBottom: pad,
            padRight: pad),
          groups: groups)),
      from: tensor, rectified: true, seed: 3)
  }
  func connect(_ name: String, _ tensor: Int, outputs: Int, isHead: Bool = false) -> Int {
    network.addWeighted(
      name,
      .fullyConnected(
        Convolution(
          input: Shape(vector: network.shape(tensor).count), output: Shape(vector: outputs),
          geometry: .init(kernelHeight: 1, kernelWidth: 1), groups: 1)),
      from: tensor, rectified: !isHead, isHead: isHead, seed: 3)
  }
  func pooling(_ tensor: Int, _ output: Shape) -> Pooling {
    let size = network.shape(tensor).height / output.height
    return Pooling(
      input: network.shape(tensor), output: output,
      geometry: .init(
        kernelHeight: size, kernelWidth: size, strideHeight: size, strideWidth: size))
  }

  let first = convolve("convolution", 0, kernel: 3, shape(8, 4))
  // A Scale for each channel, the second half as large as the first, and so on.
  network.nodes[first - 1].weightScales = (0..<4).map {
    network.nodes[first - 1].weightScales[0].multiplied(byPowerOfTwo: -$0)
  }
  let depthwise = convolve("depthwise", first, kernel: 3, shape(8, 4), groups: 4)
  let table = add(
    "table", .table, [depthwise], shape(8, 4), table: softKnee(network.quantization(depthwise)))
  let pointwise = convolve("pointwise", table, kernel: 1, shape(8, 4))
  let sum = network.addSum("add", pointwise, first)
  let pooled = add("max", .maxPooling(pooling(sum, shape(4, 4))), [sum], shape(4, 4))
  let padding = SlicePad(
    input: shape(4, 4), output: shape(4, 6), rows: .init(start: 0, step: 1, before: 0),
    columns: .init(start: 0, step: 1, before: 0), channels: .init(start: 0, step: 1, before: 1))
  let padded = add("pad", .slicePad(padding), [pooled], shape(4, 6))
  let average = add(
    "average", .averagePooling(pooling(pooled, shape(2, 4))), [pooled], shape(2, 4))
  let upsampling = Upsampling(input: shape(2, 4), rows: 2, columns: 2)
  let upsampled = add("upsample", .upsample(upsampling), [average], upsampling.output)
  let joined = add("concatenate", .concatenate, [padded, upsampled], shape(4, 10))
  let means = add("mean", .averagePooling(pooling(joined, shape(1, 10))), [joined], shape(1, 10))
  let gate = connect("gate", means, outputs: 10)
  let product =
    network.quantization(joined).scale * network.quantization(gate).scale * Scale(40)
  let gated = add(
    "multiply", .multiply, [joined, gate], shape(4, 10),
    Quantization(scale: product, zeroPoint: -128))
  let rescaled = add(
    "rescale", .rescale, [gated], shape(4, 10),
    Quantization(scale: product * Scale(3) / Scale(4), zeroPoint: -100, low: -100, high: 127))
  _ = connect("head", rescaled, outputs: 10, isHead: true)
  return network
}

/// A table that halves what lies below the middle of a quantization, and its slopes.
private func softKnee(_ quantization: Quantization) -> (values: [Int8], slopes: [Int16]) {
  let middle = Int(quantization.zeroPoint) + 64
  let inputs = -128...127
  return (
    values: inputs.map { Int8($0 < middle ? middle + ($0 - middle) / 2 : $0) },
    slopes: inputs.map { $0 < middle ? 1 << 11 : 1 << 12 }
  )
}
