import Tally
import TallyHost

/// How far a run is, on standard error: redrawn ten times a second on a terminal, else a line every
/// five seconds.
struct Progress {
  private let console: Console
  private let planned: UInt32
  private let elementsPerSample: Int
  private let hasLabels: Bool
  private let start = ContinuousClock.now
  private var lastShown = ContinuousClock.now
  private var hasLine = false
  private var first: UInt32?
  /// Sums of the epoch so far.
  private var epoch = Trainer.Evaluation()
  private var saturated = 0
  private var epochIndex: UInt32?

  init(_ console: Console, _ run: TrainingRun) {
    self.console = console
    planned = run.plannedSteps
    elementsPerSample = run.watchedElementCount
    hasLabels = run.hasLabels
  }

  /// After each step.
  mutating func update(_ run: Run) {
    guard let step = run.lastStep else { return }
    let now = ContinuousClock.now
    let index = step.step / run.trainer.stepsPerEpoch
    if index != epochIndex {
      epochIndex = index
      epoch = Trainer.Evaluation()
      saturated = 0
    }
    if first == nil { first = step.step }
    epoch.samples += step.samples
    epoch.loss = saturatingSum(epoch.loss, step.loss)
    epoch.correct += step.correct
    saturated += Int(step.saturated)
    guard now - lastShown >= (console.canRedraw ? .milliseconds(100) : .seconds(5)) else { return }
    lastShown = now
    show(line(step.step + 1, now - start))
  }

  /// Takes the line away, so that other words can follow.
  mutating func clear() {
    if hasLine && !console.isQuiet { console.world.writeError("\r\u{1B}[K") }
    hasLine = false
  }

  private mutating func show(_ line: String) {
    guard !console.isQuiet else { return }
    if console.canRedraw {
      console.world.writeError("\r\u{1B}[K\(line)")
      hasLine = true
    } else {
      console.note(line)
    }
  }

  private func line(_ done: UInt32, _ elapsed: Duration) -> String {
    let samples = UInt64(epoch.samples)
    let loss = DecimalText.ratio(epoch.loss.magnitude, samples << 16, places: 3)
    let accuracy = DecimalText.ratio(UInt64(epoch.correct) * 100, samples, places: 1)
    let elements = samples * UInt64(elementsPerSample)
    let ppm = elements == 0 ? 0 : UInt64(saturated) * 1_000_000 / elements
    let milliseconds = UInt64(
      elapsed.components.seconds * 1000 + elapsed.components.attoseconds / 1_000_000_000_000_000)
    let count = UInt64(done - (first ?? 0))
    let rate = DecimalText.ratio(
      count * 1000, max(1, milliseconds), places: count * 1000 < 20 * milliseconds ? 1 : 0)
    let left = UInt64(planned - done) * milliseconds / max(1, count) / 1000
    var parts = [("step \(done)/\(planned)", 0), ("loss \(loss)", 1)]
    if hasLabels { parts.append(("acc \(accuracy)%", 3)) }
    parts += [
      ("sat \(ppm) ppm", 5), ("\(rate) steps/s", 4), ("eta \(Progress.duration(left))", 2),
    ]
    return Progress.line(parts, width: console.canRedraw ? console.world.errorWidth() : nil)
  }

  /// As many parts as fit into a line, in their order; those of the highest rank go first.
  ///
  /// A line that wraps could not be taken back by a return.
  static func line(_ parts: [(text: String, rank: Int)], width: Int?) -> String {
    var parts = parts
    func joined() -> String { parts.map(\.text).joined(separator: "  ") }
    guard let width else { return joined() }
    // The last column stays free: some terminals wrap when it is written to.
    while parts.count > 1, joined().count >= width,
      let last = parts.indices.max(by: { parts[$0].rank < parts[$1].rank })
    {
      parts.remove(at: last)
    }
    return String(joined().prefix(max(1, width - 1)))
  }

  static func duration(_ seconds: UInt64) -> String {
    switch seconds {
    case 0..<120: "\(seconds) s"
    case 120..<7200: "\(seconds / 60) min \(seconds % 60) s"
    default: "\(seconds / 3600) h \(seconds % 3600 / 60) min"
    }
  }
}
