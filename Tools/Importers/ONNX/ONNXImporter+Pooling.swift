import Tally

extension ONNXImporter {
  /// MaxPool and AveragePool.
  mutating func readPool() throws(InputError) -> [Value] {
    guard let view = activationInput else { return block(305, "its data input is constant") }
    let isMax = node.operatorType == "MaxPool"
    if node.outputs.count > 1, readNames.contains(node.outputs[1]) {
      return block(305, "the second output (positions) is used")
    }
    guard let kernel = try sizes("kernel_shape"), kernel.count == view.axes.count - 2,
      kernel.count == 1 || kernel.count == 2
    else {
      return block(305, "a window that is not 1-D or 2-D")
    }
    guard let input = imageTensor(view) else { return [.blocked] }
    let shape = graph.shape(of: input)
    guard var geometry = try windowGeometry(kernel: kernel, shape) else { return [.blocked] }
    let countsPadding = try flag("count_include_pad")
    if !isMax && (geometry.dilationHeight > 1 || geometry.dilationWidth > 1) {
      return block(305, "dilations \(geometry.dilationHeight)×\(geometry.dilationWidth)")
    }
    if try flag("ceil_mode") {
      let exact = Self.roundUp(&geometry, shape)
      // Elements beyond the stated padding are not counted by count_include_pad.
      if !exact && !isMax && countsPadding {
        return block(
          305, "ceil_mode with count_include_pad", help: "export with ceil_mode=False")
      }
    }
    guard let size = geometry.outputSize(shape) else {
      throw graphError(
        "\(node.operatorType) '\(node.path)': the window does not fit the input \(shape)")
    }
    let operation: FloatOperation =
      isMax
      ? .maxPool(geometry: geometry)
      : .averagePool(
        geometry: geometry, countsPadding: countsPadding && geometry.hasPadding)
    let output = append(
      .network(operation), inputs: [input],
      shape: TensorShape(height: size.height, width: size.width, channels: shape.channels))
    return one(imageView(output, rank: view.axes.count))
  }

  /// Turns "round the size up" into padding at the end; true if nothing had to be added.
  private static func roundUp(_ geometry: inout WindowGeometry, _ shape: TensorShape) -> Bool {
    func extra(_ size: Int, _ before: Int, _ after: Int, _ span: Int, _ stride: Int) -> Int {
      let room = size + before + after - span
      guard room >= 0, room % stride != 0 else { return 0 }
      let count = room / stride + 1
      // A window that would start in the padding at the end is left out.
      return count * stride < size + before ? stride - room % stride : 0
    }
    let bottom = extra(
      shape.height, geometry.padTop, geometry.padBottom, geometry.extentHeight,
      geometry.strideHeight)
    let right = extra(
      shape.width, geometry.padLeft, geometry.padRight, geometry.extentWidth, geometry.strideWidth)
    geometry.padBottom += bottom
    geometry.padRight += right
    return bottom == 0 && right == 0
  }

  mutating func readGlobalPool() -> [Value] {
    guard let view = activationInput else { return block(305, "its data input is constant") }
    guard let input = imageTensor(view) else { return [.blocked] }
    let output = appendFullPool(
      input, height: true, width: true, isMax: node.operatorType == "GlobalMaxPool")
    return one(imageView(output, rank: view.axes.count))
  }

  private mutating func appendFullPool(
    _ input: Int, height: Bool, width: Bool, isMax: Bool
  ) -> Int {
    var shape = graph.shape(of: input)
    let geometry = WindowGeometry(
      kernelHeight: height ? shape.height : 1, kernelWidth: width ? shape.width : 1)
    if height { shape.height = 1 }
    if width { shape.width = 1 }
    return append(
      .network(
        isMax
          ? .maxPool(geometry: geometry)
          : .averagePool(geometry: geometry, countsPadding: false)), inputs: [input], shape: shape)
  }

