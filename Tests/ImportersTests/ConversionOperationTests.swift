import Tally
import TallyHost
import Testing

@testable import Importers

/// Each operation alone, converted and run as integers, against the float network.
@Suite("Converted operations") struct ConversionOperationTests {
  struct Case: CustomTestStringConvertible, Sendable {
    var name: String
    /// Signal to noise of the output at least, in hundredths of a decibel.
    var least = 3200
    var build: @Sendable (inout NetworkMaker) -> Void
    var testDescription: String { name }
  }

  static let cases: [Case] = [
    Case(name: "convolution, strided, asymmetric padding") {
      $0.convolution("a", 5, window(3, stride: 2, pad: [1, 0, 2, 1]))
      $0.activation(.relu)
    },
    Case(name: "grouped convolution, dilation") {
      $0.convolution("a", 6, window(3, pad: [2, 2, 2, 2], dilation: 2), groups: 3)
    },
    Case(name: "depthwise convolution") {
      $0.convolution("a", 3, window(3, pad: [1, 1, 1, 1]), groups: 3)
      $0.activation(.clip(low: 0, high: 6))
    },
    Case(name: "fully connected over an image") { $0.dense("a", 9) },
    Case(name: "a clamp between other bounds") {
      $0.convolution("a", 4, window(1))
      $0.activation(.clip(low: -0.5, high: 0.75))
    },
    Case(name: "max pooling of a signed tensor") {
      $0.convolution("a", 4, window(3))
      $0.pool(window(2, stride: 2, pad: [1, 1, 0, 0]), max: true)
    },
    Case(name: "average pooling, with and without padding") {
      $0.convolution("a", 4, window(3))
      $0.pool(window(3, stride: 2, pad: [1, 1, 1, 1]), max: false, countsPadding: true)
      $0.pool(window(2, stride: 1, pad: [1, 0, 0, 1]), max: false)
    },
    Case(name: "add of two scales") {
      let a = $0.convolution("a", 4, window(1))
      $0.activation(.relu)
      let b = $0.convolution("b", 4, window(3, pad: [1, 1, 1, 1]), from: a)
      let shape = $0.network.shape(of: b)
      $0.add("sum", .add, from: [a, b], shape: shape)
      $0.activation(.relu)
    },
    Case(name: "multiply by a gate", least: 3000) {
      let a = $0.convolution("a", 4, window(3, pad: [1, 1, 1, 1]))
      $0.pool(window(8), max: false)
      $0.dense("gate", 4)
      let gate = $0.activation(.sigmoid)
      $0.add("product", .multiply, from: [a, gate], shape: $0.network.shape(of: a))
    },
    Case(name: "concatenate three, then clamp") {
      let a = $0.convolution("a", 2, window(1))
      let b = $0.convolution("b", 3, window(3, pad: [1, 1, 1, 1]), from: 0)
      let c = $0.convolution("c", 1, window(1), from: 0)
      $0.add(
        "joined", .concatenate, from: [b, a, c],
        shape: TensorShape(height: 8, width: 8, channels: 6))
      $0.activation(.relu)
    },
    Case(name: "upsample") {
      $0.convolution("a", 4, window(1))
      $0.add(
        "up", .upsample(factorHeight: 2, factorWidth: 3),
        shape: TensorShape(height: 16, width: 24, channels: 4))
    },
    Case(name: "slice that ends early, then padding") {
      $0.convolution("a", 4, window(1))
      let slice = SlicePad(
        height: .init(start: 1, stride: 2, padBefore: 1, padAfter: 2, count: 2),
        width: .init(start: 0, stride: 1, padBefore: 0, padAfter: 3, count: 5),
        channels: .init(start: 0, stride: 1, padBefore: 2, padAfter: 0, count: 4))
      $0.add("cut", .slicePad(slice), shape: slice.outputShape)
    },
    Case(name: "leaky relu") {
      $0.convolution("a", 4, window(1)); $0.activation(.leakyRelu(alpha: 0.1))
    },
    Case(name: "sigmoid") {
      $0.convolution("a", 4, window(1)); $0.activation(.sigmoid)
    },
    Case(name: "tanh") {
      $0.convolution("a", 4, window(1)); $0.activation(.tanh)
    },
    Case(name: "gelu") {
      $0.convolution("a", 4, window(1)); $0.activation(.gelu)
    },
    Case(name: "silu") {
      $0.convolution("a", 4, window(1)); $0.activation(.silu)
    },
    Case(name: "hard sigmoid") {
      $0.convolution("a", 4, window(1))
      $0.activation(.hardSigmoid(alpha: 0.2, beta: 0.5))
    },
    Case(name: "hard swish") {
      $0.convolution("a", 4, window(1)); $0.activation(.hardSwish)
    },
    Case(name: "relu that cannot be fused") {
      let a = $0.convolution("a", 4, window(1))
      let b = $0.activation(.relu)
      $0.add("sum", .add, from: [a, b], shape: $0.network.shape(of: a))
    },
  ]

