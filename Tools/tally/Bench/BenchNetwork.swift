import Importers
import TallyHost

/// A network that `tally bench` times: a published shape with seeded random weights.
struct BenchNetwork: Sendable {
  /// As it stands in row names.
  let name: String
  /// Formats/network.md.
  let description: String

  /// - Throws: what is wrong with the description.
  func model() throws -> LoadedModel {
    let network = try NetworkDescription(parsing: Array(description.utf8)[...], file: name)
    return try LoadedModel(
      try network.initialModel(seed: 1, input: InputPreparation(scale: ExactRatio(1, 255)!)))
  }

  /// 784 inputs, `depth` hidden layers of `width`, 10 classes.
  static func dense(width: Int, depth: Int = 1) -> BenchNetwork {
    let hidden = Array(
      repeating: #"{"kind": "fullyConnected", "outputs": \#(width), "activation": "relu"}"#,
      count: depth)
    return BenchNetwork(
      name: "mlp-784-\(width)\(depth == 1 ? "" : "x\(depth)")-10", input: "784",
      layers: hidden + [fullyConnected(10)])
  }

  static let mlp = dense(width: 128)

  static let cnn = BenchNetwork(
    name: "cnn-28x28", input: "28, 28, 1",
    layers: [
      convolution(8, 3), maxPool(2), convolution(16, 3), maxPool(2), fullyConnected(10),
    ])

  /// The convolutional network of the ONNX model zoo.
  static let mnist7 = BenchNetwork(
    name: "mnist-7", input: "28, 28, 1",
    layers: [
      convolution(8, 5), maxPool(2), convolution(16, 5), maxPool(3), fullyConnected(10),
    ])

  // MLPerf Tiny: image classification, keywords, anomaly detection, visual wake words.

  static let resnet8 = BenchNetwork(
    name: "resnet8", input: "32, 32, 3",
    layers: [
      convolution(16, 3, name: "a"), convolution(16, 3), convolution(16, 3, name: "b", relu: false),
      add("a", "b", name: "c"),
      convolution(32, 3, stride: 2), convolution(32, 3, name: "d", relu: false),
      convolution(32, 1, stride: 2, name: "e", from: "c", relu: false), add("e", "d", name: "f"),
      convolution(64, 3, stride: 2), convolution(64, 3, name: "g", relu: false),
      convolution(64, 1, stride: 2, name: "h", from: "f", relu: false), add("h", "g", name: "i"),
      #"{"kind": "globalAveragePool"}"#, fullyConnected(10),
    ])

  static let dscnn = BenchNetwork(
    name: "ds-cnn", input: "49, 10, 1",
    layers: [
      #"{"kind": "convolution", "filters": 64, "kernel": [10, 4], "stride": 2, "#
        + #""padding": "same", "activation": "relu"}"#
    ] + Array(repeating: [depthwise(1), convolution(64, 1)], count: 4).flatMap { $0 }
      + [#"{"kind": "globalAveragePool"}"#, fullyConnected(12)])

  static let autoencoder = BenchNetwork(
    name: "ad-autoencoder", input: "640",
    layers: [128, 128, 128, 128, 8, 128, 128, 128, 128].map { fullyConnected($0, relu: true) }
      + [fullyConnected(640)])

  /// MobileNetV1 of width 1/4 on 96 × 96 × 3.
  static let mobileNet: BenchNetwork = {
    let blocks = [
      (1, 16), (2, 32), (1, 32), (2, 64), (1, 64), (2, 128), (1, 128), (1, 128), (1, 128),
      (1, 128), (1, 128), (2, 256), (1, 256),
    ]
    return BenchNetwork(
      name: "vww-mobilenet", input: "96, 96, 3",
      layers: [convolution(8, 3, stride: 2)]
        + blocks.flatMap { [depthwise($0.0), convolution($0.1, 1)] }
        + [#"{"kind": "globalAveragePool"}"#, fullyConnected(2)])
  }()

  static let all: [BenchNetwork] = [
    .mlp, .mnist7, .cnn, .resnet8, .dscnn, .autoencoder, .mobileNet,
  ]

  private init(name: String, input: String, layers: [String]) {
    self.name = name
    description = #"{"input": [\#(input)], "layers": [\#(layers.joined(separator: ", "))]}"#
  }

  // MARK: Layers

  private static func convolution(
    _ filters: Int, _ kernel: Int, stride: Int = 1, name: String? = nil, from: String? = nil,
    relu: Bool = true
  ) -> String {
    #"{"kind": "convolution", "filters": \#(filters), "kernel": \#(kernel), "#
      + #""stride": \#(stride), "padding": "same""# + (name.map { #", "name": "\#($0)""# } ?? "")
      + (from.map { #", "from": "\#($0)""# } ?? "") + (relu ? #", "activation": "relu"}"# : "}")
  }

  private static func depthwise(_ stride: Int) -> String {
    #"{"kind": "depthwiseConvolution", "kernel": 3, "stride": \#(stride), "padding": "same", "#
      + #""activation": "relu"}"#
  }

  private static func fullyConnected(_ outputs: Int, relu: Bool = false) -> String {
    #"{"kind": "fullyConnected", "outputs": \#(outputs)"#
      + (relu ? #", "activation": "relu"}"# : "}")
  }

  private static func maxPool(_ size: Int) -> String { #"{"kind": "maxPool", "size": \#(size)}"# }

  private static func add(_ first: String, _ second: String, name: String) -> String {
    #"{"kind": "add", "from": ["\#(first)", "\#(second)"], "name": "\#(name)", "#
      + #""activation": "relu"}"#
  }
}
