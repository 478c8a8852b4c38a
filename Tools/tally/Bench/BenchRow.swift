import TallyHost

/// A line of the benchmark: a quantity with what it should be.
struct BenchRow: Sendable {
  /// What fails the check, and what is aimed at.
  struct Bound: Sendable {
    enum Direction: Sendable { case atMost, atLeast }

    let direction: Direction
    let gate: Double
    let goal: Double

    static func atMost(_ gate: Double, goal: Double) -> Bound {
      Bound(direction: .atMost, gate: gate, goal: goal)
    }
    static func atLeast(_ gate: Double, goal: Double) -> Bound {
      Bound(direction: .atLeast, gate: gate, goal: goal)
    }

    func verdict(_ value: Double) -> String {
      func reaches(_ limit: Double) -> Bool {
        direction == .atMost ? value <= limit : value >= limit
      }
      return reaches(goal) ? "goal" : reaches(gate) ? "gate" : "missed"
    }
    var sign: String { direction == .atMost ? "≤" : "≥" }
  }

  let id: String
  let quantity: String
  let value: Double
  /// `µs`, or empty for a ratio.
  let unit: String
  var least: Double?
  var most: Double?
  var digest: String?
  var bound: Bound?

  /// A time.
  init(_ id: String, _ quantity: String, _ timing: BenchTiming, digest: String) {
    (self.id, self.quantity, self.digest) = (id, quantity, digest)
    (value, least, most, unit) = (timing.median, timing.least, timing.most, "µs")
  }

  /// A ratio of times.
  init(_ id: String, _ quantity: String, ratio: Double, _ bound: Bound? = nil, unit: String = "") {
    (self.id, self.quantity, self.bound) = (id, quantity, bound)
    (value, self.unit) = (ratio, unit)
  }

  /// Integers only go into JSON, so numbers are decimal strings.
  var json: JSONOutput {
    func text(_ value: Double?) -> JSONOutput {
      value.map { .string(BenchRow.decimal($0)) } ?? .null
    }
    return [
      "id": .string(id), "quantity": .string(quantity), "value": text(value),
      "unit": .string(unit), "min": text(least), "max": text(most),
      "gate": text(bound?.gate), "goal": text(bound?.goal),
      "sense": bound.map { .string($0.direction == .atMost ? "atMost" : "atLeast") } ?? .null,
      "reached": bound.map { .string($0.verdict(value)) } ?? .null,
      "digest": digest.map { .string($0) } ?? .null,
    ]
  }

  /// Cells of the table for people.
  var cells: [String] {
    let range = least.flatMap { least in
      most.map { "\(BenchRow.decimal(least))–\(BenchRow.decimal($0))" }
    }
    return [
      quantity, BenchRow.decimal(value) + (unit.isEmpty ? "" : " \(unit)"), range ?? "",
      bound.map { "\($0.sign) \(BenchRow.decimal($0.gate))" } ?? "",
      bound.map { "\($0.sign) \(BenchRow.decimal($0.goal))" } ?? "",
      bound.map { $0.verdict(value) } ?? "", digest.map { String($0.prefix(12)) } ?? "",
    ]
  }

  /// Three digits that count.
  static func decimal(_ value: Double) -> String {
    let places = value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3
    var unit = 1
    for _ in 0..<places { unit *= 10 }
    let scaled = Int((value * Double(unit)).rounded())
    guard places > 0 else { return String(scaled) }
    let digits = String(scaled % unit)
    return "\(scaled / unit)." + String(repeating: "0", count: places - digits.count) + digits
  }
}
