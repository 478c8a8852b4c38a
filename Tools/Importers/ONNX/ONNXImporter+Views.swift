import Tally

extension ONNXImporter {
  /// The tensor that holds `view` in the order height, width, channels, given by ONNX axes (nil
  /// for an axis the value does not have). If memory is in another order, data will have to
  /// move; whether it can is decided when the whole graph is known.
  mutating func spatialTensor(
    _ view: TensorView, height: Int?, width: Int?, channels: Int?
  ) -> Int {
    let rows = height.map { view.factors($0) } ?? []
    let columns = width.map { view.factors($0) } ?? []
    let depth = channels.map { view.factors($0) } ?? []
    func count(_ factors: [Factor]) -> Int { factors.reduce(1) { $0 * $1.size } }
    let shape = TensorShape(height: count(rows), width: count(columns), channels: count(depth))
    func isRun(_ factors: [Factor], _ size: Int, stride: Int) -> Bool {
      factors == (size == 1 ? [] : [Factor(size: size, stride: stride)])
    }
    let isNatural =
      isRun(rows, shape.height, stride: shape.width * shape.channels)
      && isRun(columns, shape.width, stride: shape.channels)
      && isRun(depth, shape.channels, stride: 1)
    let present = graph.shape(of: view.tensor)
    if isNatural && present == shape { return view.tensor }
    requestInput(from: view.tensor, rows, columns, depth)
    return graph.append(
      .rearrange(ImportGraph.Rearrangement(height: rows, width: columns, channels: depth)),
      inputs: [view.tensor], shape: shape, name: "\(node.shortName).order", origin: nodeIndex)
  }

  /// Passes the wish for an order up to the input, if only elementwise work lies between.
  private mutating func requestInput(
    from tensor: Int, _ rows: [Factor], _ columns: [Factor], _ depth: [Factor]
  ) {
    var tensor = tensor
    var lists = [rows, columns, depth]
    while tensor != 0 {
      let made = graph.nodes[tensor - 1]
      switch made.operation {
      case .affine, .elementwise, .network(.activation): break
      case .network(.slicePad):
        // The sizes differ on its two sides: what carries over is which axis is which.
        let source = graph.shape(of: made.inputs[0])
        let view = TensorView(tensor: tensor, axes: lists)
        guard let roles = view.roles(in: made.shape) else { return }
        lists = TensorView(tensor: 0, shape: source, roles: roles, batch: 1).axes
      default: return
      }
      guard made.inputs.count == 1 else { return }
      tensor = made.inputs[0]
    }
    lists = lists.map { TensorView.merged($0) }
    requestInput(height: lists[0], width: lists[1], channels: lists[2])
  }

  /// Whether only elementwise work and slices lie between the input and a tensor.
  func followsInput(_ tensor: Int) -> Bool {
    var tensor = tensor
    while tensor != 0 {
      let made = graph.nodes[tensor - 1]
      switch made.operation {
      case .affine, .elementwise, .network(.activation), .network(.slicePad):
        guard made.inputs.count == 1 else { return false }
        tensor = made.inputs[0]
      default: return false
      }
    }
    return true
  }

  /// The roles of all axes; an axis of size 1 gets the role that its place suggests.
  private func completedRoles(_ view: TensorView) -> [AxisRole]? {
    guard let roles = view.roles(in: graph.shape(of: view.tensor)) else { return nil }
    if !roles.contains(.one) { return roles }
    return Self.layouts.first { layout in
      layout.count == roles.count
        && zip(layout, roles).allSatisfy { $1 == .one || $0 == $1 }
    }
  }

  private static let layouts: [[AxisRole]] = [
    [.batch, .channels, .height, .width], [.batch, .height, .width, .channels],
    [.batch, .channels, .width], [.batch, .width, .channels], [.batch, .height, .width],
    [.batch, .channels], [.channels],
  ]

  /// A view whose axes are height, width and channels, for operators that treat axes apart. If
  /// this one's are mixtures, channels come first by assumption and data may have to move. Nil,
  /// with the obstacle noted, if even that cannot be.
  mutating func structured(_ view: TensorView) -> (view: TensorView, roles: [AxisRole])? {
    if let roles = completedRoles(view) { return (view, roles) }
    let isPlain = view.axes.indices.allSatisfy { view.isBatch($0) == ($0 == 0) }
    guard isPlain, view.factors(0).isEmpty,
      let roles = Self.layouts.first(where: { $0.count == view.axes.count })
    else {
      note(305, "of axes that mix batch, height, width and channels")
      return nil
    }
    let tensor = spatialTensor(
      view, height: roles.firstIndex(of: .height), width: roles.firstIndex(of: .width),
      channels: roles.firstIndex(of: .channels))
    let moved = TensorView(
      tensor: tensor, shape: graph.shape(of: tensor), roles: roles, batch: batch)
    return (moved, roles)
  }

  /// The usual axes of an operator on images or signals: batch, channels, (height,) width.
  /// Nil, with the obstacle noted, if the value does not have them.
  mutating func imageTensor(_ view: TensorView) -> Int? {
    let rank = view.axes.count
    guard rank == 3 || rank == 4 else {
      note(305, "input with \(rank) dimensions", help: "use 1-D or 2-D layers")
      return nil
    }
    guard view.isBatch(0), view.factors(0).isEmpty else {
      note(305, "the first axis of the input is not the batch alone")
      return nil
    }
    return spatialTensor(view, height: rank == 4 ? 2 : nil, width: rank - 1, channels: 1)
  }

  /// The view [batch, channels, (height,) width] of a tensor.
  func imageView(_ tensor: Int, rank: Int) -> TensorView {
    TensorView(
      tensor: tensor, shape: graph.shape(of: tensor),
      roles: rank == 4 ? [.batch, .channels, .height, .width] : [.batch, .channels, .width],
      batch: batch)
  }

  /// Appends an operation that works on memory as it is; the view stays what it was.
  mutating func appendInPlace(
    _ operation: ImportGraph.Operation, _ view: TensorView, and others: [Int] = []
  ) -> TensorView {
    let tensor = append(
      operation, inputs: [view.tensor] + others, shape: graph.shape(of: view.tensor))
    return TensorView(tensor: tensor, axes: view.axes)
  }

  mutating func append(
    _ operation: ImportGraph.Operation, inputs: [Int], shape: TensorShape, name: String? = nil
  ) -> Int {
    let sizes = [shape.height, shape.width, shape.channels]
    if checkedCount(sizes, limit: Shape.largestCount) == nil && oversized == nil {
      oversized = InputError(
        305, "\(node.operatorType) makes a tensor of \(shape) elements", place: node.path,
        note: "the limit is \(Shape.largestCount) elements per sample", exit: 4)
    }
    return graph.append(
      operation, inputs: inputs, shape: shape, name: name ?? node.shortName, origin: nodeIndex)
  }

  /// An axis counted from the front; nil if it is out of range.
  func normalized(_ axis: Int64, rank: Int) -> Int? {
    let index = axis < 0 ? axis + Int64(rank) : axis
    return (0..<Int64(rank)).contains(index) ? Int(index) : nil
  }
}
