import Foundation
import Importers
import Tally
import TallyHost
import Testing

@Suite("Exports: ONNX, npz and safetensors, read back")
struct ExportTests {
  static let cases: [(ONNXFixture, ConversionOptions.WeightScales)] = ONNXFixture.accepted.flatMap {
    [($0, .perLayer), ($0, .perChannel)]
  }

  /// Every network of the fixtures becomes a model, and the model's contents are the model.
  @Test("every accepted fixture converts, MobileNetV2 and quantised ones too", arguments: cases)
  func converts(_ fixture: ONNXFixture, _ scales: ConversionOptions.WeightScales) throws {
    let network = try FloatNetwork(importing: ONNXModel(contentsOf: fixture.path))
    let result = try FloatConversion.convert(network, calibration: .none, options: options(scales))
    let model = try LoadedModel(result.modelBytes)
    #expect(try ModelBuilder(model).bytes() == result.modelBytes)
    #expect(result.rows.count == model.network.nodeCount)
    // A file that prescribes its ranges has nothing to be warned about.
    #expect(network.prescribesRanges == (fixture.quantized ?? false))
    #expect(result.warnings.contains { $0.code == 607 } == !network.prescribesRanges)
  }

  @Test("an exported ONNX file converts back to the same bytes", arguments: cases)
  func onnxRoundTrip(_ fixture: ONNXFixture, _ scales: ConversionOptions.WeightScales) throws {
    let network = try FloatNetwork(importing: ONNXModel(contentsOf: fixture.path))
    let first = try FloatConversion.convert(network, calibration: .none, options: options(scales))
    let model = try LoadedModel(first.modelBytes)
    let bytes = try ONNXExport.bytes(
      of: model.network, digest: model.digest.hexadecimal, isDequantized: false)
    let file = try ONNXModel(parsing: bytes, fileName: "exported.onnx")
    #expect(file.opset == 17)
    // onnxruntime refuses a file in which two nodes, or two values, have one name.
    let nodeNames = file.graph.nodes.map(\.name)
    #expect(Set(nodeNames).count == nodeNames.count)
    let valueNames = file.graph.nodes.flatMap(\.outputs) + file.graph.initializers.map(\.name)
    #expect(Set(valueNames).count == valueNames.count)
    let again = try FloatNetwork(importing: file)
    #expect(again.prescribesRanges)
    #expect(again.warnings.isEmpty)
    let second = try FloatConversion.convert(again, calibration: .none, options: options(scales))
    #expect(difference(first.modelBytes, second.modelBytes) == nil)
  }

  @Test("without its metadata, the file's float32 scales are the authority")
  func onnxWithoutMetadata() throws {
    let model = try self.model("squeeze-excite-legacy", .perChannel)
    let bytes = try ONNXExport.bytes(
      of: model.network, digest: model.digest.hexadecimal, isDequantized: false)
    var file = try ONNXModel(parsing: bytes, fileName: "exported.onnx")
    file.metadata = []
    let again = try FloatConversion.convert(
      FloatNetwork(importing: file), calibration: .none, options: options(.perChannel))
    let read = ModelBuilder(try LoadedModel(again.modelBytes))
    let written = ModelBuilder(model)
    #expect(read.nodes.map(\.weights) == written.nodes.map(\.weights))
    #expect(read.nodes.map(\.biases) == written.nodes.map(\.biases))
    #expect(read.nodes.map(\.name) == written.nodes.map(\.name))
    for (a, b) in zip(read.nodes, written.nodes) {
      for (x, y) in zip(a.weightScales, b.weightScales) {
        #expect(Float(value(x)) == Float(value(y)))
      }
      // That of raw accumulators is the product of two such Scales.
      if a.hasAccumulators { continue }
      #expect(Float(value(a.quantization.scale)) == Float(value(b.quantization.scale)))
    }
  }

