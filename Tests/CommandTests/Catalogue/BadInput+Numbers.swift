import Importers
import TallyTestSupport

extension BadInput {
  /// Rows 44 to 49: numbers that make no integers.
  static let numbers: [BadInput] = [
    data(44, "data that hold a NaN", 601, 3) {
      var values = [Float](repeating: 0, count: 36)
      values[7] = .nan
      return try npz(
        NumericArray(shape: [3, 12], storage: .float32(values)), labels([0, 1, 2]))
    },
    sketch(44, "weights that hold an infinity", 601, 3) {
      $0.floats("bad", [3], [0, .infinity, 0])
      $0.nodes[0].inputs[2] = "bad"
    },
    calibrated(45, "a layer that is always zero", 602) {
      $0.floats("w", [12, 3], [Float](repeating: 0, count: 36))
      $0.floats("b", [3], [0, 0, 0])
    },
    calibrated(46, "a few large weights among small ones", 603) {
      $0.floats("w", [12, 3], (0..<36).map { $0 == 5 ? 1e5 : Float($0 % 7) / 8 - 0.5 })
      $0.floats("b", [3], [0, 0, 0])
    },
    calibrated(46, "many weights near half a step", 603) {
      $0.floats("w", [12, 300], (0..<3600).map { $0 == 5 ? 100 : $0 % 2 == 0 ? 0.3 : -0.3 })
      $0.floats("b", [300], [Float](repeating: 0, count: 300))
    },
    sketch(47, "a negative variance", 604, 3) {
      $0.nodes[0].outputs = ["h"]
      $0.floats("one", [3], [1, 1, 1])
      $0.floats("variance", [3], [1, -1, 1])
      $0.add("BatchNormalization", ["h", "one", "b", "b", "variance"], "y")
    },
    BadInput(48, "a layer larger than a file holds", 605, 4) { box in
      try box.write(
        text(#"{"input": [60000], "layers": [{"kind": "fullyConnected", "outputs": 60000}]}"#),
        "n.json")
      return box.run("init", "n.json", "-o", "out.tally")
    },
    sketch(48, "a bias beyond the accumulator", 605, 4) { sketch in
      sketch = ONNXSketch()
      sketch.initializers.append(
        ONNXTensor(
          "w", elementType: .int8, dimensions: [4, 3], integers: (0..<12).map { Int64($0) - 6 }))
      sketch.initializers.append(
        ONNXTensor("z", elementType: .int8, dimensions: [], integers: [0]))
      sketch.floats("s", [], [0.25])
      sketch.floats("b", [3], [1e8, 0, 0])
      sketch.add("QuantizeLinear", ["x", "s", "z"], "xq")
      sketch.add("DequantizeLinear", ["xq", "s", "z"], "xd")
      sketch.add("DequantizeLinear", ["w", "s", "z"], "wd")
      sketch.add("Gemm", ["xd", "wd", "b"], "h")
      sketch.add("QuantizeLinear", ["h", "s", "z"], "hq")
      sketch.add("DequantizeLinear", ["hq", "s", "z"], "y")
    },
    sketch(49, "a float64 beyond float32", 606, 3) {
      $0.initializers[0].raw = nil
      $0.initializers[0].elementType = .double
      $0.initializers[0].doubles = [Double](repeating: 1e300, count: 12)
    },
  ]

  /// `convert` of x [N, 12] · w + b with the sandbox's data: a model, and a warning.
  private static func calibrated(
    _ number: Int, _ input: String, _ code: Int,
    _ build: @escaping @Sendable (inout ONNXSketch) -> Void
  ) -> BadInput {
    BadInput(number, input, code, 0) { box in
      var sketch = ONNXSketch()
      sketch.input = [.symbol("N"), .size(12)]
      build(&sketch)
      sketch.add("Gemm", ["x", "w", "b"], "y")
      try box.write(sketch.bytes, "bad-model.onnx")
      return convert(box, "bad-model.onnx", ["--calibrate", box.path("d.npz")])
    }
  }
}
