import Foundation
import Importers
import Testing

/// One entry of `expected.json`, written by Tools/export/fixtures.py.
struct ONNXFixture: Sendable, Decodable, CustomTestStringConvertible {
  var name = ""
  var input: [Int]?
  var outputs: [[Float]]?
  var tolerance: Float?
  var quantized: Bool?
  var warning: Int?
  /// Outputs by name, for files with many; every fifth element if there are more than 32.
  var values: [String: [Float]]?
  var code: Int?
  var mentions: [String]?

  private enum CodingKeys: String, CodingKey {
    case input, outputs, tolerance, quantized, warning, values, code, mentions
  }

  var testDescription: String { name }
  var path: String { "\(onnxFixtures)/\(name).onnx" }

  static let all: [ONNXFixture] = {
    guard let data = FileManager.default.contents(atPath: "\(onnxFixtures)/expected.json"),
      let entries = try? JSONDecoder().decode([String: ONNXFixture].self, from: data)
    else { return [] }
    return entries.sorted { $0.key < $1.key }.map { name, entry in
      var entry = entry
      entry.name = name
      return entry
    }
  }()

  static let accepted = all.filter { $0.outputs != nil }
  static let forms = all.filter { $0.values != nil }
  static let refused = all.filter { $0.code != nil }
}

@Suite("ONNX fixtures: exports of PyTorch and other tools")
struct ONNXFixtureTests {
  @Test("every file of the folder has an entry, and every entry a file")
  func completeness() throws {
    let files = try FileManager.default.contentsOfDirectory(atPath: onnxFixtures)
    let models = files.filter { $0.hasSuffix(".onnx") }.map { $0.dropLast(5) }.map(String.init)
    #expect(models.sorted() == ONNXFixture.all.map(\.name))
    #expect(ONNXFixture.accepted.count >= 40)
    for file in files {
      let attributes = try FileManager.default.attributesOfItem(atPath: "\(onnxFixtures)/\(file)")
      let limit = file == "expected.json" ? 200_000 : 60_000
      #expect((attributes[.size] as? Int ?? .max) < limit, "\(file)")
    }
  }

  @Test("computes what onnxruntime computes", arguments: ONNXFixture.accepted)
  func outputs(_ fixture: ONNXFixture) throws {
    let network = try FloatNetwork(importing: ONNXModel(contentsOf: fixture.path))
    let input = try #require(fixture.input)
    let expected = try #require(fixture.outputs)
    let tolerance = try #require(fixture.tolerance)
    #expect(network.inputDimensions == input)
    let executor = FloatExecutor(network)
    var all: [Float] = []
    for sample in expected.indices {
      all += channelsLast(
        ruledInput(input.reduce(1, *), sample: sample), network.inputShape, network.inputLayout)
    }
    // All samples at once, so that batches are tested too.
    let found = fileOrder(
      executor.run(all, count: expected.count), network.outputShape, network.outputLayout)
    let size = network.outputShape.count
    for sample in expected.indices {
      let part = Array(found[sample * size..<(sample + 1) * size])
      #expect(relativeError(part, expected[sample]) < tolerance)
    }
    #expect(network.warnings.map(\.code).contains(310) == (fixture.warning == 310))
    #expect(Set(network.nodes.map(\.name)).count == network.nodes.count)
  }

  @Test("every form of every operator, in its operator set", arguments: ONNXFixture.forms)
  func forms(_ fixture: ONNXFixture) throws {
    let model = try ONNXModel(contentsOf: fixture.path)
    let input = try #require(fixture.input)
    let values = try #require(fixture.values)
    let tolerance = try #require(fixture.tolerance)
    #expect(Set(values.keys) == Set(model.graph.outputs.map(\.name)))
    #expect(values.count > 60)
    for (name, expected) in values {
      let network = try FloatNetwork(
        importing: model, options: ONNXImportOptions(output: name))
      let x = channelsLast(
        ruledInput(input.reduce(1, *), sample: 0), network.inputShape, network.inputLayout)
      let all = fileOrder(
        FloatExecutor(network).run(x), network.outputShape, network.outputLayout)
      let found = stride(from: 0, to: all.count, by: all.count > 32 ? 5 : 1).map { all[$0] }
      #expect(relativeError(found, expected) < tolerance, "\(name)")
    }
  }

  @Test("is refused, and the refusal names what stands in the way", arguments: ONNXFixture.refused)
  func refusals(_ fixture: ONNXFixture) throws {
    let error = try #require(
      fault { () throws(InputError) in
        _ = try FloatNetwork(importing: ONNXModel(contentsOf: fixture.path))
      })
    #expect(error.code == fixture.code)
    #expect(error.exit == 4)
    for mention in fixture.mentions ?? [] { #expect(error.description.contains(mention)) }
  }

  @Test(
    "written again and read again, a model is the same network", arguments: ONNXFixture.accepted)
  func roundTrip(_ fixture: ONNXFixture) throws {
    let model = try ONNXModel(contentsOf: fixture.path)
    let bytes = model.serialized()
    let copy = try ONNXModel(
      parsing: bytes, fileName: model.fileName, directory: model.directory)
    #expect(copy.serialized() == bytes)
    let first = try FloatNetwork(importing: model)
    let second = try FloatNetwork(importing: copy)
    #expect(first.nodes.map(\.name) == second.nodes.map(\.name))
    #expect(first.nodes.map(\.shape) == second.nodes.map(\.shape))
    #expect(first.nodes.map(\.inputs) == second.nodes.map(\.inputs))
    #expect(zip(first.nodes, second.nodes).allSatisfy { parameters($0) == parameters($1) })
  }

  @Test("both exporters, and every way of storing, give the same layers")
  func layerNames() throws {
    for (name, layers) in [
      ("cnn", ["conv1", "conv2", "fc"]), ("mobilenet-v2", nil), ("squeeze-excite", nil),
      ("signal", ["conv1", "conv2", "fc"]),
      ("autoencoder", ["encode", "bottleneck", "decode", "conv"]),
    ] as [(String, [String]?)] {
      var seen: [[String]] = []
      for fixture in ONNXFixture.accepted where fixture.name.hasPrefix(name) {
        let network = try FloatNetwork(importing: ONNXModel(contentsOf: fixture.path))
        seen.append(network.nodes.filter(\.operation.hasWeights).map(\.name))
      }
      #expect(seen.count >= 2)
      if let layers { #expect(seen.allSatisfy { $0 == layers }, "\(name): \(seen)") }
      #expect(Set(seen.map(\.count)).count == 1, "\(name): \(seen)")
    }
  }
}

/// Weights and biases as bits.
func parameters(_ node: FloatNode) -> [UInt32] {
  switch node.operation {
  case .convolution(_, _, _, let weights, let bias): (weights + bias).map(\.bitPattern)
  case .fullyConnected(_, let weights, let bias): (weights + bias).map(\.bitPattern)
  default: []
  }
}
