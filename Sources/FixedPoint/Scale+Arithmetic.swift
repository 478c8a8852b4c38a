extension Scale {
  /// The product; relative error at most 2^−30 (SPEC §3).
  ///
  /// p = ⌊(a.mantissa·b.mantissa + 2^30) / 2^31⌋; when p < 2^30 it is doubled and the exponent is
  /// one less. p never reaches 2^31.
  @inlinable
  public static func * (a: Scale, b: Scale) -> Scale {
    if a.mantissa == 0 || b.mantissa == 0 { return .zero }
    var product = (Int64(a.mantissa) &* Int64(b.mantissa) &+ (1 << 30)) &>> 31
    var exponent = Int64(a.exponent) &+ Int64(b.exponent)
    if product < 1 << 30 {
      product &<<= 1
      exponent &-= 1
    }
    return Scale(normalized: Int32(truncatingIfNeeded: product), clamping: exponent)
  }

  /// The quotient; relative error at most 2^−30 (SPEC §3).
  ///
  /// q = ⌊a.mantissa·2^31 / b.mantissa⌋; when q ≥ 2^31 it becomes ⌊(q + 1) / 2⌋ and the exponent is
  /// one more.
  ///
  /// - Parameter b: not zero.
  @inlinable
  public static func / (a: Scale, b: Scale) -> Scale {
    precondition(b.mantissa != 0, "division by a zero scale")
    if a.mantissa == 0 { return .zero }
    let numerator = UInt64(truncatingIfNeeded: a.mantissa) &<< 31
    var quotient = numerator / UInt64(truncatingIfNeeded: b.mantissa)
    var exponent = Int64(a.exponent) &- Int64(b.exponent)
    if quotient >= 1 << 31 {
      quotient = (quotient &+ 1) &>> 1
      exponent &+= 1
    }
    return Scale(normalized: Int32(truncatingIfNeeded: quotient), clamping: exponent)
  }

  /// The square root, rounded down in the last mantissa bit (SPEC §3).
  ///
  /// Even exponent e: mantissa ⌊√(m·2^31)⌋, exponent e/2. Odd: ⌊√(m·2^30)⌋, (e + 1)/2.
  @inlinable
  public func squareRoot() -> Scale {
    if mantissa == 0 { return .zero }
    let odd = exponent & 1
    let radicand = UInt64(truncatingIfNeeded: mantissa) << UInt64(truncatingIfNeeded: 31 &- odd)
    // The radicand lies in [2^60, 2^62), so the root is already normalised.
    return Scale(
      normalized: Int32(truncatingIfNeeded: integerSquareRoot(radicand)),
      clamping: Int64((exponent &+ odd) &>> 1))
  }

  /// The value times 2^k, exactly.
  @inlinable
  public func multiplied(byPowerOfTwo k: Int32) -> Scale {
    if mantissa == 0 { return .zero }
    return Scale(normalized: mantissa, clamping: Int64(exponent) &+ Int64(k))
  }

  /// This scale in the form requantisation uses.
  @inlinable
  public var multiplier: Multiplier { Multiplier(self) }

  /// ⌊value·2^fractionBits + ½⌋, saturated to Int64 (SPEC §3).
  ///
  /// - Parameter fractionBits: any value.
  @inlinable
  public func roundedToInteger(fractionBits: Int32) -> Int64 {
    if mantissa == 0 { return 0 }
    let places = Int64(exponent) &- 31 &+ Int64(fractionBits)
    let wide = Int64(mantissa)
    if places >= 0 {
      return places > 32 ? .max : wide &<< places
    }
    if places < -32 { return 0 }
    return (wide &+ (1 &<< (-places &- 1))) &>> -places
  }
}
