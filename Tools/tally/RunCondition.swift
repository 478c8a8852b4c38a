import Tally
import TallyHost

/// How a run is done. Results must not depend on it (SPEC 11), which `verify --vary` shows.
struct RunCondition: Equatable {
  let name: String
  /// `nil` for the best that this processor has.
  var level: SIMDLevel?
  var threads = 1
  /// With threads every node is cut, however little it has to do: small networks would show nothing.
  var leastPartWork: Int? { threads > 1 ? 0 : nil }
  var isCompact = false
  var reversesMicroBatches = false

  static let asIs = RunCondition(name: "as it is")

  /// The conditions that this machine can vary, for a run by `recipe`.
  static func all(for recipe: Recipe) -> [RunCondition] {
    SIMDLevel.chooseBest()
    let best = SIMDLevel.current
    var conditions = [asIs]
    for level in SIMDLevel.allCases where level.isBelow(best) {
      conditions.append(RunCondition(name: "\(level) microkernels", level: level))
    }
    for threads in [2, 3, 7] {
      conditions.append(RunCondition(name: "\(threads) threads", threads: threads))
    }
    conditions.append(RunCondition(name: "small tiles", isCompact: true))
    if recipe.largestMicroBatchCount > 1 && recipe.zerothOrder == nil {
      conditions.append(
        RunCondition(name: "micro-batches last to first", reversesMicroBatches: true))
      conditions.append(
        RunCondition(
          name: "plain microkernels, small tiles, micro-batches last to first", level: .plain,
          isCompact: true, reversesMicroBatches: true))
    }
    return conditions
  }

  /// Makes what is the process's, not the run's, as this condition says.
  func apply() {
    if let level { SIMDLevel.choose(level) } else { SIMDLevel.chooseBest() }
    Threads.use(threads)
  }
}

extension SIMDLevel {
  /// Whether a processor whose best level is `best` has this one too.
  fileprivate func isBelow(_ best: SIMDLevel) -> Bool {
    best == .neon ? self == .plain : rawValue < best.rawValue
  }
}
