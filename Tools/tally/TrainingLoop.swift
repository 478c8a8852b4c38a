import Importers
import Tally
import TallyHost

/// Takes the steps of a run: journal on disk, progress on the console, stops when it is told to.
struct TrainingLoop {
  private let run: TrainingRun
  private let file: JournalFile
  private let console: Console
  private var sink: ResumingSink<JournalFileSink>
  private(set) var epochs: [EpochResult] = []
  private var live: LiveLog?

  /// - Parameters:
  ///   - journal: what there is already of this run's journal.
  ///   - live: what else is written while the run goes.
  init(
    _ run: TrainingRun, _ file: JournalFile, resuming journal: LoadedJournal?, live: LiveLog?,
    _ console: Console
  ) {
    self.run = run
    self.live = live
    self.file = file
    self.console = console
    if let journal {
      sink = ResumingSink(JournalFileSink(file: file), resuming: journal)
      console.note("repeating the \(journal.stepCount) steps of the journal")
    } else {
      sink = ResumingSink(JournalFileSink(file: file))
    }
  }

  /// h after the last record.
  var head: Digest { sink.writer.chain.head }

  /// Runs to the end, or until a signal comes.
  ///
  /// - Returns: the signal, or 0.
  /// - Throws: TLY0806 if the journal cannot be written, TLY0904 if a resumed run does not come out as
  ///   its journal says.
  mutating func finish() throws(InputError) -> Int32 {
    var progress = Progress(console, run)
    run.begin(&sink)
    while !run.run.isDone {
      if sink.isStopped { break }
      let signal = console.world.interruption()
      if signal != 0 {
        progress.clear()
        try file.finish()
        return signal
      }
      let before = epochs.last?.index
      run.takeStep(&sink)
      file.flushIfDue()
      progress.update(run.run)
      live?.update(run.run)
      if let epoch = run.run.lastEpoch, epoch.index != before {
        epochs.append(EpochResult(epoch))
        progress.clear()
        console.note(line(epoch))
      }
    }
    if !sink.isStopped { run.end(&sink) }
    progress.clear()
    if let divergence = sink.divergence {
      throw InputError(
        904, "the run does not come out as its journal says: \(divergence.difference.field.words)",
        place: "\(file.path), step \(divergence.step), offset \(divergence.difference.offset)",
        note: "the journal was changed, or another version of the arithmetic wrote it", exit: 1)
    }
    try file.finish()
    let head = self.head
    live?.end(
      model: run.run.trainer.session.modelDigest, journal: head, steps: run.run.trainer.step)
    return 0
  }

  private func line(_ epoch: Run.Epoch) -> String {
    var text = "epoch \(epoch.index + 1)/\(run.recipe.epochs)  \(epoch.training.summary)"
    if let validation = epoch.validation { text += "  validation \(validation.summary)" }
    return text
  }
}
