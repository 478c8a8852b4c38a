import Importers
import Tally
import TallyTestSupport
import Testing

@testable import TallyHost
@testable import Training

/// `tally bisect` computes elements of a trace by hand; here every golden run says what they are.
@Suite("Elements of traces, computed by hand (Formats/trace.md)") struct DerivationTests {
  /// What `Derivation` promises to explain in every run.
  static let promised: Set<TraceEntry.Kind> = [
    .output, .lossGradient, .gradient, .biasGradient, .weightGradient, .differences,
  ]

  @Test("what is derived by hand is what the engine computed", arguments: RunVectors.names)
  func everyKind(name: String) throws {
    let seed = SeededGenerator.freshSeed()
    var random = SeededGenerator(seed: seed, number: 4)
    let golden = try GoldenRun(name)
    let steps = UInt32(golden.block.lines.count { $0.key == "step" })
    for step in Set([0, steps / 2]) where step < steps {
      let trace = try trace(golden, step)
      let memory = try RecipeMemory(golden.recipe, golden.model)
      var count = 0
      for (position, entry) in trace.entries.enumerated() {
        let deriver = Deriver(trace, golden.model, memory.recipe, at: position)
        let isPromised = Self.promised.contains(entry.header.kind)
        for element in Set((0..<2).map { _ in random.below(entry.header.count) }) {
          let place = "\(name), step \(step), entry \(position) \(entry.header), element \(element)"
          guard let derivation = deriver.derive(element) else {
            #expect(!isPromised || memory.recipe.isWithout(entry.header), "seed \(seed): \(place)")
            continue
          }
          count += 1
          #expect(
            derivation.value == Int64(trace.value(entry, element)),
            "seed \(seed): \(place): \(derivation.lines)")
        }
      }
      #expect(count > 0)
      withExtendedLifetime(memory) {}
    }
  }

  private func trace(_ golden: GoldenRun, _ step: UInt32) throws -> LoadedTrace {
    let run = try TrainingRun(
      golden.model, recipe: golden.recipe, samples: golden.samples, validation: golden.validation)
    var writer = JournalWriter(MemorySink())
    run.begin(&writer)
    let memory = AlignedMemory(writer.sink.bytes)
    var reader = try JournalReader(memory.view(of: UInt8.self))
    let begin = try #require(try reader.next())
    let payload = Array(
      writer.sink.bytes[begin.payload..<begin.payload + begin.byteCount])
    while run.run.trainer.step < step { run.takeStep(&writer) }
    var trace = TraceWriter(begin: payload, steps: step..<step + 1, head: writer.chain.head)
    run.takeStep(&writer) { $0.trace(into: &trace) }
    return try LoadedTrace(trace.finish(), file: golden.name)
  }
}

extension Recipe {
  /// Whether an entry is one of those that Formats/trace.md excepts.
  fileprivate func isWithout(_ header: TraceEntry) -> Bool {
    switch header.kind {
    case .weightGradient: selection(ofNode: Int(header.index)) != nil
    case .differences: loss != .crossEntropy
    default: false
    }
  }
}
