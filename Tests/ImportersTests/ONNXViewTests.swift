import Importers
import TallyTestSupport
import Testing

/// Transposing and reshaping, followed on plain arrays of indices.
private struct IndexArray {
  var shape: [Int]
  /// Element i of the array is element `source[i]` of the original.
  var source: [Int]

  init(_ shape: [Int]) {
    self.shape = shape
    source = Array(0..<shape.reduce(1, *))
  }

  mutating func transpose(_ axes: [Int]) {
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in shape.indices.dropLast().reversed() {
      strides[axis] = strides[axis + 1] * shape[axis + 1]
    }
    let target = axes.map { shape[$0] }
    source = source.indices.map { index in
      var rest = index
      var old = 0
      for (position, axis) in axes.enumerated().reversed() {
        old += rest % target[position] * strides[axis]
        rest /= target[position]
      }
      return source[old]
    }
    shape = target
  }
}

/// A random way of writing `count` as a product of one to four sizes.
private func factorized(_ count: Int, _ generator: inout SplitMix64) -> [Int] {
  var rest = count
  var sizes: [Int] = []
  while rest > 1 && sizes.count < 3 {
    let divisors = (1...rest).filter { rest % $0 == 0 }
    let size = divisors[Int.random(in: 0..<divisors.count, using: &generator)]
    sizes.append(size)
    rest /= size
  }
  return sizes + [rest]
}

@Suite("ONNX: transposes and reshapes")
struct ONNXViewTests {
  /// x · W where W picks element j for output j, so the output is the permuted input.
  private func picked(
    _ sketch: ONNXSketch, count: Int, last: String
  ) throws(InputError) -> FloatNetwork {
    var sketch = sketch
    sketch.integers("flat", [1, Int64(count)])
    sketch.add("Reshape", [last, "flat"], "f")
    var identity = [Float](repeating: 0, count: count * count)
    for index in 0..<count { identity[index * count + index] = 1 }
    sketch.floats("identity", [count, count], identity)
    sketch.add("MatMul", ["f", "identity"], "y")
    return try sketch.network()
  }

  @Test("random chains on the input, batch open or fixed", arguments: [11 as UInt64, 12, 13])
  func onInput(_ seed: UInt64) throws {
    var generator = SplitMix64(seed: seed)
    var accepted = 0
    for _ in 0..<60 {
      let input = [[2, 3, 4], [1, 4, 6], [3, 2, 2], [24], [4, 6]].randomElement(using: &generator)!
      let count = input.reduce(1, *)
      var sketch = ONNXSketch()
      sketch.input = [Bool.random(using: &generator) ? .size(1) : .symbol("N")]
      sketch.input += input.map { .size($0) }
      var array = IndexArray([1] + input)
      var last = "x"
      for step in 0..<Int.random(in: 1...5, using: &generator) {
        if Bool.random(using: &generator) {
          let axes = [0] + Array(1..<array.shape.count).shuffled(using: &generator)
          array.transpose(axes)
          sketch.add(
            "Transpose", [last], "v\(step)",
            [ONNXAttribute("perm", .integers(axes.map(Int64.init)))])
        } else {
          array.shape = [1] + factorized(count, &generator)
          sketch.integers("s\(step)", array.shape.map(Int64.init))
          sketch.add("Reshape", [last, "s\(step)"], "v\(step)")
        }
        last = "v\(step)"
      }
      // A cut through the middle of what a transpose left apart is refused, and says so.
      let fault = fault { () throws(InputError) in
        _ = try picked(sketch, count: count, last: last)
      }
      if let fault {
        #expect(fault.code == 305)
        continue
      }
      accepted += 1
      let network = try picked(sketch, count: count, last: last)
      let values = (0..<count).map { Float($0) }
      let found = FloatExecutor(network).run(
        channelsLast(values, network.inputShape, network.inputLayout))
      #expect(found == array.source.map { Float($0) }, "seed \(seed)")
    }
    #expect(accepted >= 30)
  }

  @Test("random chains on a constant", arguments: [21 as UInt64, 22])
  func onConstants(_ seed: UInt64) throws {
    var generator = SplitMix64(seed: seed)
    for _ in 0..<60 {
      var sketch = ONNXSketch()
      sketch.input = [.symbol("N"), .size(4)]
      let values = (0..<24).map { Float($0) }
      var array = IndexArray([2, 3, 4])
      sketch.floats("c", [2, 3, 4], values)
      var last = "c"
      for step in 0..<Int.random(in: 1...5, using: &generator) {
        if Bool.random(using: &generator) {
          let axes = Array(array.shape.indices).shuffled(using: &generator)
          array.transpose(axes)
          sketch.add(
            "Transpose", [last], "v\(step)",
            [ONNXAttribute("perm", .integers(axes.map(Int64.init)))])
        } else {
          array.shape = factorized(24, &generator)
          sketch.integers("s\(step)", array.shape.map(Int64.init))
          sketch.add("Reshape", [last, "s\(step)"], "v\(step)")
        }
        last = "v\(step)"
      }
      sketch.integers("matrix", [6, 4])
      sketch.add("Reshape", [last, "matrix"], "w")
      sketch.add("Gemm", ["x", "w"], "y", [ONNXAttribute("transB", .integer(1))])
      guard case .fullyConnected(_, let weights, _) = try sketch.network().nodes[0].operation
      else {
        Issue.record("not a fully connected layer")
        return
      }
      #expect(weights == array.source.map { Float($0) }, "seed \(seed)")
    }
  }

  @Test("a fixed batch gives the same network as an open one")
  func batches() throws {
    var networks: [FloatNetwork] = []
    for batch in [.symbol("N"), .size(1), .size(8)] as [ONNXValueInfo.Dimension] {
      var sketch = ONNXSketch()
      sketch.input = [batch, .size(2), .size(3), .size(4)]
      let size: Int64 = if case .size(let size) = batch { Int64(size) } else { 1 }
      sketch.floats("k", [3, 2, 1, 1], [1, 2, 3, 4, 5, 6])
      sketch.add("Conv", ["x", "k"], "h")
      sketch.integers("s", [size, -1])
      sketch.add("Reshape", ["h", "s"], "f")
      sketch.floats("w", [36, 2], (0..<72).map { Float($0) })
      sketch.add("MatMul", ["f", "w"], "y")
      networks.append(try sketch.network())
    }
    let reference = networks[0].nodes.map(parameters)
    #expect(networks.allSatisfy { $0.nodes.map(parameters) == reference })
    #expect(networks.allSatisfy { $0.inputDimensions == [2, 3, 4] })
  }
}
