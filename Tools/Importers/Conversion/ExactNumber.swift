import Tally

/// A rational number ±(numerator / denominator)·2^exponent of any size.
///
/// Floats, decimals, ratios and Scales all are such numbers, so whatever the converter computes with
/// it is rounded where it says `rounded`, once, and nowhere else.
struct ExactNumber: Sendable {
  private let isNegative: Bool
  private let numerator: Natural
  private let denominator: Natural
  private let exponent: Int

  private init(isNegative: Bool, _ numerator: Natural, over denominator: Natural, exponent: Int) {
    self.isNegative = isNegative && !numerator.isZero
    self.numerator = numerator
    self.denominator = denominator
    self.exponent = exponent
  }

  init(_ value: Int64) {
    self.init(
      isNegative: value < 0, Natural(value.magnitude), over: Natural(1), exponent: 0)
  }

  /// - Precondition: finite.
  init(exactly value: Double) {
    let parts = BinaryParts(value)
    self.init(
      isNegative: parts.significand < 0, Natural(parts.significand.magnitude),
      over: Natural(1), exponent: parts.exponent)
  }

  init(_ ratio: ExactRatio) {
    self.init(
      isNegative: ratio.numerator < 0, Natural(ratio.numerator.magnitude),
      over: Natural(ratio.denominator.magnitude), exponent: 0)
  }

  init(_ decimal: ExactDecimal) {
    let power = Natural.powerOfTen(abs(decimal.exponent))
    let digits = Natural(decimal.magnitude)
    self.init(
      isNegative: decimal.isNegative, decimal.exponent > 0 ? digits * power : digits,
      over: decimal.exponent < 0 ? power : Natural(1), exponent: 0)
  }

  init(_ scale: Scale) {
    self.init(
      isNegative: false, Natural(UInt64(scale.mantissa)), over: Natural(1),
      exponent: Int(scale.exponent) - 31)
  }

  var isZero: Bool { numerator.isZero }

  /// −1, 0 or 1.
  var sign: Int { isZero ? 0 : isNegative ? -1 : 1 }

  var magnitude: ExactNumber {
    ExactNumber(isNegative: false, numerator, over: denominator, exponent: exponent)
  }

  static prefix func - (a: ExactNumber) -> ExactNumber {
    ExactNumber(
      isNegative: !a.isNegative, a.numerator, over: a.denominator, exponent: a.exponent)
  }

  static func * (a: ExactNumber, b: ExactNumber) -> ExactNumber {
    ExactNumber(
      isNegative: a.isNegative != b.isNegative, a.numerator * b.numerator,
      over: a.denominator * b.denominator, exponent: a.exponent + b.exponent)
  }

  /// - Precondition: `b` is not zero.
  static func / (a: ExactNumber, b: ExactNumber) -> ExactNumber {
    precondition(!b.isZero, "division by zero")
    return ExactNumber(
      isNegative: a.isNegative != b.isNegative, a.numerator * b.denominator,
      over: a.denominator * b.numerator, exponent: a.exponent - b.exponent)
  }

  static func + (a: ExactNumber, b: ExactNumber) -> ExactNumber {
    let exponent = min(a.exponent, b.exponent)
    let x = (a.numerator * b.denominator) << (a.exponent - exponent)
    let y = (b.numerator * a.denominator) << (b.exponent - exponent)
    let below = a.denominator * b.denominator
    if a.isNegative == b.isNegative {
      return ExactNumber(isNegative: a.isNegative, x + y, over: below, exponent: exponent)
    }
    return x < y
      ? ExactNumber(isNegative: b.isNegative, y - x, over: below, exponent: exponent)
      : ExactNumber(isNegative: a.isNegative, x - y, over: below, exponent: exponent)
  }

  static func - (a: ExactNumber, b: ExactNumber) -> ExactNumber { a + -b }

  static func < (a: ExactNumber, b: ExactNumber) -> Bool { (a - b).sign < 0 }

  /// self · 2^k.
  func scaled(byPowerOfTwo k: Int) -> ExactNumber {
    ExactNumber(isNegative: isNegative, numerator, over: denominator, exponent: exponent + k)
  }

  /// The nearest float32, give or take one unit in the last place: for reports.
  var float: Float {
    let value = Float(magnitude.scale().double)
    return isNegative ? -value : value
  }

  /// ⌊self⌋, held inside Int64.
  func floor() -> Int64 {
    var (above, below) = (numerator, denominator)
    if exponent > 0 {
      // Beyond any Int64 whatever the digits: do not write them out.
      if above.bitLength + exponent > below.bitLength + 64 { return isNegative ? .min : .max }
      above = above << exponent
    } else {
      // Below one: the shift would only make a long number of zeros.
      if below.bitLength - exponent > above.bitLength + 1 { return isNegative ? -1 : 0 }
      below = below << -exponent
    }
    let (quotient, remainder) = above.divided(by: below)
    guard let word = quotient.word, let magnitude = Int64(exactly: word) else {
      return isNegative ? .min : .max
    }
    return isNegative ? (remainder.isZero ? -magnitude : -magnitude - 1) : magnitude
  }

  /// ⌊self + ½⌋: the nearest integer, ties up; held inside Int64.
  func rounded() -> Int64 {
    (self + ExactNumber(1).scaled(byPowerOfTwo: -1)).floor()
  }

  /// The nearest Scale: 31 bits, rounded once, ties up. Zero stays zero.
  ///
  /// - Precondition: not negative.
  func scale() -> Scale {
    precondition(!isNegative, "a Scale is not negative")
    if isZero { return .zero }
    // The quotient lies in 2^(places − 1) ..< 2^(places + 1): shift it to 31 or 32 bits.
    let places = numerator.bitLength - denominator.bitLength
    let shift = 31 - places
    let above = shift > 0 ? numerator << shift : numerator
    let below = shift < 0 ? denominator << -shift : denominator
    var (quotient, remainder) = above.divided(by: below)
    var power = exponent - shift
    var isHalf = !((remainder << 1) < below)
    if quotient.bitLength == 32 {
      let word = quotient.word ?? 0
      isHalf = word & 1 == 1
      quotient = Natural(word >> 1)
      power += 1
    }
    remainder = quotient + Natural(isHalf ? 1 : 0)
    // Rounding up may carry into a 32nd bit; `Scale` normalises.
    return Scale(remainder.word ?? 0).multiplied(byPowerOfTwo: Int32(clamping: power))
  }
}

/// A finite binary number as significand·2^exponent.
struct BinaryParts {
  /// −2⁵³…2⁵³.
  let significand: Int64
  let exponent: Int

  init(_ value: Float) {
    // The exponent field, and the implied one above the fraction of normal numbers.
    let bits = value.bitPattern
    let field = Int(bits >> 23 & 0xFF)
    let fraction = Int64(bits & 0x7F_FFFF)
    let magnitude = field == 0 ? fraction : fraction | 1 << 23
    significand = bits >> 31 == 1 ? -magnitude : magnitude
    exponent = max(field, 1) - 150
  }

  init(_ value: Double) {
    let bits = value.bitPattern
    let field = Int(bits >> 52 & 0x7FF)
    let fraction = Int64(bits & 0xF_FFFF_FFFF_FFFF)
    let magnitude = field == 0 ? fraction : fraction | 1 << 52
    significand = bits >> 63 == 1 ? -magnitude : magnitude
    exponent = max(field, 1) - 1075
  }
}
