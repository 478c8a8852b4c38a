import Importers
import Tally

/// How each key of a recipe is read (Formats/recipe.md).
extension LayeredObject {
  mutating func count(_ key: String, in range: ClosedRange<Int64>) throws(InputError) -> UInt32? {
    guard let element = take(key) else { return nil }
    return UInt32(try element.integer(in: range))
  }

  /// A number of samples: 1…limit.
  mutating func size(_ key: String, to limit: Int64) throws(InputError) -> UInt32? {
    guard let element = take(key) else { return nil }
    do throws(InputError) {
      return UInt32(try element.integer(in: 1...limit))
    } catch {
      var error = error
      if error.code == 802, case .number = element.value.content { error.code = 807 }
      throw error
    }
  }

  /// 0…2⁶⁴ − 1, which is more than an `Int64`.
  mutating func seed(_ key: String) throws(InputError) -> UInt64? {
    guard let element = take(key) else { return nil }
    if case .number(let text) = element.value.content, let seed = UInt64(text) { return seed }
    // What is no integer at all has its own words; the rest is out of this range.
    do throws(InputError) {
      _ = try element.integer(in: 0...Int64.max)
    } catch  where error.note == nil {
      throw error
    } catch {}
    throw element.outOfRange("0 to 18446744073709551615")
  }

  mutating func scale(_ key: String) throws(InputError) -> Scale? {
    try take(key)?.scale()
  }

  /// Q15, 0…0.99.
  mutating func momentum(_ key: String) throws(InputError) -> UInt16? {
    guard let element = take(key) else { return nil }
    let ratio = try element.ratio()
    guard ratio.numerator >= 0, ratio.isAtMost(ExactRatio(99, 100)!) else {
      throw element.outOfRange("\"0\" to \"0.99\"")
    }
    return UInt16(ratio.rounded(fractionBits: 15))
  }

  /// One of a few words.
  mutating func word<Value>(
    _ key: String, _ words: [(String, Value)]
  ) throws(InputError) -> Value? {
    guard let element = take(key) else { return nil }
    let text = try element.string()
    if let found = words.first(where: { $0.0 == text }) { return found.1 }
    throw element.unknownWord(text, known: words.map(\.0))
  }

  mutating func rates(_ rate: Scale, scales: Scale) throws(InputError) -> RecipeFields.Rates {
    var rates = RecipeFields.Rates(all: rate)
    rates.scales = scales
    guard var groups = try object("learningRates") else { return rates }
    rates.weights = try groups.scale("weights") ?? rate
    rates.biases = try groups.scale("biases") ?? rate
    rates.head = try groups.scale("head") ?? rate
    rates.scales = try groups.scale("scales") ?? scales
    try groups.finish()
    return rates
  }

  mutating func schedule(into fields: inout RecipeFields) throws(InputError) {
    guard var schedule = try object("schedule") else { return }
    fields.schedule =
      try schedule.word(
        "kind", [("constant", .constant), ("cosine", .cosine), ("step", .step)]) ?? .cosine
    fields.warmup = try schedule.count("warmup", in: 0...1 << 30) ?? 0
    let factors = schedule.take("factors")
    try schedule.finish()
    guard let factors else {
      guard fields.schedule == .step else { return }
      throw InputError(
        805, "a step schedule needs factors", place: "$.schedule",
        help: "{\"kind\": \"step\", \"factors\": [\"1\", \"0.1\"]}", exit: 2)
    }
    guard fields.schedule == .step else {
      throw InputError(
        805, "factors belong to the step schedule", place: factors.place,
        help: "{\"kind\": \"step\", \"factors\": [\"1\", \"0.1\"]}", exit: 2)
    }
    let elements = try factors.array()
    guard (1...1_000_000).contains(elements.count) else {
      throw factors.outOfRange("1 to 1000000 factors")
    }
    for element in elements {
      let ratio = try element.ratio()
      guard ratio.numerator >= 0, ratio.isAtMost(ExactRatio(2)) else {
        throw element.outOfRange("\"0\" to \"2\"")
      }
      fields.factors.append(UInt32(ratio.rounded(fractionBits: 30)))
    }
  }

  /// Whether Scales are tracked; only an initialised model's may be (SPEC 8.9).
  mutating func ranges(
    _ model: LoadedModel, byDefault: Bool
  ) throws(InputError) -> Bool {
    let isInitialized = model.network.isInitialized
    let element = take("ranges")
    guard let element else { return isInitialized && byDefault }
    switch try element.string() {
    case "frozen": return false
    case "track":
      if isInitialized { return true }
      throw InputError(
        802, "the ranges of a converted model cannot be tracked", place: element.place,
        note: "its Scales come from calibration; only a model made by tally init moves them",
        help: "leave ranges out, or write \"frozen\"", exit: 2)
    case let text: throw element.unknownWord(text, known: ["track", "frozen"])
    }
  }
}

extension ExactRatio {
  /// - Precondition: neither is negative.
  func isAtMost(_ other: ExactRatio) -> Bool {
    UInt128(numerator) * UInt128(other.denominator)
      <= UInt128(other.numerator) * UInt128(denominator)
  }
}

extension JSONElement {
  /// A number of SPEC 3.2, rounded once.
  func scale() throws(InputError) -> Scale {
    let ratio = try ratio()
    guard ratio.numerator >= 0 else { throw outOfRange("numbers from 0") }
    return Scale(rounding: ratio)
  }

  func outOfRange(_ allowed: String) -> InputError {
    let written =
      switch value.content {
      case .number(let text): text
      case .string(let text): "\"\(text)\""
      case .null, .bool, .array, .object: "the value"
      }
    return InputError(
      802, "\(written) is out of range", place: place, note: "allowed are \(allowed)", exit: 2)
  }

  func unknownWord(_ text: String, known: [String]) -> InputError {
    let near = nearestNames(to: text, among: known)
    return InputError(
      802, "\u{2018}\(text)\u{2019} is not known here", place: place,
      note: "known are \(known.joined(separator: ", "))",
      help: near.first.map { "did you mean \u{2018}\($0)\u{2019}?" }, exit: 2)
  }
}
