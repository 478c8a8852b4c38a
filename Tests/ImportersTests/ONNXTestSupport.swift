import Foundation
import Importers
import Testing

/// Small ONNX models, put together in code.
struct ONNXSketch {
  var nodes: [ONNXNode] = []
  var initializers: [ONNXTensor] = []
  var input: [ONNXValueInfo.Dimension] = [.symbol("N"), .size(4)]
  var outputs = ["y"]
  var opset: Int64 = 17
  var outputDimensions: [ONNXValueInfo.Dimension]?

  mutating func add(
    _ type: String, _ inputs: [String], _ output: String, domain: String = "",
    _ attributes: [ONNXAttribute] = []
  ) {
    nodes.append(
      ONNXNode(
        type, name: "\(type)-\(output)", domain: domain, inputs: inputs, outputs: [output],
        attributes: attributes))
  }

  mutating func floats(_ name: String, _ dimensions: [Int], _ values: [Float]) {
    initializers.append(ONNXTensor(name, dimensions: dimensions, floats: values))
  }

  mutating func integers(_ name: String, _ values: [Int64]) {
    initializers.append(ONNXTensor(name, dimensions: [values.count], integers: values))
  }

  var model: ONNXModel {
    ONNXModel(
      operatorSets: [.init(version: opset)],
      graph: ONNXGraph(
        nodes: nodes, initializers: initializers,
        inputs: [ONNXValueInfo("x", dimensions: input)],
        outputs: outputs.map { ONNXValueInfo($0, dimensions: outputDimensions) }))
  }

  var bytes: [UInt8] { model.serialized() }

  /// Reads the bytes as a file would be read.
  func network(
    _ options: ONNXImportOptions = ONNXImportOptions(), directory: String? = nil
  ) throws(InputError) -> FloatNetwork {
    try FloatNetwork(
      importing: ONNXModel(parsing: bytes, fileName: "sketch.onnx", directory: directory),
      options: options)
  }

  /// x [N, 4] · W [4, 3] + b, the smallest network there is.
  static var dense: ONNXSketch {
    var sketch = ONNXSketch()
    sketch.floats("w", [4, 3], (0..<12).map { Float($0) / 8 - 0.5 })
    sketch.floats("b", [3], [0.25, -0.5, 1])
    sketch.add("Gemm", ["x", "w", "b"], "y")
    return sketch
  }
}

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
