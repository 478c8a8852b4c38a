import Importers
import Tally

/// Float networks made by rules, for tests of the converter.
struct NetworkMaker {
  var network: FloatNetwork
  private var random: SplitMix64

  init(_ height: Int, _ width: Int, _ channels: Int, seed: UInt64) {
    network = FloatNetwork(
      inputShape: TensorShape(height: height, width: width, channels: channels), nodes: [],
      output: 0)
    random = SplitMix64(seed: seed)
  }

  var last: Int { network.nodes.count }

  /// Uniform in −1…1.
  mutating func draw() -> Float {
    Float(Int64(bitPattern: random.next() >> 11)) / Float(1 << 52) - 1
  }

  mutating func draws(_ count: Int, times factor: Float = 1) -> [Float] {
    (0..<count).map { _ in draw() * factor }
  }

  @discardableResult
  mutating func add(
    _ name: String, _ operation: FloatOperation, from inputs: [Int]? = nil, shape: TensorShape
  ) -> Int {
    network.nodes.append(
      FloatNode(name: name, inputs: inputs ?? [last], operation: operation, shape: shape))
    network.output = last
    return last
  }

  @discardableResult
  mutating func convolution(
    _ name: String, _ outputs: Int, _ geometry: WindowGeometry, groups: Int = 1, from: Int? = nil
  ) -> Int {
    let input = network.shape(of: from ?? last)
    let depth = geometry.kernelHeight * geometry.kernelWidth * input.channels / groups
    let shape = TensorShape(
      height: geometry.outputHeight(input.height)!, width: geometry.outputWidth(input.width)!,
      channels: outputs)
    return add(
      name,
      .convolution(
        geometry: geometry, groups: groups, outputChannels: outputs,
        weights: draws(outputs * depth, times: 2 / Float(depth).squareRoot()),
        bias: draws(outputs, times: 0.3)),
      from: [from ?? last], shape: shape)
  }

  @discardableResult
  mutating func dense(_ name: String, _ outputs: Int, from: Int? = nil) -> Int {
    let depth = network.shape(of: from ?? last).count
    return add(
      name,
      .fullyConnected(
        outputs: outputs, weights: draws(outputs * depth, times: 2 / Float(depth).squareRoot()),
        bias: draws(outputs, times: 0.3)),
      from: [from ?? last], shape: TensorShape(height: 1, width: 1, channels: outputs))
  }

  @discardableResult
  mutating func activation(_ kind: ActivationKind, from: Int? = nil) -> Int {
    add(
      "\(kind.label) \(last)", .activation(kind), from: [from ?? last],
      shape: network.shape(of: from ?? last))
  }

  @discardableResult
  mutating func pool(_ geometry: WindowGeometry, max: Bool, countsPadding: Bool = false) -> Int {
    let input = network.shape(of: last)
    let shape = TensorShape(
      height: geometry.outputHeight(input.height)!, width: geometry.outputWidth(input.width)!,
      channels: input.channels)
    return add(
      "pool \(last)",
      max
        ? .maxPool(geometry: geometry)
        : .averagePool(geometry: geometry, countsPadding: countsPadding),
      shape: shape)
  }

  /// Bytes as data.
  mutating func data(_ count: Int, labels: [Int32]? = nil) -> DataSet {
    let shape = network.inputShape
    let bytes = (0..<count * shape.count).map { _ in UInt8(truncatingIfNeeded: random.next() >> 20)
    }
    return DataSet(
      source: "made",
      samples: NumericArray(
        shape: [count, shape.height, shape.width, shape.channels], storage: .uint8(bytes)),
      targets: labels.map { .labels($0) } ?? .none)
  }
}

func window(
  _ kernel: Int, stride: Int = 1, pad: [Int] = [0, 0, 0, 0], dilation: Int = 1, width: Int? = nil
) -> WindowGeometry {
  WindowGeometry(
    kernelHeight: kernel, kernelWidth: width ?? kernel, strideHeight: stride, strideWidth: stride,
    dilationHeight: dilation, dilationWidth: dilation, padTop: pad[0], padLeft: pad[1],
    padBottom: pad[2], padRight: pad[3])
}

let bytesToUnit = InputPreparation(scale: ExactRatio(1, 255)!)

extension ConversionOptions {
  static func unit(_ scales: WeightScales = .perLayer) -> ConversionOptions {
    ConversionOptions(weightScales: scales, input: bytesToUnit)
  }
}
