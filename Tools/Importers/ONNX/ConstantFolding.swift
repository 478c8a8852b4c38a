extension ONNXImporter {
  /// Evaluates a node whose inputs are all constant (nil where an input is left out).
  mutating func foldConstants(_ inputs: [ConstantTensor?]) throws(InputError) -> [Value] {
    switch node.operatorType {
    case "Constant": return try foldConstantNode()
    case "DequantizeLinear": return try dequantized(inputs)
    case "QuantizeLinear": return try quantized(inputs)
    default: break
    }
    guard inputs.first != nil, let first = inputs[0] ?? inputs.compactMap({ $0 }).first else {
      return block(304, "without inputs it is not supported")
    }
    let result: ConstantTensor?
    switch node.operatorType {
    case "Identity", "Dropout": result = first
    case "Cast", "CastLike": result = try foldCast(first, inputs)
    case "Shape", "Size": result = try foldShape(first)
    case "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Slice", "Gather", "Expand",
      "Tile":
      result = try foldMovement(first, inputs)
    case "Concat": result = try foldConcat(inputs)
    case "Split": return try foldSplit(first)
    case "ConstantOfShape": result = try foldConstantOfShape(first)
    case "Range": result = try foldRange(inputs)
    case "Where": result = try foldWhere(inputs)
    case "Add", "Sub", "Mul", "Div", "Mod", "Pow", "Max", "Min", "Sum", "Equal", "Less",
      "LessOrEqual", "Greater", "GreaterOrEqual", "And", "Or":
      var total = first
      for other in inputs.dropFirst() {
        guard let other, let next = try foldBinary(node.operatorType, total, other) else {
          return [.blocked]
        }
        total = next
      }
      result = total
    case "Neg", "Abs", "Sqrt", "Reciprocal", "Floor", "Ceil", "Not", "Relu":
      result = foldUnary(first)
    case "ReduceMax", "ReduceMin", "ReduceSum", "ReduceProd", "ReduceMean":
      result = try foldReduction(first)
    default: result = nil
    }
    guard let result else {
      return block(304, "on constants it is not supported", help: "simplify the export")
    }
    return [.constant(result)]
  }

  /// Counts the elements about to be made: a short file can ask for a huge tensor.
  mutating func reserve(_ sizes: [Int]) throws(InputError) -> Int {
    guard let count = checkedCount(sizes, limit: 1 << 26), sizes.count <= ONNXModel.rankLimit,
      foldedElements + count <= 1 << 26
    else {
      throw graphError("\(node.operatorType) '\(node.path)': a constant of shape \(sizes)")
    }
    foldedElements += count
    return count
  }

  private mutating func foldConstantNode() throws(InputError) -> [Value] {
    if let tensor = try tensor("value") {
      var constant = try tensor.elements(from: external)
      _ = try reserve(constant.shape)
      if constant.name?.isEmpty ?? true { constant.name = node.outputs.first }
      return [.constant(constant)]
    }
    for attribute in node.attributes {
      switch attribute.value {
      case .integer(let value):
        return [.constant(ConstantTensor(shape: [], integers: [value]))]
      case .integers(let values):
        return [.constant(ConstantTensor(shape: [values.count], integers: values))]
      case .float(let value): return [.constant(ConstantTensor(shape: [], floats: [value]))]
      case .floats(let values):
        return [.constant(ConstantTensor(shape: [values.count], floats: values))]
      default: break
      }
    }
    return block(305, "a constant without a number")
  }

  private func foldCast(
    _ tensor: ConstantTensor, _ inputs: [ConstantTensor?]
  ) throws(InputError) -> ConstantTensor? {
    var type = ONNXElementType(rawValue: Int(try integer("to", default: 1)))
    if node.operatorType == "CastLike" {
      guard inputs.count > 1, let like = inputs[1] else { return nil }
      type = like.elementType
    }
    var result = tensor
    result.elementType = type
    if type.isFloatingPoint {
      result.values = .floats(tensor.asFloats)
      return result
    }
    switch tensor.values {
    case .integers(let values):
      if type == .bool { result.values = .integers(values.map { $0 == 0 ? 0 : 1 }) }
    case .floats(let values):
      // Toward zero, as ONNX says; what does not fit is no shape.
      guard values.allSatisfy({ abs($0) < 9e18 }) else { return nil }
      result.values = .integers(
        values.map { type == .bool ? ($0 == 0 ? 0 : 1) : Int64($0) })
      result.quantized = nil
    }
    return result
  }

  private mutating func foldShape(_ tensor: ConstantTensor) throws(InputError) -> ConstantTensor {
    if node.operatorType == "Size" {
      return ConstantTensor(shape: [], integers: [Int64(tensor.count)])
    }
    let rank = Int64(tensor.shape.count)
    func bound(_ value: Int64) -> Int {
      Int(min(max(value < 0 ? value + rank : value, 0), rank))
    }
    let start = bound(max(try integer("start", default: 0), -rank))
    let end = bound(max(try integer("end", default: rank), -rank))
    let part = start < end ? tensor.shape[start..<end].map(Int64.init) : []
    return ConstantTensor(shape: [part.count], integers: part)
  }

  private mutating func foldConstantOfShape(
    _ shape: ConstantTensor
  ) throws(InputError) -> ConstantTensor? {
    guard let sizes = shape.integers, sizes.allSatisfy({ (0...Int64(Int32.max)).contains($0) })
    else { return nil }
    let target = sizes.map(Int.init)
    let count = try reserve(target)
    guard let value = try tensor("value")?.elements(from: external) else {
      return ConstantTensor(shape: target, floats: [Float](repeating: 0, count: count))
    }
    guard value.count == 1 else { return nil }
    return value.gathered([Int](repeating: 0, count: count), shape: target)
  }

  private mutating func foldRange(
    _ inputs: [ConstantTensor?]
  ) throws(InputError) -> ConstantTensor? {
    let bounds = inputs.compactMap { $0?.integers?.first }
    guard bounds.count == 3, bounds.allSatisfy({ abs($0) < 1 << 40 }), bounds[2] != 0 else {
      return nil
    }
    let (start, limit, step) = (bounds[0], bounds[1], bounds[2])
    let distance = step > 0 ? limit - start : start - limit
    let count = max(0, (distance + abs(step) - 1) / abs(step))
    _ = try reserve([Int(count)])
    return ConstantTensor(
      shape: [Int(count)], integers: (0..<count).map { start + $0 * step })
  }

  private mutating func foldWhere(
    _ inputs: [ConstantTensor?]
  ) throws(InputError) -> ConstantTensor? {
    guard inputs.count == 3, let condition = inputs[0], let yes = inputs[1], let no = inputs[2],
      let chosen = condition.integers,
      let shape = broadcastShape(condition.shape, yes.shape),
      let shape = broadcastShape(shape, no.shape)
    else { return nil }
    _ = try reserve(shape)
    let selector = broadcastIndices(condition.shape, to: shape).map { chosen[$0] != 0 }
    let yesIndices = broadcastIndices(yes.shape, to: shape)
    let noIndices = broadcastIndices(no.shape, to: shape)
    if let a = yes.integers, let b = no.integers {
      return ConstantTensor(
        shape: shape,
        integers: selector.indices.map { selector[$0] ? a[yesIndices[$0]] : b[noIndices[$0]] },
        elementType: yes.elementType)
    }
    let a = yes.asFloats
    let b = no.asFloats
    return ConstantTensor(
      shape: shape,
      floats: selector.indices.map { selector[$0] ? a[yesIndices[$0]] : b[noIndices[$0]] })
  }
}

/// The common shape of two tensors under ONNX's (NumPy's) broadcasting; nil if there is none.
func broadcastShape(_ a: [Int], _ b: [Int]) -> [Int]? {
  let rank = max(a.count, b.count)
  var result: [Int] = []
  for axis in 0..<rank {
    let x = axis < rank - a.count ? 1 : a[axis - rank + a.count]
    let y = axis < rank - b.count ? 1 : b[axis - rank + b.count]
    guard x == y || x == 1 || y == 1 else { return nil }
    result.append(x == 1 ? y : x)
  }
  return result
}

/// For every element of `target`, the element of a tensor of `shape` it is made from.
func broadcastIndices(_ shape: [Int], to target: [Int]) -> [Int] {
  if shape == target { return Array(0..<target.reduce(1, *)) }
  let lead = target.count - shape.count
  let strides = rowMajorStrides(shape)
  var indices = [0]
  for axis in target.indices {
    let isRepeated = axis < lead || shape[axis - lead] == 1
    let stride = isRepeated ? 0 : strides[axis - lead]
    indices = indices.flatMap { index in (0..<target[axis]).map { index + $0 * stride } }
  }
  return indices
}
