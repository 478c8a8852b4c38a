import Importers
public import Tally

extension Tally.Operation {
  /// The operation's name for tables.
  public var words: String {
    if case .convolution(let shape) = self, shape.isDepthwise { return "depthwise convolution" }
    return kindName
  }
}

extension Shape {
  /// `8×8×1`.
  public var words: String { "\(height)×\(width)×\(channels)" }
}

extension Scale {
  /// About four digits, for tables; `decimalText` is the exact one.
  public var shortText: String {
    if self == .zero { return "0" }
    // Far from one, the exponent says more than any number of zeros.
    guard exponent > -30, exponent < 31 else { return "\(mantissa)*2^\(exponent - 31)" }
    var places = 4
    var threshold = exponent
    // A digit more for every 3.3 bits below one.
    while threshold <= -3 {
      places += 1
      threshold += 3
    }
    let shift = UInt64(31 - exponent)
    let power = (0..<places).reduce(UInt128(1)) { power, _ in power * 10 }
    let digits = (UInt128(mantissa) * power + (UInt128(1) << UInt128(shift)) / 2) >> UInt128(shift)
    return DecimalText.fixed(digits, places: places)
  }
}
