/// ⌊√v⌋ (SPEC §3). Any value; the result r satisfies r² ≤ v < (r + 1)².
///
/// One result bit per step, without a division: cores without a 64-bit divider stay fast enough.
@inlinable
public func integerSquareRoot(_ v: UInt64) -> UInt32 {
  var remainder = v
  var root: UInt64 = 0
  var bit: UInt64 = 1 << 62
  while bit != 0 {
    let trial = root | bit
    root >>= 1
    if remainder >= trial {
      remainder &-= trial
      root |= bit
    }
    bit >>= 2
  }
  return UInt32(truncatingIfNeeded: root)
}
