import Importers
import Tally
import TallyHost
import TallyTestSupport
import Testing

/// Files of a run between its first and last step: `FOLDER/NAME-STEP.SUFFIX` belongs to `runs/NAME`.
private struct StateFile {
  let golden: GoldenRun
  let step: UInt32
  let bytes: [UInt8]

  init(_ path: String) throws {
    let name = path.split(separator: "/").last?.split(separator: ".").first ?? ""
    let dash = try #require(name.lastIndex(of: "-"))
    step = try #require(UInt32(name[name.index(after: dash)...]))
    golden = try GoldenRun("runs/" + name[..<dash])
    bytes = try VectorFolder.bytes(path)
  }

  /// The run at the step, with the chain of its journal there.
  func run() throws -> (run: TrainingRun, writer: JournalWriter<MemorySink>) {
    let run = try TrainingRun(
      golden.model, recipe: golden.recipe, samples: golden.samples, validation: golden.validation)
    var writer = JournalWriter(MemorySink())
    run.begin(&writer)
    while run.run.trainer.step < step { run.takeStep(&writer) }
    return (run, writer)
  }

  /// Payload of the run's begin record.
  func begin() throws -> [UInt8] {
    let memory = AlignedMemory(golden.journal)
    var reader = try JournalReader(memory.view(of: UInt8.self))
    let record = try #require(try reader.next())
    return Array(golden.journal[record.payload..<record.payload + record.byteCount])
  }
}

@Suite("Golden checkpoints (SPEC 9.7, Formats/checkpoint.md)") struct CheckpointVectors {
  @Test("the state is the reference's, byte for byte", arguments: VectorFolder.files("checkpoints"))
  func bytes(path: String) throws {
    let file = try StateFile(path)
    let (run, writer) = try file.run()
    #expect(run.checkpointBytes(writer.chain) == file.bytes)
  }

  @Test(
    "a run goes on from it to the reference's end", arguments: VectorFolder.files("checkpoints"))
  func resume(path: String) throws {
    let file = try StateFile(path)
    let checkpoint = try LoadedCheckpoint(file.bytes)
    let journal = try LoadedJournal(file.golden.journal)
    let place = try #require(journal.place(of: checkpoint.checkpoint))
    let run = try TrainingRun(
      file.golden.model, recipe: file.golden.recipe, samples: file.golden.samples,
      validation: file.golden.validation)
    try #require(run.resume(checkpoint, at: place))
    var comparison = Comparison(place.reader, checkingValidation: true)
    while !run.run.isDone && !comparison.isStopped { run.takeStep(&comparison) }
    run.end(&comparison)
    guard case .reproduced = comparison.verdict else {
      Issue.record("\(path): \(String(describing: comparison.verdict))")
      return
    }
    #expect(run.modelBytes == (try file.golden.trained()))
  }
}

@Suite("Golden traces (Formats/trace.md)") struct TraceVectors {
  @Test("every value of the step is the reference's", arguments: VectorFolder.files("traces"))
  func bytes(path: String) throws {
    let file = try StateFile(path)
    var (run, writer) = try file.run()
    var trace = TraceWriter(
      begin: try file.begin(), steps: file.step..<file.step + 1, head: writer.chain.head)
    run.takeStep(&writer) { $0.trace(into: &trace) }
    let found = try LoadedTrace(trace.finish(), file: "found")
    let expected = try LoadedTrace(file.bytes, file: path)
    guard case .none = TraceDifference(found, expected) else {
      Issue.record("\(path): \(TraceDifference(found, expected))")
      return
    }
    #expect(trace.finish() == file.bytes)
  }
}
