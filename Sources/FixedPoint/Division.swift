/// ⌊a / n⌋: division that rounds towards −∞, where Swift's `/` rounds towards zero (SPEC §3).
///
/// - Parameter a: any value.
/// - Parameter n: > 0.
@inlinable
public func floorDivided(_ a: Int64, by n: Int64) -> Int64 {
  precondition(n > 0, "the divisor must be positive")
  let quotient = a / n
  return quotient &* n > a ? quotient &- 1 : quotient
}

/// ⌊a / n + ½⌋ = ⌊(2a + n) / 2n⌋: division that rounds half up (SPEC §3).
///
/// | a / n   | −2.5 | −1.5 | −0.5 | 0.5 | 1.5 | 2.5 |
/// |---------|------|------|------|-----|-----|-----|
/// | result  | −2   | −1   | 0    | 1   | 2   | 3   |
///
/// - Parameter a: any value.
/// - Parameter n: > 0.
@inlinable
public func dividedRoundingHalfUp(_ a: Int64, by n: Int64) -> Int64 {
  // `2a + n` overflows for large |a|, so compare the floor's remainder with its complement to n.
  let quotient = floorDivided(a, by: n)
  let remainder = a &- quotient &* n
  return remainder >= n &- remainder ? quotient &+ 1 : quotient
}
