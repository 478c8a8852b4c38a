/// v·2^places, saturated to Int32 (SPEC §3).
///
/// - Parameter v: any value.
/// - Parameter places: ≥ 0.
@inlinable
func saturatingLeftShift(_ v: Int64, by places: UInt32) -> Int32 {
  if v == 0 { return 0 }
  if places > 31 { return v < 0 ? .min : .max }
  // Clamping first keeps the shifted value below 2^62 and changes no result.
  let clamped = Int64(Int32(clamping: v))
  return Int32(clamping: clamped &<< Int64(places))
}

/// Divides by 2^s and rounds stochastically: `SR(v, s, bits)` (SPEC §3).
///
/// With uniform `bits` the expected result is exactly v / 2^s for s ≤ 16; beyond, the part of `v`
/// below 2^(s−16) is floored first, an error under 2^−16.
///
/// | s         | result                               |
/// |-----------|--------------------------------------|
/// | s < 0     | v·2^−s, saturated                    |
/// | 0         | v                                    |
/// | 1…16      | ⌊(v + (bits mod 2^s)) / 2^s⌋         |
/// | 17…62     | ⌊(⌊v / 2^(s−16)⌋ + bits) / 2^16⌋     |
/// | s > 62    | 0                                    |
///
/// - Parameter v: any value.
/// - Parameter bits: one uniform 16-bit lane of a random stream.
@inlinable
public func shiftedStochastically(_ v: Int32, by s: Int32, bits: UInt16) -> Int32 {
  let noise = Int32(truncatingIfNeeded: UInt32(bits))
  if s > 16 {
    if s > 62 { return 0 }
    let shifted = v &>> min(s &- 16, 31)
    return (shifted &+ noise) &>> 16
  }
  if s <= 0 {
    return saturatingLeftShift(Int64(v), by: s.magnitude)
  }
  // `(v + noise) >> s` is shorter and overflows near Int32.max; only the lost bits meet the noise.
  let mask: Int32 = (1 &<< s) &- 1
  return (v &>> s) &+ (((v & mask) &+ (noise & mask)) &>> s)
}
