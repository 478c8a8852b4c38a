public import Tally

extension Scale {
  /// The value in full: a Scale is a dyadic fraction, so its decimals end.
  ///
  /// A program that reads this text as an exact fraction has mantissa·2^(exponent − 31) and nothing
  /// else. `decimalText` (in recipes) is the shortest text that rounds to a Scale, which is not that.
  public var exactDecimal: String {
    if self == .zero { return "0" }
    let places = 31 - Int(exponent)
    // m·2^k is written as it is; m/2^k is m·5^k with the point moved k places.
    var digits = DecimalDigits(UInt32(mantissa))
    for _ in 0..<abs(places) { digits.multiply(by: places > 0 ? 5 : 2) }
    let text = digits.text
    guard places > 0 else { return text }
    let padded = String(repeating: "0", count: max(0, places + 1 - text.count)) + text
    let whole = padded.dropLast(places)
    var fraction = padded.suffix(places)
    while fraction.last == "0" { fraction.removeLast() }
    return fraction.isEmpty ? String(whole) : "\(whole).\(fraction)"
  }
}

/// A natural number that knows its decimal digits.
private struct DecimalDigits {
  private static let base: UInt64 = 1_000_000_000
  /// Nine digits each, lowest first.
  private var limbs: [UInt64]

  init(_ value: UInt32) {
    limbs = [UInt64(value) % Self.base, UInt64(value) / Self.base]
  }

  mutating func multiply(by factor: UInt64) {
    var carry: UInt64 = 0
    for index in limbs.indices {
      let product = limbs[index] * factor + carry
      limbs[index] = product % Self.base
      carry = product / Self.base
    }
    if carry > 0 { limbs.append(carry) }
  }

  var text: String {
    var text = ""
    for limb in limbs.reversed() {
      let digits = String(limb)
      text += text.isEmpty && limb == 0 ? "" : text.isEmpty ? digits : padded(digits)
    }
    return text.isEmpty ? "0" : text
  }

  private func padded(_ digits: String) -> String {
    String(repeating: "0", count: 9 - digits.count) + digits
  }
}
