import Foundation
import Tally
import TallyHost
import Testing

@testable import Importers

private func parse(_ json: String) throws(InputError) -> NetworkDescription {
  try NetworkDescription(parsing: Array(json.utf8)[...], file: "net.json")
}

/// The repository, from this file's place in it.
private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  .deletingLastPathComponent().deletingLastPathComponent()

@Suite("Network descriptions") struct NetworkDescriptionTests {
  @Test("the networks of the figures parse")
  func figures() throws {
    let folder = root.appendingPathComponent("Tools/bench/accuracy")
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
      .filter { $0.hasSuffix(".network.json") }.sorted()
    #expect(names.contains("fashion-mlp.network.json") && names.contains("mnist-cnn.network.json"))
    for name in names {
      let bytes = try FileContents(path: folder.appendingPathComponent(name).path).bytes
      let description = try NetworkDescription(parsing: bytes[...], file: name)
      #expect(description.network.outputShape == TensorShape(height: 1, width: 1, channels: 10))
      let model = try LoadedModel(
        description.initialModel(seed: 1, input: bytesToUnit))
      #expect(model.network.isInitialized)
      #expect(model.network.node(model.network.nodeCount - 1).hasAccumulators)
    }
  }

  @Test("the examples of Formats/network.md are networks")
  func documentation() throws {
    let text = try String(
      contentsOf: root.appendingPathComponent("Formats/network.md"), encoding: .utf8)
    let blocks = text.components(separatedBy: "```json\n").dropFirst()
      .map { $0.components(separatedBy: "```")[0] }
    #expect(blocks.count == 5)
    for block in blocks {
      let description = try parse(block)
      _ = try LoadedModel(description.initialModel(seed: 7))
    }
  }

