extension ONNXImporter {
  /// The values of the current node's outputs.
  mutating func readNode() throws(InputError) -> [Value] {
    if let obstacle = try unsupported() { return obstacle }
    var constants: [ConstantTensor?] = []
    var hasActivation = false
    var isBlocked = false
    var tensors: [Int] = []
    for position in node.inputs.indices {
      switch input(position) {
      case .constant(let tensor): constants.append(tensor)
      case .blocked: isBlocked = true
      case .activation(let view):
        hasActivation = true
        tensors.append(view.tensor)
      case nil: constants.append(nil)
      }
    }
    if isBlocked {
      // What the value is cannot be known; that a product of two values is none of ours can.
      if node.operatorType == "MatMul", constants.isEmpty { return try readMatMul() }
      deadEnds += tensors
      return [.blocked]
    }
    if !hasActivation { return try foldConstants(constants) }
    return try readActivationNode()
  }

  /// Obstacles visible in the node alone.
  private mutating func unsupported() throws(InputError) -> [Value]? {
    let name = node.operatorType
    if model.functions.contains(node.domain.isEmpty ? name : "\(node.domain).\(name)") {
      return block(311, "a function defined in the file", help: "export with inlined functions")
    }
    if node.attributes.contains(where: { if case .graph = $0.value { true } else { false } }) {
      return block(311, "contains a subgraph", help: Self.advice(for: name))
    }
    guard node.isDefaultDomain else {
      return block(
        304, "operators of domain '\(node.domain)' are not supported",
        help: Self.advice(for: name) ?? "export with operators of ai.onnx only")
    }
    guard let known = Self.operators[name] else {
      return block(304, "not supported", help: Self.advice(for: name))
    }
    for attribute in node.attributes where !known.contains(attribute.name) {
      return block(305, "attribute '\(attribute.name)' is not supported")
    }
    return nil
  }

  /// A node that reads at least one value of the network.
  private mutating func readActivationNode() throws(InputError) -> [Value] {
    switch node.operatorType {
    case "Conv": return try readConvolution()
    case "Gemm": return try readGemm()
    case "MatMul": return try readMatMul()
    case "BatchNormalization": return try readBatchNormalization()
    case "Relu": return activation(.relu)
    case "Clip": return try readClip()
    case "LeakyRelu": return activation(.leakyRelu(alpha: try float("alpha", default: 0.01)))
    case "PRelu": return try readPRelu()
    case "Sigmoid": return activation(.sigmoid)
    case "Tanh": return activation(.tanh)
    case "HardSwish": return activation(.hardSwish)
    case "HardSigmoid":
      let alpha = try float("alpha", default: 0.2)
      return activation(.hardSigmoid(alpha: alpha, beta: try float("beta", default: 0.5)))
    case "Gelu":
      let isTanh = try string("approximate", default: "none") == "tanh"
      return activation(isTanh ? .geluTanh : .gelu)
    case "Erf": return elementwise(.erf)
    case "Exp": return elementwise(.exp)
    case "Abs": return elementwise(.absolute)
    case "Neg": return scaled(by: -1)
    case "Add", "Sum", "Sub", "Mul", "Div", "Max", "Min": return try readArithmetic()
    case "Reciprocal": return readReciprocal()
    case "Pow": return readPower()
    case "Softmax", "LogSoftmax": return try readSoftmax()
    case "MaxPool", "AveragePool": return try readPool()
    case "GlobalAveragePool", "GlobalMaxPool": return readGlobalPool()
    case "ReduceMean", "ReduceMax", "ReduceSum": return try readReduction()
    case "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose": return try readView()
    case "Expand": return try readExpand()
    case "Identity", "Dropout", "Cast", "CastLike": return try readPassThrough()
    case "Shape", "Size": return try readShape()
    case "Slice", "Split", "Gather": return try readSlices()
    case "Pad": return try readPad()
    case "Concat": return try readConcat()
    case "Resize", "Upsample": return try readResize()
    case "QuantizeLinear", "DequantizeLinear": return try readQuantization()
    default:
      return block(
        304, "on computed values it is not supported", help: Self.advice(for: node.operatorType))
    }
  }

  func one(_ view: TensorView) -> [Value] { [.activation(view)] }

  private mutating func activation(_ kind: ActivationKind) -> [Value] {
    guard let view = activationInput else { return block(305, "its data input is constant") }
    return one(recognized(appendInPlace(.network(.activation(kind)), view)))
  }

  private mutating func elementwise(_ function: ImportGraph.ElementFunction) -> [Value] {
    guard let view = activationInput else { return block(305, "its data input is constant") }
    return one(recognized(appendInPlace(.elementwise(function), view)))
  }

