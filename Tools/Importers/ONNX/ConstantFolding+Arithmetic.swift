extension ONNXImporter {
  /// Two constants of broadcast shapes. Floats use + − × ÷ only, rounded once each; nil for what
  /// would need more.
  mutating func foldBinary(
    _ type: String, _ a: ConstantTensor, _ b: ConstantTensor
  ) throws(InputError) -> ConstantTensor? {
    guard let shape = broadcastShape(a.shape, b.shape) else {
      throw graphError("\(type) '\(node.path)': shapes \(a.shape) and \(b.shape)")
    }
    _ = try reserve(shape)
    let left = broadcastIndices(a.shape, to: shape)
    let right = broadcastIndices(b.shape, to: shape)
    let name = a.name ?? b.name
    if let x = a.integers, let y = b.integers {
      var values: [Int64] = []
      values.reserveCapacity(left.count)
      for index in left.indices {
        guard let value = try integer(type, x[left[index]], y[right[index]]) else { return nil }
        values.append(value)
      }
      let comparisons = ["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "And", "Or"]
      return ConstantTensor(
        shape: shape, integers: values,
        elementType: comparisons.contains(type) ? .bool : a.elementType, name: name)
    }
    let x = a.asFloats
    let y = b.asFloats
    if let compare = Self.comparison(type) {
      return ConstantTensor(
        shape: shape,
        integers: left.indices.map { compare(x[left[$0]], y[right[$0]]) ? 1 : 0 },
        elementType: .bool)
    }
    var values: [Float] = []
    values.reserveCapacity(left.count)
    for index in left.indices {
      guard let value = Self.float(type, x[left[index]], y[right[index]]) else { return nil }
      values.append(value)
    }
    return ConstantTensor(shape: shape, floats: values, name: name)
  }

  private func integer(_ type: String, _ x: Int64, _ y: Int64) throws(InputError) -> Int64? {
    switch type {
    case "Add", "Sum": return x &+ y
    case "Sub": return x &- y
    case "Mul": return x &* y
    case "Div", "Mod":
      guard y != 0 else { throw graphError("\(type) '\(node.path)': division by zero") }
      // Only Int64.min / −1 overflows; as a shape it is nonsense either way.
      if type == "Div" { return x.dividedReportingOverflow(by: y).partialValue }
      let remainder = x.remainderReportingOverflow(dividingBy: y).partialValue
      let truncates = try flag("fmod")
      return !truncates && remainder != 0 && (remainder < 0) != (y < 0) ? remainder + y : remainder
    case "Pow":
      guard (0...62).contains(y) else { return nil }
      return (0..<y).reduce(1) { result, _ in result &* x }
    case "Max": return max(x, y)
    case "Min": return min(x, y)
    case "Equal": return x == y ? 1 : 0
    case "Less": return x < y ? 1 : 0
    case "LessOrEqual": return x <= y ? 1 : 0
    case "Greater": return x > y ? 1 : 0
    case "GreaterOrEqual": return x >= y ? 1 : 0
    case "And": return x != 0 && y != 0 ? 1 : 0
    case "Or": return x != 0 || y != 0 ? 1 : 0
    default: return nil
    }
  }

  private static func comparison(_ type: String) -> ((Float, Float) -> Bool)? {
    switch type {
    case "Equal": { $0 == $1 }
    case "Less": { $0 < $1 }
    case "LessOrEqual": { $0 <= $1 }
    case "Greater": { $0 > $1 }
    case "GreaterOrEqual": { $0 >= $1 }
    default: nil
    }
  }

  private static func float(_ type: String, _ x: Float, _ y: Float) -> Float? {
    switch type {
    case "Add", "Sum": x + y
    case "Sub": x - y
    case "Mul": x * y
    case "Div": x / y
    case "Max": max(x, y)
    case "Min": min(x, y)
    case "Pow" where y == 0.5: x.squareRoot()
    case "Pow" where y == -0.5: 1 / x.squareRoot()
    case "Pow" where y == -1: 1 / x
    case "Pow" where y == 1: x
    case "Pow" where y == 2: x * x
    case "Pow" where y == 3: x * x * x
    default: nil
    }
  }

  func foldUnary(_ tensor: ConstantTensor) -> ConstantTensor? {
    var result = tensor
    result.quantized = nil
    switch (node.operatorType, tensor.values) {
    case ("Neg", .integers(let values)): result.values = .integers(values.map { 0 &- $0 })
    case ("Neg", .floats(let values)): result.values = .floats(values.map { -$0 })
    case ("Abs", .integers(let values)):
      result.values = .integers(values.map { $0 < 0 ? 0 &- $0 : $0 })
    case ("Abs", .floats(let values)): result.values = .floats(values.map { abs($0) })
    case ("Relu", .floats(let values)): result.values = .floats(values.map { max($0, 0) })
    case ("Sqrt", .floats(let values)):
      result.values = .floats(values.map { $0.squareRoot() })
    case ("Reciprocal", .floats(let values)): result.values = .floats(values.map { 1 / $0 })
    case ("Floor", .floats(let values)):
      result.values = .floats(values.map { $0.rounded(.down) })
    case ("Ceil", .floats(let values)): result.values = .floats(values.map { $0.rounded(.up) })
    case ("Not", .integers(let values)):
      result.values = .integers(values.map { $0 == 0 ? 1 : 0 })
    default: return nil
    }
    return result
  }

  /// ReduceSum and its kin, element after element in the order of memory.
  mutating func foldReduction(_ tensor: ConstantTensor) throws(InputError) -> ConstantTensor? {
    let rank = tensor.shape.count
    var axes = Array(0..<rank)
    if case .values(let values) = try integerList("axes", input: 1), !values.isEmpty {
      axes = values.compactMap { normalized($0, rank: rank) }
      guard axes.count == values.count else { return nil }
    }
    let keepsAxes = try flag("keepdims", default: true)
    let kept = (0..<rank).map { axes.contains($0) ? 1 : tensor.shape[$0] }
    let shape =
      keepsAxes ? kept : (0..<rank).filter { !axes.contains($0) }.map { tensor.shape[$0] }
    guard tensor.count > 0 else { return nil }
    let count = kept.reduce(1, *)
    let target = broadcastIndices(kept, to: tensor.shape)
    if let values = tensor.integers, node.operatorType != "ReduceMean" {
      var results = [Int64?](repeating: nil, count: count)
      for (index, value) in values.enumerated() {
        guard let sum = results[target[index]] else {
          results[target[index]] = value
          continue
        }
        switch node.operatorType {
        case "ReduceSum": results[target[index]] = sum &+ value
        case "ReduceProd": results[target[index]] = sum &* value
        case "ReduceMax": results[target[index]] = max(sum, value)
        default: results[target[index]] = min(sum, value)
        }
      }
      return ConstantTensor(
        shape: shape, integers: results.compactMap { $0 }, elementType: tensor.elementType)
    }
    guard let values = tensor.floats else { return nil }
    var results = [Float?](repeating: nil, count: count)
    for (index, value) in values.enumerated() {
      guard let sum = results[target[index]] else {
        results[target[index]] = value
        continue
      }
      switch node.operatorType {
      case "ReduceSum", "ReduceMean": results[target[index]] = sum + value
      case "ReduceProd": results[target[index]] = sum * value
      case "ReduceMax": results[target[index]] = max(sum, value)
      default: results[target[index]] = min(sum, value)
      }
    }
    let divisor = Float(tensor.count / count)
    let isMean = node.operatorType == "ReduceMean"
    return ConstantTensor(
      shape: shape, floats: results.compactMap { $0.map { isMean ? $0 / divisor : $0 } })
  }
}
