/// A non-negative real number mantissa·2^(exponent − 31) with 31 significant bits (SPEC §3).
///
/// The mantissa is 0 for zero (then the exponent is 0 too) or lies in 2^30…2^31 − 1, so a non-zero
/// value lies in [2^(exponent−1), 2^exponent) and equal values have equal fields.
/// Arithmetic keeps exponents inside −8192…8192: a result that would leave this range keeps its
/// mantissa and takes the nearest end. Up to fifteen stored scales multiplied never get there.
public struct Scale: Equatable, Sendable {
  public let mantissa: Int32
  public let exponent: Int32

  /// The largest exponent a result can have; the smallest is its negative.
  @usableFromInline static var exponentLimit: Int64 { 8192 }

  /// Restores a Scale that arithmetic has produced and that was kept as two words.
  /// - Precondition: normalised, or both 0.
  package init(restoring mantissa: Int32, exponent: Int32) {
    precondition(mantissa >= 1 << 30 || (mantissa == 0 && exponent == 0), "not a Scale")
    self.mantissa = mantissa
    self.exponent = exponent
  }

  /// - Parameter normalized: 2^30…2^31 − 1.
  /// - Parameter exponent: any sum or difference of exponents; clamped to −8192…8192.
  @inlinable
  init(normalized mantissa: Int32, clamping exponent: Int64) {
    self.mantissa = mantissa
    self.exponent = Int32(
      truncatingIfNeeded: max(-Scale.exponentLimit, min(exponent, Scale.exponentLimit)))
  }

  @inlinable
  init(zero: Void) {
    mantissa = 0
    exponent = 0
  }

  /// The number 0.
  @inlinable
  public static var zero: Scale { Scale(zero: ()) }

  /// 2^k.
  ///
  /// - Parameter k: −8193…8191; beyond, the nearest of these two.
  @inlinable
  public static func powerOfTwo(_ k: Int32) -> Scale {
    Scale(normalized: 1 << 30, clamping: Int64(k) &+ 1)
  }

  /// An integer: exact below 2^31, otherwise rounded half up to 31 significant bits.
  @inlinable
  public init(_ value: UInt64) {
    if value == 0 {
      self.init(zero: ())
      return
    }
    var exponent = Int64(bitLength(value))
    var mantissa: UInt64
    if exponent <= 31 {
      mantissa = value << UInt64(31 &- exponent)
    } else {
      let shift = UInt64(exponent &- 31)
      // `value + half` overflows near 2^64: shift first and add the highest lost bit.
      mantissa = (value >> shift) &+ ((value >> (shift &- 1)) & 1)
      if mantissa == 1 << 31 {
        mantissa >>= 1
        exponent &+= 1
      }
    }
    self.init(normalized: Int32(truncatingIfNeeded: mantissa), clamping: exponent)
  }

  /// A scale from stored fields; `nil` unless they are the canonical form of a value.
  ///
  /// - Parameter mantissa: 0, or 2^30…2^31 − 1.
  /// - Parameter exponent: −512…512, and 0 when the mantissa is 0.
  @inlinable
  public init?(mantissa: Int32, exponent: Int32) {
    if mantissa == 0 {
      guard exponent == 0 else { return nil }
    } else {
      guard mantissa >= 1 << 30, exponent >= -512, exponent <= 512 else { return nil }
    }
    self.mantissa = mantissa
    self.exponent = exponent
  }
}

extension Scale: Comparable {
  /// Zero first, then by exponent, then by mantissa.
  @inlinable
  public static func < (a: Scale, b: Scale) -> Bool {
    // Exponent first, without this line, would rank zero (exponent 0) above every value below ½.
    if a.mantissa == 0 || b.mantissa == 0 { return a.mantissa < b.mantissa }
    return a.exponent == b.exponent ? a.mantissa < b.mantissa : a.exponent < b.exponent
  }
}
