import Importers
import Tally
import TallyTestSupport
import Testing

@Suite("ONNX: quantised graphs")
struct ONNXQuantizationTests {
  static let fixtures = ONNXFixture.accepted.filter { $0.quantized == true }

  @Test("there are fixtures to test")
  func presence() { #expect(Self.fixtures.count == 5) }

  @Test("the file's integers and scales arrive as they are", arguments: fixtures)
  func authority(_ fixture: ONNXFixture) throws {
    let network = try FloatNetwork(importing: ONNXModel(contentsOf: fixture.path))
    let layers = network.nodes.filter(\.operation.hasWeights)
    #expect(layers.count >= 2)
    for layer in layers {
      let quantization = try #require(layer.quantization, "\(layer.name)")
      let input = try #require(quantization.inputs[0])
      #expect(quantization.output != nil)
      let (weights, bias): ([Float], [Float]) =
        switch layer.operation {
        case .convolution(_, _, _, let weights, let bias): (weights, bias)
        case .fullyConnected(_, let weights, let bias): (weights, bias)
        default: ([], [])
        }
      #expect(quantization.weights.count == weights.count)
      #expect(quantization.bias.count == bias.count)
      let run = weights.count / bias.count
      for (index, weight) in weights.enumerated() {
        let channel = quantization.weightScales.count == 1 ? 0 : index / run
        #expect(Float(quantization.weights[index]) * quantization.weightScales[channel] == weight)
      }
      for (channel, value) in bias.enumerated() {
        let scale = quantization.weightScales[quantization.weightScales.count == 1 ? 0 : channel]
        let unit = Double(input.scale) * Double(scale)
        #expect(abs(Double(quantization.bias[channel]) * unit - Double(value)) <= unit * 0.51)
      }
      #expect(
        quantization.inputs.allSatisfy { $0.map { (-128...127).contains($0.zeroPoint) } ?? true })
      let isUnsigned = fixture.name.contains("uint8")
      #expect(input.isUnsigned == isUnsigned)
    }
    let isPerChannel = ["qdq-cnn-int8", "qdq-mobilenet-v2"].contains(fixture.name)
    #expect(layers.contains { ($0.quantization?.weightScales.count ?? 0) > 1 } == isPerChannel)
  }

  /// real → nearest integer of the scale, within −128…127 → real.
  private func rounded(_ values: [Float], _ quantization: ActivationQuantization) -> [Float] {
    values.map {
      let integer = ($0 / quantization.scale).rounded(.toNearestOrEven)
      let low = Float(-128 - quantization.zeroPoint)
      let high = Float(127 - quantization.zeroPoint)
      return min(max(integer, low), high) * quantization.scale
    }
  }

