import Importers
import Tally
import TallyTestSupport
import Testing

@Suite("ONNX: gates that are repeated over an image") struct ONNXGateTests {
  /// x [N, 3, 4, 5] times its mean over the positions, shifted; the mean expanded first or not.
  private func sketch(_ expanded: [Int64]?, isSwapped: Bool = false) -> ONNXSketch {
    var sketch = ONNXSketch()
    sketch.input = [.symbol("N"), .size(3), .size(4), .size(5)]
    sketch.floats("w", [3, 3, 1, 1], (0..<9).map { Float($0) / 4 - 1 })
    sketch.add("GlobalAveragePool", ["x"], "mean")
    sketch.add("Conv", ["mean", "w"], "gate")
    var gate = "gate"
    if let expanded {
      sketch.integers("shape", expanded)
      sketch.add("Expand", ["gate", "shape"], "wide")
      gate = "wide"
    }
    sketch.add("Mul", isSwapped ? [gate, "x"] : ["x", gate], "y")
    return sketch
  }

  @Test(
    "expand_as before a product is the gate itself",
    arguments: [[1, 3, 4, 5], [1, 1, 4, 5], [1, 3, 1, 1]] as [[Int64]], [false, true])
  func expanded(_ shape: [Int64], _ isSwapped: Bool) throws {
    let plain = try sketch(nil).network()
    let network = try sketch(shape, isSwapped: isSwapped).network()
    #expect(network.nodes.map(\.operation.label) == plain.nodes.map(\.operation.label))
    #expect(network.nodes.last?.inputs == plain.nodes.last?.inputs)
    let x = ruledInput(2 * 60, sample: 0)
    #expect(FloatExecutor(network).run(x, count: 2) == FloatExecutor(plain).run(x, count: 2))
  }

  @Test("an expanded value that is added stays a repeated image")
  func added() throws {
    var sketch = sketch([1, 3, 4, 5])
    sketch.nodes.removeLast()
    sketch.add("Add", ["x", "wide"], "y")
    let network = try sketch.network()
    let x = ruledInput(60, sample: 3)
    let found = FloatExecutor(network).run(x)
    let gate = FloatExecutor(
      try self.sketch(nil).network(ONNXImportOptions(output: "gate"))
    ).run(x)
    for index in found.indices { #expect(found[index] == x[index] + gate[index % 3]) }
  }

  @Test("what is repeated otherwise is refused")
  func refused() {
    var sketch = sketch([1, 3, 4, 5])
    sketch.nodes.removeFirst(2)
    sketch.input = [.symbol("N"), .size(3), .size(1), .size(5)]
    sketch.add("Identity", ["x"], "gate")
    // Nodes are sorted by the reader.
    #expect(code(sketch) == 305)
  }
}
