import Importers
import TallyTestSupport
import Testing

/// One thing that cannot be done, and what the error must say.
struct ONNXObstacle: Sendable, CustomTestStringConvertible {
  var name: String
  var code: Int
  var mention: String
  var sketch: ONNXSketch

  var testDescription: String { name }

  init(
    _ name: String, _ code: Int, _ mention: String, input: [Int] = [2, 6, 6],
    build: (inout ONNXSketch) -> Void
  ) {
    self.name = name
    self.code = code
    self.mention = mention
    sketch = ONNXSketch()
    sketch.input = [.symbol("N")] + input.map { .size($0) }
    build(&sketch)
  }
}

private func integers(_ name: String, _ values: Int64...) -> ONNXAttribute {
  ONNXAttribute(name, .integers(values))
}

private func text(_ name: String, _ value: String) -> ONNXAttribute {
  ONNXAttribute(name, .string(value))
}

private let obstacles = [
  ONNXObstacle("unknown operator", 304, "Frobnicate ×1") { $0.add("Frobnicate", ["x"], "y") },
  ONNXObstacle("other domain", 304, "com.example.Relu ×1") {
    $0.add("Relu", ["x"], "y", domain: "com.example")
  },
  ONNXObstacle("operators of a quantiser without QDQ", 304, "quant_format=QDQ") {
    $0.add("DynamicQuantizeLinear", ["x"], "y")
  },
  ONNXObstacle("If", 311, "subgraph") {
    $0.add("If", ["x"], "y", [ONNXAttribute("then_branch", .graph)])
  },
  ONNXObstacle("unknown attribute", 305, "'blur'") {
    $0.add("Relu", ["x"], "y", [ONNXAttribute("blur", .integer(1))])
  },
  ONNXObstacle("bilinear Resize", 305, "mode 'linear'") {
    $0.floats("s", [4], [1, 1, 2, 2])
    $0.add("Resize", ["x", "", "s"], "y", [text("mode", "linear")])
  },
  ONNXObstacle("Resize by a fraction", 305, "whole factor") {
    $0.floats("s", [4], [1, 1, 1.5, 2])
    $0.add("Resize", ["x", "", "s"], "y")
  },
  ONNXObstacle("Resize that repeats unevenly", 305, "asymmetric") {
    $0.floats("s", [4], [1, 1, 2, 2])
    $0.add("Resize", ["x", "", "s"], "y", [text("nearest_mode", "ceil")])
  },
  ONNXObstacle("reflecting Pad", 305, "mode 'reflect'") {
    $0.integers("p", [0, 0, 1, 1, 0, 0, 1, 1])
    $0.add("Pad", ["x", "p"], "y", [text("mode", "reflect")])
  },
  ONNXObstacle("Pad with ones", 305, "value 1.0") {
    $0.integers("p", [0, 0, 1, 1, 0, 0, 1, 1])
    $0.floats("v", [], [1])
    $0.add("Pad", ["x", "p", "v"], "y")
  },
  ONNXObstacle("Pad of the batch", 305, "batch") {
    $0.integers("p", [1, 0, 0, 0, 0, 0, 0, 0])
    $0.add("Pad", ["x", "p"], "y")
  },
  ONNXObstacle("three-dimensional convolution", 305, "3 dimensions", input: [2, 6, 6]) {
    $0.floats("w", [1, 2, 1, 1, 1], [1, 1])
    $0.add("Conv", ["x", "w"], "y")
  },
  ONNXObstacle("weights that are computed", 305, "weights are computed") {
    $0.add("Conv", ["x", "x"], "y")
  },
  ONNXObstacle("bias that is computed", 305, "bias is computed", input: [4]) {
    $0.floats("w", [4, 4], [Float](repeating: 1, count: 16))
    $0.add("Gemm", ["x", "w", "x"], "y")
  },
  ONNXObstacle("product of two values", 304, "attention", input: [4, 4]) {
    $0.add("MatMul", ["x", "x"], "y")
  },
  ONNXObstacle("Softmax in the middle", 305, "last layer", input: [4]) {
    $0.add("Softmax", ["x"], "h")
    $0.add("Relu", ["h"], "y")
  },
  ONNXObstacle("Softmax over positions", 305, "last layer") {
    $0.add("Softmax", ["x"], "y", [ONNXAttribute("axis", .integer(3))])
  },
  ONNXObstacle("mean over the batch", 305, "batch") {
    $0.integers("a", [0])
    $0.opset = 18
    $0.add("ReduceMean", ["x", "a"], "y")
  },
  ONNXObstacle("mean over the channels of a layer", 305, "BatchNormalization") {
    $0.floats("w", [3, 2, 1, 1], [1, 2, 3, 4, 5, 6])
    $0.add("Conv", ["x", "w"], "h")
    $0.add("ReduceMean", ["h"], "y", [integers("axes", 1)])
  },
  ONNXObstacle("one bound per channel", 305, "one bound") {
    $0.floats("s", [2, 1, 1], [0.1, 0.2])
    $0.add("Max", ["x", "s"], "y")
  },
  ONNXObstacle("a constant per position", 305, "one constant per element") {
    $0.floats("s", [6, 1], [1, 2, 3, 4, 5, 6])
    $0.add("Add", ["x", "s"], "y")
  },
  ONNXObstacle("sizes that do not broadcast one to the other", 305, "one value per channel") {
    $0.add("ReduceMean", ["x"], "rows", [integers("axes", 2)])
    $0.add("ReduceMean", ["x"], "columns", [integers("axes", 3)])
    $0.add("Mul", ["rows", "columns"], "y")
  },
  ONNXObstacle("square root of a value", 304, "Sqrt") { $0.add("Sqrt", ["x"], "y") },
  ONNXObstacle("exponential of a value", 304, "Exp") { $0.add("Exp", ["x"], "y") },
  ONNXObstacle("erf that is no GELU", 304, "Gelu") {
    $0.add("Erf", ["x"], "h")
    $0.add("Add", ["x", "h"], "y")
  },
  ONNXObstacle("broken power", 305, "exponent 2.5") {
    $0.floats("e", [], [2.5])
    $0.add("Pow", ["x", "e"], "y")
  },
  ONNXObstacle("shape that depends on the data", 305, "target shape is computed") {
    $0.add("Reshape", ["x", "x"], "y")
  },
  ONNXObstacle("regrouping across axes", 305, "memory order") {
    $0.integers("s", [0, 6, 2, 6])
    $0.floats("w", [3, 2, 1, 1], [1, 2, 3, 4, 5, 6])
    $0.floats("v", [1, 6, 1, 1], [1, 2, 3, 4, 5, 6])
    $0.add("Conv", ["x", "w"], "g")
    $0.add("Relu", ["g"], "h")
    $0.integers("t", [0, 6, 3, 6])
    $0.add("Reshape", ["h", "t"], "i")
    $0.add("Conv", ["i", "v"], "y")
  },
  ONNXObstacle("joining along the height", 305, "not the channels") {
    $0.add("Concat", ["x", "x"], "y", [ONNXAttribute("axis", .integer(2))])
  },
  ONNXObstacle("joining with a constant", 305, "constant values") {
    $0.floats("c", [1, 2, 6, 6], [Float](repeating: 1, count: 72))
    $0.add("Concat", ["x", "c"], "y", [ONNXAttribute("axis", .integer(1))])
  },
  ONNXObstacle("rows taken in disorder", 305, "even row") {
    $0.integers("i", [2, 0, 1])
    $0.add("Gather", ["x", "i"], "y", [ONNXAttribute("axis", .integer(2))])
  },
  ONNXObstacle("slice from behind", 305, "step -1") {
    for (name, value) in [("s", -1), ("e", -100), ("a", 3), ("p", -1)] as [(String, Int64)] {
      $0.integers(name, [value])
    }
    $0.add("Slice", ["x", "s", "e", "a", "p"], "y")
  },
  ONNXObstacle("positions of the maximum", 305, "positions") {
    $0.add("MaxPool", ["x"], "h", [integers("kernel_shape", 2, 2)])
    $0.nodes[0].outputs.append("i")
    $0.add("Add", ["h", "i"], "y")
  },
  ONNXObstacle("rounding up with counted padding", 305, "ceil_mode") {
    $0.add(
      "AveragePool", ["x"], "y",
      [
        integers("kernel_shape", 3, 3), integers("strides", 2, 2), integers("pads", 0, 0, 1, 0),
        ONNXAttribute("ceil_mode", .integer(1)), ONNXAttribute("count_include_pad", .integer(1)),
      ])
  },
  ONNXObstacle("cast to integers", 305, "to INT64") {
    $0.add("Cast", ["x"], "y", [ONNXAttribute("to", .integer(7))])
  },
  ONNXObstacle("sine of a constant", 304, "Exp") {
    $0.floats("c", [2, 1, 1], [1, 2])
    $0.add("Exp", ["c"], "e")
    $0.add("Mul", ["x", "e"], "y")
  },
  ONNXObstacle("output in an order that is neither", 305, "neither NCHW nor NHWC") {
    $0.floats("w", [3, 2, 1, 1], [1, 2, 3, 4, 5, 6])
    $0.add("Conv", ["x", "w"], "h")
    $0.add("Transpose", ["h"], "y", [integers("perm", 0, 3, 2, 1)])
  },
]

