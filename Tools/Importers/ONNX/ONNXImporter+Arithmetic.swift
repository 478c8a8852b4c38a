extension ONNXImporter {
  /// Add, Sum, Sub, Mul, Div, Max and Min, from left to right.
  mutating func readArithmetic() throws(InputError) -> [Value] {
    guard var result = input(0) else { throw graphError("'\(node.path)' has no input") }
    for position in 1..<max(node.inputs.count, 1) {
      guard let other = input(position) else { continue }
      result = try combined(result, other)
      if case .blocked = result { return [.blocked] }
    }
    return [result]
  }

  private mutating func combined(_ left: Value, _ right: Value) throws(InputError) -> Value {
    switch (left, right) {
    case (.activation(let view), .constant(let tensor)):
      return try combined(view, tensor, constantFirst: false)
    case (.constant(let tensor), .activation(let view)):
      return try combined(view, tensor, constantFirst: true)
    case (.activation(let a), .activation(let b)): return combined(a, b)
    case (.constant(let a), .constant(let b)):
      let type = node.operatorType == "Sum" ? "Add" : node.operatorType
      return try foldBinary(type, a, b).map { .constant($0) } ?? .blocked
    default: return .blocked
    }
  }

  /// A computed value and a constant: an affine function, or a bound.
  private mutating func combined(
    _ view: TensorView, _ constant: ConstantTensor, constantFirst: Bool
  ) throws(InputError) -> Value {
    let shape = constant.shape
    if node.operatorType == "Max" || node.operatorType == "Min" {
      guard let bound = constant.scalar else {
        return block(305, "one bound per element or channel", help: "use one bound")[0]
      }
      let kind: ActivationKind
      if node.operatorType == "Max" {
        kind = bound == 0 ? .relu : .clip(low: bound, high: .infinity)
      } else {
        kind = .clip(low: -.infinity, high: bound)
      }
      return .activation(recognized(appendInPlace(.network(.activation(kind)), view)))
    }
    let values = try finiteValues(constant, "the constants").map(Double.init)
    let ones = [Double](repeating: 1, count: values.count)
    let zeros = [Double](repeating: 0, count: values.count)
    switch node.operatorType {
    case "Add", "Sum": return affine(view, scale: ones, offset: values, shape: shape)[0]
    case "Sub" where constantFirst:
      return affine(view, scale: ones.map { -$0 }, offset: values, shape: shape)[0]
    case "Sub": return affine(view, scale: ones, offset: values.map { -$0 }, shape: shape)[0]
    case "Mul": return affine(view, scale: values, offset: zeros, shape: shape)[0]
    case "Div" where constantFirst:
      let numerator = affine(view, scale: zeros, offset: values, shape: shape)[0]
      guard case .activation(let numerator) = numerator else { return numerator }
      return .activation(
        recognized(appendInPlace(.elementwise(.divide), numerator, and: [view.tensor])))
    case "Div":
      guard values.allSatisfy({ $0 != 0 }) else {
        throw InputError(601, "division by zero", place: "node '\(node.path)'", exit: 3)
      }
      return affine(view, scale: values.map { 1 / $0 }, offset: zeros, shape: shape)[0]
    default: return block(304, "with a constant it is not supported")[0]
    }
  }

  /// Two computed values.
  private mutating func combined(_ left: TensorView, _ right: TensorView) -> Value {
    // `aligned` puts the larger one first.
    let isSwapped = isSwapped(left, right)
    guard let (a, b) = aligned(left, right) else {
      let isSame = left.sizes == right.sizes
      return block(
        305,
        isSame
          ? "of values \(left.sizes) in different memory orders"
          : "of values \(left.sizes) and \(right.sizes)",
        help: isSame
          ? "avoid transposing between layers" : "a gate must have one value per channel")[0]
    }
    let isSameShape = graph.shape(of: a.tensor) == graph.shape(of: b.tensor)
    switch node.operatorType {
    case "Mul":
      return .activation(recognized(appendInPlace(.network(.multiply), a, and: [b.tensor])))
    case "Add", "Sum", "Sub":
      var other = b
      var first = a
      if node.operatorType == "Sub" {
        let negative = ImportGraph.Operation.affine(scale: [-1], offset: [0])
        if isSwapped {
          first = appendInPlace(negative, first)
        } else {
          other = appendInPlace(negative, other)
        }
      }
      return .activation(recognized(appendInPlace(.network(.add), first, and: [other.tensor])))
    default:
      guard isSameShape else {
        return block(304, "of two computed values it is not supported")[0]
      }
      let function: ImportGraph.ElementFunction =
        switch node.operatorType {
        case "Max": .maximum
        case "Min": .minimum
        default: .divide
        }
      return .activation(
        recognized(appendInPlace(.elementwise(function), a, and: [b.tensor])))
    }
  }

  /// Whole powers as products.
  mutating func readPower() -> [Value] {
    guard let view = activationInput, let exponent = constantInput(1)?.scalar else {
      return block(305, "its exponent is computed, or one per element")
    }
    guard exponent == 1 || exponent == 2 || exponent == 3 else {
      return block(305, "exponent \(exponent)", help: Self.advice(for: "LayerNormalization"))
    }
    var power = view
    for _ in 1..<Int(exponent) {
      power = appendInPlace(.network(.multiply), power, and: [view.tensor])
    }
    return one(recognized(power))
  }
}
