/// A decimal number as it was written: `sign · magnitude · 10^exponent`, never through floating
/// point.
///
/// Values are kept in lowest terms (no trailing zero in `magnitude`), so equal numbers are equal
/// values: `1.50`, `15e-1` and `+001.5` all become 15 · 10⁻¹. Up to 19 significant digits are
/// exact, which covers what `repr` and `savetxt` write for a double; digits above 2⁶⁴ − 1 are an
/// error, not a rounding.
public struct ExactDecimal: Sendable, Hashable, CustomStringConvertible {
  /// True for numbers below zero; zero is never negative.
  public let isNegative: Bool
  /// The significant digits as an integer: 0, or not divisible by ten.
  public let magnitude: UInt64
  /// The power of ten, −999…999; 0 for zero.
  public let exponent: Int

  public static let exponentLimit = 999

  /// - Parameter exponent: such that the lowest form's exponent is within ±999.
  /// - Returns: nil when it is not.
  public init?(isNegative: Bool = false, magnitude: UInt64, exponent: Int) {
    var magnitude = magnitude
    var exponent = exponent
    while magnitude != 0, magnitude % 10 == 0 {
      magnitude /= 10
      exponent += 1
    }
    if magnitude == 0 { exponent = 0 }
    guard abs(exponent) <= Self.exponentLimit else { return nil }
    self.isNegative = isNegative && magnitude != 0
    self.magnitude = magnitude
    self.exponent = exponent
  }

  public init(_ integer: Int64) {
    self.init(isNegative: integer < 0, magnitude: integer.magnitude, exponent: 0)!
  }

  /// Reads `[+-]digits[.digits][(e|E)[+-]digits]`; `.5` and `5.` are read too.
  ///
  /// - Returns: nil when the text is not of this form, or not exact in this type.
  public init?(parsing text: String) {
    var text = text
    let parsed = text.withUTF8 { Self.parse($0) }
    guard case .success(let value) = parsed else { return nil }
    self = value
  }

  /// What stands between some text and a number.
  enum Fault: Error { case notANumber, tooManyDigits, exponentOutOfRange }

  static func parse(_ text: some RandomAccessCollection<UInt8>) -> Result<ExactDecimal, Fault> {
    var rest = text[...]
    var isNegative = false
    if let sign = rest.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
      isNegative = sign == UInt8(ascii: "-")
      rest = rest.dropFirst()
    }
    var magnitude: UInt64 = 0
    var exponent = 0
    var pendingZeros = 0  // zeros that count only if another digit follows
    var hasDigits = false
    var isFraction = false
    var isTooLong = false
    while let byte = rest.first {
      if byte == UInt8(ascii: "."), !isFraction {
        isFraction = true
      } else if (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
        hasDigits = true
        if isFraction { exponent -= 1 }
        pendingZeros += 1
        let digit = UInt64(byte - UInt8(ascii: "0"))
        if digit != 0 {
          isTooLong = !append(digit, after: pendingZeros, to: &magnitude) || isTooLong
          pendingZeros = 0
        }
      } else {
        break
      }
      rest = rest.dropFirst()
    }
    guard hasDigits else { return .failure(.notANumber) }
    exponent += pendingZeros
    if let letter = rest.first, letter | 0x20 == UInt8(ascii: "e") {
      guard let power = parseExponent(rest.dropFirst()) else { return .failure(.notANumber) }
      exponent += power
      rest = rest.suffix(0)
    }
    guard rest.isEmpty else { return .failure(.notANumber) }
    guard !isTooLong else { return .failure(.tooManyDigits) }
    guard
      let value = ExactDecimal(isNegative: isNegative, magnitude: magnitude, exponent: exponent)
    else { return .failure(.exponentOutOfRange) }
    return .success(value)
  }

  /// `magnitude · 10^places + digit`; false when that needs more than 64 bits.
  private static func append(_ digit: UInt64, after places: Int, to magnitude: inout UInt64) -> Bool
  {
    for _ in 0..<places where magnitude != 0 {
      let (product, overflow) = magnitude.multipliedReportingOverflow(by: 10)
      if overflow { return false }
      magnitude = product
    }
    let (sum, overflow) = magnitude.addingReportingOverflow(digit)
    magnitude = sum
    return !overflow
  }

  /// A signed exponent, held at ±2⁴⁰: no file has digits enough to bring that back into range.
  private static func parseExponent(_ text: some RandomAccessCollection<UInt8>) -> Int? {
    var rest = text[...]
    var isNegative = false
    if let sign = rest.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
      isNegative = sign == UInt8(ascii: "-")
      rest = rest.dropFirst()
    }
    if rest.isEmpty { return nil }
    var power = 0
    for byte in rest {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
      power = min(power * 10 + Int(byte - UInt8(ascii: "0")), 1 << 40)
    }
    return isNegative ? -power : power
  }

  /// The value as an integer, or nil when it has a fraction or does not fit.
  public var integer: Int64? {
    guard exponent >= 0, let power = powerOfTen(exponent) else {
      return magnitude == 0 ? 0 : nil
    }
    let (product, overflow) = magnitude.multipliedReportingOverflow(by: power)
    if overflow { return nil }
    // −2⁶³ has a magnitude that no positive Int64 has.
    if isNegative, product == Int64.min.magnitude { return .min }
    return Int64(exactly: product).map { isNegative ? -$0 : $0 }
  }

  /// Digits and a power of ten: `-15e-1`, `3`.
  public var description: String {
    "\(isNegative ? "-" : "")\(magnitude)" + (exponent == 0 ? "" : "e\(exponent)")
  }
}

/// 10^k for k in 0…19, the powers that fit 64 bits.
func powerOfTen(_ k: Int) -> UInt64? {
  guard (0...19).contains(k) else { return nil }
  return (0..<k).reduce(1) { power, _ in power * 10 }
}
