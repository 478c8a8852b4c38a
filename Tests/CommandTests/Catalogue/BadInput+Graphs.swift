import Foundation
import Importers
import TallyTestSupport

extension BadInput {
  /// Rows 18 and 21 to 29: ONNX graphs.
  static let graphs: [BadInput] = [
    fixture(18, "a protobuf message cut short", 301, 3, "mlp-legacy") { $0.removeLast(40) },
    // A version, then a graph of twelve and of two bytes.
    BadInput(
      18, "a protobuf number of eleven bytes", 301, 3,
      [0x08, 7, 0x3a, 12, 0x08] + [UInt8](repeating: 0x80, count: 10) + [0], "inspect",
      "bad-number.onnx"),
    BadInput(
      18, "a protobuf group", 301, 3, [0x08, 7, 0x3a, 2, 0x3b, 0x3c], "inspect", "bad-group.onnx"),
    fixture(21, "a recurrent network", 304, 4, "recurrent-legacy"),
    sketch(21, "an operator of another domain", 304, 4) {
      $0.nodes[0].domain = "com.example"
    },
    sketch(22, "a dilated pool whose rounding is not known", 305, 4) {
      $0.input = [.symbol("N"), .size(1), .size(8), .size(8)]
      $0.nodes = []
      $0.add(
        "AveragePool", ["x"], "y",
        [
          ONNXAttribute("kernel_shape", .integers([3, 3])),
          ONNXAttribute("strides", .integers([2, 2])),
          ONNXAttribute("pads", .integers([0, 0, 1, 0])), ONNXAttribute("ceil_mode", .integer(1)),
          ONNXAttribute("count_include_pad", .integer(1)),
        ])
    },
    sketch(22, "an attribute that is not known", 305, 4) {
      $0.nodes[0].attributes = [ONNXAttribute("blur", .integer(1))]
    },
    sketch(23, "operator set 6", 306, 4) { $0.opset = 6 },
    sketch(23, "operator set 24", 306, 4) { $0.opset = 24 },
    sketch(24, "a cycle", 307, 3) {
      $0.nodes = []
      $0.add("Add", ["x", "b"], "a")
      $0.add("Relu", ["a"], "b")
      $0.add("Relu", ["b"], "y")
      $0.initializers = []
    },
    sketch(24, "an input that nothing makes", 307, 3) { $0.nodes[0].inputs[0] = "nothing" },
    sketch(24, "two makers of one tensor", 307, 3) { $0.add("Relu", ["x"], "y") },
    sketch(24, "several outputs", 307, 2) {
      $0.add("Relu", ["y"], "z")
      $0.outputs = ["y", "z"]
    },
    sketch(25, "an open size other than the batch", 308, 2) {
      $0.input = [.symbol("N"), .size(2), .symbol("height"), .symbol("width")]
      $0.nodes = []
      $0.floats("k", [3, 2, 1, 1], [1, 2, 3, 4, 5, 6])
      $0.add("Conv", ["x", "k"], "y")
    },
    sketch(26, "fewer elements than the shape needs", 309, 3) {
      $0.initializers[0].raw = $0.initializers[0].raw?.dropLast()
    },
    sketch(26, "elements in two places", 309, 3) { $0.initializers[0].floats = [1] },
    sketch(26, "a tensor of text", 309, 3) { $0.initializers[0].elementType = .string },
    fixture(27, "exported in training mode", 310, 0, "training-mode"),
    sketch(28, "a branch", 311, 4) {
      $0.nodes = []
      $0.add("If", ["x"], "y", [ONNXAttribute("then_branch", .graph)])
    },
    sketch(29, "quantized weights around 1", 312, 4) { quantize(&$0, weightZeroPoint: 1) },
  ]

  /// x · W between two quantizers.
  private static func quantize(_ sketch: inout ONNXSketch, weightZeroPoint: Int64) {
    sketch = ONNXSketch()
    sketch.initializers.append(
      ONNXTensor(
        "w", elementType: .int8, dimensions: [4, 3], integers: (0..<12).map { Int64($0) - 6 }))
    sketch.floats("s", [], [0.25])
    for (name, value) in [("wz", weightZeroPoint), ("xz", 3)] {
      sketch.initializers.append(
        ONNXTensor(name, elementType: .int8, dimensions: [], integers: [value]))
    }
    sketch.add("QuantizeLinear", ["x", "s", "xz"], "xq")
    sketch.add("DequantizeLinear", ["xq", "s", "xz"], "xd")
    sketch.add("DequantizeLinear", ["w", "s", "wz"], "wd")
    sketch.add("MatMul", ["xd", "wd"], "h")
    sketch.add("QuantizeLinear", ["h", "s", "xz"], "hq")
    sketch.add("DequantizeLinear", ["hq", "s", "xz"], "y")
  }

  /// Rows 19 and 20: where an ONNX model's external data may lie.
  static let graphPlaces: [BadInput] = [
    fixture(19, "external data that is not there", 302, 3, "mlp-legacy-external"),
    external(20, "external data by an absolute path", "/etc/hostname"),
    external(20, "external data above the folder", "../w.data") { box in
      try box.write(weights, "w.data")
    },
    external(20, "external data behind a symbolic link", "soft") { box in
      try box.write(weights, "w.data")
      try FileManager.default.createSymbolicLink(
        atPath: box.path("model/soft"), withDestinationPath: box.path("w.data"))
    },
    external(20, "external data behind a hard link", "hard") { box in
      try box.write(weights, "w.data")
      try FileManager.default.linkItem(
        atPath: box.path("w.data"), toPath: box.path("model/hard"))
    },
    external(20, "external data beyond the end of its file", "w.data", offset: 4) { box in
      try box.write(weights, "model/w.data")
    },
  ]

  private static let weights = [UInt8](repeating: 0, count: 48)

  /// The dense sketch in a folder of its own, its weights in a file `path`.
  private static func external(
    _ number: Int, _ input: String, _ path: String, offset: Int64 = 0,
    _ prepare: @escaping @Sendable (Sandbox) throws -> Void = { _ in }
  ) -> BadInput {
    BadInput(number, input, 303, 3) { box in
      try FileManager.default.createDirectory(
        atPath: box.path("model"), withIntermediateDirectories: true)
      var sketch = ONNXSketch.dense
      sketch.initializers[0].raw = nil
      sketch.initializers[0].external = .init(path: path, offset: offset, length: nil)
      try box.write(sketch.bytes, "model/m.onnx")
      try prepare(box)
      return convert(box, box.path("model/m.onnx"))
    }
  }
}
