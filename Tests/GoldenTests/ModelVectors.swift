import Importers
import Tally
import TallyHost
import TallyTestSupport
import Testing

@Suite("Golden models and what they answer (SPEC 5, 6, 9.2)") struct ModelVectors {
  @Test(
    "a model is read, and written back as the same bytes", arguments: VectorFolder.files("models"))
  func model(path: String) throws {
    let bytes = try VectorFolder.bytes(path)
    let model = try LoadedModel(bytes)
    #expect(model.digest.hexadecimal == hexadecimalDigest(Array(bytes.dropLast(32))))
    for isCompact in [false, true] {
      let host = try HostSession(model, SessionRequest(samples: 1, isCompact: isCompact))
      #expect(host.modelBytes() == bytes)
    }
  }

  @Test("every model infers in some block of inference")
  func coverage() throws {
    let used = try VectorFolder.files("inference").flatMap {
      try VectorFile($0).blocks.map { try $0.text("model") }
    }
    #expect(Set(used) == Set(VectorFolder.files("models")))
  }

  @Test("names and class names are the file's")
  func names() throws {
    let model = try LoadedModel(VectorFolder.bytes("models/named.tally"))
    #expect(model.network.readsChannelsFirst)
    #expect(model.classNames == ["zero", "größer", "三", ""])
    #expect((0..<2).map { model.name(ofNode: $0) } == ["エッジ", "tête"])
  }

  @Test("a file of inferences", arguments: VectorFolder.files("inference"))
  func inference(path: String) throws { try Golden.run(path) }
}

extension Golden {
  static let inferenceChecks: [String: Check] = ["inference/small.txt", "inference/whole.txt"]
    .reduce(into: [:]) { checks, path in
      checks[path] = { file in
        for block in file.blocks {
          for isCompact in [false, true] { try checkInference(block, isCompact: isCompact) }
        }
      }
    }

  private static func checkInference(_ block: VectorBlock, isCompact: Bool) throws {
    let model = try LoadedModel(VectorFolder.bytes(try block.text("model")))
    let network = model.network
    let samples: Int = try block.number("samples")
    let size = network.inputShape.count
    let denominator: Int = try block.number("denominator")
    try #require(denominator & (denominator - 1) == 0)
    let raw = try block.elements("raw values", samples * size, Int64.self).map {
      Dyadic($0, -denominator.trailingZeroBitCount)
    }
    let ordered = (0..<samples).flatMap { sample in
      network.inputOrder.map { raw[sample * size + $0] }
    }
    let input = ExactPreparation.quantize(ordered, for: network)
    try block.expect("input", input)

    let host = try HostSession(model, SessionRequest(samples: samples, isCompact: isCompact))
    let session = host.session
    for (index, value) in input.enumerated() { session.input[index] = value }
    for index in 0..<network.nodeCount {
      session.run(index, samples: samples)
      // At once: later tensors take the place of those that nobody reads again.
      if index + 1 < network.nodeCount {
        try block.expect("tensor \(index + 1)", session.activation(index + 1).array)
      }
    }
    let logits = (0..<samples).map { session.logits(sample: $0).array }
    try block.expect("logits", logits.flatMap { $0 })
    let scratch = Scratch()
    try block.expect("classes", logits.map { argmax(scratch.view($0)) })
    try block.expect("logit scale", session.logitScale)
  }
}

extension Network {
  /// For each element of a sample in height, width, channel order: where it stands in the data.
  var inputOrder: [Int] {
    let shape = inputShape
    guard readsChannelsFirst else { return Array(0..<shape.count) }
    return (0..<shape.positions).flatMap { position in
      (0..<shape.channels).map { $0 * shape.positions + position }
    }
  }
}
