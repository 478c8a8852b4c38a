extension ONNXImporter {
  /// Resize and Upsample by whole factors, where every element is simply repeated.
  mutating func readResize() throws(InputError) -> [Value] {
    guard let view = activationInput else { return block(305, "its data input is constant") }
    let mode = try string("mode", default: "nearest")
    guard mode == "nearest" else {
      return block(305, "mode '\(mode)'", help: "use nearest-neighbour interpolation")
    }
    let sizes = view.sizes
    guard let target = try resizeTarget(sizes) else { return [.blocked] }
    guard let (view, roles) = structured(view) else { return [.blocked] }
    var height = 1
    var width = 1
    for axis in sizes.indices where target[axis] != sizes[axis] {
      guard sizes[axis] > 0, target[axis] % sizes[axis] == 0, target[axis] > 0 else {
        return block(305, "from \(sizes) to \(target)", help: "use a whole factor")
      }
      let factor = target[axis] / sizes[axis]
      guard try repeatsElements(size: sizes[axis], factor: factor) else {
        return block(
          305, "rounding that does not repeat elements evenly",
          help: "use coordinate_transformation_mode=asymmetric, nearest_mode=floor")
      }
      switch roles[axis] {
      case .height: height = factor
      case .width: width = factor
      default: return block(305, "along the channels or the batch")
      }
    }
    if height == 1 && width == 1 { return one(view) }
    var shape = graph.shape(of: view.tensor)
    guard checkedCount([shape.height, height, shape.width, width, shape.channels]) != nil else {
      throw graphError("\(node.operatorType) '\(node.path)': the result is too large")
    }
    shape.height *= height
    shape.width *= width
    let tensor = append(
      .network(.upsample(factorHeight: height, factorWidth: width)), inputs: [view.tensor],
      shape: shape)
    return one(TensorView(tensor: tensor, shape: shape, roles: roles, batch: batch))
  }

  private mutating func resizeTarget(_ sizes: [Int]) throws(InputError) -> [Int]? {
    let isUpsample = node.operatorType == "Upsample" || opset == 10
    var target = sizes
    let axes = try integers("axes")?.map { normalized($0, rank: sizes.count) }
    let positions = axes.map { $0.compactMap { $0 } } ?? Array(sizes.indices)
    if let wanted = constantInput(3)?.integers, !wanted.isEmpty, !isUpsample {
      guard wanted.count == positions.count, wanted.allSatisfy({ $0 > 0 && $0 < 1 << 31 }) else {
        throw graphError("Resize '\(node.path)': sizes \(wanted)")
      }
      for (index, axis) in positions.enumerated() { target[axis] = Int(wanted[index]) }
      return target
    }
    let scales = try floats("scales") ?? constantInput(isUpsample ? 1 : 2)?.asFloats
    guard let scales else {
      note(305, "its factors are computed from the data", help: "export with fixed shapes")
      return nil
    }
    guard scales.count == positions.count, scales.allSatisfy({ $0 > 0 && $0 < 65_536 }) else {
      throw graphError("\(node.operatorType) '\(node.path)': scales \(scales)")
    }
    for (index, axis) in positions.enumerated() {
      target[axis] = Int(Float(sizes[axis]) * scales[index])
    }
    return target
  }

  /// Whether the file's rounding maps every output position to ⌊position / factor⌋.
  private func repeatsElements(size: Int, factor: Int) throws(InputError) -> Bool {
    if node.operatorType == "Upsample" || opset == 10 { return true }
    let transformation = try string("coordinate_transformation_mode", default: "half_pixel")
    let rounding = try string("nearest_mode", default: "round_prefer_floor")
    let length = size * factor
    guard length <= 1 << 20 else { return false }
    for position in 0..<length {
      let x = Double(position)
      let source: Double
      switch transformation {
      case "asymmetric": source = x / Double(factor)
      case "half_pixel", "half_pixel_symmetric": source = (x + 0.5) / Double(factor) - 0.5
      case "pytorch_half_pixel":
        source = length > 1 ? (x + 0.5) / Double(factor) - 0.5 : 0
      case "align_corners":
        source = length > 1 ? x * Double(size - 1) / Double(length - 1) : 0
      default: return false
      }
      let rounded: Double
      switch rounding {
      case "floor": rounded = source.rounded(.down)
      case "ceil": rounded = source.rounded(.up)
      case "round_prefer_ceil": rounded = (source + 0.5).rounded(.down)
      default: rounded = (source - 0.5).rounded(.up)
      }
      if min(max(Int(rounded), 0), size - 1) != position / factor { return false }
    }
    return true
  }
}
