extension ONNXImporter {
  /// BatchNormalization with its stored statistics: one scale and one offset per channel, in
  /// Double and by + − × ÷ √ alone.
  mutating func readBatchNormalization() throws(InputError) -> [Value] {
    guard let view = activationInput, view.axes.count >= 2 else {
      return block(305, "its data input is constant")
    }
    var parameters: [[Double]] = []
    for (position, what) in ["scales", "offsets", "means", "variances"].enumerated() {
      guard let tensor = constantInput(position + 1) else {
        return block(305, "its \(what) are computed from the data")
      }
      parameters.append(try finiteValues(tensor, "the normalisation's \(what)").map(Double.init))
    }
    let count = view.sizes[1]
    guard parameters.allSatisfy({ $0.count == count }) else {
      throw graphError(
        "BatchNormalization '\(node.path)': \(parameters.map(\.count)) values, \(count) channels")
    }
    if try flag("training_mode") {
      warn(
        310, "BatchNormalization is in training mode; its stored statistics are used",
        help: "export after model.eval()")
    }
    let epsilon = Double(try float("epsilon", default: 1e-5))
    var scales: [Double] = []
    var offsets: [Double] = []
    for channel in 0..<count {
      let variance = parameters[3][channel] + epsilon
      guard parameters[3][channel] >= 0, variance > 0 else {
        throw InputError(
          604, "variance \(parameters[3][channel]) with epsilon \(epsilon)",
          place: "node '\(node.path)' channel \(channel)",
          note: "a variance is not negative, and variance + epsilon not zero",
          help: "export a trained checkpoint", exit: 3)
      }
      let scale = parameters[0][channel] / variance.squareRoot()
      scales.append(scale)
      offsets.append(parameters[1][channel] - parameters[2][channel] * scale)
    }
    let shape = [count] + [Int](repeating: 1, count: view.axes.count - 2)
    return affine(view, scale: scales, offset: offsets, shape: shape)
  }

  /// x · scale + offset with constants of a broadcast shape.
  mutating func affine(
    _ view: TensorView, scale: [Double], offset: [Double], shape: [Int]
  ) -> [Value] {
    var view = view
    while view.axes.count < shape.count { view.axes.insert([], at: 0) }
    if channelValues(scale, shape: shape, over: view) == nil
      || channelValues(offset, shape: shape, over: view) == nil,
      let moved = withChannels(view, along: shape)
    {
      view = moved
    }
    guard let scales = channelValues(scale, shape: shape, over: view),
      let offsets = channelValues(offset, shape: shape, over: view)
    else {
      note(
        305, "a constant of shape \(shape) that is not one value per channel",
        help: "use one value per channel")
      return one(view)
    }
    return one(recognized(appendInPlace(.affine(scale: scales, offset: offsets), view)))
  }

  /// The view with the one axis along which a constant varies as its channels, if the memory
  /// order of the input or of a fully connected layer can be chosen so.
  private mutating func withChannels(_ view: TensorView, along shape: [Int]) -> TensorView? {
    let lead = view.axes.count - shape.count
    let varying = shape.indices.filter { shape[$0] != 1 }.map { $0 + lead }
    let others = view.axes.indices.filter { !view.isBatch($0) && !varying.contains($0) }
    let isPlain = view.axes.indices.allSatisfy { !view.isBatch($0) || view.factors($0).isEmpty }
    guard lead >= 0, varying.count == 1, others.count <= 2, isPlain, !view.isBatch(varying[0]),
      followsFullyConnected(view.tensor) || followsInput(view.tensor)
    else { return nil }
    let height = others.count == 2 ? others[0] : nil
    let tensor = spatialTensor(view, height: height, width: others.last, channels: varying[0])
    if !followsFullyConnected(view.tensor) && requestedInputBase == nil { return nil }
    let roles: [AxisRole] = view.axes.indices.map { axis in
      if view.isBatch(axis) { return .batch }
      if axis == varying[0] { return .channels }
      return axis == height ? .height : .width
    }
    return TensorView(
      tensor: tensor, shape: graph.shape(of: tensor), roles: roles, batch: batch)
  }

  private func followsFullyConnected(_ tensor: Int) -> Bool {
    var tensor = tensor
    while tensor > 0 {
      let made = graph.nodes[tensor - 1]
      switch made.operation {
      case .network(.fullyConnected): return true
      case .network(.activation), .affine: tensor = made.inputs[0]
      default: return false
      }
    }
    return false
  }

  /// The value of a broadcast constant for each channel of memory (or one for all); nil if it
  /// varies otherwise.
  private func channelValues(
    _ values: [Double], shape: [Int], over view: TensorView
  ) -> [Double]? {
    if values.count == 1 { return values }
    let channels = graph.shape(of: view.tensor).channels
    let lead = view.axes.count - shape.count
    let varying = shape.indices.filter { shape[$0] != 1 }
    let sizes = view.sizes
    guard lead >= 0,
      varying.allSatisfy({ sizes[$0 + lead] == shape[$0] && !view.isBatch($0 + lead) })
    else { return nil }
    if varying.count == 1, view.factors(varying[0] + lead) == [Factor(size: channels, stride: 1)] {
      return values
    }
    // Every element: which channel it belongs to, which constant it meets.
    var result = [Double?](repeating: nil, count: channels)
    let strides = rowMajorStrides(shape)
    var pairs = [(offset: 0, index: 0)]
    for axis in varying {
      let positions = offsets(of: view.factors(axis + lead))
      pairs = pairs.flatMap { pair in
        positions.enumerated().map {
          (pair.offset + $0.element, pair.index + $0.offset * strides[axis])
        }
      }
    }
    // Only the strides below the channel count move along the channels; if another axis of the
    // view does that too, the constant covers some channels only.
    for pair in pairs {
      let channel = pair.offset % channels
      if let known = result[channel], known != values[pair.index] { return nil }
      result[channel] = values[pair.index]
    }
    let found = result.compactMap { $0 }
    return found.count == channels ? found : nil
  }
}
