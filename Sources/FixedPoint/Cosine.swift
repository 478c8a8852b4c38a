/// (1 + cos(π·index / 2^24)) / 2 in Q30: the factor of a cosine schedule (SPEC §3).
///
/// With j = index >> 16, f = index mod 2^16 and the table C of cos(πj/256) in Q30, the cosine is
/// C[j] + ((C[j+1] − C[j])·f >> 16). The difference is negative, and the shift floors: the
/// interpolated cosine is rounded towards −∞. At index = 2^24 (f = 0) it is C[256] = −2^30.
/// The result is (2^30 + cosine) >> 1, floored as well. Absolute error below 1e-5.
///
/// - Parameter index: 0…2^24, the position in the half period.
/// - Returns: 2^30…0, units of 2^−30, never rising as the index grows.
public func halfCosine(index: Int64) -> Int64 {
  precondition(index >= 0 && index <= 1 << 24, "the index must be in 0…2^24")
  let entry = Int(truncatingIfNeeded: index &>> 16)
  let rest = index & 0xFFFF
  var cosine = Int64(cosineTable[entry])
  if rest != 0 {
    let step = Int64(cosineTable[entry &+ 1]) &- cosine
    cosine &+= (step &* rest) &>> 16
  }
  return ((1 << 30) &+ cosine) &>> 1
}
