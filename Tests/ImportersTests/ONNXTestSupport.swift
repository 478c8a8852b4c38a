import Foundation
import Importers
import TallyTestSupport
import Testing

/// The error code of reading a sketch; nil if it is accepted.
func code(_ sketch: ONNXSketch, _ options: ONNXImportOptions = ONNXImportOptions()) -> Int? {
  fault { () throws(InputError) in _ = try sketch.network(options) }?.code
}

/// Element i of sample k is ((7 i + 13 k + 3) mod 251) / 125 − 1, in the file's own order.
func ruledInput(_ count: Int, sample: Int) -> [Float] {
  (0..<count).map { Float(($0 * 7 + 13 * sample + 3) % 251) / 125 - 1 }
}

/// Puts channels last if the network's file has them first.
func channelsLast(_ values: [Float], _ shape: TensorShape, _ layout: DataLayout) -> [Float] {
  guard layout == .nchw else { return values }
  let positions = shape.height * shape.width
  return (0..<values.count).map {
    values[
      $0 / shape.count * shape.count + $0 % shape.channels * positions
        + $0 % shape.count / shape.channels]
  }
}

/// The opposite: from memory to the order of the file.
func fileOrder(_ values: [Float], _ shape: TensorShape, _ layout: DataLayout) -> [Float] {
  guard layout == .nchw else { return values }
  let positions = shape.height * shape.width
  return (0..<values.count).map {
    values[
      $0 / shape.count * shape.count + $0 % positions * shape.channels
        + $0 % shape.count / positions]
  }
}

/// The largest difference, relative to the largest expected value.
func relativeError(_ found: [Float], _ expected: [Float]) -> Float {
  guard found.count == expected.count, !found.isEmpty else { return .infinity }
  let scale = expected.map { abs($0) }.max() ?? 0
  var worst: Float = 0
  for (a, b) in zip(found, expected) {
    // NaN must not pass for a small difference.
    guard abs(a - b) <= .greatestFiniteMagnitude else { return .infinity }
    worst = max(worst, abs(a - b))
  }
  return worst / max(scale, 1e-6)
}

/// The folder of this target's ONNX fixtures.
let onnxFixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  .appendingPathComponent("Fixtures/onnx").path
