import Importers
import Tally
import TallyHost
import TallyTestSupport
import Testing

@testable import Layers
@testable import Training

/// A run of the engine, written down like the lines of Formats/vectors/runs.
struct TracedRun {
  typealias Line = (key: String, value: String)
  private(set) var lines: [Line] = []

  init(_ golden: GoldenRun) throws {
    let gradients = try TracedRun.gradients(golden)
    let run = try TrainingRun(
      golden.model, recipe: golden.recipe, samples: golden.samples, validation: golden.validation)
    var writer = JournalWriter(MemorySink())
    run.finish(&writer)
    let memory = AlignedMemory(writer.sink.bytes)
    var reader = try JournalReader(memory.view(of: UInt8.self))
    while let record = try reader.next() {
      if record.type == .step { lines += gradients[Int(reader.u32(record.payload))] }
      lines.append(TracedRun.line(record, in: reader))
    }
  }

  // MARK: - Records

  /// The fields of a record's fixed part, in the order of Formats/journal.md.
  private static func line(_ record: JournalReader.Record, in reader: JournalReader) -> Line {
    var offset = record.payload
    func u32() -> String {
      offset += 4
      return "\(reader.u32(offset - 4))"
    }
    func i64() -> String {
      offset += 8
      return "\(reader.i64(offset - 8))"
    }
    func u8() -> UInt8 {
      offset += 1
      return reader.bytes[offset - 1]
    }
    func hexadecimal(_ count: Int) -> String {
      (0..<count).map { _ in
        let byte = String(u8(), radix: 16)
        return byte.count == 1 ? "0" + byte : byte
      }.joined()
    }
    let fields: [String]
    switch record.type {
    case .begin:
      fields = (0..<3).map { _ in hexadecimal(32) } + (0..<4).map { _ in u32() }
    case .step:
      fields = [u32(), u32(), i64()] + (0..<4).map { _ in u32() } + [hexadecimal(8)]
    case .range:
      fields =
        [
          u32(), u32(), "\(u8())", "\(Int8(bitPattern: u8()))",
          "\(UInt16(u8()) | UInt16(u8()) << 8)",
        ]
        + [u32(), u32()]
    case .root: fields = [u32(), hexadecimal(32)]
    case .differences:
      fields = (0..<record.byteCount / 4).map { _ in "\(Int32(bitPattern: UInt32(u32())!))" }
    case .epoch: fields = [u32(), u32(), i64(), u32(), u32(), i64(), u32(), u32()]
    case .end: fields = [u32(), u32(), hexadecimal(32)]
    case .kept:
      let count = reader.u32(record.payload + 4)
      fields = (0..<2 + 3 * count).map { _ in u32() }
    case .note: fields = []
    }
    return ("\(record.type)", fields.joined(separator: " "))
  }

  // MARK: - Gradients

  /// What every micro-batch of every step computes, from the engine at work.
  private static func gradients(_ golden: GoldenRun) throws -> [[Line]] {
    let memory = AlignedMemory(golden.recipe)
    let recipe = try Recipe(validating: memory.view(of: UInt8.self), for: golden.model.network)
    let host = try HostSession(
      golden.model, SessionRequest(samples: Int(recipe.microBatch), training: recipe.needs))
    var trainer = Trainer(host.session, recipe, golden.samples.samples)
    trainer.calibrate { _ in }
    var steps: [[Line]] = []
    while !trainer.isDone {
      var lines: [Line] = []
      trainer.takeStep(
        onNode: { backward, index in lines += TracedRun.lines(backward, index) },
        onEvent: { _ in })
      steps.append(lines)
    }
    return steps
  }

  private static func lines(_ backward: Backward, _ index: Int) -> [Line] {
    let session = backward.session
    let place = "step \(backward.step) micro-batch \(backward.query)"
    func line<T: FixedWidthInteger>(_ what: String, _ form: String, _ values: [T]) -> Line {
      ("\(place) \(what)", "\(form) \(values.count) \(hexadecimalDigest(values).prefix(16))")
    }
    guard index < session.network.nodeCount else {
      let logits = (0..<backward.samples).flatMap { session.logits(sample: $0).array }
      return [line("logits", "i", logits)]
    }
    let scale = session.table.gradientScale(index + 1)
    let values = (0..<backward.samples).flatMap {
      backward.gradient(index + 1, sample: $0).array
    }
    var lines = [
      line(
        "gradient of tensor \(index + 1) scale \(scale.mantissa) \(scale.exponent)", "b", values)
    ]
    let node = session.network.node(index)
    let update = backward.recipe.update(ofNode: index)
    guard !update.isEmpty, let shape = node.operation.weighted else { return lines }
    let tiling = Tiling(index, node, session.request)
    let db = backward.biasGradient(index, node, shape, tiling)
    if update.contains(.weights) {
      var dw: [Int32] = []
      backward.forEachBlock(index, node, shape, db, tiling) { block, _ in dw += block.array }
      lines.append(line("dw of node \(index)", "i", dw))
    }
    lines.append(line("db of node \(index)", "i", db.array))
    return lines
  }
}

extension View {
  /// A copy.
  var array: [Element] { (0..<count).map { self[$0] } }
}
