import Platform
import Importers
import Tally
import TallyHost

/// What `tally train` writes beside the journal while it runs: JSON lines, TensorBoard events, or both.
///
/// Unlike results these grow in place, for others to read along; they are views of the journal and can
/// be made again from it with `tally report`.
struct LiveLog {
  private let log: Int32?
  private let events: Int32?
  private let hasLabels: Bool
  private var file: EventFile
  /// Steps and epochs that are written; a resumed run repeats some.
  private var stepCount: UInt32 = 0
  private var epochCount: UInt32 = 0

  /// - Parameters:
  ///   - log: a path, or nil for none.
  ///   - folder: for an event file; made if it is not there.
  ///   - hasLabels: whether there is an accuracy.
  /// - Throws: TLY0806.
  init(
    log: String?, tensorboard folder: String?, name: String, hasLabels: Bool, force: Bool,
    inputs: [String]
  ) throws(InputError) {
    self.hasLabels = hasLabels
    file = EventFile(wallTime: Double(time(nil)), hasLabels: hasLabels)
    self.log = try log.map { path throws(InputError) in
      try LiveLog.open(path, force, inputs)
    }
    guard let folder else {
      events = nil
      return
    }
    try OutputFile.makeFolder(folder)
    events = try LiveLog.open("\(folder)/events.out.tfevents.0.\(name)", force, inputs)
  }

  /// The log's first line, and what an old journal of the run already holds.
  mutating func begin(
    _ run: TrainingRun, _ model: LoadedModel, _ samples: PreparedSamples,
    resuming journal: LoadedJournal?
  ) {
    write(
      RunLog.start(
        model: model.digest, data: samples.digest, samples: UInt32(samples.samples.count),
        plannedSteps: run.plannedSteps))
    guard let journal else { return }
    for event in RunHistory(journal).events { add(event) }
  }

  /// What the last step brought.
  mutating func update(_ run: Run) {
    if let step = run.lastStep, step.step >= stepCount {
      add(.step(RunHistory.Step(step)))
    }
    if let epoch = run.lastEpoch, epoch.index >= epochCount {
      add(.epoch(EpochResult(epoch)))
    }
  }

  mutating func end(model: Digest, journal: Digest, steps: UInt32) {
    write(RunLog.result(model: model, journal: journal, steps: steps))
  }

  private mutating func add(_ event: RunHistory.Event) {
    switch event {
    case .step(let step): stepCount = step.index + 1
    case .epoch(let epoch): epochCount = epoch.index + 1
    case .kept, .differences, .range: break
    }
    if let line = event.json(hasLabels: hasLabels) { write(line) }
    file.add(event)
    let bytes = file.takeBytes()
    if let events { _ = OutputFile.write(bytes, to: events) }
  }

  private func write(_ line: JSONOutput) {
    if let log { _ = OutputFile.write(Array((line.text + "\n").utf8), to: log) }
  }

  private static func open(
    _ path: String, _ force: Bool, _ inputs: [String]
  ) throws(InputError) -> Int32 {
    _ = try OutputFile(path, force: force, inputs: inputs)
    let descriptor = Platform.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw OutputFile.failure(path) }
    return descriptor
  }
}
