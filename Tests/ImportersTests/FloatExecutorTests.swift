import Foundation
import Importers
import Tally
import Testing

/// The equations of the operators once more, element by element and in Double.
private func oracle(
  _ operation: FloatOperation, _ inputs: [[Float]], _ shapes: [TensorShape], _ output: TensorShape
) -> [Double] {
  let x = inputs[0].map(Double.init)
  let shape = shapes[0]
  func at(_ row: Int, _ column: Int, _ channel: Int) -> Double? {
    guard row >= 0, row < shape.height, column >= 0, column < shape.width else { return nil }
    return x[(row * shape.width + column) * shape.channels + channel]
  }
  func each(_ body: (Int, Int, Int) -> Double) -> [Double] {
    (0..<output.count).map {
      body(
        $0 / output.channels / output.width, $0 / output.channels % output.width,
        $0 % output.channels)
    }
  }
  func window(_ geometry: WindowGeometry, _ row: Int, _ column: Int) -> [(Int, Int, Int)] {
    (0..<geometry.kernelHeight * geometry.kernelWidth).map {
      (
        $0,
        row * geometry.strideHeight - geometry.padTop
          + $0 / geometry.kernelWidth * geometry.dilationHeight,
        column * geometry.strideWidth - geometry.padLeft
          + $0 % geometry.kernelWidth * geometry.dilationWidth
      )
    }
  }
  switch operation {
  case .convolution(let geometry, let groups, let outputs, let weights, let bias):
    let depth = shape.channels / groups
    let area = geometry.kernelHeight * geometry.kernelWidth
    return each { row, column, channel in
      let group = channel / (outputs / groups)
      var sum = Double(bias[channel])
      for (position, y, x) in window(geometry, row, column) {
        for index in 0..<depth {
          let weight = Double(weights[(channel * area + position) * depth + index])
          sum += weight * (at(y, x, group * depth + index) ?? 0)
        }
      }
      return sum
    }
  case .fullyConnected(let outputs, let weights, let bias):
    return (0..<outputs).map { row in
      (0..<x.count).reduce(Double(bias[row])) { $0 + x[$1] * Double(weights[row * x.count + $1]) }
    }
  case .maxPool(let geometry):
    return each { row, column, channel in
      window(geometry, row, column).compactMap { at($0.1, $0.2, channel) }.max() ?? -.infinity
    }
  case .averagePool(let geometry, let countsPadding):
    return each { row, column, channel in
      let values = window(geometry, row, column).compactMap { at($0.1, $0.2, channel) }
      let count = countsPadding ? geometry.kernelHeight * geometry.kernelWidth : values.count
      return values.reduce(0, +) / Double(max(count, 1))
    }
  default: return []
  }
}

@Suite("Float executor")
struct FloatExecutorTests {
  private func run(
    _ operation: FloatOperation, _ x: [Float], _ shape: TensorShape, _ output: TensorShape,
    count: Int = 1
  ) -> [Float] {
    FloatExecutor(
      FloatNetwork(
        inputShape: shape,
        nodes: [FloatNode(name: "n", inputs: [0], operation: operation, shape: output)],
        output: 1)
    ).run(x, count: count)
  }

