import Importers
import Tally
import TallyHost

/// Takes the steps of a run: journal on disk, progress on the console, stops when it is told to.
struct TrainingLoop {
  private let run: TrainingRun
  private let file: JournalFile
  private let console: Console
  private var checkpoints: CheckpointWriter
  private var sink: ResumingSink<JournalFileSink>
  /// Whether the run stands at a checkpoint rather than at its start.
  private let isUnderWay: Bool
  private(set) var epochs: [EpochResult] = []
  private var live: LiveLog?

  /// - Parameters:
  ///   - journal: what there is already of this run's journal.
  ///   - place: where in it the run stands, if it has gone on from a checkpoint.
  ///   - note: a remark for the journal, which nobody verifies.
  ///   - live: what else is written while the run goes.
  init(
    _ run: TrainingRun, _ file: JournalFile, _ checkpoints: CheckpointWriter,
    resuming journal: LoadedJournal?, at place: LoadedJournal.Place?, note: String?,
    live: LiveLog?, _ console: Console
  ) {
    self.run = run
    self.live = live
    self.file = file
    self.checkpoints = checkpoints
    self.console = console
    isUnderWay = place != nil
    if let journal {
      sink = ResumingSink(JournalFileSink(file: file), resuming: journal, at: place, note: note)
      let first = place?.stepCount ?? 0
      let from = place == nil ? "" : "going on from the checkpoint behind step \(first); "
      console.note("\(from)repeating \(journal.stepCount - first) steps of the journal")
      // Epochs before the checkpoint are not run again.
      epochs = journal.epochs.filter { $0.index < run.run.trainer.epoch }
    } else {
      sink = ResumingSink(JournalFileSink(file: file), note: note)
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
    let run = run
    var progress = Progress(console, run)
    if !isUnderWay { run.begin(&sink) }
    while !run.run.isDone {
      if sink.isStopped { break }
      let signal = console.world.interruption()
      if signal != 0 {
        progress.clear()
        try file.finish()
        try checkpoints.write(run, sink.chain)
        return signal
      }
      let before = epochs.last?.index
      run.takeStep(&sink)
      file.flushIfDue()
      if !sink.isStopped, checkpoints.isDue(run.run.trainer) {
        // A checkpoint stands for records that must not be lost before it.
        try file.finish()
        try checkpoints.write(run, sink.chain)
      }
      progress.update(run.run)
      let state = run.run
      live?.update(state)
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
    let (head, trainer) = (self.head, run.run.trainer)
    live?.end(model: trainer.session.modelDigest, journal: head, steps: trainer.step)
    return 0
  }

  /// Once the model is safe, checkpoints that only a resumption needs go.
  func removeCheckpoints() { checkpoints.finish() }

  private func line(_ epoch: Run.Epoch) -> String {
    let hasLabels = run.hasLabels
    let training = epoch.training.summary(hasLabels: hasLabels)
    var text = "epoch \(epoch.index + 1)/\(run.recipe.epochs)  \(training)"
    if let validation = epoch.validation {
      text += "  validation \(validation.summary(hasLabels: hasLabels))"
    }
    return text
  }
}