  @Test("a scale that was edited wins over the metadata")
  func editedScale() throws {
    let model = try self.model("mlp-legacy", .perLayer)
    var file = try ONNXModel(
      parsing: ONNXExport.bytes(
        of: model.network, digest: model.digest.hexadecimal, isDequantized: false),
      fileName: "exported.onnx")
    let index = try #require(
      file.graph.initializers.firstIndex { $0.name.hasSuffix(".weight.scale") })
    let name = file.graph.initializers[index].name
    file.graph.initializers[index] = ONNXTensor(name, dimensions: [], floats: [0.125])
    let again = try FloatConversion.convert(
      FloatNetwork(importing: file), calibration: .none, options: options(.perLayer))
    let read = ModelBuilder(try LoadedModel(again.modelBytes))
    #expect(read.nodes.contains { $0.weightScales == [.powerOfTwo(-3)] })
  }

  @Test("a dequantised file computes what the integers stand for")
  func dequantized() throws {
    let model = try self.model("cnn-legacy", .perChannel)
    let bytes = try ONNXExport.bytes(
      of: model.network, digest: model.digest.hexadecimal, isDequantized: true)
    let network = try FloatNetwork(
      importing: ONNXModel(parsing: bytes, fileName: "exported.onnx"))
    #expect(!network.prescribesRanges)
    let written = ModelBuilder(model)
    // The input map was folded into the first layer; the others are the integers times their Scales.
    for (node, wanted) in zip(
      network.nodes.filter(\.operation.hasWeights).dropFirst(),
      written.nodes.filter { $0.operation.weighted != nil }.dropFirst())
    {
      guard case .fullyConnected(_, let weights, _) = node.operation else { continue }
      let depth = weights.count / wanted.biases.count
      for (index, weight) in weights.enumerated() {
        let scale = wanted.weightScales[wanted.weightScales.count == 1 ? 0 : index / depth]
        #expect(weight == Float(Double(wanted.weights[index]) * value(scale)))
      }
    }
  }

  @Test("npz and safetensors hold the integers", arguments: ONNXFixture.accepted)
  func tensors(_ fixture: ONNXFixture) throws {
    let model = try self.model(fixture.name, .perChannel)
    let tensors = ModelTensors(
      model.network, digest: model.digest.hexadecimal, isDequantized: false)
    let builder = ModelBuilder(model)
    let archive = try ZipArchive(tensors.npz()[...], file: "m.npz")
    let file = try Safetensors(tensors.safetensors()[...], file: "m.safetensors")
    #expect(file.metadata.contains { $0.key == "tally" && $0.value == tensors.description })
    var expected: [NumericArray.Storage] = []
    for node in builder.nodes {
      if !node.weights.isEmpty { expected += [.int8(node.weights), .int32(node.biases)] }
      if let table = node.table { expected += [.int8(table.values), .int16(table.slopes)] }
    }
    #expect(tensors.arrays.count == expected.count)
    for ((name, array), storage) in zip(tensors.arrays, expected) {
      let member = name.replacingOccurrences(of: "/", with: ".") + ".npy"
      let entry = try #require(archive.members.first { $0.name == member })
      let stored = try archive.contents(of: entry, inflate: SlowInflate.inflater)
      let read = try NumpyArray.read(stored, file: member)
      #expect(read == array)
      #expect(read == NumericArray(shape: read.shape, storage: storage))
      #expect(try file.array(named: name) == array)
    }
    let json = try #require(
      try JSONSerialization.jsonObject(with: Data(tensors.description.utf8)) as? [String: Any])
    let layers = try #require(json["layers"] as? [[String: Any]])
    #expect(layers.count == builder.nodes.count)
    for (layer, node) in zip(layers, builder.nodes) {
      #expect(layer["scale"] as? String == node.quantization.scale.exactDecimal)
      if !node.weightScales.isEmpty {
        #expect(layer["weightScales"] as? [String] == node.weightScales.map(\.exactDecimal))
      }
    }
    #expect(json["modelDigest"] as? String == model.digest.hexadecimal)
  }

  @Test("a Scale's decimal is the Scale, to the last digit")
  func exactDecimals() {
    #expect(Scale.powerOfTwo(-3).exactDecimal == "0.125")
    #expect(Scale(10).exactDecimal == "10")
    #expect(Scale.zero.exactDecimal == "0")
    #expect(Scale.powerOfTwo(40).exactDecimal == "1099511627776")
    let seed = UInt64.random(in: 0...UInt64.max)
    var generator = SplitMix64(seed: seed)
    for _ in 0..<200 {
      let mantissa = Int32.random(in: 1 << 30...Int32.max, using: &generator)
      let exponent = Int32.random(in: -60...30, using: &generator)
      let scale = Scale(mantissa: mantissa, exponent: exponent)!
      // Doubled 31 − e times it is the mantissa: doubling decimal digits by hand is another way.
      var text = scale.exactDecimal
      for _ in 0..<Int(31 - exponent) { text = doubled(text) }
      #expect(text == String(mantissa), "seed \(seed)")
    }
  }

  // MARK: - Help

  private func options(_ scales: ConversionOptions.WeightScales) -> ConversionOptions {
    ConversionOptions(weightScales: scales)
  }

  private func model(
    _ name: String, _ scales: ConversionOptions.WeightScales
  ) throws -> LoadedModel {
    let network = try FloatNetwork(importing: ONNXModel(contentsOf: "\(onnxFixtures)/\(name).onnx"))
    return try LoadedModel(
      FloatConversion.convert(network, calibration: .none, options: options(scales)).modelBytes)
  }

  private func value(_ scale: Scale) -> Double {
    Double(sign: .plus, exponent: Int(scale.exponent) - 31, significand: Double(scale.mantissa))
  }
}