  private mutating func scaled(by factor: Double) -> [Value] {
    guard let view = activationInput else { return block(305, "its data input is constant") }
    return one(recognized(appendInPlace(.affine(scale: [factor], offset: [0]), view)))
  }

  private mutating func readReciprocal() -> [Value] {
    guard let view = activationInput else { return block(305, "its data input is constant") }
    let ones = appendInPlace(.affine(scale: [0], offset: [1]), view)
    return one(recognized(appendInPlace(.elementwise(.divide), ones, and: [view.tensor])))
  }

  private mutating func readClip() throws(InputError) -> [Value] {
    var low = try float("min", default: -.infinity)
    var high = try float("max", default: .infinity)
    for position in 1...2 {
      guard let value = input(position) else { continue }
      guard case .constant(let tensor) = value, let bound = tensor.scalar else {
        return block(305, "its bounds are computed from the data")
      }
      if position == 1 { low = bound } else { high = bound }
    }
    guard !low.isNaN, !high.isNaN else { return block(305, "a bound is not a number") }
    if low > high { low = high }
    // The default bounds of old operator sets are the largest floats.
    if low <= -Float.greatestFiniteMagnitude { low = -.infinity }
    if high >= Float.greatestFiniteMagnitude { high = .infinity }
    return clamp(low, high)
  }

  private mutating func clamp(_ low: Float, _ high: Float) -> [Value] {
    if low == 0 && high == .infinity { return activation(.relu) }
    if low == -.infinity && high == .infinity {
      guard let view = activationInput else { return block(305, "its data input is constant") }
      return one(view)
    }
    return activation(.clip(low: low, high: high))
  }

  /// PRelu: a leaky ReLU; with a slope per channel, max(x, 0) + slope · min(x, 0).
  private mutating func readPRelu() throws(InputError) -> [Value] {
    guard let view = activationInput, let slope = constantInput(1) else {
      return block(305, "its slope is computed from the data")
    }
    let values = try finiteValues(slope, "the slopes")
    if let first = values.first, values.allSatisfy({ $0 == first }) {
      return activation(.leakyRelu(alpha: first))
    }
    let below = ActivationKind.clip(low: -.infinity, high: 0)
    let negative = appendInPlace(.network(.activation(below)), view)
    let scaled = affine(
      negative, scale: values.map(Double.init), offset: values.map { _ in 0 }, shape: slope.shape)
    guard case .activation(let slanted) = scaled[0] else { return scaled }
    let positive = appendInPlace(.network(.activation(.relu)), view)
    return one(appendInPlace(.network(.add), positive, and: [slanted.tensor]))
  }

  private mutating func readPassThrough() throws(InputError) -> [Value] {
    // A constant cast to the type of a computed value, which is float.
    if node.operatorType == "CastLike", var constant = constantInput(0) {
      if constant.integers != nil { constant.values = .floats(constant.asFloats) }
      constant.elementType = .float
      return [.constant(constant)]
    }
    guard let view = activationInput else { return block(305, "its data input is constant") }
    switch node.operatorType {
    case "Dropout":
      if let training = constantInput(2), training.scalar == 1 {
        warn(
          310, "Dropout is active in the file; it was removed",
          help: "export after model.eval() to be sure nothing else is in training mode")
      }
      // The second output, the mask, exists only while training.
      return one(view)
    case "Cast":
      let type = ONNXElementType(rawValue: Int(try integer("to", default: 1)))
      guard type.isFloatingPoint else {
        return block(305, "to \(type.name)", help: "keep computed values in float")
      }
      return one(view)
    case "CastLike":
      if let like = constantInput(1), !like.elementType.isFloatingPoint {
        return block(305, "to \(like.elementType.name)", help: "keep computed values in float")
      }
      return one(view)
    default: return one(view)
    }
  }

  mutating func warn(_ code: Int, _ message: String, help: String? = nil) {
    warnings.append(
      InputError(
        code, message, place: "\(model.fileName) node '\(node.path)'", help: help, exit: 0))
  }

  private mutating func readShape() throws(InputError) -> [Value] {
    guard let view = activationInput else { return [.blocked] }
    let sizes = view.sizes.map(Int64.init)
    if node.operatorType == "Size" {
      return [.constant(ConstantTensor(shape: [], integers: [sizes.reduce(1, *)]))]
    }
    let rank = Int64(sizes.count)
    func bound(_ value: Int64) -> Int {
      Int(min(max(value < 0 ? value + rank : value, 0), rank))
    }
    let start = bound(max(try integer("start", default: 0), -rank))
    let end = bound(max(try integer("end", default: rank), -rank))
    let part = start < end ? Array(sizes[start..<end]) : []
    return [.constant(ConstantTensor(shape: [part.count], integers: part))]
  }
}
