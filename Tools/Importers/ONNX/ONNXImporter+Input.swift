import Tally

/// The order in which the network's memory holds its input, and how the file's axes see it.
struct InputBase {
  var shape: TensorShape
  /// One per axis of the file's input, batch included.
  var axes: [[Factor]]
}

extension ONNXImporter {
  /// Finds the one input that is no initialiser and gives it a memory order.
  mutating func readInput() throws(InputError) {
    let inputs = model.graph.inputs.filter { values[$0.name] == nil }
    guard let input = inputs.first else { throw graphError("the graph has no input") }
    guard inputs.count == 1 else {
      throw graphError(
        "the graph has \(inputs.count) inputs: \(inputs.map(\.name).joined(separator: ", "))",
        exit: 4, help: "Tally runs networks with one input")
    }
    inputName = input.name
    let sizes = try inputSizes(input)
    let hasBatch = sizes.count != 1 || input.dimensions?.first == .symbol("") || sizes[0] == 1
    batch = hasBatch ? sizes.first ?? 1 : 1
    inputDimensions = hasBatch ? Array(sizes.dropFirst()) : sizes
    guard inputDimensions.count <= 3 else {
      throw InputError(
        304, "the input has \(sizes.count) dimensions", place: "input '\(inputName)'",
        note: "Tally runs 1-D and 2-D networks: at most batch, channels, height, width", exit: 4)
    }
    if let base = fixedInputBase {
      graph.inputShape = base.shape
      inputView = TensorView(tensor: 0, axes: base.axes)
    } else {
      guessInputBase(hasBatch: hasBatch)
    }
    values[inputName] = .activation(inputView)
  }

  private func inputSizes(_ input: ONNXValueInfo) throws(InputError) -> [Int] {
    var sizes: [Int] = []
    if let given = options.inputShapes[input.name] {
      if let stated = input.dimensions, stated.count != given.count {
        throw dynamicShape(input, "--shape gives \(given.count) dimensions, not \(stated.count)")
      }
      sizes = given
    } else {
      guard let dimensions = input.dimensions else {
        throw dynamicShape(input, "the file does not say the input's shape")
      }
      for (axis, dimension) in dimensions.enumerated() {
        switch dimension {
        case .size(let size): sizes.append(size)
        case .symbol where axis == 0: sizes.append(1)
        case .symbol(let name):
          throw dynamicShape(input, "dimension \(axis) of the input is open ('\(name)')")
        }
      }
    }
    guard let count = checkedCount(sizes), count > 0,
      let perSample = checkedCount(Array(sizes.dropFirst())), perSample <= Shape.largestCount
    else {
      throw dynamicShape(input, "the input's shape \(sizes) is impossible")
    }
    return sizes
  }

  private func dynamicShape(_ input: ONNXValueInfo, _ what: String) -> InputError {
    let example = (input.dimensions ?? []).enumerated().map { axis, dimension in
      if case .size(let size) = dimension { return String(size) }
      return axis == 0 ? "1" : "32"
    }
    let shape = example.isEmpty ? "1,3,32,32" : example.joined(separator: ",")
    return InputError(
      308, what, place: "input '\(input.name)'", note: "only the batch may stay open",
      help: "pass --shape \(input.name)=\(shape)", exit: 2)
  }

  /// Channels first for images unless the sizes say otherwise; a matrix is height × width.
  private mutating func guessInputBase(hasBatch: Bool) {
    let sizes = inputDimensions
    let roles: [AxisRole]
    switch sizes.count {
    case 0: roles = []
    case 1: roles = [.channels]
    case 2: roles = [.height, .width]
    default:
      roles =
        sizes[2] <= 4 && sizes[0] > 4
        ? [.height, .width, .channels] : [.channels, .height, .width]
    }
    func size(_ role: AxisRole) -> Int { roles.firstIndex(of: role).map { sizes[$0] } ?? 1 }
    graph.inputShape = TensorShape(
      height: size(.height), width: size(.width), channels: size(.channels))
    inputView = TensorView(
      tensor: 0, shape: graph.inputShape, roles: (hasBatch ? [.batch] : []) + roles, batch: batch)
  }

  /// Remembers that a layer wants the input's memory in the order `height`, `width`, `channels`
  /// (factors in the present order), if the input laid out that way is still NHWC or NCHW to
  /// the people who supply it.
  mutating func requestInput(height: [Factor], width: [Factor], channels: [Factor]) {
    guard fixedInputBase == nil, requestedInputBase == nil else { return }
    // Present stride of every piece → its stride in the new order, innermost first.
    var pieces: [(old: Factor, stride: Int)] = []
    var stride = 1
    for factor in (height + width + channels).reversed() {
      for part in cut(factor).reversed() {
        pieces.append((part, stride))
        stride *= part.size
      }
    }
    guard stride == graph.inputShape.count else { return }
    var axes: [[Factor]] = []
    for axis in inputView.axes.indices {
      if inputView.isBatch(axis) {
        axes.append(inputView.axes[axis])
        continue
      }
      var parts: [Factor] = []
      for factor in inputView.factors(axis) {
        let range = factor.stride..<factor.stride * factor.size
        let members = pieces.filter { range.contains($0.old.stride) }
          .sorted { $0.old.stride > $1.old.stride }
        guard members.reduce(1, { $0 * $1.old.size }) == factor.size else { return }
        parts += members.map { Factor(size: $0.old.size, stride: $0.stride) }
      }
      axes.append(parts)
    }
    func count(_ factors: [Factor]) -> Int { factors.reduce(1) { $0 * $1.size } }
    let shape = TensorShape(
      height: count(height), width: count(width), channels: count(channels))
    guard layout(of: TensorView(tensor: 0, axes: axes), shape: shape) != nil else { return }
    requestedInputBase = InputBase(shape: shape, axes: axes)
  }

  /// A run of the input's memory, cut where one of its axes ends: outermost part first.
  private func cut(_ factor: Factor) -> [Factor] {
    let range = factor.stride..<factor.stride * factor.size
    let inside = inputView.axes.indices.flatMap { inputView.factors($0) }
      .filter { range.contains($0.stride) && $0.stride * $0.size <= range.upperBound }
      .sorted { $0.stride > $1.stride }
    let isWhole = inside.reduce(1) { $0 * $1.size } == factor.size
    return isWhole && inside.last?.stride == factor.stride ? inside : [factor]
  }
}

/// Whether a view reads its tensor with the channels first or last; nil if it is neither.
func layout(of view: TensorView, shape: TensorShape) -> DataLayout? {
  let order = TensorView.merged(view.axes.flatMap { $0 }.filter { !$0.isBatch })
  if order.count <= 1 {
    // One run of memory. Where that is both, the sizes say which the file means.
    let sizes = view.axes.indices.filter { !view.isBatch($0) }.map { view.sizes[$0] }
    let isFirst = sizes == [shape.channels, shape.height, shape.width]
    let isLast = sizes == [shape.height, shape.width, shape.channels]
    let isBoth = shape.channels == 1 || shape.height * shape.width == 1
    return isFirst && isBoth && !isLast ? .nchw : .nhwc
  }
  let positions = shape.height * shape.width
  let channelsFirst = [
    Factor(size: shape.channels, stride: 1), Factor(size: positions, stride: shape.channels),
  ]
  return order == channelsFirst ? .nchw : nil
}