/// The first place where two models differ, in words; nil if they do not.
private func difference(_ a: [UInt8], _ b: [UInt8]) -> String? {
  if a == b { return nil }
  guard let left = try? LoadedModel(a), let right = try? LoadedModel(b) else { return "no models" }
  let (x, y) = (ModelBuilder(left), ModelBuilder(right))
  if x.inputQuantization != y.inputQuantization {
    return "input \(x.inputQuantization) and \(y.inputQuantization)"
  }
  if x.inputMaps != y.inputMaps { return "maps \(x.inputMaps) and \(y.inputMaps)" }
  if x.nodes.map(\.name) != y.nodes.map(\.name) {
    return "\(x.nodes.map(\.name)) and \(y.nodes.map(\.name))"
  }
  for (p, q) in zip(x.nodes, y.nodes) {
    if p.operation != q.operation || p.inputs != q.inputs || p.output != q.output {
      return "\(p.name): \(p.operation) \(p.inputs) and \(q.operation) \(q.inputs)"
    }
    if p.quantization != q.quantization {
      return "\(p.name): \(p.quantization) and \(q.quantization)"
    }
    if p.weights != q.weights { return "\(p.name): weights" }
    if p.biases != q.biases { return "\(p.name): biases" }
    if p.weightScales != q.weightScales { return "\(p.name): Scales" }
    if p.table?.values != q.table?.values { return "\(p.name): table" }
    if p.table?.slopes != q.table?.slopes { return "\(p.name): slopes" }
  }
  return "flags or classes"
}

/// Twice a decimal, digit by digit.
private func doubled(_ text: String) -> String {
  var carry = 0
  var digits: [Character] = []
  for character in text.reversed() {
    guard let digit = character.wholeNumberValue else {
      digits.append(character)
      continue
    }
    let sum = 2 * digit + carry
    digits.append(Character(String(sum % 10)))
    carry = sum / 10
  }
  if carry > 0 { digits.append(Character(String(carry))) }
  var result = String(digits.reversed())
  if result.contains(".") {
    while result.hasSuffix("0") { result.removeLast() }
    if result.hasSuffix(".") { result.removeLast() }
  }
  return result
}
