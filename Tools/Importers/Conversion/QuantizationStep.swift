import Tally

/// The size of one step of an integer grid: a Scale, or the exact product of two.
///
/// `rounded(value)` is ⌊value / step + ½⌋, computed from the bits of `value` without rounding on the
/// way, fast enough for every weight of a network.
struct QuantizationStep {
  /// The step is mantissa·2^exponent, mantissa below 2⁶².
  private let mantissa: Int64
  private let exponent: Int

  /// - Precondition: not zero.
  init(_ scale: Scale) {
    precondition(scale != .zero, "a step is not zero")
    mantissa = Int64(scale.mantissa)
    exponent = Int(scale.exponent) - 31
  }

  /// The product, not rounded to a Scale: what one unit of an accumulator stands for.
  ///
  /// - Precondition: neither is zero.
  init(_ a: Scale, _ b: Scale) {
    precondition(a != .zero && b != .zero, "a step is not zero")
    mantissa = Int64(a.mantissa) * Int64(b.mantissa)
    exponent = Int(a.exponent) + Int(b.exponent) - 62
  }

  func rounded(_ value: Float) -> Int64 { rounded(BinaryParts(value)) }
  func rounded(_ value: Double) -> Int64 { rounded(BinaryParts(value)) }

  /// ±2⁴⁰ stands for everything beyond.
  private func rounded(_ value: BinaryParts) -> Int64 {
    let places = value.exponent - exponent
    // |value / step| lies within a factor of two of 2^size.
    let size = bits(value.significand) + places - bits(mantissa)
    if value.significand == 0 || size < -2 { return 0 }
    if size > 40 { return value.significand < 0 ? -1 << 40 : 1 << 40 }
    // ⌊(2·value + step) / (2·step)⌋; with 53 and 62 bits and size ≤ 40 both stay below 2¹²⁰.
    let above = Int128(value.significand) << Int128(max(places, 0))
    let below = Int128(mantissa) << Int128(max(-places, 0))
    let (quotient, remainder) = (2 * above + below).quotientAndRemainder(dividingBy: 2 * below)
    return Int64(remainder < 0 ? quotient - 1 : quotient)
  }

  private func bits(_ value: Int64) -> Int { 64 - value.magnitude.leadingZeroBitCount }
}

extension Scale {
  /// The value as a Double, exactly: for tables and reports, never for a byte of a model.
  var double: Double {
    Double(sign: .plus, exponent: Int(exponent) - 31, significand: Double(mantissa))
  }
}
