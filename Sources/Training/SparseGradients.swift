public import FixedPoint

/// How much of a gradient is kept (SPEC 8.12): the recipe's block of kind 1.
public struct SparseGradients: Equatable, Sendable {
  /// S_min and S_max, Q15.
  public var minimum: Int32
  public var maximum: Int32
  /// ζ, Q15: what each layer between this one and the output multiplies the ratio by.
  public var damping: Int32
  /// h: the least number of channels kept at the last weighted node.
  public var headMinimum: Int32
  /// d: the largest gradient fades by 2^−d a step; 0 for never.
  public var decayShift: Int32

  /// Bytes of the block.
  static var byteCount: Int { 12 }

  public init(
    minimum: Int32, maximum: Int32, damping: Int32 = 1 << 15, headMinimum: Int32 = 2,
    decayShift: Int32 = 0
  ) {
    self.minimum = minimum
    self.maximum = maximum
    self.damping = damping
    self.headMinimum = headMinimum
    self.decayShift = decayShift
  }

  /// k for a sample whose gradient is `size`, of `channels` channels.
  ///
  /// - Parameters:
  ///   - largest: at least `size`, not zero.
  ///   - position: sparse nodes between this one and the output.
  ///   - isHead: the last weighted node.
  public func keptCount(
    channels: Int, size: Scale, largest: Scale, position: Int, isHead: Bool
  ) -> Int {
    let half: Int64 = 1 << 14
    let share = (size / largest).roundedToInteger(fractionBits: 15)
    var ratio =
      Int64(minimum) &+ ((share &* (Int64(maximum) &- Int64(minimum)) &+ half) &>> 15)
    var damped: Int64 = 1 << 15
    for _ in 0..<position { damped = (damped &* Int64(damping) &+ half) &>> 15 }
    ratio = (ratio &* damped &+ half) &>> 15
    let least = isHead ? min(Int64(headMinimum), Int64(channels)) : 1
    let count = (Int64(channels) &* ratio &+ half) &>> 15
    return Int(truncatingIfNeeded: min(max(count, least), Int64(channels)))
  }

  /// Y_max after a step in which `largest` was the largest gradient.
  public func updated(_ remembered: Scale, with largest: Scale) -> Scale {
    var faded = remembered
    if decayShift > 0 {
      let numerator = UInt64(1) << UInt64(truncatingIfNeeded: decayShift) &- 1
      faded = (remembered * Scale(numerator)).multiplied(byPowerOfTwo: -decayShift)
    }
    return faded < largest ? largest : faded
  }
}

/// Counts of a sparse node over a step; the kept record of the journal (Formats/journal.md).
public struct KeptCounts: Equatable, Sendable {
  /// Σ k.
  public var selected: UInt32 = 0
  /// Σ min(k, c): channels that are kept and not 0.
  public var touched: UInt32 = 0
  /// Σ c: channels that were not 0.
  public var active: UInt32 = 0

  public init() {}

  init(selected: UInt32, touched: UInt32, active: UInt32) {
    self.selected = selected
    self.touched = touched
    self.active = active
  }
}
