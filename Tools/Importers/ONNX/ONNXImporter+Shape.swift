extension ONNXImporter {
  /// Reshape, Flatten, Squeeze, Unsqueeze and Transpose of a computed value: the view changes,
  /// no data moves.
  mutating func readView() throws(InputError) -> [Value] {
    guard let view = activationInput else { return block(305, "its data input is constant") }
    let sizes = view.sizes
    let target: [Int]?
    switch node.operatorType {
    case "Transpose":
      let axes = try permutation(rank: sizes.count)
      return one(view.transposed(axes))
    case "Flatten":
      let axis = try integer("axis", default: 1)
      guard
        let axis = axis == Int64(sizes.count) ? sizes.count : normalized(axis, rank: sizes.count)
      else { throw graphError("Flatten '\(node.path)': axis \(axis) of \(sizes.count)") }
      target = [sizes[..<axis].reduce(1, *), sizes[axis...].reduce(1, *)]
    case "Reshape": target = try reshapeTarget(sizes)
    case "Squeeze":
      switch try integerList("axes", input: 1) {
      case .blocked: return [.blocked]
      case .absent:
        let kept = sizes.indices.filter { sizes[$0] != 1 || view.isBatch($0) }
        return one(TensorView(tensor: view.tensor, axes: kept.map { view.axes[$0] }))
      case .values(let values):
        var dropped: Set<Int> = []
        for value in values {
          guard let axis = normalized(value, rank: sizes.count), sizes[axis] == 1 else {
            throw graphError("Squeeze '\(node.path)': axis \(value) of \(sizes)")
          }
          dropped.insert(axis)
        }
        let kept = sizes.indices.filter { !dropped.contains($0) }
        return one(TensorView(tensor: view.tensor, axes: kept.map { view.axes[$0] }))
      }
    default:
      guard case .values(let values) = try integerList("axes", input: 1) else {
        return block(305, "its axes are computed from the data")
      }
      guard let axes = unsqueezed(values, rank: sizes.count) else {
        throw graphError("Unsqueeze '\(node.path)': axes \(values) of \(sizes)")
      }
      var old = view.axes.makeIterator()
      return one(
        TensorView(
          tensor: view.tensor, axes: axes.map { $0 ? [] : old.next() ?? [] }))
    }
    guard let target else { return [.blocked] }
    guard target.reduce(1, *) == sizes.reduce(1, *) else {
      throw graphError("\(node.operatorType) '\(node.path)': \(sizes) to \(target)")
    }
    guard let result = view.reshaped(target) else {
      return block(305, "from \(sizes) to \(target) regroups elements across axes")
    }
    return one(result)
  }

  /// For every axis of the result of Unsqueeze, whether it is new; nil if the axes are wrong.
  func unsqueezed(_ axes: [Int64], rank: Int) -> [Bool]? {
    let total = rank + axes.count
    guard total <= ONNXModel.rankLimit else { return nil }
    var isNew = [Bool](repeating: false, count: total)
    for value in axes {
      guard let axis = normalized(value, rank: total), !isNew[axis] else { return nil }
      isNew[axis] = true
    }
    return isNew
  }

  func permutation(rank: Int) throws(InputError) -> [Int] {
    let axes = try sizes("perm") ?? Array((0..<rank).reversed())
    guard axes.sorted() == Array(0..<rank) else {
      throw graphError("Transpose '\(node.path)': permutation \(axes) of \(rank) axes")
    }
    return axes
  }

  /// The target of a Reshape with 0 (copy) and −1 (infer) resolved; nil if it is computed.
  mutating func reshapeTarget(_ sizes: [Int]) throws(InputError) -> [Int]? {
    guard let shape = constantInput(1)?.integers else {
      note(305, "its target shape is computed from the data", help: "export with fixed shapes")
      return nil
    }
    return try resolvedShape(shape, of: sizes)
  }

  func resolvedShape(_ shape: [Int64], of sizes: [Int]) throws(InputError) -> [Int] {
    let allowsZero = try flag("allowzero")
    var target: [Int] = []
    for (axis, value) in shape.enumerated() {
      if value == 0, !allowsZero, axis < sizes.count {
        target.append(sizes[axis])
      } else {
        guard value >= -1, value <= Int64(Int32.max) else {
          throw graphError("Reshape '\(node.path)': shape \(shape)")
        }
        target.append(Int(value))
      }
    }
    let open = target.indices.filter { target[$0] == -1 }
    if let position = open.first {
      target[position] = 1
      guard open.count == 1, let known = checkedCount(target), known > 0 else {
        throw graphError("Reshape '\(node.path)': shape \(shape)")
      }
      target[position] = sizes.reduce(1, *) / known
    }
    guard target.count <= ONNXModel.rankLimit, checkedCount(target) != nil else {
      throw graphError("Reshape '\(node.path)': shape \(shape)")
    }
    return target
  }

  /// Expand of a computed value: to the shape it has, or of one position to many.
  mutating func readExpand() throws(InputError) -> [Value] {
    guard let view = activationInput, let shape = constantInput(1)?.integers else {
      return block(305, "its target shape is computed from the data")
    }
    let sizes = view.sizes.map(Int64.init)
    let lead = sizes.count - shape.count
    let isSame =
      lead >= 0
      && shape.indices.allSatisfy { shape[$0] == 1 || shape[$0] == sizes[$0 + lead] }
    if isSame { return one(view) }
    return repeated(view, to: shape).map(one) ?? block(305, "repeats computed values")
  }

  /// One position, [batch, channels, 1, 1], over an image's height and width: a gate before it meets
  /// what it gates.
  private mutating func repeated(_ view: TensorView, to shape: [Int64]) -> TensorView? {
    let present = graph.shape(of: view.tensor)
    let sizes = view.sizes
    guard present.positions == 1, shape.count == sizes.count, var roles = view.roles(in: present),
      roles.contains(.channels),
      shape.indices.allSatisfy({ shape[$0] == 1 || sizes[$0] == 1 || shape[$0] == Int64(sizes[$0]) }
      )
    else { return nil }
    // The axes that are neither batch nor channels are height and width, in this order.
    var rest = roles.indices.filter { roles[$0] == .one }
    guard (1...2).contains(rest.count), rest.allSatisfy({ (1..<1 << 20).contains(shape[$0]) })
    else {
      return nil
    }
    let width = rest.removeLast()
    roles[width] = .width
    let height = rest.first
    if let height { roles[height] = .height }
    let factors = (height.map { Int(shape[$0]) } ?? 1, Int(shape[width]))
    guard checkedCount([factors.0, factors.1, present.channels]) != nil else { return nil }
    let image = TensorShape(height: factors.0, width: factors.1, channels: present.channels)
    let tensor = append(
      .network(.upsample(factorHeight: factors.0, factorWidth: factors.1)), inputs: [view.tensor],
      shape: image)
    return TensorView(tensor: tensor, shape: image, roles: roles, batch: batch)
  }

  /// Softmax and LogSoftmax over the features of a vector.
  mutating func readSoftmax() throws(InputError) -> [Value] {
    guard let view = activationInput else { return block(305, "its data input is constant") }
    let rank = view.axes.count
    // Before operator set 13 the axis was where a flattening begins.
    let stated = try integer("axis", default: opset < 13 ? 1 : -1)
    guard let axis = normalized(stated, rank: rank) else {
      throw graphError("\(node.operatorType) '\(node.path)': axis \(stated) of \(rank)")
    }
    let shape = graph.shape(of: view.tensor)
    let others = (0..<rank).filter { $0 != axis && !view.factors($0).isEmpty }
    let isVector = shape == TensorShape(height: 1, width: 1, channels: shape.channels)
    guard others.isEmpty, isVector, !view.isBatch(axis) else {
      return block(
        305, "over a part of \(view.sizes)", help: "Softmax is supported as the last layer")
    }
    let isLog = node.operatorType == "LogSoftmax"
    return one(appendInPlace(.network(isLog ? .logSoftmax : .softmax), view))
  }
}
