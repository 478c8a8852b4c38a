import FixedPoint
import Training

/// Where two traces of the same steps part.
package enum TraceDifference {
  /// Nowhere.
  case none
  /// The traced runs had parted before: the state at the start of the first step differs.
  case earlier(entry: Int)
  /// Entry number `entry` is the first whose values differ, though all before it are equal.
  case values(entry: Int)
  /// The same for its Scale.
  case scale(entry: Int)
  /// One machine did something there that the other did not.
  case sequence(entry: Int)

  package init(_ a: LoadedTrace, _ b: LoadedTrace) {
    for (index, (left, right)) in zip(a.entries, b.entries).enumerated() {
      var (first, second) = (left.header, right.header)
      let haveOneScale = first.scale == second.scale
      (first.scale, second.scale) = (.zero, .zero)
      guard first == second else {
        self = .sequence(entry: index)
        return
      }
      guard haveOneScale && left.digest == right.digest else {
        let isStart = first.phase == .before && first.step == a.steps.lowerBound
        self =
          isStart
          ? .earlier(entry: index)
          : left.digest == right.digest ? .scale(entry: index) : .values(entry: index)
        return
      }
    }
    self =
      a.entries.count == b.entries.count
      ? .none : .sequence(entry: min(a.entries.count, b.entries.count))
  }
}
