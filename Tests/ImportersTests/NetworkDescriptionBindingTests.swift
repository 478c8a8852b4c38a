import Foundation
import Tally
import Testing

@testable import Importers

/// A safetensors file of float32 tensors.
private func file(_ tensors: [(name: String, shape: [Int], values: [Float])]) throws -> Safetensors
{
  var entries: [String] = []
  var buffer: [UInt8] = []
  for tensor in tensors {
    let start = buffer.count
    for value in tensor.values {
      for byte in 0..<4 {
        buffer.append(UInt8(truncatingIfNeeded: value.bitPattern >> UInt32(8 * byte)))
      }
    }
    let shape = tensor.shape.map(String.init).joined(separator: ",")
    entries.append(
      "\"\(tensor.name)\":{\"dtype\":\"F32\",\"shape\":[\(shape)],\"data_offsets\":[\(start),\(buffer.count)]}"
    )
  }
  let header = Array("{\(entries.joined(separator: ","))}".utf8)
  return try Safetensors(
    (little(header.count, 8) + header + buffer)[...], file: "w.safetensors")
}

private func parse(_ json: String) throws(InputError) -> NetworkDescription {
  try NetworkDescription(parsing: Array(json.utf8)[...], file: "net.json")
}

@Suite("Weights bound to a network description") struct NetworkDescriptionBindingTests {
  /// One number per weight that says where it belongs: o, h, w, i as decimal digits.
  private func digits(_ order: String, _ extents: [Character: Int]) -> [Float] {
    var values: [Float] = []
    let letters = Array(order)
    func walk(_ axis: Int, _ index: [Character: Int]) {
      if axis == letters.count {
        values.append(
          Float(
            index["o", default: 0] * 1000 + index["h", default: 0] * 100
              + index["w", default: 0] * 10 + index["i", default: 0]))
        return
      }
      for k in 0..<extents[letters[axis]]! {
        walk(axis + 1, index.merging([letters[axis]: k]) { $1 })
      }
    }
    walk(0, [:])
    return values
  }

  @Test("every axis order ends in the same weights", arguments: ["oihw", "ohwi", "hwio", "whoi"])
  func orders(_ order: String) throws {
    let extents: [Character: Int] = ["o": 4, "i": 3, "h": 2, "w": 5]
    let description = try parse(
      """
      {"input": [6, 6, 3], "weights": {"axes": "\(order)"}, "layers": [
        {"kind": "convolution", "name": "c", "filters": 4, "kernel": [2, 5]}]}
      """)
    let network = try description.binding(
      file([
        ("c.weight", order.map { extents[$0]! }, digits(order, extents)),
        ("c.bias", [4], [1, 2, 3, 4]),
      ]))
    #expect(network.nodes[0].operation.floatWeights.weights == digits("ohwi", extents))
    #expect(network.nodes[0].operation.floatWeights.bias == [1, 2, 3, 4])
  }

