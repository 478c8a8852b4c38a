/// log2(v) in Q16 (SPEC §3): absolute error below 2.4e-5 octaves for v < 2^17, 4.3e-5 beyond, where
/// bits of v are cut off.
///
/// With b = bit length of v minus 1, f the 16 bits below v's leading one (padded with zeros, or cut
/// off), h = f >> 8 and the table L of log2(1 + j/256) in Q16:
/// b·2^16 + L[h] + ((L[h+1] − L[h])·(f mod 256) >> 8). The shift floors.
///
/// - Parameter v: ≥ 1.
/// - Returns: 0…63·2^16 − 1, units of 2^−16 octaves.
public func logarithmBase2(_ v: Int64) -> Int32 {
  precondition(v >= 1, "the logarithm needs a positive number")
  let octave = 63 &- Int64(v.leadingZeroBitCount)
  let fraction = (octave >= 16 ? v &>> (octave &- 16) : v &<< (16 &- octave)) & 0xFFFF
  let index = Int(truncatingIfNeeded: fraction &>> 8)
  let start = logarithmTable[index]
  let step = logarithmTable[index &+ 1] &- start
  let rest = Int32(truncatingIfNeeded: fraction & 0xFF)
  return Int32(truncatingIfNeeded: octave) &<< 16 &+ start &+ ((step &* rest) &>> 8)
}

/// log2 of a scale in Q16: (exponent − 31)·2^16 + log2(mantissa) (SPEC §3).
///
/// - Parameter s: not zero.
/// - Returns: −8193·2^16…8192·2^16 − 1, units of 2^−16 octaves.
public func logarithmBase2(_ s: Scale) -> Int32 {
  precondition(s.mantissa != 0, "the logarithm needs a positive number")
  return (s.exponent &- 31) &<< 16 &+ logarithmBase2(Int64(s.mantissa))
}
