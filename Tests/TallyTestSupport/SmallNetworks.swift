public import Importers
public import Tally

/// Small networks and data made by rules, for tests of the engine.
public enum SmallNetworks {
  /// input h×w×c → conv 3×3×`filters` relu → max pool 2 → fully connected `classes`, initialised.
  public static func convolutional(
    height: Int = 6, width: Int = 6, channels: Int = 1, filters: Int = 4, classes: Int = 3,
    residual: Bool = false, seed: UInt64 = 1
  ) -> ModelBuilder {
    let input = Shape(height: height, width: width, channels: channels)
    let unit = Scale(1) / Scale(255)
    var builder = ModelBuilder(
      inputShape: input, inputQuantization: Quantization(scale: unit, zeroPoint: -128),
      inputMaps: [.init(scale: .powerOfTwo(0), offset: -128 << 32)])
    builder.isInitialized = true
    let window = Tensors.WindowGeometry(
      kernelHeight: 3, kernelWidth: 3, padTop: 1, padLeft: 1, padBottom: 1, padRight: 1)
    let map = Shape(height: height, width: width, channels: filters)
    var tensor = builder.addWeighted(
      "conv1",
      .convolution(Convolution(input: input, output: map, geometry: window, groups: 1)),
      from: 0, rectified: true, seed: seed)
    if residual {
      let inner = builder.addWeighted(
        "conv2",
        .convolution(Convolution(input: map, output: map, geometry: window, groups: 1)),
        from: tensor, rectified: false, seed: seed)
      tensor = builder.addSum("add", tensor, inner)
    }
    let pooled = Shape(height: height / 2, width: width / 2, channels: filters)
    let pool = Pooling(
      input: map, output: pooled,
      geometry: .init(kernelHeight: 2, kernelWidth: 2, strideHeight: 2, strideWidth: 2))
    builder.nodes.append(
      .init(
        name: "pool", operation: .maxPooling(pool), inputs: [tensor], output: pooled,
        quantization: builder.quantization(tensor)))
    _ = builder.addHead("head", classes: classes, seed: seed)
    return builder
  }

  /// input n → fully connected `hidden` relu → fully connected `classes`, initialised.
  public static func dense(
    inputs: Int = 12, hidden: Int = 8, classes: Int = 3, seed: UInt64 = 1
  ) -> ModelBuilder {
    let unit = Scale(1) / Scale(255)
    var builder = ModelBuilder(
      inputShape: Shape(vector: inputs),
      inputQuantization: Quantization(scale: unit, zeroPoint: -128),
      inputMaps: [.init(scale: .powerOfTwo(0), offset: -128 << 32)])
    builder.isInitialized = true
    _ = builder.addFullyConnected("fc1", outputs: hidden, seed: seed)
    _ = builder.addHead("head", classes: classes, seed: seed)
    return builder
  }
}

extension ModelBuilder {
  public func quantization(_ tensor: Int) -> Quantization {
    tensor == 0 ? inputQuantization : nodes[tensor - 1].quantization
  }

  public func shape(_ tensor: Int) -> Shape { tensor == 0 ? inputShape : nodes[tensor - 1].output }

  /// Adds an initialised weighted node (SPEC 8.10) and gives its output tensor.
  public mutating func addWeighted(
    _ name: String, _ operation: Tally.Operation, from tensor: Int, rectified: Bool,
    isHead: Bool = false, seed: UInt64
  ) -> Int {
    let shape = operation.weighted!
    let weightScale = InitialWeights.scale(depth: shape.depth)
    let input = quantization(tensor).scale
    let output =
      isHead
      ? input * weightScale
      : InitialWeights.outputScale(depth: shape.depth, input: input, weights: weightScale)
    let memory = AlignedMemory(byteCount: shape.weightCount)
    let weights = memory.view(of: Int8.self)
    InitialWeights.fill(weights, seed: seed, node: nodes.count)
    nodes.append(
      .init(
        name: name, operation: operation, inputs: [tensor], output: shape.output,
        quantization: rectified
          ? Quantization(scale: output, zeroPoint: -128)
          : Quantization(scale: output, zeroPoint: 0),
        hasAccumulators: isHead, weights: (0..<weights.count).map { weights[$0] },
        biases: Array(repeating: 0, count: shape.output.channels), weightScales: [weightScale]))
    return nodes.count
  }

  public mutating func addFullyConnected(_ name: String, outputs: Int, seed: UInt64) -> Int {
    addWeighted(
      name, fullyConnected(outputs: outputs), from: nodes.count, rectified: true, seed: seed)
  }

  public mutating func addHead(_ name: String, classes: Int, seed: UInt64) -> Int {
    addWeighted(
      name, fullyConnected(outputs: classes), from: nodes.count, rectified: false, isHead: true,
      seed: seed)
  }

  public mutating func addSum(_ name: String, _ first: Int, _ second: Int) -> Int {
    let scale = InitialWeights.sumScale(quantization(first).scale, quantization(second).scale)
    nodes.append(
      .init(
        name: name, operation: .add, inputs: [first, second], output: shape(first),
        quantization: Quantization(scale: scale, zeroPoint: -128)))
    return nodes.count
  }

  private func fullyConnected(outputs: Int) -> Tally.Operation {
    .fullyConnected(
      Convolution(
        input: Shape(vector: shape(nodes.count).count), output: Shape(vector: outputs),
        geometry: .init(kernelHeight: 1, kernelWidth: 1), groups: 1))
  }
}
