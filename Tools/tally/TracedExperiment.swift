import Importers
import Tally
import TallyHost

/// A journal's run on this machine, from any of its steps on.
struct TracedExperiment {
  let model: LoadedModel
  private let samples: PreparedSamples
  private let recipe: [UInt8]
  private let console: Console

  /// - Throws: TLY0903 if model or data are not the journal's.
  init(
    _ inputs: JournalInputs, _ path: String, model modelPath: String, data: String,
    _ console: Console
  ) throws(InputError) {
    self.console = console
    model = try Inputs.model(modelPath)
    samples = try Inputs.samples(data, for: model, console)
    recipe = (0..<inputs.recipe.count).map { inputs.recipe[$0] }
    for (name, isSame) in [
      ("model", model.digest == inputs.modelDigest), ("data", samples.digest == inputs.dataDigest),
    ] where !isSame {
      throw InputError(
        903, "the journal is of another run: its \(name) is not this one", place: path,
        help: "tally inspect \(path)", exit: 2)
    }
  }

  /// The run at its start or at the newest usable checkpoint beside the journal that is not behind
  /// step `last`.
  func run(
    _ journal: LoadedJournal, _ path: String, before last: UInt32
  ) throws(InputError) -> (run: TrainingRun, place: LoadedJournal.Place?) {
    for entry in CheckpointFolder(besides: path).entries.reversed() where entry.step <= last {
      guard let checkpoint = try? CheckpointFolder.load(entry),
        let place = journal.place(of: checkpoint.checkpoint)
      else { continue }
      let run = try TrainingRun(model, recipe: recipe, samples: samples)
      if run.resume(checkpoint, at: place) { return (run, place) }
    }
    return (try TrainingRun(model, recipe: recipe, samples: samples), nil)
  }

  /// Takes steps until `last` are done; the signal that came before, or nil.
  func advance(
    _ run: TrainingRun, to last: UInt32, _ sink: inout some RecordSink
  ) -> Int32? {
    var progress = Progress(console, run)
    defer { progress.clear() }
    while run.run.trainer.step < last && !run.run.isDone && !sink.isStopped {
      let signal = console.world.interruption()
      if signal != 0 { return signal }
      run.takeStep(&sink)
      progress.update(run.run)
    }
    return nil
  }
}

/// A sink for two others, each of which may stop by itself.
struct PairOfSinks<First: RecordSink, Second: RecordSink>: RecordSink {
  var first: First
  var second: Second

  var isStopped: Bool { first.isStopped && second.isStopped }

  mutating func record(_ type: RecordType, _ payload: Payload, rest: RawSpan) {
    if !first.isStopped { first.record(type, payload, rest: rest) }
    if !second.isStopped { second.record(type, payload, rest: rest) }
  }
}

/// Follows the chain of a run's records and keeps nothing else.
struct ChainSink: RecordSink {
  var chain: Chain
  var isStopped: Bool { false }

  mutating func record(_ type: RecordType, _ payload: Payload, rest: RawSpan) {
    guard type.isChained else { return }
    payload.withRawSpan { chain.extend(type.rawValue, $0, rest: rest) }
  }
}
