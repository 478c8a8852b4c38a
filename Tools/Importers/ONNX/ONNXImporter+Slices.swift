extension ONNXImporter {
  /// A part of one axis.
  private struct Part {
    var axis: Int
    var start: Int
    var count: Int
    var step = 1
  }

  mutating func readSlices() throws(InputError) -> [Value] {
    guard let view = activationInput else { return block(305, "its data input is constant") }
    switch node.operatorType {
    case "Slice":
      guard let parts = try sliceParts(view.sizes) else { return [.blocked] }
      return sliced(view, parts).map(one) ?? [.blocked]
    case "Split": return try readSplit(view)
    default: return try readGather(view)
    }
  }

  private mutating func sliceParts(_ sizes: [Int]) throws(InputError) -> [Part]? {
    guard case .values(let starts) = try integerList("starts", input: 1),
      case .values(let ends) = try integerList("ends", input: 2)
    else {
      note(305, "its bounds are computed from the data")
      return nil
    }
    var axes = Array(0..<Int64(starts.count))
    switch try integerList("axes", input: 3) {
    case .blocked: return nil
    case .absent: break
    case .values(let values): axes = values
    }
    let steps = constantInput(4)?.integers ?? [Int64](repeating: 1, count: starts.count)
    guard starts.count == ends.count, starts.count == axes.count, starts.count == steps.count else {
      throw graphError("Slice '\(node.path)': \(starts), \(ends), \(axes), \(steps)")
    }
    var parts: [Part] = []
    for index in starts.indices {
      guard let axis = normalized(axes[index], rank: sizes.count),
        let range = sliceRange(
          size: sizes[axis], start: starts[index], end: ends[index], step: steps[index])
      else { throw graphError("Slice '\(node.path)': axes \(axes), steps \(steps) of \(sizes)") }
      guard steps[index] > 0 else {
        note(305, "step \(steps[index])")
        return nil
      }
      parts.append(
        Part(axis: axis, start: range.start, count: range.count, step: Int(steps[index])))
    }
    return parts
  }

  /// First index and number of elements of a slice with Python's rules; nil for step 0 and
  /// steps beyond ±2³¹.
  func sliceRange(
    size: Int, start: Int64, end: Int64, step: Int64
  ) -> (start: Int, count: Int)? {
    guard step != 0, abs(step) <= Int64(Int32.max) else { return nil }
    let size = Int64(size)
    func position(_ value: Int64, _ low: Int64, _ high: Int64) -> Int64 {
      let shifted = value < 0 ? (value < -size ? -1 : value + size) : value
      return min(max(shifted, low), high)
    }
    if step > 0 {
      let first = position(start, 0, size)
      let last = position(end, 0, size)
      return (Int(first), Int(max(0, (last - first + step - 1) / step)))
    }
    let first = position(start, -1, size - 1)
    let last = end < -size ? -1 : position(end, -1, size - 1)
    return (Int(max(first, 0)), Int(max(0, (first - last - step - 1) / -step)))
  }

  private mutating func readSplit(_ view: TensorView) throws(InputError) -> [Value] {
    let sizes = view.sizes
    let stated = try integer("axis", default: 0)
    guard let axis = normalized(stated, rank: sizes.count) else {
      throw graphError("Split '\(node.path)': axis \(stated) of \(sizes.count)")
    }
    guard let counts = try splitCounts(size: sizes[axis]) else {
      return [Value](repeating: .blocked, count: node.outputs.count)
    }
    var results: [Value] = []
    var start = 0
    for count in counts {
      let part = sliced(view, [Part(axis: axis, start: start, count: count)])
      results.append(part.map { .activation($0) } ?? .blocked)
      start += count
    }
    return results
  }

  /// The sizes of a Split's parts, which fill the axis.
  mutating func splitCounts(size: Int) throws(InputError) -> [Int]? {
    let count = node.outputs.count
    switch try integerList("split", input: 1) {
    case .blocked: return nil
    case .values(let values):
      guard values.count == count, values.allSatisfy({ $0 > 0 && $0 <= Int64(size) }),
        values.reduce(0, +) == Int64(size)
      else { throw graphError("Split '\(node.path)': parts \(values) of \(size)") }
      return values.map(Int.init)
    case .absent:
      // Equal parts, the last one smaller if need be.
      let part = (size + count - 1) / count
      let last = size - part * (count - 1)
      guard part > 0, last > 0 else {
        throw graphError("Split '\(node.path)': \(count) parts of \(size)")
      }
      return [Int](repeating: part, count: count - 1) + [last]
    }
  }

  private mutating func readGather(_ view: TensorView) throws(InputError) -> [Value] {
    guard let tensor = constantInput(1), let indices = tensor.integers, !indices.isEmpty else {
      return block(305, "its indices are computed from the data")
    }
    let sizes = view.sizes
    let stated = try integer("axis", default: 0)
    guard let axis = normalized(stated, rank: sizes.count) else {
      throw graphError("Gather '\(node.path)': axis \(stated) of \(sizes.count)")
    }
    let size = Int64(sizes[axis])
    let positions = indices.map { $0 < 0 ? $0 + size : $0 }
    guard positions.allSatisfy({ (0..<size).contains($0) }) else {
      throw graphError("Gather '\(node.path)': indices \(indices) of \(size)")
    }
    let step = positions.count > 1 ? positions[1] - positions[0] : 1
    guard tensor.shape.count <= 1, step > 0,
      positions.indices.allSatisfy({ positions[$0] == positions[0] + Int64($0) * step })
    else { return block(305, "indices that are not an even row") }
    let part = Part(
      axis: axis, start: Int(positions[0]), count: positions.count, step: Int(step))
    guard var result = sliced(view, [part]) else { return [.blocked] }
    if tensor.shape.isEmpty { result.axes.remove(at: axis) }
    return one(result)
  }

  private mutating func sliced(_ view: TensorView, _ parts: [Part]) -> TensorView? {
    let sizes = view.sizes
    let cutting = parts.filter { $0.start != 0 || $0.count != sizes[$0.axis] || $0.step != 1 }
    if cutting.isEmpty { return view }
    guard cutting.allSatisfy({ $0.count > 0 }) else {
      note(305, "an empty slice")
      return nil
    }
    guard let (view, roles) = structured(view) else { return nil }
    var slice = SlicePad(identity: graph.shape(of: view.tensor))
    for part in cutting {
      let axis = SlicePad.Axis(start: part.start, stride: part.step, count: part.count)
      switch roles[part.axis] {
      case .height: slice.height = axis
      case .width: slice.width = axis
      case .channels: slice.channels = axis
      case .batch, .one:
        note(305, "along the batch")
        return nil
      }
    }
    return appendSlicePad(slice, view, roles)
  }

  mutating func appendSlicePad(
    _ slice: SlicePad, _ view: TensorView, _ roles: [AxisRole]
  ) -> TensorView {
    let tensor = append(
      .network(.slicePad(slice)), inputs: [view.tensor], shape: slice.outputShape)
    return TensorView(tensor: tensor, shape: slice.outputShape, roles: roles, batch: batch)
  }
}
