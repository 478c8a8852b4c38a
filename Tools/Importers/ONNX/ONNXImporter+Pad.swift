extension ONNXImporter {
  /// Pad with zeros; negative padding cuts.
  mutating func readPad() throws(InputError) -> [Value] {
    guard let view = activationInput else { return block(305, "its data input is constant") }
    let mode = try string("mode", default: "constant")
    guard mode == "constant" else {
      return block(305, "mode '\(mode)'", help: "use zero padding")
    }
    guard case .values(let pads) = try integerList("pads", input: 1) else {
      return block(305, "its padding is computed from the data", help: "export with fixed shapes")
    }
    var value = try float("value", default: 0)
    if let given = input(2) {
      guard case .constant(let tensor) = given, let scalar = tensor.scalar else {
        return block(305, "its value is computed from the data")
      }
      value = scalar
    }
    let rank = view.axes.count
    let axes = constantInput(3)?.integers ?? Array(0..<Int64(rank))
    guard pads.count == 2 * axes.count, pads.allSatisfy({ abs($0) < 1 << 20 }) else {
      throw graphError("Pad '\(node.path)': \(pads) for \(axes.count) axes")
    }
    if pads.allSatisfy({ $0 == 0 }) { return one(view) }
    guard value == 0 else { return block(305, "value \(value)", help: "use zero padding") }
    guard let (view, roles) = structured(view) else { return [.blocked] }
    let shape = graph.shape(of: view.tensor)
    var slice = SlicePad(identity: shape)
    for (index, stated) in axes.enumerated() {
      let before = Int(pads[index])
      let after = Int(pads[index + axes.count])
      if before == 0 && after == 0 { continue }
      guard let axis = normalized(stated, rank: rank) else {
        throw graphError("Pad '\(node.path)': axis \(stated) of \(rank)")
      }
      // Negative padding cuts.
      func padded(_ size: Int) -> SlicePad.Axis {
        SlicePad.Axis(
          start: max(-before, 0), padBefore: max(before, 0), padAfter: max(after, 0),
          count: size - max(-before, 0) - max(-after, 0))
      }
      switch roles[axis] {
      case .height: slice.height = padded(shape.height)
      case .width: slice.width = padded(shape.width)
      case .channels: slice.channels = padded(shape.channels)
      case .batch, .one: return block(305, "along the batch")
      }
    }
    guard slice.height.count > 0, slice.width.count > 0, slice.channels.count > 0 else {
      throw graphError("Pad '\(node.path)': nothing is left of \(shape)")
    }
    return one(appendSlicePad(slice, view, roles))
  }

  /// Concat along the channels.
  mutating func readConcat() throws(InputError) -> [Value] {
    var views: [TensorView] = []
    for position in node.inputs.indices {
      switch input(position) {
      case .activation(let view): views.append(view)
      case .constant: return block(305, "of computed and constant values")
      default: return [.blocked]
      }
    }
    let first = views[0]
    let rank = first.axes.count
    let stated = try integer("axis", default: 1)
    guard let axis = normalized(stated, rank: rank), views.allSatisfy({ $0.axes.count == rank })
    else { throw graphError("Concat '\(node.path)': axis \(stated), \(views.map(\.sizes))") }
    if views.count == 1 { return one(first) }
    guard let (leading, roles) = structured(first) else { return [.blocked] }
    guard roles[axis] == .channels else {
      return block(305, "along axis \(stated), which is not the channels")
    }
    var shape = graph.shape(of: leading.tensor)
    var tensors = [leading.tensor]
    for view in views.dropFirst() {
      let tensor = spatialTensor(
        view, height: roles.firstIndex(of: .height), width: roles.firstIndex(of: .width),
        channels: axis)
      let other = graph.shape(of: tensor)
      guard other.height == shape.height, other.width == shape.width else {
        throw graphError("Concat '\(node.path)': \(views.map(\.sizes))")
      }
      shape.channels += other.channels
      tensors.append(tensor)
    }
    let tensor = append(.network(.concatenate), inputs: tensors, shape: shape)
    return one(TensorView(tensor: tensor, shape: shape, roles: roles, batch: batch))
  }
}
