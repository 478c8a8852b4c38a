/// a + b, saturated to the largest Int64 (SPEC 7.3).
///
/// Of numbers that are not negative the order of additions is free: a sum that has reached the end
/// stays there.
///
/// - Parameter a: ≥ 0.
/// - Parameter b: ≥ 0.
@inlinable
public func saturatingSum(_ a: Int64, _ b: Int64) -> Int64 {
  let (sum, overflow) = a.addingReportingOverflow(b)
  return overflow ? .max : sum
}
