import Tally

extension ONNXImporter {
  /// Whether the second of two values is the larger one.
  func isSwapped(_ left: TensorView, _ right: TensorView) -> Bool {
    graph.shape(of: left.tensor).count < graph.shape(of: right.tensor).count
  }

  /// Brings two computed values to one memory order. They end with one shape, or the second is
  /// 1×1×channels; nil if they cannot.
  mutating func aligned(
    _ left: TensorView, _ right: TensorView
  ) -> (TensorView, TensorView)? {
    var a = left
    var b = right
    if isSwapped(left, right) { swap(&a, &b) }
    while a.axes.count < b.axes.count { a.axes.insert([], at: 0) }
    while b.axes.count < a.axes.count { b.axes.insert([], at: 0) }
    let rank = a.axes.count
    if (0..<rank).contains(where: { a.isBatch($0) != b.isBatch($0) && batch > 1 }) { return nil }
    func sizes(_ view: TensorView) -> [Int] {
      (0..<rank).map { view.factors($0).reduce(1) { $0 * $1.size } }
    }
    if sizes(a) == sizes(b) {
      if graph.shape(of: a.tensor) == graph.shape(of: b.tensor),
        (0..<rank).allSatisfy({ a.factors($0) == b.factors($0) })
      {
        return (a, b)
      }
      // The one nearer the input gives way: its order was a guess.
      if followsInput(a.tensor) && !followsInput(b.tensor) {
        return reordered(a, like: b).map { ($0, b) }
      }
      return reordered(b, like: a).map { (a, $0) }
    }
    guard let gate = broadcastable(b, sizes(b), to: a, sizes(a)) else { return nil }
    return (a, gate)
  }

  /// The smaller of two values in the memory order of the larger: of its shape, or 1×1×channels.
  private mutating func broadcastable(
    _ view: TensorView, _ small: [Int], to other: TensorView, _ large: [Int]
  ) -> TensorView? {
    let shape = graph.shape(of: other.tensor)
    guard let roles = other.roles(in: shape),
      zip(small, large).allSatisfy({ $0 == $1 || $0 == 1 })
    else { return nil }
    var tensor = spatialTensor(
      view, height: roles.firstIndex(of: .height), width: roles.firstIndex(of: .width),
      channels: roles.firstIndex(of: .channels))
    var present = graph.shape(of: tensor)
    if present.channels != shape.channels {
      // One value for all channels, as spatial attention has it: a layer of ones repeats it.
      present.channels = shape.channels
      tensor = append(
        .network(
          .convolution(
            geometry: WindowGeometry(kernelHeight: 1, kernelWidth: 1), groups: 1,
            outputChannels: shape.channels,
            weights: [Float](repeating: 1, count: shape.channels),
            bias: [Float](repeating: 0, count: shape.channels))),
        inputs: [tensor], shape: present, name: "\(node.shortName).broadcast")
    }
    let isVector = present.height == 1 && present.width == 1
    if present != shape && !(isVector && node.operatorType == "Mul") {
      tensor = append(
        .network(
          .upsample(
            factorHeight: shape.height / present.height, factorWidth: shape.width / present.width)),
        inputs: [tensor], shape: shape)
    }
    return TensorView(tensor: tensor, axes: other.axes)
  }

  /// `view` in the memory order of `other`, which has the same sizes.
  private mutating func reordered(_ view: TensorView, like other: TensorView) -> TensorView? {
    let shape = graph.shape(of: other.tensor)
    guard let roles = other.roles(in: shape) else { return nil }
    let tensor = spatialTensor(
      view, height: roles.firstIndex(of: .height), width: roles.firstIndex(of: .width),
      channels: roles.firstIndex(of: .channels))
    guard graph.shape(of: tensor) == shape else { return nil }
    return TensorView(tensor: tensor, axes: other.axes)
  }
}
