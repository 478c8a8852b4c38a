import Importers
public import Tally

/// The key `sparseGradients`: how much of each gradient is kept (SPEC 8.12).
extension LayeredObject {
  mutating func sparseGradients() throws(InputError) -> SparseGradients? {
    guard var object = try object("sparseGradients") else { return nil }
    let isTopK =
      try object.word("kind", [("tinyprop", false), ("topk", true)]) ?? false
    let headMinimum = try object.count("headMinimum", in: 2...65_535) ?? 2
    var fields: SparseGradients
    if isTopK {
      guard let ratio = try object.share("ratio") else {
        throw InputError(
          805, "a top-k of which ratio?", place: "$.sparseGradients",
          help: "{\"kind\": \"topk\", \"ratio\": \"0.25\"}", exit: 2)
      }
      fields = SparseGradients(minimum: ratio, maximum: ratio)
    } else {
      // 0.15·2¹⁵, rounded.
      fields = SparseGradients(
        minimum: try object.share("minimum") ?? 4915,
        maximum: try object.share("maximum") ?? 1 << 15,
        damping: try object.share("zeta") ?? 1 << 15,
        decayShift: Int32(try object.count("decay", in: 0...30) ?? 0))
    }
    fields.headMinimum = Int32(headMinimum)
    try object.finish()
    guard fields.minimum <= fields.maximum else {
      throw InputError(
        802, "the minimum of sparse gradients is above the maximum", place: "$.sparseGradients",
        help: "--set sparseGradients.maximum=1", exit: 2)
    }
    return fields
  }

  /// A decimal 0…1 in Q15.
  private mutating func share(_ key: String) throws(InputError) -> Int32? {
    guard let element = take(key) else { return nil }
    let ratio = try element.ratio()
    guard ratio.numerator >= 0, ratio.isAtMost(ExactRatio(1)) else {
      throw element.outOfRange("\"0\" to \"1\"")
    }
    return Int32(ratio.rounded(fractionBits: 15))
  }
}

extension SparseGradients {
  /// The recipe's block (Formats/recipe.md).
  public var bytes: [UInt8] {
    let words = [minimum, maximum, damping, headMinimum]
    return words.flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] } + [UInt8(decayShift), 0, 0, 0]
  }

  /// As a recipe writes it.
  public var json: JSONOutput {
    func text(_ share: Int32) -> JSONOutput {
      .string(
        shortestDecimal(UInt64(share), shift: 15) { $0.rounded(fractionBits: 15) == share }
          ?? "\(share)/32768")
    }
    return [
      "kind": "tinyprop", "minimum": text(minimum), "maximum": text(maximum),
      "zeta": text(damping), "decay": JSONOutput(decayShift),
      "headMinimum": JSONOutput(headMinimum),
    ]
  }
}
