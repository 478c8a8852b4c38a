/// 2^(−t), for t ≥ 0 in Q16, as Q30 (SPEC §3): absolute error below 1.6e-5.
///
/// With n = t >> 16, i = (t >> 10) mod 64, r = t mod 1024 and the table E of 2^(−j/64) in Q30:
/// (E[i] − ((E[i] − E[i+1])·r >> 10)) >> n, and 0 for n > 30. All three shifts floor.
///
/// - Parameter t: ≥ 0, units of 2^−16.
/// - Returns: 0…2^30, units of 2^−30.
public func exponentialBase2(negative t: Int64) -> Int64 {
  precondition(t >= 0, "the exponent must not be negative")
  let octaves = t &>> 16
  if octaves > 30 { return 0 }
  let index = Int(truncatingIfNeeded: (t &>> 10) & 63)
  let rest = t & 1023
  let start = Int64(exponentialTable[index])
  let end = Int64(exponentialTable[index &+ 1])
  return (start &- (((start &- end) &* rest) &>> 10)) &>> octaves
}
