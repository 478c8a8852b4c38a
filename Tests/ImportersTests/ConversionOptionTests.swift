import Tally
import TallyHost
import Testing

@testable import Importers

@Suite("Conversion options") struct ConversionOptionTests {
  // MARK: - Ranges

  /// Mostly small values and a few outliers.
  private func heavyTailed() -> [Float] {
    var random = SplitMix64(seed: 20)
    func draw() -> Float { Float(random.next() % 20_001) / 10_000 - 1 }
    return (0..<20_000).map { index in
      let value = draw() + draw() + draw()
      return index % 1000 == 0 ? value * 40 : value
    }
  }

  @Test("a percentile holds its share of the values, and hardly more")
  func percentile() {
    let values = heavyTailed()
    let sorted = values.sorted()
    var histogram = ValueHistogram()
    histogram.include(values)
    let seen = TensorRange(low: sorted.first!, high: sorted.last!)
    for permille in [990, 995, 999, 1000] {
      let range = histogram.range(within: seen, .percentile(ExactRatio(Int64(permille), 1000)!))
      let outside = values.count { $0 < range.low || $0 > range.high }
      #expect(outside * 1000 <= values.count * (1000 - permille))
      // The next value inwards on each side would be one too many, but for the width of a bin.
      let allowed = values.count * (1000 - permille) / 2000
      #expect(range.high <= sorted[values.count - 1 - allowed] * 1.01)
      #expect(range.low >= sorted[allowed] * 1.01)
    }
    #expect(histogram.range(within: seen, .minMax) == seen)
    // One-sided: nothing is taken from the end that stands at zero.
    var rectified = ValueHistogram()
    rectified.include(values.map { max($0, 0) })
    let top = rectified.range(
      within: TensorRange(low: 0, high: sorted.last!), .percentile(ExactRatio(99, 100)!))
    #expect(top.low == 0 && values.count { $0 > top.high } <= 200 && top.high < 4)
  }

  @Test("the least squared error is that of the ranges tried")
  func meanSquaredError() {
    var random = SplitMix64(seed: 19)
    // Sums of eight: a bell curve, whose best range is narrower than its largest value.
    let values = (0..<20_000).map { _ in
      (0..<8).reduce(Float(0)) { sum, _ in sum + Float(random.next() % 20_001) / 10_000 - 1 }
    }
    var histogram = ValueHistogram()
    histogram.include(values)
    let seen = TensorRange(low: values.min()!, high: values.max()!)
    let found = histogram.range(within: seen, .meanSquaredError)
    func error(_ range: TensorRange) -> Double {
      let step = Double(range.high - range.low) / 255
      return values.reduce(0.0) { sum, value in
        let clamped = Double(min(max(value, range.low), range.high))
        let q = (clamped / step).rounded() * step
        return sum + (Double(value) - q) * (Double(value) - q)
      }
    }
    let least = (16...64).map { part in
      error(TensorRange(low: seen.low * Float(part) / 64, high: seen.high * Float(part) / 64))
    }.min()!
    #expect(error(found) <= least * 1.02 && error(found) < error(seen) && found.high < seen.high)
  }

  @Test("clamped outliers are counted as saturated")
  func saturation() throws {
    var maker = NetworkMaker(6, 6, 3, seed: 21)
    maker.convolution("conv", 4, window(3))
    maker.dense("head", 3)
    let data = maker.data(20)
    func rows(_ method: ConversionOptions.Method) throws -> ConversionRow {
      try FloatConversion.convert(
        maker.network, calibration: .data(data),
        options: ConversionOptions(method: method, input: bytesToUnit)
      ).rows[0]
    }
    #expect(try rows(.minMax).saturated == 0)
    let clamped = try rows(.percentile(ExactRatio(9, 10)!))
    // A tenth of the values, in parts per million; a bin and a rounding more or less.
    #expect((60_000...110_000).contains(clamped.saturated ?? 0), "\(clamped)")
  }

