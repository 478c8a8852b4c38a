/// The real multiplier mantissa·2^−shift, applied to integers with one rounding (SPEC §3).
///
/// From a `Scale` the mantissa is 0 or 2^30…2^31 − 1 and shift = 31 − exponent. Every method is
/// also defined for smaller mantissas and for any shift, as its table says.
public struct Multiplier: Equatable, Sendable {
  public let mantissa: Int32
  public let shift: Int32

  /// - Parameter mantissa: 0…2^31 − 1; it need not be normalised.
  /// - Parameter shift: any value.
  @inlinable
  public init(mantissa: Int32, shift: Int32) {
    precondition(mantissa >= 0, "a multiplier is not negative")
    self.mantissa = mantissa
    self.shift = shift
  }

  @inlinable
  public init(_ scale: Scale) {
    mantissa = scale.mantissa
    shift = 31 &- scale.exponent
  }

  /// Multiplies and rounds once, half up: `requant` (SPEC §3).
  ///
  /// With p = accumulator·mantissa:
  ///
  /// | shift    | result                                      |
  /// |----------|---------------------------------------------|
  /// | ≤ 0      | p·2^−shift, saturated                       |
  /// | 1…62     | ⌊(p + 2^(shift−1)) / 2^shift⌋, saturated    |
  /// | > 62     | 0                                           |
  ///
  /// Example: 28 with mantissa 1985309846 and shift 33, the real 6.47, gives 6. The form that rounds twice
  /// (once after the high half of a doubling multiply, once after the shift) gives 7.
  @inlinable
  public func requantize(_ accumulator: Int32) -> Int32 {
    let product = Int64(accumulator) &* Int64(mantissa)
    if shift > 32 {
      if shift > 62 { return 0 }
      // The rounding constant has no bits below 2^32, so the high word alone decides.
      let high = Int32(truncatingIfNeeded: product &>> 32)
      return (high &+ (1 &<< (shift &- 33))) &>> (shift &- 32)
    }
    if shift <= 0 {
      return saturatingLeftShift(product, by: shift.magnitude)
    }
    // |product| ≤ 2^62 and the constant is at most 2^31: no overflow.
    let places = Int64(shift)
    return Int32(clamping: (product &+ (1 &<< (places &- 1))) &>> places)
  }

  /// Multiplies and rounds once, stochastically: `requantSR` (SPEC §3).
  ///
  /// With p = accumulator·mantissa; with uniform `bits` the expected result is p / 2^shift exactly
  /// for shift ≤ 16 and within 2^−16 of it beyond:
  ///
  /// | shift    | result                                                 |
  /// |----------|--------------------------------------------------------|
  /// | ≤ 0      | p·2^−shift, saturated                                  |
  /// | 1…16     | ⌊(p + (bits mod 2^shift)) / 2^shift⌋, saturated        |
  /// | 17…62    | ⌊(⌊p / 2^(shift−16)⌋ + bits) / 2^16⌋, saturated        |
  /// | > 62     | 0                                                      |
  ///
  /// - Parameter bits: one uniform 16-bit lane of a random stream.
  @inlinable
  public func requantizeStochastically(_ accumulator: Int32, bits: UInt16) -> Int32 {
    let product = Int64(accumulator) &* Int64(mantissa)
    if shift > 16 {
      if shift > 62 { return 0 }
      let shifted = product &>> Int64(shift &- 16)
      return Int32(clamping: (shifted &+ Int64(bits)) &>> 16)
    }
    if shift <= 0 {
      return saturatingLeftShift(product, by: shift.magnitude)
    }
    let places = Int64(shift)
    let noise = Int64(bits) & ((1 &<< places) &- 1)
    return Int32(clamping: (product &+ noise) &>> places)
  }
}
