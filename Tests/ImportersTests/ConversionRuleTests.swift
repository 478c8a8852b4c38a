import Tally
import TallyHost
import Testing

@testable import Importers

@Suite("Conversion rules") struct ConversionRuleTests {
  private func convert(
    _ maker: inout NetworkMaker, _ options: ConversionOptions = .unit(), count: Int = 8
  ) throws -> (ConversionResult, LoadedModel) {
    let data = maker.data(count)
    let result = try FloatConversion.convert(
      maker.network, calibration: .data(data), options: options)
    return (result, try LoadedModel(result.modelBytes))
  }

  private func kinds(_ model: LoadedModel) -> [String] {
    (0..<model.network.nodeCount).map { model.network.node($0).operation.label }
  }

  // MARK: - Which nodes there are

  @Test("relu disappears into the layer before it, and softmax altogether")
  func fusion() throws {
    var maker = NetworkMaker(6, 6, 2, seed: 1)
    maker.convolution("conv", 4, window(3))
    maker.activation(.relu)
    maker.dense("head", 3)
    maker.add("softmax", .softmax, shape: TensorShape(height: 1, width: 1, channels: 3))
    let (result, model) = try convert(&maker)
    #expect(result.rows.map(\.kind) == ["convolution + relu", "fully connected"])
    let conv = model.network.node(0).quantization
    #expect(conv.zeroPoint == -128 && conv.low == -128 && conv.high == 127)
    #expect(model.network.node(1).hasAccumulators)
    #expect(result.rows.map(\.name) == ["conv", "head"])
    #expect(result.rows[0].multiplyCount == 16 * 4 * 18 && result.rows[0].parameterCount == 76)
  }

