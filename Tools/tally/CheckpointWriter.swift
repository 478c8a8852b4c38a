import Importers
import Tally
import TallyHost

/// Decides when a run's state is written down, and which older ones stay.
///
/// With a period all stay, and each stands where the journal has a state root, so that a verifier can
/// start from it. Without one the newest stays while the run lasts: what --resume needs.
struct CheckpointWriter {
  private let folder: CheckpointFolder
  private let period: UInt32?
  private var lastStep: UInt32
  private var lastTime = ContinuousClock.now

  /// Time that an interrupted run without a period may have to repeat.
  private static let interval = Duration.seconds(30)

  /// - Parameter step: where the run goes on; checkpoints beyond it, or all of another run's if it
  ///   starts, are removed.
  init(_ folder: CheckpointFolder, period: UInt32?, resumingAt step: UInt32?) {
    self.folder = folder
    self.period = period
    lastStep = step ?? 0
    folder.remove { entry in step.map { entry.step > $0 } ?? true }
  }

  /// After a step.
  func isDue(_ trainer: Trainer) -> Bool {
    guard !trainer.isDone else { return false }
    guard let period else { return ContinuousClock.now - lastTime >= CheckpointWriter.interval }
    return trainer.rootIsDue && trainer.step / period > lastStep / period
  }

  /// - Parameter chain: where the journal on disk stands.
  /// - Throws: TLY0806.
  mutating func write(_ run: TrainingRun, _ chain: Chain) throws(InputError) {
    let step = run.run.trainer.step
    try folder.write(run.checkpointBytes(chain), step: step)
    if period == nil { folder.remove { $0.step < step } }
    lastStep = step
    lastTime = .now
  }

  /// The model is written: checkpoints that only a resumption needs go.
  func finish() {
    if period == nil { folder.remove { _ in true } }
  }
}
