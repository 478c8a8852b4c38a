import Importers
import Tally
import TallyHost

/// What a conversion has to say, as a table and as JSON.
struct ConversionTable {
  let result: ConversionResult

  init(_ result: ConversionResult) { self.result = result }

  func print(_ model: LoadedModel, _ console: Console) {
    var table = TextTable(
      ["layer", "kind", "output", "range", "scale", "SQNR", "weights", "saturated", "params"],
      words: [0, 1])
    for row in result.rows {
      table.add([
        row.name, row.kind, row.outputShape.description,
        row.range.map { "\(short($0.lowerBound))…\(short($0.upperBound))" } ?? "-", row.scale,
        decibels(row.signalToNoise), decibels(row.weightSignalToNoise),
        row.saturated.map { "\($0) ppm" } ?? "-", DecimalText.grouped(row.parameterCount),
      ])
    }
    console.print(table.text)
    for row in result.rows where !row.notes.isEmpty {
      console.print("  \(row.name): \(row.notes.joined(separator: "; "))")
    }
    console.print()
    if let agreement = result.agreement {
      let total = agreement.sampleCount
      var line = "calibration samples \(total): float and integer agree on "
      line += DecimalText.percent(agreement.agreeing, of: total)
      if let float = agreement.floatCorrect, let integer = agreement.integerCorrect {
        line += "; right: float \(DecimalText.percent(float, of: total))"
        line += ", integer \(DecimalText.percent(integer, of: total))"
      }
      console.print(line)
    }
    console.print("flash  \(DecimalText.grouped(model.byteCount)) bytes")
    console.print("model  \(model.digest.hexadecimal)")
    console.result(json(model))
  }

  private func json(_ model: LoadedModel) -> JSONOutput {
    var members: [(key: String, value: JSONOutput)] = [
      ("modelDigest", .string(model.digest.hexadecimal)), ("bytes", JSONOutput(model.byteCount)),
      ("layers", .array(result.rows.map(json))),
    ]
    if let agreement = result.agreement {
      var parts: [(key: String, value: JSONOutput)] = [
        ("samples", JSONOutput(agreement.sampleCount)),
        ("agreeing", JSONOutput(agreement.agreeing)),
      ]
      if let float = agreement.floatCorrect { parts.append(("floatCorrect", JSONOutput(float))) }
      if let integer = agreement.integerCorrect {
        parts.append(("integerCorrect", JSONOutput(integer)))
      }
      members.append(("agreement", .object(parts)))
    }
    members.append(
      ("warnings", .array(result.warnings.map { .string($0.message) })))
    return .object(members)
  }

  private func json(_ row: ConversionRow) -> JSONOutput {
    [
      "name": .string(row.name), "kind": .string(row.kind),
      "output": .string(row.outputShape.description),
      "low": row.range.map { .string("\($0.lowerBound)") } ?? .null,
      "high": row.range.map { .string("\($0.upperBound)") } ?? .null,
      "scale": .string(row.scale), "zeroPoint": JSONOutput(row.zeroPoint),
      "signalToNoise": row.signalToNoise.map { .string(decimal($0)) } ?? .null,
      "weightSignalToNoise": row.weightSignalToNoise.map { .string(decimal($0)) } ?? .null,
      "saturatedPpm": row.saturated.map { JSONOutput($0) } ?? .null,
      "parameters": JSONOutput(row.parameterCount), "macs": JSONOutput(row.multiplyCount),
      "notes": .array(row.notes.map { .string($0) }),
    ]
  }

  /// Hundredths of a decibel.
  private func decimal(_ hundredths: Int) -> String {
    (hundredths < 0 ? "-" : "")
      + DecimalText.ratio(UInt64(hundredths.magnitude), 100, places: 1)
  }

  private func decibels(_ hundredths: Int?) -> String {
    hundredths.map { "\(decimal($0)) dB" } ?? "-"
  }

  /// Four digits are enough for a table.
  private func short(_ value: Float) -> String {
    if value == 0 { return "0" }
    var text = "\(value)"
    if let point = text.firstIndex(of: "."), !text.contains("e") {
      let whole = text.distance(from: text.startIndex, to: point)
      text = String(text.prefix(max(whole, 6)))
    }
    return text
  }
}