  /// ReduceMean, ReduceMax and ReduceSum over height and width are pooling by another name.
  mutating func readReduction() throws(InputError) -> [Value] {
    guard let view = activationInput else { return block(305, "its data input is constant") }
    let rank = view.axes.count
    var axes: [Int] = []
    switch try integerList("axes", input: 1) {
    case .blocked: return [.blocked]
    case .absent: if try !flag("noop_with_empty_axes") { axes = Array(0..<rank) }
    case .values(let values):
      for value in values {
        guard let axis = normalized(value, rank: rank) else {
          throw graphError("\(node.operatorType) '\(node.path)': axis \(value) of \(rank)")
        }
        axes.append(axis)
      }
      if values.isEmpty, try !flag("noop_with_empty_axes") { axes = Array(0..<rank) }
    }
    let keepsAxes = try flag("keepdims", default: true)
    guard let pooled = pooled(view, axes: axes) else { return [.blocked] }
    let kept = pooled.axes.indices.filter { keepsAxes || !axes.contains($0) }
    return one(TensorView(tensor: pooled.tensor, axes: kept.map { pooled.axes[$0] }))
  }

  private mutating func pooled(_ view: TensorView, axes: [Int]) -> TensorView? {
    if axes.contains(where: { view.isBatch($0) }) {
      note(305, "reduces over the batch")
      return nil
    }
    let reduced = axes.filter { !view.factors($0).isEmpty }
    if reduced.isEmpty { return view }
    if let whole = pooledWhole(view, reduced: reduced) { return whole }
    guard let (tensor, roles) = rolesForReduction(view, reduced: reduced) else { return nil }
    let height = reduced.contains { roles[$0] == .height }
    let width = reduced.contains { roles[$0] == .width }
    let output = reductionPool(tensor, height: height, width: width)
    let remaining = roles.enumerated().map { reduced.contains($0.offset) ? .one : $0.element }
    return TensorView(
      tensor: output, shape: graph.shape(of: output), roles: remaining, batch: batch)
  }

  /// The mean over all positions of an image whose height and width the file has flattened into
  /// one axis: what is left are the channels, in any split.
  private mutating func pooledWhole(_ view: TensorView, reduced: [Int]) -> TensorView? {
    let shape = graph.shape(of: view.tensor)
    let kept = view.axes.indices.filter { !reduced.contains($0) }
    let positions = TensorView.merged(reduced.flatMap { view.factors($0) })
    guard positions == [Factor(size: shape.height * shape.width, stride: shape.channels)],
      kept.allSatisfy({ view.factors($0).allSatisfy { $0.stride < shape.channels } }),
      shape.height > 1
    else { return nil }
    let output = reductionPool(view.tensor, height: true, width: true)
    return TensorView(
      tensor: output, axes: view.axes.indices.map { reduced.contains($0) ? [] : view.axes[$0] })
  }

  /// Pooling over whole axes, as the operator has it: mean, maximum or sum.
  private mutating func reductionPool(_ input: Int, height: Bool, width: Bool) -> Int {
    let shape = graph.shape(of: input)
    let output = appendFullPool(
      input, height: height, width: width, isMax: node.operatorType == "ReduceMax")
    guard node.operatorType == "ReduceSum" else { return output }
    let count = (height ? shape.height : 1) * (width ? shape.width : 1)
    return append(
      .affine(scale: [Double(count)], offset: [0]), inputs: [output],
      shape: graph.shape(of: output))
  }

  /// The roles of all axes, with the reduced ones among height and width. A flattened image
  /// [batch, channels, height · width] counts as one of height 1.
  private mutating func rolesForReduction(
    _ view: TensorView, reduced: [Int]
  ) -> (tensor: Int, roles: [AxisRole])? {
    let rank = view.axes.count
    let present = view.roles(in: graph.shape(of: view.tensor))
    if let roles = present, !reduced.contains(where: { roles[$0] == .channels }) {
      return (view.tensor, roles)
    }
    if present != nil && !followsInput(view.tensor) {
      note(305, "reduces over the channels", help: Self.advice(for: "LayerNormalization"))
      return nil
    }
    let others = (0..<rank).filter {
      !view.isBatch($0) && !reduced.contains($0) && !view.factors($0).isEmpty
    }
    guard reduced.count <= 2, others.count <= 1,
      (0..<rank).allSatisfy({ axis in
        !view.isBatch(axis) || view.factors(axis).isEmpty
      })
    else {
      note(305, "reduces axes \(reduced) of \(rank), which are not height and width")
      return nil
    }
    let height = reduced.count == 2 ? reduced[0] : nil
    let width = reduced[reduced.count - 1]
    let tensor = spatialTensor(view, height: height, width: width, channels: others.first)
    let roles: [AxisRole] = (0..<rank).map { axis in
      if view.isBatch(axis) { return .batch }
      if axis == height { return .height }
      if axis == width { return .width }
      return axis == others.first ? .channels : .one
    }
    return (tensor, roles)
  }
}
