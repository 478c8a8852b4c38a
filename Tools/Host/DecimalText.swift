/// Decimals for people, by integer division: the same digits on every machine.
public enum DecimalText {
  /// `numerator / denominator` with `places` digits after the point, rounded half up.
  ///
  /// - Parameter denominator: at least 1.
  public static func ratio(_ numerator: UInt64, _ denominator: UInt64, places: Int) -> String {
    let power = (0..<places).reduce(UInt128(1)) { power, _ in power * 10 }
    let below = UInt128(denominator)
    let scaled = (UInt128(numerator) * power * 2 + below) / (2 * below)
    return fixed(scaled, places: places)
  }

  /// An integer that counts units of 10^−places.
  static func fixed(_ value: UInt128, places: Int) -> String {
    var digits = String(value)
    guard places > 0 else { return digits }
    if digits.count <= places {
      digits = String(repeating: "0", count: places + 1 - digits.count) + digits
    }
    return "\(digits.dropLast(places)).\(digits.suffix(places))"
  }

  /// A share of 1 with four digits: `0.9500`.
  public static func share(_ part: some BinaryInteger, of whole: some BinaryInteger) -> String {
    whole == 0 ? "0.0000" : ratio(UInt64(part), UInt64(whole), places: 4)
  }

  /// A share in percent with two digits: `95.00 %`.
  public static func percent(_ part: some BinaryInteger, of whole: some BinaryInteger) -> String {
    let text = whole == 0 ? "0.00" : ratio(UInt64(part) * 100, UInt64(whole), places: 2)
    return "\(text) %"
  }

  /// The mean of a sum of Q16 losses (SPEC 7.3), four digits: `0.1873`.
  public static func meanLoss(_ sum: Int64, count: some BinaryInteger) -> String {
    let mean = count == 0 ? "0.0000" : ratio(sum.magnitude, UInt64(count) << 16, places: 4)
    return sum < 0 ? "-\(mean)" : mean
  }

  /// Bytes in the unit that keeps them short: `1.9 KiB`.
  public static func bytes(_ count: Int) -> String {
    guard count >= 1024 else { return "\(count) B" }
    let unit: (Int, String) = count < 1 << 20 ? (1 << 10, "KiB") : (1 << 20, "MiB")
    return "\(ratio(UInt64(count), UInt64(unit.0), places: 1)) \(unit.1)"
  }

  /// Thousands apart: `1,437`.
  public static func grouped(_ count: some BinaryInteger) -> String {
    var text = ""
    let digits = Array(String(count))
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index) % 3 == 0, digits[index - 1] != "-" { text += "," }
      text.append(digit)
    }
    return text
  }
}
