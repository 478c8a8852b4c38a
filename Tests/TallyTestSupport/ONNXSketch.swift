public import Importers

/// Small ONNX models, put together in code.
public struct ONNXSketch: Sendable {
  public var nodes: [ONNXNode] = []
  public var initializers: [ONNXTensor] = []
  public var input: [ONNXValueInfo.Dimension] = [.symbol("N"), .size(4)]
  public var outputs = ["y"]
  public var opset: Int64 = 17
  public var outputDimensions: [ONNXValueInfo.Dimension]?

  public init() {}

  public mutating func add(
    _ type: String, _ inputs: [String], _ output: String, domain: String = "",
    _ attributes: [ONNXAttribute] = []
  ) {
    nodes.append(
      ONNXNode(
        type, name: "\(type)-\(output)", domain: domain, inputs: inputs, outputs: [output],
        attributes: attributes))
  }

  public mutating func floats(_ name: String, _ dimensions: [Int], _ values: [Float]) {
    initializers.append(ONNXTensor(name, dimensions: dimensions, floats: values))
  }

  public mutating func integers(_ name: String, _ values: [Int64]) {
    initializers.append(ONNXTensor(name, dimensions: [values.count], integers: values))
  }

  public var model: ONNXModel {
    ONNXModel(
      operatorSets: [.init(version: opset)],
      graph: ONNXGraph(
        nodes: nodes, initializers: initializers,
        inputs: [ONNXValueInfo("x", dimensions: input)],
        outputs: outputs.map { ONNXValueInfo($0, dimensions: outputDimensions) }))
  }

  public var bytes: [UInt8] { model.serialized() }

  /// Reads the bytes as a file would be read.
  public func network(
    _ options: ONNXImportOptions = ONNXImportOptions(), directory: String? = nil
  ) throws(InputError) -> FloatNetwork {
    try FloatNetwork(
      importing: ONNXModel(parsing: bytes, fileName: "sketch.onnx", directory: directory),
      options: options)
  }

  /// x [N, 4] · W [4, 3] + b, the smallest network there is.
  public static var dense: ONNXSketch {
    var sketch = ONNXSketch()
    sketch.floats("w", [4, 3], (0..<12).map { Float($0) / 8 - 0.5 })
    sketch.floats("b", [3], [0.25, -0.5, 1])
    sketch.add("Gemm", ["x", "w", "b"], "y")
    return sketch
  }
}
