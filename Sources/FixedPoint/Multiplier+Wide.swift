extension Multiplier {
  /// Multiplies a 64-bit sum and rounds once, half up: `requant64` (SPEC §3).
  ///
  /// The product p = accumulator·mantissa is exact (−2^94 < p < 2^94):
  ///
  /// | shift    | result                                               |
  /// |----------|------------------------------------------------------|
  /// | ≤ 0      | p·2^−shift, saturated to Int64                       |
  /// | ≥ 1      | ⌊(p + 2^(shift−1)) / 2^shift⌋, saturated to Int64    |
  ///
  /// Unlike `requantize(_: Int32)` there is no cut at 62: a wide sum still counts there.
  @inlinable
  public func requantizeWide(_ accumulator: Int64) -> Int64 {
    // p = high·2^32 + low with 0 ≤ low < 2^32. Two 32×32-bit products are exact on any core;
    // |high| ≤ 2^62.
    let factor = Int64(mantissa)
    let lowProduct = (accumulator & 0xFFFF_FFFF) &* factor
    let high = (accumulator &>> 32) &* factor &+ (lowProduct &>> 32)
    let low = lowProduct & 0xFFFF_FFFF

    if shift > 32 {
      // The rounding constant has no bits below 2^32, so `high` alone decides. From 95 on,
      // |p| < 2^(shift−1) and the result is 0; up to 94 the sum stays below 2^63.
      if shift > 94 { return 0 }
      return (high &+ (1 &<< Int64(shift &- 33))) &>> Int64(shift &- 32)
    }
    if shift > 0 {
      let rounded = (low &+ (1 &<< Int64(shift &- 1))) &>> Int64(shift)
      return saturatingShiftAndAdd(high, places: UInt32(32 &- shift), adding: rounded)
    }
    let product = saturatingShiftAndAdd(high, places: 32, adding: low)
    return saturatingShiftAndAdd(product, places: shift.magnitude, adding: 0)
  }
}

/// v·2^places + small, saturated to Int64.
///
/// - Parameter small: 0…2^places, so the sum is below (v + 1)·2^places + 1.
@inlinable
func saturatingShiftAndAdd(_ v: Int64, places: UInt32, adding small: Int64) -> Int64 {
  if v == 0 { return small }
  if places > 62 { return v < 0 ? .min : .max }
  let shifted = v &<< Int64(places)
  guard shifted &>> Int64(places) == v else { return v < 0 ? .min : .max }
  let (sum, overflow) = shifted.addingReportingOverflow(small)
  return overflow ? .max : sum
}
