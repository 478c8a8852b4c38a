/// A rational number in lowest terms with a positive denominator, both of 64 bits.
///
/// Recipes write `"0.1"`, `"1e-3"` or `"1/256"`; all three are read exactly and rounded once, later,
/// to the fixed-point type that needs them.
public struct ExactRatio: Sendable, Hashable, CustomStringConvertible {
  public let numerator: Int64
  /// At least 1.
  public let denominator: Int64

  /// - Returns: nil when `denominator` is zero or the lowest terms do not fit.
  public init?(_ numerator: Int64, _ denominator: Int64) {
    self.init(
      isNegative: (numerator < 0) != (denominator < 0), numerator.magnitude, denominator.magnitude)
  }

  public init(_ integer: Int64) {
    numerator = integer
    denominator = 1
  }

  private init?(isNegative: Bool, _ numerator: UInt64, _ denominator: UInt64) {
    guard denominator != 0 else { return nil }
    let divisor = greatestCommonDivisor(numerator, denominator)
    let reduced = numerator / divisor
    guard let below = Int64(exactly: denominator / divisor) else { return nil }
    // −2⁶³ has a magnitude that no positive Int64 has.
    if isNegative, reduced == Int64.min.magnitude {
      self.numerator = .min
    } else {
      guard let above = Int64(exactly: reduced) else { return nil }
      self.numerator = isNegative ? -above : above
    }
    self.denominator = below
  }

  /// The exact value of a decimal.
  ///
  /// - Returns: nil when its lowest terms need more than 64 bits, as 10⁻¹⁹ does.
  public init?(_ decimal: ExactDecimal) {
    var above = decimal.magnitude
    var below: UInt64 = 1
    // 10^−k = 2^−k · 5^−k: cancel before multiplying, so that 2⁻²⁰ written as a decimal still fits.
    for prime in [2, 5] as [UInt64] where decimal.magnitude != 0 {
      for _ in 0..<abs(decimal.exponent) {
        if decimal.exponent < 0, above % prime == 0 {
          above /= prime
          continue
        }
        let overflow: Bool
        if decimal.exponent < 0 {
          (below, overflow) = below.multipliedReportingOverflow(by: prime)
        } else {
          (above, overflow) = above.multipliedReportingOverflow(by: prime)
        }
        if overflow { return nil }
      }
    }
    self.init(isNegative: decimal.isNegative, above, below)
  }

  /// Reads a decimal, an integer, or two integers with a slash between them.
  ///
  /// - Returns: nil when the text is neither, divides by zero, or needs more than 64 bits.
  public init?(parsing text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    switch parts.count {
    case 1:
      guard let decimal = ExactDecimal(parsing: text) else { return nil }
      self.init(decimal)
    case 2:
      guard let above = Int64(parts[0]), let below = Int64(parts[1]) else { return nil }
      self.init(above, below)
    default: return nil
    }
  }

  /// `1/256`, or `3` when the denominator is one.
  public var description: String {
    denominator == 1 ? "\(numerator)" : "\(numerator)/\(denominator)"
  }
}

private func greatestCommonDivisor(_ a: UInt64, _ b: UInt64) -> UInt64 {
  var (a, b) = (a, b)
  while b != 0 { (a, b) = (b, a % b) }
  return a
}