  @Test("PyTorch, Keras and TFLite spell the same network")
  func layouts() throws {
    func network(_ layout: String, _ tensors: [(String, [Int], [Float])]) throws -> FloatNetwork {
      try parse(
        """
        {"input": [4, 5, 3], "weights": {"layout": "\(layout)"}, "layers": [
          {"kind": "convolution", "name": "c", "filters": 2, "kernel": [2, 3], "bias": false},
          {"kind": "depthwiseConvolution", "name": "d", "kernel": 2},
          {"kind": "flatten"},
          {"kind": "fullyConnected", "name": "f", "outputs": 2}]}
        """
      ).binding(file(tensors.map { (name: $0.0, shape: $0.1, values: $0.2) }))
    }
    let c: [Character: Int] = ["o": 2, "i": 3, "h": 2, "w": 3]
    let d: [Character: Int] = ["o": 2, "i": 1, "h": 2, "w": 2]
    // The image before f is 2×2×2; its letters are o, then h, w and i.
    let f: [Character: Int] = ["o": 2, "i": 2, "h": 2, "w": 2]
    let torch = try network(
      "pytorch",
      [
        ("c.weight", [2, 3, 2, 3], digits("oihw", c)),
        ("d.weight", [2, 1, 2, 2], digits("oihw", d)),
        ("d.bias", [2], [5, 6]), ("f.weight", [2, 8], digits("oihw", f)), ("f.bias", [2], [7, 8]),
      ])
    let keras = try network(
      "keras",
      [
        ("c.kernel", [2, 3, 3, 2], digits("hwio", c)),
        ("d.depthwise_kernel", [2, 2, 2, 1], digits("hwoi", d)), ("d.bias", [2], [5, 6]),
        ("f.kernel", [8, 2], digits("hwio", f)), ("f.bias", [2], [7, 8]),
      ])
    let lite = try network(
      "tflite",
      [
        ("c.weight", [2, 2, 3, 3], digits("ohwi", c)),
        ("d.weight", [1, 2, 2, 2], digits("ihwo", d)),
        ("d.bias", [2], [5, 6]), ("f.weight", [2, 8], digits("ohwi", f)), ("f.bias", [2], [7, 8]),
      ])
    for other in [keras, lite] {
      for (a, b) in zip(torch.nodes, other.nodes) {
        #expect(a.operation.floatWeights.weights == b.operation.floatWeights.weights)
        #expect(a.operation.floatWeights.bias == b.operation.floatWeights.bias)
      }
    }
    #expect(torch.nodes[0].operation.floatWeights.weights == digits("ohwi", c))
    #expect(torch.nodes[0].operation.floatWeights.bias == [0, 0])
    #expect(torch.nodes[2].operation.floatWeights.weights == digits("ohwi", f))
  }