  @Test("relu after pooling moves before it, so the layer spends no bit on a sign")
  func clampBeforePool() throws {
    var maker = NetworkMaker(8, 8, 2, seed: 2)
    maker.convolution("conv", 4, window(3))
    maker.pool(window(2, stride: 2), max: true)
    maker.activation(.relu)
    maker.dense("head", 3)
    let data = maker.data(6)
    let plan = try ConversionPlan(maker.network)
    #expect(plan.nodes.map(\.index).count == 3)
    let real = bytesToUnit.real(data.samples)
    #expect(
      FloatExecutor(plan.network).run(real, count: 6)
        == FloatExecutor(maker.network).run(real, count: 6))
    let (_, model) = try convert(&maker)
    #expect(kinds(model) == ["convolution", "max pool", "fully connected"])
    #expect(model.network.node(0).quantization.zeroPoint == -128)
    #expect(model.network.node(1).quantization == model.network.node(0).quantization)
  }

  @Test("a layer that two others read keeps its own values")
  func shared() throws {
    var maker = NetworkMaker(6, 6, 2, seed: 3)
    let conv = maker.convolution("conv", 4, window(3))
    let relu = maker.activation(.relu)
    maker.add("sum", .add, from: [conv, relu], shape: maker.network.shape(of: conv))
    let (_, model) = try convert(&maker)
    #expect(kinds(model) == ["convolution", "rescale", "add"])
    #expect(model.network.node(1).quantization.isRectified)
    #expect(!model.network.node(0).quantization.isRectified)
  }

  @Test("nodes that the output does not need are left out")
  func unused() throws {
    var maker = NetworkMaker(4, 4, 2, seed: 4)
    let conv = maker.convolution("conv", 4, window(3))
    maker.convolution("aside", 4, window(1))
    maker.dense("head", 3, from: conv)
    maker.activation(.tanh)
    maker.network.output = 3
    let (result, _) = try convert(&maker)
    #expect(result.rows.map(\.name) == ["conv", "head"])
  }

  @Test("an upper bound becomes the bound of the integers")
  func bounds() throws {
    var maker = NetworkMaker(6, 6, 3, seed: 5)
    maker.convolution("conv", 4, window(3))
    maker.activation(.clip(low: -0.25, high: 0.5))
    maker.dense("head", 3)
    let (result, model) = try convert(&maker)
    let q = model.network.node(0).quantization
    let range = try #require(result.rows[0].range)
    #expect(range.lowerBound == -0.25 && range.upperBound == 0.5)
    // 255 steps over 0.75, a third of them below zero.
    #expect(q.low == -128 && q.high == 127 && q.zeroPoint == -43)
  }

  // MARK: - Scales

  @Test("weights take the largest to 127, none to −128; channels by themselves have a floor")
  func weightScales() throws {
    let weights: [Float] = [0.5, -1.27, 0.001, 0.0000001, -0.0000002, 0]
    let bias = [0.25, -0.5]
    let layer = try QuantizedWeights(
      weights, bias: bias, input: .powerOfTwo(-8), perChannel: false, layer: "a")
    #expect(
      layer.scales == [(ExactNumber(exactly: Double(Float(1.27))) / ExactNumber(127)).scale()])
    #expect(layer.weights == [50, -127, 0, 0, 0, 0])
    // 0.25·2⁸ / 0.01 = 6400; 1.27 as a float is a little more than 1.27.
    #expect(layer.biases == [6400, -12800])
    let channels = try QuantizedWeights(
      weights, bias: bias, input: .powerOfTwo(-8), perChannel: true, layer: "a")
    #expect(channels.scales[0] == layer.scales[0])
    #expect(channels.scales[1] == layer.scales[0].multiplied(byPowerOfTwo: -10))
    #expect(channels.weights == [50, -127, 0, 0, 0, 0])
    let zero = try QuantizedWeights(
      [0, 0], bias: [1], input: .powerOfTwo(-8), perChannel: false, layer: "a")
    #expect(
      zero.weights == [0, 0] && zero.scales[0] != .zero && zero.notes == ["all weights are zero"])
  }

  @Test("a bias beyond 25 million raises the weight Scale, up to a point")
  func largeBias() throws {
    let raised = try QuantizedWeights(
      [0.01], bias: [100], input: Scale(1) / Scale(255), perChannel: false, layer: "a")
    #expect(raised.biases[0].magnitude <= 25_000_000 && raised.biases[0].magnitude > 12_500_000)
    #expect(raised.notes == ["weight Scale raised 16 times to hold a bias"])
    let error = fault { () throws(InputError) in
      _ = try QuantizedWeights(
        [0.01], bias: [10_000], input: Scale(1) / Scale(255), perChannel: false, layer: "stem")
    }
    #expect(error?.code == 605 && error?.exit == 4 && error?.place?.contains("stem") == true)
  }

  @Test("ranges hold a real zero exactly")
  func zeroPoint() {
    for (low, high, zero) in [
      (Float(0), Float(6), -128), (-3, 3, 0), (-1, 3, -64), (1, 2, -128), (-2, -1, 127),
      (-255, 0, 127),
    ] {
      let q = Quantization(TensorRange(low: low, high: high))
      #expect(abs(Int(q.zeroPoint) - zero) <= 1, "\(low)…\(high) \(q.zeroPoint)")
      #expect(Double(q.scale.double) * 255 >= Double(max(high, 0) - min(low, 0)) * (1 - 1e-9))
    }
    #expect(Quantization(TensorRange(low: 0, high: 0)).scale != .zero)
  }

  @Test("the input is brought to unit range, and the logits do not notice")
  func folding() throws {
    for (scale, shift) in [
      (ExactRatio(1), 8), (ExactRatio(1, 255)!, 0), (ExactRatio(1, 4096)!, -4),
    ] {
      var maker = NetworkMaker(5, 5, 2, seed: 6)
      maker.convolution("conv", 4, window(3))
      maker.activation(.relu)
      maker.dense("head", 3)
      let data = maker.data(8)
      let preparation = InputPreparation(scale: scale)
      let result = try FloatConversion.convert(
        maker.network, calibration: .data(data), options: ConversionOptions(input: preparation))
      let model = try ConvertedModel(result.modelBytes)
      let stored = model.network.inputQuantization.scale
      #expect(stored == ExactNumber(scale).scale().multiplied(byPowerOfTwo: Int32(-shift)))
      let integers = model.real(try PreparedData(data, for: model.network).values).flatMap { $0 }
      let floats = FloatExecutor(maker.network).run(preparation.real(data.samples), count: 8)
      let largest = floats.map { abs($0) }.max() ?? 0
      for (a, b) in zip(floats, integers) {
        #expect(abs(Double(a) - b) < Double(largest) * 0.05)
      }
      #expect((result.rows.last?.signalToNoise ?? 0) > 2500)
    }
  }

  @Test("the input stays as it is where something else than a layer reads it")
  func noFolding() throws {
    var maker = NetworkMaker(4, 4, 2, seed: 7)
    let conv = maker.convolution("conv", 2, window(1))
    maker.add("sum", .add, from: [0, conv], shape: maker.network.shape(of: 0))
    let data = maker.data(4)
    let result = try FloatConversion.convert(
      maker.network, calibration: .data(data), options: ConversionOptions())
    let model = try LoadedModel(result.modelBytes)
    #expect(model.network.inputQuantization.scale == .powerOfTwo(0))
  }

  @Test("per-channel scales everywhere but where logits are compared")
  func perChannel() throws {
    var maker = NetworkMaker(6, 6, 2, seed: 8)
    maker.convolution("conv", 4, window(3))
    maker.activation(.relu)
    maker.dense("head", 3)
    let (_, model) = try convert(&maker, .unit(.perChannel))
    #expect(model.network.node(0).scalesPerChannel && model.network.node(0).scaleCount == 4)
    #expect(!model.network.node(1).scalesPerChannel && model.network.node(1).hasAccumulators)
  }

  // MARK: - Whole conversions

  @Test("the same input gives the same bytes, here and on every other machine")
  func deterministic() throws {
    var maker = NetworkMaker(7, 7, 3, seed: 9)
    maker.convolution("a", 6, window(3, pad: [1, 1, 1, 1]))
    maker.activation(.relu)
    maker.convolution("b", 6, window(3, pad: [1, 1, 1, 1]), groups: 6)
    maker.activation(.hardSwish)
    maker.pool(window(7), max: false)
    maker.dense("head", 4)
    let data = maker.data(10, labels: (0..<10).map { Int32($0 % 4) })
    var digests: [String] = []
    for method in [
      ConversionOptions.Method.minMax, .percentile(ExactRatio(99, 100)!), .meanSquaredError,
    ] {
      let options = ConversionOptions(
        weightScales: .perChannel, method: method, equalizesLayers: true, correctsBiases: true,
        input: bytesToUnit)
      let first = try FloatConversion.convert(
        maker.network, calibration: .data(data), options: options)
      let second = try FloatConversion.convert(
        maker.network, calibration: .data(data), options: options)
      #expect(first.modelBytes == second.modelBytes && first.rows == second.rows)
      digests.append(try LoadedModel(first.modelBytes).digest.hexadecimal)
    }
    // Written by x86-64 Linux, debug and release; another machine must print the same.
    #expect(digests == Self.digests)
  }

  static let digests = [
    "29b39862f1a365bb1be9e9abd56850af8f51b8eb32293a4b261d29715536fb39",
    "38b26e92a178621a1e64ae6253721549cf81c101e1d3f941b02595385a2f0a3e",
    "f06ebebfd00ae1ef3f2fd864c958c9d4beaa0df372dd0a253cf0a999d5bcbf91",
  ]

  @Test("agreement and accuracy are counted")
  func agreement() throws {
    var maker = NetworkMaker(6, 6, 1, seed: 10)
    maker.convolution("conv", 4, window(3))
    maker.activation(.relu)
    maker.dense("head", 3)
    let unlabelled = maker.data(40)
    let answers = maker.network.answers(unlabelled, bytesToUnit)
    // Half of the labels are what the float network says.
    let labels = answers.enumerated().map { Int32($0 % 2 == 0 ? $1 : ($1 + 1) % 3) }
    let data = DataSet(source: "made", samples: unlabelled.samples, targets: .labels(labels))
    let result = try FloatConversion.convert(
      maker.network, calibration: .data(data), options: .unit())
    let agreement = try #require(result.agreement)
    let integers = try ConvertedModel(result.modelBytes).answers(data)
    #expect(agreement.sampleCount == 40 && agreement.floatCorrect == 20)
    #expect(agreement.agreeing == zip(answers, integers).count { $0 == $1 })
    #expect(agreement.integerCorrect == zip(labels, integers).count { Int($0) == $1 })
    let without = try FloatConversion.convert(
      maker.network, calibration: .data(unlabelled), options: .unit())
    #expect(without.agreement?.floatCorrect == nil && without.agreement?.sampleCount == 40)
    #expect(without.modelBytes == result.modelBytes)
  }

  @Test("without data: a model that runs, and a loud word")
  func withoutData() throws {
    var maker = NetworkMaker(8, 8, 3, seed: 11)
    maker.convolution("a", 8, window(3, pad: [1, 1, 1, 1]))
    maker.activation(.relu)
    let a = maker.convolution("b", 8, window(3, pad: [1, 1, 1, 1]))
    maker.activation(.silu)
    maker.add("sum", .add, from: [a, maker.last], shape: maker.network.shape(of: a))
    maker.pool(window(2, stride: 2), max: true)
    maker.dense("head", 4)
    let data = maker.data(30)
    let floats = maker.network.answers(data, bytesToUnit)
    for source in [CalibrationSource.random, .none] {
      let result = try FloatConversion.convert(maker.network, calibration: source, options: .unit())
      #expect(
        result.warnings.contains { $0.code == 607 && $0.place?.contains("--calibrate") == true })
      #expect(result.agreement == nil)
      let answers = try ConvertedModel(result.modelBytes).answers(data)
      #expect(zip(answers, floats).count { $0 == $1 } >= 26, "\(source)")
    }
  }

  // MARK: - Refusals

  @Test("limits name their layer")
  func limits() throws {
    var maker = NetworkMaker(1, 1, 65_537, seed: 12)
    maker.dense("wide", 1)
    let data = maker.data(1)
    let wide = fault { () throws(InputError) in
      _ = try FloatConversion.convert(maker.network, calibration: .data(data), options: .unit())
    }
    #expect(wide?.code == 605 && wide?.exit == 4 && wide?.place?.contains("wide") == true)

    var pools = NetworkMaker(8, 8, 1, seed: 13)
    pools.pool(window(2, dilation: 2), max: true)
    pools.dense("head", 2)
    let pooled = fault { () throws(InputError) in
      _ = try FloatConversion.convert(pools.network, calibration: .none, options: .unit())
    }
    #expect(pooled?.code == 305 && pooled?.exit == 4)

    var soft = NetworkMaker(1, 1, 4, seed: 14)
    soft.add("softmax", .softmax, shape: TensorShape(height: 1, width: 1, channels: 4))
    let empty = fault { () throws(InputError) in
      _ = try FloatConversion.convert(soft.network, calibration: .none, options: .unit())
    }
    #expect(empty?.code == 605)
  }

  @Test("data of another shape, and networks that give NaN, are refused")
  func badData() throws {
    var maker = NetworkMaker(4, 4, 1, seed: 15)
    maker.dense("head", 2)
    var other = NetworkMaker(5, 4, 1, seed: 15)
    let wrong = other.data(2)
    let shape = fault { () throws(InputError) in
      _ = try FloatConversion.convert(maker.network, calibration: .data(wrong), options: .unit())
    }
    #expect(shape?.code == 702 && shape?.exit == 2)
    var huge = NetworkMaker(1, 1, 2, seed: 16)
    for layer in 0..<2 {
      huge.add(
        "huge \(layer)",
        .fullyConnected(outputs: 2, weights: [3e38, 3e38, -3e38, 3e38], bias: [0, 0]),
        shape: TensorShape(height: 1, width: 1, channels: 2))
    }
    let data = huge.data(4)
    let nan = fault { () throws(InputError) in
      _ = try FloatConversion.convert(huge.network, calibration: .data(data), options: .unit())
    }
    #expect(nan?.code == 601 && nan?.place?.contains("huge") == true)
  }
}