  @Test("shapes follow from strides, paddings and factors")
  func shapes() throws {
    let description = try parse(
      """
      {"input": [9, 7, 3], "layers": [
        {"kind": "convolution", "filters": 6, "kernel": [3, 2], "stride": [2, 1], "padding": "same"},
        {"kind": "convolution", "filters": 4, "kernel": 3, "padding": [0, 1, 2, 1], "groups": 2},
        {"kind": "depthwiseConvolution", "kernel": 3, "padding": 1, "multiplier": 2, "dilation": 1},
        {"kind": "averagePool", "size": 2, "stride": 1, "padding": "same", "countsPadding": true},
        {"kind": "upsample", "factor": [2, 1]},
        {"kind": "maxPool", "size": [3, 2]},
        {"kind": "globalAveragePool"},
        {"kind": "fullyConnected", "outputs": 5}
      ]}
      """)
    let shapes = description.network.nodes.map { "\($0.shape)" }
    #expect(
      shapes == ["5×7×6", "5×7×4", "5×7×8", "5×7×8", "10×7×8", "3×3×8", "1×1×8", "1×1×5"])
    #expect(
      description.network.nodes.map(\.name) == [
        "convolution1", "convolution2", "depthwiseConvolution1", "averagePool1", "upsample1",
        "maxPool1", "globalAveragePool1", "fullyConnected1",
      ])
    guard case .convolution(let geometry, _, _, _, _) = description.network.nodes[0].operation
    else {
      Issue.record("not a convolution")
      return
    }
    // ⌈9/2⌉ = 5 rows need 11: one above, one below. 7 columns need 8: the odd one to the right.
    #expect(
      (geometry.padTop, geometry.padBottom, geometry.padLeft, geometry.padRight) == (1, 1, 0, 1))
  }

  @Test("layers are joined by name")
  func graph() throws {
    let network = try parse(
      """
      // a residual block and a gate
      {"input": [4, 4, 2], "layers": [
        {"kind": "convolution", "name": "a", "filters": 2, "kernel": 1, "activation": "relu"},
        {"kind": "convolution", "name": "b", "from": "input", "filters": 2, "kernel": 1},
        {"kind": "add", "name": "sum", "from": ["a", "b", "input"], "activation": "relu6"},
        {"kind": "globalAveragePool", "name": "squeeze"},
        {"kind": "multiply", "from": ["sum", "squeeze"]},
        {"kind": "concatenate", "from": ["multiply1", "a", "b"]},
        {"kind": "flatten"},
        {"kind": "fullyConnected", "outputs": 3, "activation": "softmax"},
      ]}
      """
    ).network
    #expect(
      network.nodes.map(\.name) == [
        "a", "a/relu", "b", "sum/1", "sum", "sum/relu6", "squeeze", "multiply1", "concatenate1",
        "fullyConnected1", "fullyConnected1/softmax",
      ])
    #expect(
      network.nodes.map(\.inputs) == [
        [0], [1], [0], [2, 3], [4, 0], [5], [6], [6, 7], [8, 2, 3], [9], [10],
      ])
    #expect(network.nodes[8].shape.channels == 6)
  }

  @Test(
    "what is no network is refused with its place",
    arguments: [
      (#"{"input": [4, 4, 2]}"#, 805, "$"),
      (#"{"layers": []}"#, 805, "$"),
      (#"{"input": [4], "layers": []}"#, 808, "$.layers"),
      (#"{"input": [4], "layers": [{"kind": "flatten"}]}"#, 808, "$.layers"),
      (#"{"input": [4, 4], "layers": [{"kind": "relu"}]}"#, 808, "$.input"),
      (#"{"input": [0], "layers": [{"kind": "relu"}]}"#, 802, "$.input[0]"),
      (#"{"input": [4096, 4096, 2], "layers": [{"kind": "relu"}]}"#, 808, "$.input"),
      (#"{"input": 4, "layers": [{"kind": "relu"}]}"#, 802, "$.input"),
      (#"{"input": [4], "layers": {"kind": "relu"}}"#, 802, "$.layers"),
      (#"{"input": [4], "layers": [{"kind": "relu"}], "layrs": 1}"#, 801, "$"),
      (#"{"input": [4], "input": [4], "layers": []}"#, 203, "net.json"),
      (#"{"input": [4], "layers": [{"knd": "relu"}]}"#, 805, "$.layers[0]"),
      (#"{"input": [4], "layers": [{"kind": "dense", "units": 3}]}"#, 808, "$.layers[0].kind"),
      (
        #"{"input": [4], "layers": [{"kind": "fullyConected", "outputs": 3}]}"#, 808,
        "$.layers[0].kind"
      ),
      (#"{"input": [4], "layers": [{"kind": "fullyConnected"}]}"#, 805, "$.layers[0]"),
      (
        #"{"input": [4], "layers": [{"kind": "fullyConnected", "outputs": "3"}]}"#, 802,
        "$.layers[0].outputs"
      ),
      (
        #"{"input": [4], "layers": [{"kind": "fullyConnected", "outputs": 1.5}]}"#, 802,
        "$.layers[0].outputs"
      ),
      (
        #"{"input": [4], "layers": [{"kind": "fullyConnected", "outputs": 3, "units": 3}]}"#, 801,
        "$.layers[0]"
      ),
      (
        #"{"input": [4], "layers": [{"kind": "fullyConnected", "outputs": 3, "activation": "rleu"}]}"#,
        808, "$.layers[0].activation"
      ),
      (
        #"{"input": [4], "layers": [{"kind": "fullyConnected", "outputs": 3, "from": "imput"}]}"#,
        808, "$.layers[0].from"
      ),
      (
        #"{"input": [4], "layers": [{"kind": "relu", "from": "b"}, {"kind": "relu", "name": "b"}]}"#,
        808, "$.layers[0].from"
      ),
      (
        #"{"input": [4], "layers": [{"kind": "relu", "name": "a"}, {"kind": "relu", "name": "a"}]}"#,
        808, "$.layers[1]"
      ),
      (#"{"input": [4], "layers": [{"kind": "relu", "name": "input"}]}"#, 808, "$.layers[0]"),
      (#"{"input": [4], "layers": [{"kind": "relu", "name": ""}]}"#, 808, "$.layers[0].name"),
      (#"{"input": [4], "layers": [{"kind": "add"}]}"#, 808, "$.layers[0]"),
      (
        #"{"input": [4], "layers": [{"kind": "relu", "from": ["input", "input"]}]}"#, 808,
        "$.layers[0]"
      ),
      (
        #"{"input": [4, 4, 1], "layers": [{"kind": "maxPool", "size": 2}, {"kind": "add", "from": ["input", "maxPool1"]}]}"#,
        808, "$.layers[1]"
      ),
      (
        #"{"input": [4, 4, 1], "layers": [{"kind": "maxPool", "size": 2}, {"kind": "concatenate", "from": ["input", "maxPool1"]}]}"#,
        808, "$.layers[1]"
      ),
      (
        #"{"input": [4, 4, 1], "layers": [{"kind": "maxPool", "size": 2}, {"kind": "multiply", "from": ["input", "maxPool1"]}]}"#,
        808, "$.layers[1]"
      ),
      (
        #"{"input": [4, 4, 1], "layers": [{"kind": "convolution", "filters": 1, "kernel": 5}]}"#,
        808, "$.layers[0]"
      ),
      (
        #"{"input": [4, 4, 1], "layers": [{"kind": "convolution", "filters": 1, "kernel": 3, "padding": 3}]}"#,
        808, "$.layers[0]"
      ),
      (
        #"{"input": [4, 4, 1], "layers": [{"kind": "convolution", "filters": 1, "kernel": 3, "padding": [1, 1]}]}"#,
        808, "$.layers[0].padding"
      ),
      (
        #"{"input": [4, 4, 1], "layers": [{"kind": "convolution", "filters": 1, "kernel": 3, "padding": "full"}]}"#,
        808, "$.layers[0].padding"
      ),
      (
        #"{"input": [4, 4, 1], "layers": [{"kind": "convolution", "filters": 1, "kernel": [3, 3, 3]}]}"#,
        808, "$.layers[0].kernel"
      ),
      (
        #"{"input": [4, 4, 1], "layers": [{"kind": "convolution", "filters": 1, "kernel": 0}]}"#,
        802, "$.layers[0].kernel"
      ),
      (
        #"{"input": [4, 4, 3], "layers": [{"kind": "convolution", "filters": 4, "kernel": 1, "groups": 2}]}"#,
        808, "$.layers[0]"
      ),
      (
        #"{"input": [4, 4, 1], "layers": [{"kind": "upsample", "factor": 4095}]}"#, 808,
        "$.layers[0]"
      ),
      (
        #"{"input": [4, 4, 1], "layers": [{"kind": "flatten"}, {"kind": "maxPool", "size": 2}]}"#,
        808, "$.layers[1]"
      ),
      (#"{"input": [4], "layers": [{"kind": "softmax"}, {"kind": "relu"}]}"#, 808, "$.layers[1]"),
      (#"{"input": [4, 4, 1], "layers": [{"kind": "softmax"}]}"#, 808, "$.layers[0]"),
      (
        #"{"input": [4], "layers": [{"kind": "clip", "low": "1", "high": "0"}]}"#, 808,
        "$.layers[0]"
      ),
      (
        #"{"input": [4], "layers": [{"kind": "clip", "low": 0.5, "high": 1}]}"#, 809,
        "$.layers[0].low"
      ),
      (
        #"{"input": [4], "layers": [{"kind": "maxPool", "size": 1, "activation": "relu"}]}"#, 808,
        "$.layers[0].activation"
      ),
      (
        #"{"input": [4], "layers": [{"kind": "fullyConnected", "outputs": 2, "weights": {"layout": "mxnet"}}]}"#,
        808, "$.layers[0].weights.layout"
      ),
      (
        #"{"input": [4], "layers": [{"kind": "fullyConnected", "outputs": 2, "weights": {"axes": "hwio"}}]}"#,
        805, "layer"
      ),
      (
        #"{"input": [4], "weights": {"axes": "abcd"}, "layers": [{"kind": "relu"}]}"#, 808,
        "$.weights.axes"
      ),
      (
        #"{"input": [4], "weights": {"kernel": "x"}, "layers": [{"kind": "relu"}]}"#, 801,
        "$.weights"
      ),
      (
        #"{"input": [4], "layers": [{"kind": "fullyConnected", "outputs": 2, "batchNorm": {"mean": "m"}}]}"#,
        805, "$.layers[0].batchNorm"
      ),
      (#"[]"#, 802, "$"), (#"{"input": [4], "#, 202, "net.json"), ("", 202, "net.json"),
    ])
  func refused(_ json: String, _ code: Int, _ place: String) {
    let error = fault { () throws(InputError) in _ = try parse(json) }
    #expect(error?.code == code && error?.exit == 2, "\(json)\n\(String(describing: error))")
    #expect(error?.place?.contains(place) == true, "\(json)\n\(String(describing: error))")
  }

  @Test("suggestions come from nearby names and from other tools' words")
  func suggestions() {
    func help(_ json: String) -> String? {
      fault { () throws(InputError) in _ = try parse(json) }?.help
    }
    #expect(help(#"{"input": [4], "layers": [{"kind": "Dense"}]}"#) == "write fullyConnected")
    #expect(help(#"{"input": [4], "layers": [{"kind": "max_pool"}]}"#)?.contains("maxPool") == true)
    #expect(help(#"{"input": [4], "layers": [{"kind": "relu7"}]}"#)?.contains("relu") == true)
    #expect(
      help(#"{"input": [4], "layers": [{"kind": "relu", "from": "imput"}]}"#)?.contains("input")
        == true)
    #expect(
      help(#"{"input": [4], "weights": {"layout": "oihw"}, "layers": [{"kind": "relu"}]}"#)
        == "write \"axes\": \"oihw\"")
  }

  // MARK: - Initial models

  @Test("an initial model follows SPEC 8.10")
  func initial() throws {
    let description = try parse(
      """
      {"input": [6, 6, 2], "layers": [
        {"kind": "convolution", "name": "a", "filters": 4, "kernel": 3, "padding": 1, "activation": "relu"},
        {"kind": "convolution", "name": "b", "filters": 4, "kernel": 1},
        {"kind": "add", "name": "sum", "from": ["a", "b"], "activation": "relu"},
        {"kind": "maxPool", "size": 2},
        {"kind": "fullyConnected", "name": "head", "outputs": 3}
      ]}
      """)
    let bytes = try description.initialModel(
      seed: 42, input: bytesToUnit, classNames: ["x", "y", "z"])
    let model = try LoadedModel(bytes)
    let network = model.network
    #expect(
      network.isInitialized && !network.readsChannelsFirst && model.classNames == ["x", "y", "z"])
    #expect(network.inputQuantization.scale == ExactNumber(ExactRatio(1, 255)!).scale())
    #expect(
      (0..<network.nodeCount).map { model.name(ofNode: $0) } == [
        "a", "b", "sum", "maxPool1", "head",
      ])
    for (index, depth) in [(0, 18), (1, 4), (4, 36)] {
      let node = network.node(index)
      // 2·√(6/K)/127, in Double: within 2⁻²⁸.
      let expected = 2 * (6 / Double(depth)).squareRoot() / 127
      let scale = network.weightScale(of: node, 0).double
      #expect(abs(scale / expected - 1) < 0x1p-28)
      let stream = RandomKey(seed: 42).stream(
        .initialization, tensor: UInt32(4 * index), step: 0, query: 0)
      let weights = network.weights(of: node)
      for element in 0..<weights.count {
        #expect(Int(weights[element]) == Int(stream.uniform(UInt32(element), below: 127)) - 63)
      }
      let biases = network.biases(of: node)
      #expect((0..<biases.count).allSatisfy { biases[$0] == 0 })
      if index < 4 {
        let guess =
          64 * Double(depth).squareRoot() * scale
          * network.quantization(ofTensor: node.firstInput).scale.double
        let found = node.quantization.scale
        #expect(found.mantissa == 1 << 30 && found.double >= guess && found.double < 2 * guess)
      }
    }
    #expect(
      network.node(0).quantization.zeroPoint == -128 && network.node(1).quantization.zeroPoint == 0)
    let sum = network.node(2).quantization
    let larger = max(network.node(0).quantization.scale, network.node(1).quantization.scale)
    #expect(sum.scale == larger.multiplied(byPowerOfTwo: 1) && sum.zeroPoint == -128)
    #expect(network.node(3).quantization == sum && network.node(4).hasAccumulators)

    #expect(
      try description.initialModel(seed: 42, input: bytesToUnit, classNames: ["x", "y", "z"])
        == bytes)
    #expect(
      try description.initialModel(seed: 43, input: bytesToUnit, classNames: ["x", "y", "z"])
        != bytes)
    let raw = try LoadedModel(description.initialModel(seed: 42))
    #expect(raw.network.inputQuantization.scale == .powerOfTwo(-8))
    let planar = try LoadedModel(
      description.initialModel(seed: 42, input: InputPreparation(layout: .nchw)))
    #expect(planar.network.readsChannelsFirst)
  }

  @Test("operations without a rule in SPEC 8.10 hold all that their inputs can hold")
  func initialOthers() throws {
    let description = try parse(
      """
      {"input": [4, 4, 2], "layers": [
        {"kind": "convolution", "name": "a", "filters": 2, "kernel": 1},
        {"kind": "sigmoid", "name": "gate"},
        {"kind": "multiply", "name": "product", "from": ["a", "gate"]},
        {"kind": "convolution", "name": "b", "filters": 2, "kernel": 1, "activation": "relu6"},
        {"kind": "concatenate", "name": "joined", "from": ["product", "b"]},
        {"kind": "relu", "name": "clamped"},
        {"kind": "fullyConnected", "outputs": 2}
      ]}
      """)
    let model = try LoadedModel(description.initialModel(seed: 1, input: bytesToUnit))
    let network = model.network
    defer { withExtendedLifetime(model) {} }
    func range(_ q: Quantization) -> ClosedRange<Double> {
      q.scale.double * Double(q.low - q.zeroPoint)...q.scale.double * Double(q.high - q.zeroPoint)
    }
    let (a, gate, product) = (
      range(network.node(0).quantization), range(network.node(1).quantization),
      range(network.node(2).quantization)
    )
    #expect(network.node(1).quantization.scale == .powerOfTwo(-8) && gate.lowerBound == 0)
    #expect(product.lowerBound <= a.lowerBound * 127 / 128 && product.upperBound >= a.upperBound)
    let relu6 = network.node(3).quantization
    #expect(
      relu6.low == -128 && relu6.high == 127
        && relu6.scale == ExactNumber(ExactRatio(6, 255)!).scale())
    let joined = range(network.node(4).quantization)
    #expect(joined.upperBound >= max(product.upperBound, 6) * 127 / 128)
    // The clamp moved into the concatenation, the only reader of which it was.
    #expect(network.nodeCount == 6)
  }

  @Test("more weights than a file holds are refused before they are drawn")
  func tooLarge() throws {
    let description = try parse(
      #"{"input": [60000], "layers": [{"kind": "fullyConnected", "outputs": 60000}]}"#)
    let error = fault { () throws(InputError) in _ = try description.initialModel(seed: 1) }
    #expect(error?.code == 605 && error?.exit == 4)
    let wide = try parse(
      #"{"input": [4095, 4095, 1], "layers": [{"kind": "fullyConnected", "outputs": 16777216}]}"#)
    #expect(fault { () throws(InputError) in _ = try wide.initialModel(seed: 1) }?.code == 605)
  }
}