  // MARK: - Equalisation and bias correction

  private func unequal(_ seed: UInt64) -> NetworkMaker {
    var maker = NetworkMaker(8, 8, 3, seed: seed)
    maker.convolution("a", 8, window(3, pad: [1, 1, 1, 1]))
    maker.activation(.relu)
    maker.convolution("b", 8, window(3, pad: [1, 1, 1, 1]), groups: 8)
    maker.activation(.relu)
    maker.pool(window(2, stride: 2), max: true)
    maker.convolution("c", 6, window(1))
    maker.activation(.relu)
    maker.dense("head", 4)
    // Channels of very different size that a following layer undoes: what folding leaves behind.
    let factors: [Float] = [1, 8, 0.125, 64, 2, 0.5, 16, 0.25]
    for (node, next) in [(0, 2), (2, 5)] {
      var (weights, bias) = maker.network.nodes[node].operation.floatWeights
      let depth = weights.count / 8
      for index in weights.indices { weights[index] *= factors[index / depth] }
      for index in bias.indices { bias[index] *= factors[index] }
      maker.network.nodes[node].operation = maker.network.nodes[node].operation.replacing(
        weights, bias)
      var (others, same) = maker.network.nodes[next].operation.floatWeights
      let isDepthwise = next == 2
      for index in others.indices {
        others[index] /= factors[isDepthwise ? index / 9 : index % 8]
      }
      if !isDepthwise { same = same.map { $0 } }
      maker.network.nodes[next].operation = maker.network.nodes[next].operation.replacing(
        others, same)
    }
    return maker
  }

