extension ONNXImporter {
  /// Operators that move elements of a constant and change none.
  mutating func foldMovement(
    _ tensor: ConstantTensor, _ inputs: [ConstantTensor?]
  ) throws(InputError) -> ConstantTensor? {
    let shape = tensor.shape
    switch node.operatorType {
    case "Transpose": return transposed(tensor, try permutation(rank: shape.count))
    case "Slice": return try foldSlice(tensor)
    case "Gather": return try foldGather(tensor)
    case "Expand":
      guard inputs.count > 1, let sizes = inputs[1]?.integers,
        sizes.allSatisfy({ (0...Int64(Int32.max)).contains($0) }),
        let target = broadcastShape(shape, sizes.map(Int.init))
      else { return nil }
      _ = try reserve(target)
      return tensor.gathered(broadcastIndices(shape, to: target), shape: target)
    case "Tile":
      guard inputs.count > 1, let repeats = inputs[1]?.integers, repeats.count == shape.count,
        repeats.allSatisfy({ (0...65_536).contains($0) })
      else { return nil }
      let target = zip(shape, repeats).map { $0 * Int($1) }
      _ = try reserve(target)
      let strides = rowMajorStrides(shape)
      var indices = [0]
      for axis in shape.indices {
        indices = indices.flatMap { index in
          (0..<target[axis]).map { index + $0 % shape[axis] * strides[axis] }
        }
      }
      return tensor.gathered(indices, shape: target)
    default: break
    }
    var result = tensor
    switch node.operatorType {
    case "Reshape":
      guard inputs.count > 1, let wanted = inputs[1]?.integers else { return nil }
      result.shape = try resolvedShape(wanted, of: shape)
    case "Flatten":
      let stated = try integer("axis", default: 1)
      guard
        let axis = stated == Int64(shape.count)
          ? shape.count : normalized(stated, rank: shape.count)
      else { return nil }
      result.shape = [shape[..<axis].reduce(1, *), shape[axis...].reduce(1, *)]
    case "Squeeze":
      guard case .values(let axes) = try integerList("axes", input: 1) else {
        result.shape = shape.filter { $0 != 1 }
        break
      }
      let dropped = axes.compactMap { normalized($0, rank: shape.count) }
      guard dropped.count == axes.count, dropped.allSatisfy({ shape[$0] == 1 }) else { return nil }
      result.shape = shape.indices.filter { !dropped.contains($0) }.map { shape[$0] }
    default:
      guard case .values(let axes) = try integerList("axes", input: 1),
        let isNew = unsqueezed(axes, rank: shape.count)
      else { return nil }
      var old = shape.makeIterator()
      result.shape = isNew.map { $0 ? 1 : old.next() ?? 1 }
    }
    guard result.shape.reduce(1, *) == tensor.count else {
      throw graphError("\(node.operatorType) '\(node.path)': \(shape) to \(result.shape)")
    }
    // The axis of per-channel scales does not survive a regrouping in general.
    if let quantized = tensor.quantized, quantized.scales.count > 1 {
      result.quantized = keepingAxis(quantized, from: shape, to: result.shape)
    }
    return result
  }

  /// Scales per index of an axis stay valid if an axis of that size has as much before it.
  private func keepingAxis(
    _ quantized: QuantizedConstant, from old: [Int], to new: [Int]
  ) -> QuantizedConstant? {
    let before = old[..<quantized.axis].reduce(1, *)
    var result = quantized
    for axis in new.indices
    where new[axis] == quantized.scales.count && new[..<axis].reduce(1, *) == before {
      result.axis = axis
      return result
    }
    return nil
  }

  private func transposed(_ tensor: ConstantTensor, _ axes: [Int]) -> ConstantTensor {
    let shape = axes.map { tensor.shape[$0] }
    let strides = rowMajorStrides(tensor.shape)
    var indices = [0]
    for axis in axes {
      indices = indices.flatMap { index in
        (0..<tensor.shape[axis]).map { index + $0 * strides[axis] }
      }
    }
    var result = tensor.gathered(indices, shape: shape)
    if var quantized = tensor.quantized {
      quantized.values = indices.map { quantized.values[$0] }
      if quantized.scales.count > 1 {
        quantized.axis = axes.firstIndex(of: quantized.axis) ?? 0
      }
      result.quantized = quantized
    }
    return result
  }

