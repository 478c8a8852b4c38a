import Tally

extension ONNXExport {
  /// A table node as the activation it was made from, where one gives these very entries; else as a
  /// look-up of its 256 values.
  mutating func addTable(_ index: Int) throws(InputError) {
    let node = model.nodes[index]
    let name = layerNames[index]
    let input = values[node.inputs[0]]
    guard let table = node.table else { preconditionFailure("a table node has a table") }
    if let kind = Self.kind(
      of: table, from: model.quantization(node.inputs[0]), to: node.quantization)
    {
      var result = input
      result.name = add(kind, input.name, name)
      values.append(try quantized(result, node.quantization, name))
      return
    }
    var integers = input.integers
    if integers == nil {
      // In a dequantised file the look-up still needs the integer.
      let quantization = model.quantization(node.inputs[0])
      let scale = try scales("\(name).input.scale", [quantization.scale], isScalar: true)
      let zero = zeroPoint("\(name).input", quantization)
      integers = add("QuantizeLinear", [input.name, scale, zero], "\(name).input.int8")
    }
    let wide = add(
      "Cast", [integers ?? ""], "\(name).wide", [ONNXAttribute("to", .integer(6))])
    let half = self.integers("\(name).half", .int32, [], [128])
    let position = add("Add", [wide, half], "\(name).index")
    let entries = self.integers("\(name).table", .int8, [256], table.values.map { Int64($0) })
    let looked = add("Gather", [entries, position], "\(name).int8", layer: name)
    let scale = try scales("\(name).scale", [node.quantization.scale], isScalar: true)
    let zero = zeroPoint(name, node.quantization)
    var result = input
    result.integers = looked
    result.name = add("DequantizeLinear", [looked, scale, zero], "\(name).value")
    values.append(result)
  }

  /// The activation whose table this is, values and slopes.
  private static func kind(
    of table: (values: [Int8], slopes: [Int16]), from input: Quantization, to output: Quantization
  ) -> ActivationKind? {
    // The slope far below zero is that of a leaky ReLU, if it is one; people choose round numbers.
    let slope = Float(table.slopes[0]) / 4096
    let candidates: [ActivationKind] =
      [
        .sigmoid, .tanh, .silu, .gelu, .geluTanh, .hardSwish,
        .hardSigmoid(alpha: 1 / 6, beta: 0.5), .hardSigmoid(alpha: 0.2, beta: 0.5),
      ] + [0.01, 0.05, 0.1, 0.2, 0.25, 0.3, slope].map { .leakyRelu(alpha: $0) }
    return candidates.first { kind in
      let made = ActivationTable(kind, from: input, to: output)
      return made.values == table.values && made.slopes == table.slopes
    }
  }

  /// An activation in operators of set 17; gives the result's name.
  private mutating func add(_ kind: ActivationKind, _ x: String, _ name: String) -> String {
    let result = "\(name).result"
    func float(_ name: String, _ value: Float) -> ONNXAttribute {
      ONNXAttribute(name, .float(value))
    }
    switch kind {
    case .sigmoid: return add("Sigmoid", [x], result, layer: name)
    case .tanh: return add("Tanh", [x], result, layer: name)
    case .hardSwish: return add("HardSwish", [x], result, layer: name)
    case .hardSigmoid(let alpha, let beta):
      return add(
        "HardSigmoid", [x], result, [float("alpha", alpha), float("beta", beta)], layer: name)
    case .leakyRelu(let alpha):
      return add("LeakyRelu", [x], result, [float("alpha", alpha)], layer: name)
    case .silu:
      return add("Mul", [x, add("Sigmoid", [x], "\(name).sigmoid")], result, layer: name)
    case .gelu:
      let divisor = floats("\(name).root", [], [Float(2).squareRoot()])
      let erf = add("Erf", [add("Div", [x, divisor], "\(name).scaled")], "\(name).erf")
      return add("Mul", [x, half(erf, name)], result, layer: name)
    case .geluTanh:
      // √(2/π)·(x + 0.044715·x³)
      let cubic = floats("\(name).cubic", [], [0.044715])
      let factor = floats("\(name).factor", [], [0.797_884_56])
      let square = add("Mul", [x, x], "\(name).square")
      let cube = add("Mul", [square, x], "\(name).cube")
      let sum = add("Add", [x, add("Mul", [cube, cubic], "\(name).bent")], "\(name).sum")
      let tanh = add("Tanh", [add("Mul", [sum, factor], "\(name).scaled")], "\(name).tanh")
      return add("Mul", [x, half(tanh, name)], result, layer: name)
    case .relu, .clip: preconditionFailure("a clamp has no table")
    }
  }

  /// (value + 1) / 2.
  private mutating func half(_ value: String, _ name: String) -> String {
    let one = floats("\(name).one", [], [1])
    let halved = floats("\(name).halved", [], [0.5])
    return add("Mul", [add("Add", [value, one], "\(name).raised"), halved], "\(name).gate")
  }
}