@Suite("ONNX: what stands in the way")
struct ONNXBlockerTests {
  @Test("is named, with code 4 and a reason", arguments: obstacles)
  func obstacle(_ obstacle: ONNXObstacle) throws {
    let error = try #require(
      fault { () throws(InputError) in _ = try obstacle.sketch.network() })
    #expect(error.code == obstacle.code, "\(error)")
    #expect(error.exit == 4)
    #expect(error.description.contains(obstacle.mention), "\(error)")
  }

  @Test("everything is listed at once, each kind once with its count and places")
  func everything() throws {
    var sketch = ONNXSketch()
    sketch.input = [.symbol("N"), .size(2), .size(6), .size(6)]
    sketch.add("ConvTranspose", ["x"], "a")
    sketch.add("Elu", ["x"], "b")
    sketch.add("Elu", ["x"], "c")
    sketch.integers("p", [0, 0, 1, 1, 0, 0, 1, 1])
    sketch.add("Pad", ["x", "p"], "d", [text("mode", "edge")])
    sketch.add("Erf", ["x"], "e")
    sketch.add("Sum", ["a", "b", "c", "d", "e"], "y")
    let error = try #require(fault { () throws(InputError) in _ = try sketch.network() })
    #expect(error.code == 304)
    for line in [
      "ConvTranspose ×1: not supported (ConvTranspose-a)", "Elu ×2: not supported (Elu-b, Elu-c)",
      "Pad ×1: mode 'edge' (Pad-d)", "Erf ×1", "5 nodes",
    ] {
      #expect(error.description.contains(line), "\(line)\n\(error)")
    }
  }

  @Test("what the output does not need is not in the way")
  func unused() throws {
    var sketch = ONNXSketch.dense
    sketch.add("Frobnicate", ["y"], "z")
    #expect(try sketch.network().nodes.count == 1)
  }

  @Test("functions of the file are named as such")
  func functions() throws {
    var model = ONNXSketch.dense.model
    model.graph.nodes[0].operatorType = "Linear"
    model.graph.nodes[0].domain = "pkg.net"
    model.functions = ["pkg.net.Linear"]
    let error = try #require(
      fault { () throws(InputError) in _ = try FloatNetwork(importing: model) })
    #expect(error.code == 311)
    #expect(error.help?.contains("inlined") == true)
  }

  @Test("dimensions left open, and the option that settles them")
  func dynamicShapes() throws {
    var sketch = ONNXSketch()
    sketch.input = [.symbol("N"), .size(2), .symbol("height"), .symbol("")]
    sketch.floats("w", [3, 2, 1, 1], [1, 2, 3, 4, 5, 6])
    sketch.add("Conv", ["x", "w"], "y")
    let error = try #require(fault { () throws(InputError) in _ = try sketch.network() })
    #expect(error.code == 308)
    #expect(error.exit == 2)
    #expect(error.help == "pass --shape x=1,2,32,32")
    let network = try sketch.network(ONNXImportOptions(inputShapes: ["x": [1, 2, 5, 7]]))
    #expect(network.inputShape == TensorShape(height: 5, width: 7, channels: 2))
    #expect(code(sketch, ONNXImportOptions(inputShapes: ["x": [1, 2, 5]])) == 308)
    #expect(code(sketch, ONNXImportOptions(inputShapes: ["x": [1, 2, 0, 5]])) == 308)
    #expect(code(sketch, ONNXImportOptions(inputShapes: ["x": [1, -2, 3, 5]])) == 308)
    sketch.input = [.size(1), .size(1), .size(2), .size(5), .size(7)]
    #expect(code(sketch) == 304)
  }
}