  private mutating func foldSlice(_ tensor: ConstantTensor) throws(InputError) -> ConstantTensor? {
    let rank = tensor.shape.count
    guard case .values(let starts) = try integerList("starts", input: 1),
      case .values(let ends) = try integerList("ends", input: 2)
    else { return nil }
    var axes = Array(0..<Int64(starts.count))
    if case .values(let values) = try integerList("axes", input: 3) { axes = values }
    let steps = constantInput(4)?.integers ?? [Int64](repeating: 1, count: starts.count)
    guard starts.count == ends.count, starts.count == axes.count, starts.count == steps.count else {
      return nil
    }
    var positions = tensor.shape.map { Array(0..<$0) }
    for index in starts.indices {
      guard let axis = normalized(axes[index], rank: rank),
        let range = sliceRange(
          size: tensor.shape[axis], start: starts[index], end: ends[index], step: steps[index])
      else { return nil }
      positions[axis] = (0..<range.count).map { range.start + $0 * Int(steps[index]) }
    }
    return gathered(tensor, positions)
  }

  /// The elements at the given positions of every axis.
  private func gathered(_ tensor: ConstantTensor, _ positions: [[Int]]) -> ConstantTensor {
    let strides = rowMajorStrides(tensor.shape)
    var indices = [0]
    for axis in positions.indices {
      indices = indices.flatMap { index in positions[axis].map { index + $0 * strides[axis] } }
    }
    return tensor.gathered(indices, shape: positions.map(\.count))
  }

  private mutating func foldGather(_ tensor: ConstantTensor) throws(InputError) -> ConstantTensor? {
    let rank = tensor.shape.count
    guard let selector = constantInput(1), let stated = selector.integers,
      let axis = normalized(try integer("axis", default: 0), rank: rank)
    else { return nil }
    let size = Int64(tensor.shape[axis])
    let chosen = stated.map { $0 < 0 ? $0 + size : $0 }
    guard chosen.allSatisfy({ (0..<size).contains($0) }) else {
      throw graphError("Gather '\(node.path)': indices \(stated) of \(size)")
    }
    var target = tensor.shape
    target.replaceSubrange(axis...axis, with: selector.shape)
    _ = try reserve(target)
    var positions = tensor.shape.map { Array(0..<$0) }
    positions[axis] = chosen.map { Int($0) }
    var result = gathered(tensor, positions)
    result.shape = target
    return result
  }

  mutating func foldConcat(_ inputs: [ConstantTensor?]) throws(InputError) -> ConstantTensor? {
    let tensors = inputs.compactMap { $0 }
    guard let first = tensors.first, tensors.count == inputs.count,
      let axis = normalized(try integer("axis", default: 1), rank: first.shape.count)
    else { return nil }
    var shape = first.shape
    for tensor in tensors.dropFirst() {
      var other = tensor.shape
      guard other.count == shape.count else { return nil }
      shape[axis] += other[axis]
      other[axis] = shape[axis]
      guard other == shape else { return nil }
    }
    _ = try reserve(shape)
    let outer = shape[..<axis].reduce(1, *)
    func joined<Element>(_ lists: [[Element]]) -> [Element] {
      var result: [Element] = []
      for row in 0..<outer {
        for list in lists {
          let run = list.count / max(outer, 1)
          result += list[row * run..<(row + 1) * run]
        }
      }
      return result
    }
    let integers = tensors.compactMap(\.integers)
    if integers.count == tensors.count {
      return ConstantTensor(
        shape: shape, integers: joined(integers), elementType: first.elementType)
    }
    return ConstantTensor(shape: shape, floats: joined(tensors.map(\.asFloats)), name: first.name)
  }

  mutating func foldSplit(_ tensor: ConstantTensor) throws(InputError) -> [Value] {
    guard let axis = normalized(try integer("axis", default: 0), rank: tensor.shape.count),
      let counts = try splitCounts(size: tensor.shape[axis])
    else { return [Value](repeating: .blocked, count: node.outputs.count) }
    var start = 0
    var results: [Value] = []
    for count in counts {
      var positions = tensor.shape.map { Array(0..<$0) }
      positions[axis] = Array(start..<start + count)
      results.append(.constant(gathered(tensor, positions)))
      start += count
    }
    return results
  }
}