  @Test("equalisation changes no real number and makes channels alike")
  func equalization() throws {
    var maker = unequal(22)
    let data = maker.data(16)
    let plan = try ConversionPlan(maker.network)
    let other = equalized(plan)
    let real = bytesToUnit.real(data.samples)
    let before = FloatExecutor(maker.network).run(real, count: 16)
    let after = FloatExecutor(other).run(real, count: 16)
    for (a, b) in zip(before, after) { #expect(abs(a - b) <= 1e-4 * (abs(a) + 1)) }
    func spread(_ network: FloatNetwork) -> Float {
      let (weights, bias) = network.nodes[0].operation.floatWeights
      let depth = weights.count / bias.count
      let ranges = bias.indices.map { channel in
        weights[channel * depth..<(channel + 1) * depth].map { abs($0) }.max()!
      }
      return ranges.max()! / ranges.min()!
    }
    #expect(spread(maker.network) > 100 && spread(other) < 10, "\(spread(other))")
    func noise(_ equalizes: Bool) throws -> Int {
      let result = try FloatConversion.convert(
        maker.network, calibration: .data(data),
        options: ConversionOptions(equalizesLayers: equalizes, input: bytesToUnit))
      return result.rows.last?.signalToNoise ?? 0
    }
    #expect(try noise(true) > noise(false) + 600)
  }

  @Test("through relu6, only channels move that the samples never cut off")
  func equalizedThroughClamp() throws {
    let bound: Float = 0.5
    var maker = NetworkMaker(4, 4, 2, seed: 27)
    maker.convolution("a", 6, window(1))
    let (weights, bias) = maker.network.nodes[0].operation.floatWeights
    // Channels 0 to 2 stay far below the bound, the others pass it.
    let factors: [Float] = [0.01, 0.05, 0.1, 4, 6, 8]
    maker.network.nodes[0].operation = maker.network.nodes[0].operation.replacing(
      weights.enumerated().map { $1 * factors[$0 / 2] },
      bias.enumerated().map { $0 < 3 ? 0.01 : 1 + 0 * $1 })
    maker.activation(.clip(low: 0, high: bound))
    maker.dense("head", 3)
    let data = maker.data(16)
    let plan = try ConversionPlan(maker.network)
    let samples = RealSamples(data.samples, bytesToUnit, for: maker.network)
    let other = equalized(plan, samples)
    func row(_ network: FloatNetwork, _ channel: Int) -> [Float] {
      Array(network.nodes[0].operation.floatWeights.weights[2 * channel..<2 * channel + 2])
    }
    for channel in 0..<3 { #expect(row(other, channel) != row(maker.network, channel)) }
    for channel in 3..<6 { #expect(row(other, channel) == row(maker.network, channel)) }
    let real = bytesToUnit.real(data.samples)
    let before = FloatExecutor(maker.network).run(real, count: 16)
    let after = FloatExecutor(other).run(real, count: 16)
    for (a, b) in zip(before, after) { #expect(abs(a - b) <= 1e-5 * (abs(a) + 1)) }
  }

  @Test("layers with a table activation, or a clamp without samples, between them are left alone")
  func notEqualized() throws {
    for kind in [ActivationKind.clip(low: 0, high: 6), .sigmoid, .hardSwish] {
      var maker = NetworkMaker(4, 4, 2, seed: 23)
      maker.convolution("a", 4, window(1))
      maker.activation(kind)
      maker.dense("head", 2)
      let other = equalized(try ConversionPlan(maker.network))
      #expect(
        other.nodes[0].operation.floatWeights.weights
          == maker.network.nodes[0].operation.floatWeights.weights)
    }
  }

  @Test("bias correction moves the mean of every channel to the float network's")
  func biasCorrection() throws {
    var maker = unequal(24)
    let data = maker.data(32)
    let real = bytesToUnit.real(data.samples)
    let floats = FloatExecutor(maker.network).run(real, count: 32)
    func meanError(_ corrects: Bool) throws -> Double {
      let result = try FloatConversion.convert(
        maker.network, calibration: .data(data),
        options: ConversionOptions(correctsBiases: corrects, input: bytesToUnit))
      let model = try ConvertedModel(result.modelBytes)
      let integers = model.real(try PreparedData(data, for: model.network).values)
      return (0..<4).reduce(0.0) { sum, output in
        let difference = (0..<32).reduce(0.0) {
          $0 + integers[$1][output] - Double(floats[4 * $1 + output])
        }
        return sum + abs(difference) / 32
      }
    }
    let (without, with) = (try meanError(false), try meanError(true))
    #expect(with < without / 10, "\(without) \(with)")
  }

  // MARK: - Quantised files

  /// conv 1×1 + relu → fully connected, with the integers of a file.
  private func quantized(roundsLogits: Bool = false) -> FloatNetwork {
    let input = ActivationQuantization(scale: 1 / 128, zeroPoint: -128, isUnsigned: true)
    let middle = ActivationQuantization(scale: 0.03125, zeroPoint: -128)
    let output = ActivationQuantization(scale: 0.25, zeroPoint: 3)
    let shape = TensorShape(height: 1, width: 1, channels: 2)
    return FloatNetwork(
      inputShape: shape,
      nodes: [
        FloatNode(
          name: "conv", inputs: [0],
          operation: .convolution(
            geometry: WindowGeometry(kernelHeight: 1, kernelWidth: 1), groups: 1, outputChannels: 2,
            weights: [1.27, -0.5, 0.02, -1.28], bias: [0.5, -0.25]),
          shape: shape,
          quantization: ImportedQuantization(
            inputs: [input], output: middle, weightScales: [0.01, 0.02],
            weights: [127, -50, 1, -64], bias: [6400, -1600])),
        FloatNode(name: "relu", inputs: [1], operation: .activation(.relu), shape: shape),
        FloatNode(
          name: "head", inputs: [2],
          operation: .fullyConnected(
            outputs: 2, weights: [0.5, 0.25, -0.125, 1], bias: [1, 2]),
          shape: shape,
          quantization: ImportedQuantization(
            inputs: [middle], output: roundsLogits ? output : nil, weightScales: [0.0078125],
            weights: [64, 32, -16, -128],
            bias: [4096, 8192])),
      ], output: 3)
  }

  @Test("a quantised file's integers are taken as they are, without calibration data")
  func imported() throws {
    let result = try FloatConversion.convert(quantized(), calibration: .none, options: .unit())
    let model = try LoadedModel(result.modelBytes)
    let network = model.network
    let conv = network.node(0)
    #expect(network.weights(of: conv)[1] == -50 && network.weights(of: conv)[3] == -64)
    #expect(network.biases(of: conv)[0] == 6400 && network.biases(of: conv)[1] == -1600)
    #expect(conv.scalesPerChannel)
    // The input, up to 255/128, is folded by 2: its Scale halves and the weights' Scales double.
    #expect(network.inputQuantization.scale == .powerOfTwo(-8))
    #expect(network.inputQuantization.zeroPoint == -128)
    #expect(network.weightScale(of: conv, 1) == ExactNumber(exactly: Double(Float(0.04))).scale())
    #expect(conv.quantization == Quantization(scale: .powerOfTwo(-5), zeroPoint: -128))
    let head = network.node(1)
    #expect(head.hasAccumulators && network.weights(of: head)[3] == -127)
    #expect(network.biases(of: head)[1] == 8192)
    #expect(result.rows[1].notes.contains("1 weights of −128 became −127"))
    // x = 200, 10 as bytes: q = 72, −118; worked by hand.
    let converted = try ConvertedModel(result.modelBytes)
    // q follows from real = x/255 and the file's Scale of 1/128: 200/255·128 = 100.4, 10/255·128 = 5.02.
    let data = DataSet(
      source: "made", samples: NumericArray(shape: [1, 1, 1, 2], storage: .uint8([200, 10])),
      targets: .none)
    let values = try PreparedData(data, for: network).values
    #expect(values == [-28, -123])
    // conv: 127·100 − 50·5 + 6400 = 18850 at 0.01/128 → /0.03125: 47.1; 100 − 64·5 − 1600 < 0.
    // head: 64·47 + 4096 = 7104, −16·47 + 8192 = 7440.
    #expect(converted.logits(values) == [[7104, 7440]])
  }

  @Test("logits that a quantised file rounds are rounded as it says")
  func importedLogits() throws {
    let network = quantized(roundsLogits: true)
    let result = try FloatConversion.convert(network, calibration: .none, options: .unit())
    let model = try LoadedModel(result.modelBytes)
    let head = model.nodes[1]
    #expect(!head.hasAccumulators)
    #expect(head.quantization == Quantization(scale: .powerOfTwo(-2), zeroPoint: 3))
    // The accumulators 7104 and 7440 of the test above stand at 2⁻¹²: 6.94 and 7.27 steps of 2⁻²,
    // beside a zero point that logits do not have (SPEC 5.7).
    #expect(try ConvertedModel(result.modelBytes).logits([-28, -123]) == [[7, 7]])
  }

  @Test("where a file's input Scale differs from the tensor's, a rescale stands between")
  func rescaled() throws {
    var network = quantized()
    network.nodes[2].quantization?.inputs = [
      ActivationQuantization(scale: 0.0625, zeroPoint: -100)
    ]
    let result = try FloatConversion.convert(network, calibration: .none, options: .unit())
    #expect(result.rows.map(\.kind) == ["convolution + relu", "rescale", "fully connected"])
    let model = try LoadedModel(result.modelBytes)
    #expect(
      model.network.node(1).quantization == Quantization(scale: .powerOfTwo(-4), zeroPoint: -100))
  }

  @Test("a bias of a file beyond the limit names its layer")
  func importedLimit() {
    var network = quantized()
    network.nodes[0].quantization?.bias = [25_000_001, 0]
    let error = fault { () throws(InputError) in
      _ = try FloatConversion.convert(network, calibration: .none, options: .unit())
    }
    #expect(error?.code == 605 && error?.place?.contains("conv") == true)
  }
}
