public import Importers
public import Tally

extension Scale {
  /// An exact ratio rounded once, half up, to a mantissa of 31 bits (Formats/recipe.md).
  ///
  /// - Parameter ratio: not negative.
  public init(rounding ratio: ExactRatio) {
    precondition(ratio.numerator >= 0, "a Scale is never negative")
    guard ratio.numerator > 0 else {
      self = .zero
      return
    }
    let above = UInt64(ratio.numerator)
    let below = UInt64(ratio.denominator)
    // The value lies in (2^(e−1), 2^(e+1)); the exact quotient, not the rounded one, says which half.
    var exponent = Int32(below.leadingZeroBitCount) - Int32(above.leadingZeroBitCount)
    if quotient(above, below, shift: 31 - exponent, rounded: false) >= 1 << 31 { exponent += 1 }
    var mantissa = quotient(above, below, shift: 31 - exponent, rounded: true)
    if mantissa == 1 << 31 {
      mantissa = 1 << 30
      exponent += 1
    }
    // Sixty-four bits above and below keep the exponent within ±64.
    self = Scale(mantissa: Int32(mantissa), exponent: exponent)!
  }
}

/// ⌊above·2^shift / below⌋, or with ½ added before.
///
/// - Parameter shift: −63…94; the quotient of 63-bit numbers shifted to 32 bits needs no more.
private func quotient(_ above: UInt64, _ below: UInt64, shift: Int32, rounded: Bool) -> UInt64 {
  let numerator = shift > 0 ? UInt128(above) << UInt128(shift) : UInt128(above)
  let denominator = shift < 0 ? UInt128(below) << UInt128(-shift) : UInt128(below)
  return UInt64((2 * numerator + (rounded ? denominator : 0)) / (2 * denominator))
}

extension ExactRatio {
  /// ⌊value·2^bits + ½⌋.
  ///
  /// - Precondition: the value is not negative and the result is below 2⁶³.
  public func rounded(fractionBits bits: Int32) -> UInt64 {
    quotient(UInt64(numerator), UInt64(denominator), shift: bits, rounded: true)
  }
}

/// The shortest decimal that a rule rounds to a given stored number.
///
/// A stored 1717986918·2^−35 says nothing to people; `0.05` does, and names the same bits because the
/// rule has no choice. `isSame` asks the rule.
///
/// - Parameters:
///   - mantissa: the stored number is mantissa / 2^shift.
///   - shift: 0…62; beyond, no decimal of 64 bits comes near.
/// - Returns: nil when no decimal with a 64-bit numerator and denominator rounds to it.
func shortestDecimal(
  _ mantissa: UInt64, shift: Int32, isSame: (ExactRatio) -> Bool
) -> String? {
  guard shift >= 0, shift <= 94 else { return nil }
  var power: Int64 = 1
  for places in 0...18 {
    let wide = UInt128(mantissa) * UInt128(power)
    let half = shift == 0 ? 0 : UInt128(1) << UInt128(shift - 1)
    let digits = (wide + half) >> UInt128(shift)
    if let above = Int64(exactly: digits), let ratio = ExactRatio(above, power), isSame(ratio) {
      return DecimalText.fixed(digits, places: places)
    }
    if places < 18 { power *= 10 }
  }
  return nil
}

extension Scale {
  /// The shortest decimal or, where there is none of 64 bits, mantissa and power of two.
  public var decimalText: String {
    if self == .zero { return "0" }
    // Take out the factors of two, so that large numbers are integers.
    let zeros = Int32(mantissa.trailingZeroBitCount)
    let shift = 31 - exponent - zeros
    let odd = UInt64(mantissa >> zeros)
    if shift < 0, shift > -32 { return String(odd << UInt64(-shift)) }
    return shortestDecimal(odd, shift: shift) { Scale(rounding: $0) == self }
      ?? "\(mantissa)*2^\(exponent - 31)"
  }
}
