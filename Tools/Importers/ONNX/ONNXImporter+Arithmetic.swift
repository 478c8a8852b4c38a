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
  private mutating func affine(
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

  // MARK: - Add, Sub, Mul, Div, Max, Min

  mutating func readArithmetic() throws(InputError) -> [Value] {
    guard var result = input(0) else { throw graphError("'\(node.path)' has no input") }
    for position in 1..<max(node.inputs.count, 1) {
      guard let other = input(position) else { continue }
      result = try combined(result, other)
      if case .blocked = result { return [.blocked] }
    }
    return [result]
  }

  private mutating func combined(_ left: Value, _ right: Value) throws(InputError) -> Value {
    switch (left, right) {
    case (.activation(let view), .constant(let tensor)):
      return try combined(view, tensor, constantFirst: false)
    case (.constant(let tensor), .activation(let view)):
      return try combined(view, tensor, constantFirst: true)
    case (.activation(let a), .activation(let b)): return combined(a, b)
    case (.constant(let a), .constant(let b)):
      let type = node.operatorType == "Sum" ? "Add" : node.operatorType
      return try foldBinary(type, a, b).map { .constant($0) } ?? .blocked
    default: return .blocked
    }
  }

  /// A computed value and a constant: an affine function, or a bound.
  private mutating func combined(
    _ view: TensorView, _ constant: ConstantTensor, constantFirst: Bool
  ) throws(InputError) -> Value {
    let shape = constant.shape
    if node.operatorType == "Max" || node.operatorType == "Min" {
      guard let bound = constant.scalar else {
        return block(305, "one bound per element or channel", help: "use one bound")[0]
      }
      let kind: ActivationKind
      if node.operatorType == "Max" {
        kind = bound == 0 ? .relu : .clip(low: bound, high: .infinity)
      } else {
        kind = .clip(low: -.infinity, high: bound)
      }
      return .activation(recognized(appendInPlace(.network(.activation(kind)), view)))
    }
    let values = try finiteValues(constant, "the constants").map(Double.init)
    let ones = [Double](repeating: 1, count: values.count)
    let zeros = [Double](repeating: 0, count: values.count)
    switch node.operatorType {
    case "Add", "Sum": return affine(view, scale: ones, offset: values, shape: shape)[0]
    case "Sub" where constantFirst:
      return affine(view, scale: ones.map { -$0 }, offset: values, shape: shape)[0]
    case "Sub": return affine(view, scale: ones, offset: values.map { -$0 }, shape: shape)[0]
    case "Mul": return affine(view, scale: values, offset: zeros, shape: shape)[0]
    case "Div" where constantFirst:
      let numerator = affine(view, scale: zeros, offset: values, shape: shape)[0]
      guard case .activation(let numerator) = numerator else { return numerator }
      return .activation(
        recognized(appendInPlace(.elementwise(.divide), numerator, and: [view.tensor])))
    case "Div":
      guard values.allSatisfy({ $0 != 0 }) else {
        throw InputError(601, "division by zero", place: "node '\(node.path)'", exit: 3)
      }
      return affine(view, scale: values.map { 1 / $0 }, offset: zeros, shape: shape)[0]
    default: return block(304, "with a constant it is not supported")[0]
    }
  }

  /// Two computed values.
  private mutating func combined(_ left: TensorView, _ right: TensorView) -> Value {
    // `aligned` puts the larger one first.
    let isSwapped = isSwapped(left, right)
    guard let (a, b) = aligned(left, right) else {
      let isSame = left.sizes == right.sizes
      return block(
        305,
        isSame
          ? "of values \(left.sizes) in different memory orders"
          : "of values \(left.sizes) and \(right.sizes)",
        help: isSame
          ? "avoid transposing between layers" : "a gate must have one value per channel")[0]
    }
    let isSameShape = graph.shape(of: a.tensor) == graph.shape(of: b.tensor)
    switch node.operatorType {
    case "Mul":
      return .activation(recognized(appendInPlace(.network(.multiply), a, and: [b.tensor])))
    case "Add", "Sum", "Sub":
      var other = b
      if !isSameShape { other = broadcast(b, like: a) }
      var first = a
      if node.operatorType == "Sub" {
        let negative = ImportGraph.Operation.affine(scale: [-1], offset: [0])
        if isSwapped {
          first = appendInPlace(negative, first)
        } else {
          other = appendInPlace(negative, other)
        }
      }
      return .activation(recognized(appendInPlace(.network(.add), first, and: [other.tensor])))
    default:
      guard isSameShape else {
        return block(304, "of two computed values it is not supported")[0]
      }
      let function: ImportGraph.ElementFunction =
        switch node.operatorType {
        case "Max": .maximum
        case "Min": .minimum
        default: .divide
        }
      return .activation(
        recognized(appendInPlace(.elementwise(function), a, and: [b.tensor])))
    }
  }

  /// Whether the second of two values is the larger one.
  private func isSwapped(_ left: TensorView, _ right: TensorView) -> Bool {
    graph.shape(of: left.tensor).count < graph.shape(of: right.tensor).count
  }

  /// Repeats a 1×1×channels value over the positions of another.
  private mutating func broadcast(_ view: TensorView, like other: TensorView) -> TensorView {
    let shape = graph.shape(of: other.tensor)
    let tensor = append(
      .network(.upsample(factorHeight: shape.height, factorWidth: shape.width)),
      inputs: [view.tensor], shape: shape)
    return TensorView(tensor: tensor, axes: other.axes)
  }

  /// Brings two computed values to one memory order. They end with one shape, or the second is
  /// 1×1×channels; nil if they cannot.
  private mutating func aligned(
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
    // The gate of squeeze-and-excitation: one value per channel.
    let shape = graph.shape(of: a.tensor)
    let small = graph.shape(of: b.tensor)
    let channelAxis = (0..<rank).first {
      a.factors($0) == [Factor(size: shape.channels, stride: 1)]
    }
    guard small == TensorShape(height: 1, width: 1, channels: shape.channels) else { return nil }
    for axis in 0..<rank {
      let isChannels = axis == channelAxis
      if b.factors(axis) != (isChannels ? a.factors(axis) : []) { return nil }
    }
    return (a, b)
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

  // MARK: - Pow

  /// Whole powers as products.
  mutating func readPower() -> [Value] {
    guard let view = activationInput, let exponent = constantInput(1)?.scalar else {
      return block(305, "its exponent is computed, or one per element")
    }
    guard exponent == 1 || exponent == 2 || exponent == 3 else {
      return block(305, "exponent \(exponent)", help: Self.advice(for: "LayerNormalization"))
    }
    var power = view
    for _ in 1..<Int(exponent) {
      power = appendInPlace(.network(.multiply), power, and: [view.tensor])
    }
    return one(recognized(power))
  }
}