  @Test("give the float network's numbers", arguments: cases)
  func operation(_ operation: Case) throws {
    for scales in [ConversionOptions.WeightScales.perLayer, .perChannel] {
      for isHead in [false, true] {
        var maker = NetworkMaker(8, 8, 3, seed: 0x5eed)
        operation.build(&maker)
        if isHead { maker.dense("head", 5) }
        let data = maker.data(12)
        let network = maker.network
        let result = try FloatConversion.convert(
          network, calibration: .data(data), options: .unit(scales))
        let last = try #require(result.rows.last)
        #expect((last.signalToNoise ?? 0) >= operation.least - (isHead ? 400 : 0), "\(result.rows)")
        #expect(last.name == network.nodes.last!.name || !isHead)

        // The same a second way: the runtime's session, and no part of the report.
        let model = try ConvertedModel(result.modelBytes)
        let prepared = try PreparedData(data, for: model.network)
        let integers = model.real(prepared.values).flatMap { $0 }
        let floats = FloatExecutor(network).run(bytesToUnit.real(data.samples), count: data.count)
        let signal = floats.reduce(0.0) { $0 + Double($1) * Double($1) }
        let noise = zip(floats, integers).reduce(0.0) {
          $0 + (Double($1.0) - $1.1) * (Double($1.0) - $1.1)
        }
        #expect(noise * 300 < signal, "\(signal) \(noise)")
      }
    }
  }

  @Test("a table's slopes are the function's derivative")
  func slopes() {
    let input = Quantization(scale: Scale(1) / Scale(20), zeroPoint: -7)
    let output = Quantization(scale: Scale(1) / Scale(50), zeroPoint: 0)
    for kind in [
      ActivationKind.sigmoid, .tanh, .gelu, .geluTanh, .silu, .hardSwish, .leakyRelu(alpha: 0.25),
      .hardSigmoid(alpha: 0.2, beta: 0.5),
    ] {
      let table = ActivationTable(kind, from: input, to: output)
      for q in -128...127 {
        let x = Double(q + 7) / 20
        // Another width than the table's, and off its kinks.
        let h = 0.004
        let slope = (kind(x + h) - kind(x - h)) / (2 * h)
        let near = (kind(x + 0.03) - kind(x - 0.03)) / 0.06
        let found = Double(table.slopes[q + 128]) / 4096
        #expect(abs(found - slope) < 0.01 + abs(slope - near), "\(kind) at \(x)")
        let value = min(max(kind(x) * 50, -128), 127)
        #expect(abs(Double(table.values[q + 128]) - value) <= 0.5 + 1e-6, "\(kind) at \(x)")
      }
    }
    let steep = ActivationTable(.leakyRelu(alpha: 100), from: input, to: output)
    #expect(steep.slopes[0] == 32767)
  }
}
