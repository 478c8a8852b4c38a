import Tally

/// Keys of an exported file's metadata: what float32 and ONNX cannot say. The importer reads them.
enum ONNXExportKey {
  /// {initialiser: [mantissa, exponent, …]}: the Scales that its float32 values are the nearest to.
  static let scales = "tally.scales"
  /// [[mantissa, exponent, sign, offset in Q32], …]: the input maps (SPEC 5.4).
  static let inputMaps = "tally.inputMaps"
  static let classNames = "tally.classNames"
  static let digest = "tally.modelDigest"
  static let note = "tally.note"
}

extension ONNXExport {
  func metadata(digest: String) -> [ONNXProperty] {
    func list(_ numbers: [Int64]) -> String {
      "[\(numbers.map(String.init).joined(separator: ", "))]"
    }
    func pair(_ scale: Scale) -> [Int64] { [Int64(scale.mantissa), Int64(scale.exponent)] }
    var properties: [ONNXProperty] = []
    if !isDequantized {
      let entries = exactScales.map { "\(jsonText($0.name)): \(list($0.scales.flatMap(pair)))" }
      properties.append(
        ONNXProperty(key: ONNXExportKey.scales, value: "{\(entries.joined(separator: ", "))}"))
      let maps = model.inputMaps.map { list(pair($0.scale) + [$0.isNegative ? 1 : 0, $0.offset]) }
      properties.append(
        ONNXProperty(key: ONNXExportKey.inputMaps, value: "[\(maps.joined(separator: ", "))]"))
    }
    if !model.classNames.isEmpty {
      let names = model.classNames.map(jsonText).joined(separator: ", ")
      properties.append(ONNXProperty(key: ONNXExportKey.classNames, value: "[\(names)]"))
    }
    properties.append(ONNXProperty(key: ONNXExportKey.digest, value: digest))
    properties.append(
      ONNXProperty(
        key: ONNXExportKey.note,
        value: isDequantized
          ? "dequantised: float32 stands for the model's integers"
          : "other runtimes round in floating point: close to tally's answers, not bit for bit"))
    return properties
  }
}