  @Test("a normalisation is folded into the layer before it")
  func normalization() throws {
    let json = """
      {"input": [1, 1, 2], "layers": [
        {"kind": "convolution", "name": "c", "filters": 2, "kernel": 1, "batchNorm": "bn"}]}
      """
    let tensors: [(name: String, shape: [Int], values: [Float])] = [
      ("c.weight", [2, 2, 1, 1], [1, 2, 3, 4]), ("bn.weight", [2], [0.5, -2]),
      ("bn.bias", [2], [0.25, 1]), ("bn.running_mean", [2], [1, -1]),
      ("bn.running_var", [2], [4, 0.25]), ("bn.num_batches_tracked", [1], [9]),
    ]
    let network = try parse(json).binding(file(tensors))
    #expect(network.warnings.isEmpty)
    let executor = FloatExecutor(network)
    let x: [Float] = [0.75, -1.5]
    let found = executor.run(x)
    for channel in 0..<2 {
      let raw = tensors[0].values[2 * channel] * x[0] + tensors[0].values[2 * channel + 1] * x[1]
      let (mean, variance) = (tensors[3].values[channel], tensors[4].values[channel])
      let expected =
        (raw - mean) / (variance + 1e-5).squareRoot() * tensors[1].values[channel]
        + tensors[2].values[channel]
      #expect(abs(found[channel] - expected) < 1e-5)
    }
    // A bias of the layer itself is normalised too.
    let biased = try parse(json).binding(file(tensors + [("c.bias", [2], [1, -1])]))
    #expect(
      biased.nodes[0].operation.floatWeights.bias != network.nodes[0].operation.floatWeights.bias)
    var negative = tensors
    negative[4].values = [-1, 1]
    let error = fault { () throws(InputError) in
      _ = try parse(json).binding(wrap { try file(negative) })
    }
    #expect(error?.code == 604 && error?.exit == 3)
    let explicit = try parse(
      """
      {"input": [1, 1, 2], "layers": [
        {"kind": "convolution", "name": "c", "filters": 2, "kernel": 1, "bias": false, "batchNorm":
          {"scale": "bn.weight", "shift": "bn.bias", "mean": "bn.running_mean", "variance": "bn.running_var", "epsilon": "1e-5"}}]}
      """
    ).binding(file(tensors))
    #expect(
      explicit.nodes[0].operation.floatWeights.weights
        == network.nodes[0].operation.floatWeights.weights)
  }

  private func wrap(_ body: () throws -> Safetensors) throws(InputError) -> Safetensors {
    do { return try body() } catch let error as InputError { throw error } catch {
      preconditionFailure("only InputError is thrown")
    }
  }

  @Test("missing and misshapen tensors are listed together, unused ones are a warning")
  func misfits() throws {
    let description = try parse(
      """
      {"input": [3], "layers": [
        {"kind": "fullyConnected", "name": "fc1", "outputs": 4},
        {"kind": "fullyConnected", "name": "fc2", "outputs": 2}]}
      """)
    let weights = try file([
      ("fc1.weight", [3, 4], Array(repeating: 1, count: 12)), ("fc1.bias", [4], [1, 2, 3, 4]),
      ("fc2.wieght", [2, 4], Array(repeating: 1, count: 8)), ("fc2.bias", [2], [1, 2]),
    ])
    let error = fault { () throws(InputError) in _ = try description.binding(weights) }
    #expect(error?.code == 407 && error?.exit == 2)
    let note = error?.note ?? ""
    #expect(note.contains("fc1.weight is [3, 4], should be [4, 3]"))
    #expect(note.contains("fc2.weight [2, 4] is missing, is it fc2.wieght?"))
    #expect(note.contains("not used: ‘fc2.wieght’"))
    let more = try file([
      ("fc1.weight", [4, 3], Array(repeating: 1, count: 12)), ("fc1.bias", [4], [1, 2, 3, 4]),
      ("fc2.weight", [2, 4], Array(repeating: 1, count: 8)), ("fc2.bias", [2], [1, 2]),
      ("aux.weight", [1], [0]),
    ])
    #expect(try description.binding(more).warnings.map(\.code) == [407])
    var bad = Array(repeating: Float(1), count: 12)
    bad[5] = .nan
    let nan = try file([
      ("fc1.weight", [4, 3], bad), ("fc1.bias", [4], [1, 2, 3, 4]),
      ("fc2.weight", [2, 4], Array(repeating: 1, count: 8)), ("fc2.bias", [2], [1, 2]),
    ])
    #expect(fault { () throws(InputError) in _ = try description.binding(nan) }?.code == 601)
  }

  @Test(
    "the examples with published weights give the ONNX files' answers",
    .enabled(if: SharedData.has("INDEX.md"), "no data at ../shared/data or TALLY_DATA"),
    arguments: [
      ("resnet8-cifar10/resnet8-cifar10", "conv2d_8"), ("dscnn-kws/dscnn-kws", "L18"),
    ])
  func published(_ name: String, _ marker: String) throws {
    let text = try String(
      contentsOf: URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Formats/network.md"), encoding: .utf8)
    let block = try #require(
      text.components(separatedBy: "```json\n").dropFirst()
        .map { $0.components(separatedBy: "```")[0] }.first { $0.contains("\"\(marker)\"") })
    let path = SharedData.path("models/\(name)")
    let weights = try Safetensors(
      FileContents(path: path + ".safetensors").bytes[...], file: "w.safetensors")
    let bound = try parse(block).binding(weights)
    let onnx = try FloatNetwork(importing: ONNXModel(contentsOf: path + ".onnx"))
    var random = SplitMix64(seed: 3)
    let count = bound.inputShape.count
    let input = (0..<count).map { _ in Float(random.next() % 256) / 8 }
    let logits = FloatExecutor(bound).run(input)
    var float = onnx
    // The file ends in softmax; compare before it.
    if case .softmax = float.nodes[float.output - 1].operation {
      float.output = float.nodes[float.output - 1].inputs[0]
    }
    let expected = FloatExecutor(float).run(input)
    let largest = expected.map { abs($0) }.max() ?? 0
    for (a, b) in zip(logits, expected) {
      #expect(abs(a - b) < 1e-4 * largest, "\(logits) \(expected)")
    }
  }
}