  @Test("with every tensor rounded to its scale, gives onnxruntime's output", arguments: fixtures)
  func emulation(_ fixture: ONNXFixture) throws {
    let network = try FloatNetwork(importing: ONNXModel(contentsOf: fixture.path))
    let input = try #require(fixture.input)
    let expected = try #require(fixture.outputs)
    for (sample, expected) in expected.enumerated() {
      var tensors = [
        channelsLast(
          ruledInput(input.reduce(1, *), sample: sample), network.inputShape, network.inputLayout)
      ]
      var scale: Float = 0
      for node in network.nodes {
        // One node at a time: its inputs become the inputs of a network of its own.
        for (position, quantization) in (node.quantization?.inputs ?? []).enumerated() {
          if let quantization {
            tensors[node.inputs[position]] = rounded(tensors[node.inputs[position]], quantization)
          }
        }
        var result = evaluate(node, node.inputs.map { (network.shape(of: $0), tensors[$0]) })
        if let output = node.quantization?.output {
          result = rounded(result, output)
          scale = output.scale
        }
        tensors.append(result)
      }
      let found = tensors[network.output]
      #expect(found.count == expected.count)
      #expect(scale > 0)
      // A tie in one layer may fall to the other side: one step of the last scale.
      for (a, b) in zip(found, expected) { #expect(abs(a - b) <= scale * 1.01) }
    }
  }

  /// A node by itself, its inputs joined along the channels and cut apart again.
  private func evaluate(_ node: FloatNode, _ inputs: [(TensorShape, [Float])]) -> [Float] {
    guard inputs.count == 2 else {
      var alone = node
      alone.inputs = [0]
      return FloatExecutor(FloatNetwork(inputShape: inputs[0].0, nodes: [alone], output: 1))
        .run(inputs[0].1)
    }
    // Only the residual additions of the fixtures have two inputs.
    return zip(inputs[0].1, inputs[1].1).map { $0 + $1 }
  }

  /// y = DQ(Q(x · W)) with chosen weight type, zero point and scales.
  private func sketch(
    type: ONNXElementType, zeroPoints: [Int64], scales: [Float], axis: Int64 = 1,
    activation: ONNXElementType = .int8
  ) -> ONNXSketch {
    var sketch = ONNXSketch()
    sketch.initializers.append(
      ONNXTensor(
        "w", elementType: type, dimensions: [4, 3],
        integers: (0..<12).map { Int64($0) + (type == .uint8 ? 120 : -6) }))
    sketch.floats("ws", scales.count == 1 ? [] : [scales.count], scales)
    sketch.initializers.append(
      ONNXTensor(
        "wz", elementType: type, dimensions: zeroPoints.count == 1 ? [] : [zeroPoints.count],
        integers: zeroPoints))
    sketch.floats("xs", [], [0.5])
    sketch.initializers.append(
      ONNXTensor("xz", elementType: activation, dimensions: [], integers: [3]))
    sketch.add("QuantizeLinear", ["x", "xs", "xz"], "xq")
    sketch.add("DequantizeLinear", ["xq", "xs", "xz"], "xd")
    sketch.add(
      "DequantizeLinear", ["w", "ws", "wz"], "wd", [ONNXAttribute("axis", .integer(axis))])
    sketch.add("MatMul", ["xd", "wd"], "h")
    sketch.add("QuantizeLinear", ["h", "xs", "xz"], "hq")
    sketch.add("DequantizeLinear", ["hq", "xs", "xz"], "y")
    return sketch
  }

  @Test("uint8 around 128 is int8 around 0; other zero points cannot be kept")
  func zeroPoints() throws {
    let signed = try sketch(type: .int8, zeroPoints: [0], scales: [0.25]).network()
    let shifted = try sketch(type: .uint8, zeroPoints: [128], scales: [0.25]).network()
    let first = try #require(signed.nodes[0].quantization)
    let second = try #require(shifted.nodes[0].quantization)
    // [4, 3] of the file is [3][4] in the layer.
    #expect(first.weights == [-6, -3, 0, 3, -5, -2, 1, 4, -4, -1, 2, 5])
    #expect(second.weights == first.weights.map { $0 - 2 })
    #expect(first.inputs == [ActivationQuantization(scale: 0.5, zeroPoint: 3)])
    #expect(first.bias == [0, 0, 0])
    for sketch in [
      sketch(type: .int8, zeroPoints: [1], scales: [0.25]),
      sketch(type: .uint8, zeroPoints: [127], scales: [0.25]),
      sketch(type: .int8, zeroPoints: [0, 1, 0], scales: [1, 2, 3]),
      sketch(type: .int8, zeroPoints: [0, 0, 0, 0], scales: [1, 2, 3, 4], axis: 0),
      sketch(type: .int16, zeroPoints: [0], scales: [1]),
      sketch(type: .int8, zeroPoints: [0], scales: [1], activation: .int16),
    ] {
      let error = try #require(fault { () throws(InputError) in _ = try sketch.network() })
      #expect(error.code == 312, "\(error)")
      #expect(error.exit == 4)
    }
  }

  @Test("scales per output channel follow the weights")
  func perChannel() throws {
    let network = try sketch(
      type: .int8, zeroPoints: [0, 0, 0], scales: [0.5, 0.25, 2]
    ).network()
    #expect(network.nodes[0].quantization?.weightScales == [0.5, 0.25, 2])
    guard case .fullyConnected(_, let weights, _) = network.nodes[0].operation else {
      Issue.record("not a fully connected layer")
      return
    }
    #expect(weights == [-3, -1.5, 0, 1.5, -1.25, -0.5, 0.25, 1, -8, -2, 4, 10])
  }

  @Test("scales that are no scales", arguments: [0, -1, .nan, .infinity] as [Float])
  func scales(_ scale: Float) {
    #expect(code(sketch(type: .int8, zeroPoints: [0], scales: [scale])) == 601)
  }

  @Test("a rectifier that the quantiser left to the zero point is put back")
  func impliedRectifier() throws {
    var sketch = sketch(type: .int8, zeroPoints: [0], scales: [0.25])
    sketch.initializers.append(
      ONNXTensor("low", elementType: .int8, dimensions: [], integers: [-128]))
    sketch.nodes[4].inputs[2] = "low"
    sketch.nodes[5].inputs[2] = "low"
    let network = try sketch.network()
    #expect(network.nodes.count == 2)
    guard case .activation(.clip(let low, let high)) = network.nodes[1].operation else {
      Issue.record("no clip after the layer")
      return
    }
    #expect(low == 0)
    #expect(high == 127.5)
    // The layer's own output is what the clip makes of it.
    #expect(network.nodes[0].quantization?.output?.zeroPoint == -128)
  }

  @Test("float weights quantised in the graph, ties to even")
  func simulated() throws {
    var sketch = ONNXSketch()
    sketch.floats("w", [4, 1], [0.5, 1.5, -2.5, 300])
    sketch.floats("s", [], [1])
    sketch.initializers.append(
      ONNXTensor("z", elementType: .int8, dimensions: [], integers: [0]))
    sketch.add("QuantizeLinear", ["w", "s", "z"], "wq")
    sketch.add("DequantizeLinear", ["wq", "s", "z"], "wd")
    sketch.add("QuantizeLinear", ["x", "s", "z"], "xq")
    sketch.add("DequantizeLinear", ["xq", "s", "z"], "xd")
    sketch.add("MatMul", ["xd", "wd"], "y")
    let quantization = try #require(try sketch.network().nodes[0].quantization)
    #expect(quantization.weights == [0, 2, -2, 127])
    #expect(quantization.output == nil)
  }
}