  @Test("windows of random geometry agree with the equation", arguments: [3 as UInt64, 4, 5])
  func windows(_ seed: UInt64) throws {
    var generator = SplitMix64(seed: seed)
    func random(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &generator) }
    func values(_ count: Int) -> [Float] {
      (0..<count).map { _ in Float.random(in: -1...1, using: &generator) }
    }
    for _ in 0..<25 {
      let geometry = WindowGeometry(
        kernelHeight: random(1...3), kernelWidth: random(1...4), strideHeight: random(1...3),
        strideWidth: random(1...2), dilationHeight: random(1...2), dilationWidth: random(1...3),
        padTop: random(0...2), padLeft: random(0...2), padBottom: random(0...2),
        padRight: random(0...3))
      let groups = random(1...4)
      let depth = random(1...3)
      let perGroup = random(1...11)
      let shape = TensorShape(
        height: random(5...8), width: random(10...13), channels: groups * depth)
      let height = try #require(geometry.outputHeight(shape.height))
      let width = try #require(geometry.outputWidth(shape.width))
      let outputs = groups * perGroup
      let area = geometry.kernelHeight * geometry.kernelWidth
      let x = values(2 * shape.count)
      let operations: [(FloatOperation, Int)] = [
        (
          .convolution(
            geometry: geometry, groups: groups, outputChannels: outputs,
            weights: values(outputs * area * depth), bias: values(outputs)), outputs
        ),
        (.maxPool(geometry: geometry), shape.channels),
        (.averagePool(geometry: geometry, countsPadding: false), shape.channels),
        (.averagePool(geometry: geometry, countsPadding: true), shape.channels),
      ]
      for (operation, channels) in operations {
        let output = TensorShape(height: height, width: width, channels: channels)
        let found = run(operation, x, shape, output, count: 2)
        let expected = [x[..<shape.count], x[shape.count...]].flatMap {
          oracle(operation, [Array($0)], [shape], output)
        }
        for (a, b) in zip(found, expected) {
          #expect(
            abs(Double(a) - b) < 1e-5 || Double(a) == b,
            "seed \(seed) \(operation.label) \(geometry) groups \(groups)")
        }
      }
    }
  }

  @Test("fully connected layers of every width around a register")
  func fullyConnected() {
    var generator = SplitMix64(seed: 9)
    for outputs in 1...18 {
      for inputs in [1, 7, 8, 9, 40] {
        let weights = (0..<outputs * inputs).map { _ in Float.random(in: -1...1, using: &generator)
        }
        let bias = (0..<outputs).map { _ in Float.random(in: -1...1, using: &generator) }
        let operation = FloatOperation.fullyConnected(
          outputs: outputs, weights: weights, bias: bias)
        let shape = TensorShape(height: 1, width: 1, channels: inputs)
        let output = TensorShape(height: 1, width: 1, channels: outputs)
        for count in [1, 2, 3, 4, 5, 9] {
          let x = (0..<count * inputs).map { _ in Float.random(in: -1...1, using: &generator) }
          let found = run(operation, x, shape, output, count: count)
          let expected = (0..<count).flatMap {
            oracle(operation, [Array(x[$0 * inputs..<($0 + 1) * inputs])], [shape], output)
          }
          #expect(zip(found, expected).allSatisfy { abs(Double($0) - $1) < 1e-5 })
        }
      }
    }
  }

  @Test("activations, against the C library")
  func activations() {
    func reference(_ kind: ActivationKind, _ x: Double) -> Double {
      switch kind {
      case .relu: max(x, 0)
      case .clip(let low, let high): min(max(x, Double(low)), Double(high))
      case .leakyRelu(let alpha): x < 0 ? x * Double(alpha) : x
      case .sigmoid: 1 / (1 + Foundation.exp(-x))
      case .tanh: Foundation.tanh(x)
      case .gelu: x * 0.5 * Foundation.erfc(-x / 2.0.squareRoot())
      case .geluTanh:
        0.5 * x * (1 + Foundation.tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
      case .silu: x / (1 + Foundation.exp(-x))
      case .hardSigmoid(let alpha, let beta): min(max(Double(alpha) * x + Double(beta), 0), 1)
      case .hardSwish: x * min(max(x + 3, 0), 6) / 6
      }
    }
    let kinds: [ActivationKind] = [
      .relu, .clip(low: -0.5, high: 1.25), .leakyRelu(alpha: 0.1), .sigmoid, .tanh, .gelu,
      .geluTanh, .silu, .hardSigmoid(alpha: 0.2, beta: 0.5), .hardSwish,
    ]
    var points: [Float] = [0, -0.0, 1e-30, -1e-30, 1e-4, 88, -88, 104, -104, 1e6, -1e6, 3e38]
    points += (-400...400).map { Float($0) / 32 }
    let shape = TensorShape(height: 1, width: points.count, channels: 1)
    for kind in kinds {
      let found = run(.activation(kind), points, shape, shape)
      for (x, y) in zip(points, found) {
        let expected = reference(kind, Double(x))
        #expect(
          abs(Double(y) - expected) <= 1e-6 * max(1, abs(expected)),
          "\(kind.label) at \(x): \(y), not \(expected)")
      }
    }
  }

  @Test("softmax and log-softmax, against the C library")
  func softmax() {
    let rows: [[Float]] = [
      [0, 0, 0, 0], [1, 2, 3, 4], [-100, 0, 100, 50], [1e4, -1e4, 9999, 0], [-3, -3.5, -3.25, -90],
    ]
    let shape = TensorShape(height: 1, width: 1, channels: 4)
    let x = rows.flatMap { $0 }
    let soft = run(.softmax, x, shape, shape, count: rows.count)
    let logs = run(.logSoftmax, x, shape, shape, count: rows.count)
    for (row, values) in rows.enumerated() {
      let top = Double(values.max() ?? 0)
      let sum = values.reduce(0) { $0 + Foundation.exp(Double($1) - top) }
      for (index, value) in values.enumerated() {
        let log = Double(value) - top - Foundation.log(sum)
        #expect(abs(Double(soft[row * 4 + index]) - Foundation.exp(log)) < 1e-7)
        #expect(abs(Double(logs[row * 4 + index]) - log) <= 1e-6 * max(1, abs(log)))
      }
    }
  }

  @Test("joins, gates, slices and repeats: small cases by hand")
  func rearrangements() {
    let shape = TensorShape(height: 2, width: 2, channels: 2)
    let x: [Float] = [0, 1, 2, 3, 4, 5, 6, 7]
    let nodes = [
      FloatNode(
        name: "gap", inputs: [0],
        operation: .averagePool(
          geometry: WindowGeometry(kernelHeight: 2, kernelWidth: 2), countsPadding: false),
        shape: TensorShape(height: 1, width: 1, channels: 2)),
      FloatNode(name: "gate", inputs: [0, 1], operation: .multiply, shape: shape),
      FloatNode(name: "square", inputs: [0, 0], operation: .multiply, shape: shape),
      FloatNode(name: "sum", inputs: [2, 3], operation: .add, shape: shape),
      FloatNode(
        name: "join", inputs: [0, 4, 0], operation: .concatenate,
        shape: TensorShape(height: 2, width: 2, channels: 6)),
      FloatNode(
        name: "cut", inputs: [5],
        operation: .slicePad(
          SlicePad(
            height: .init(start: 1, count: 1), width: .init(padBefore: 1, count: 2),
            channels: .init(start: 1, stride: 2, padAfter: 1, count: 2))),
        shape: TensorShape(height: 1, width: 3, channels: 3)),
      FloatNode(
        name: "repeat", inputs: [6], operation: .upsample(factorHeight: 2, factorWidth: 1),
        shape: TensorShape(height: 2, width: 3, channels: 3)),
    ]
    var seen: [Int: [Float]] = [:]
    let result = FloatExecutor(FloatNetwork(inputShape: shape, nodes: nodes, output: 7)).run(x) {
      seen[$0] = $1
    }
    #expect(seen.count == 8)
    #expect(seen[0] == x)
    #expect(seen[1] == [3, 4])
    #expect(seen[2] == [0, 4, 6, 12, 12, 20, 18, 28])
    #expect(seen[4] == [0, 5, 10, 21, 28, 45, 54, 77])
    #expect(seen[5]?[12...] == [4, 5, 28, 45, 4, 5, 6, 7, 54, 77, 6, 7])
    #expect(seen[6] == [0, 0, 0, 5, 45, 0, 7, 77, 0])
    #expect(result == [0, 0, 0, 5, 45, 0, 7, 77, 0, 0, 0, 0, 5, 45, 0, 7, 77, 0])
  }
}
