extension ONNXImporter {
  private func attribute(_ name: String) -> ONNXAttribute.Value? {
    node.attributes.first { $0.name == name }?.value
  }

  private func wrongType(_ name: String) -> InputError {
    graphError("attribute '\(name)' of node '\(node.path)' has the wrong type")
  }

  func integer(_ name: String, default value: Int64) throws(InputError) -> Int64 {
    guard let found = attribute(name) else { return value }
    guard case .integer(let integer) = found else { throw wrongType(name) }
    return integer
  }

  func flag(_ name: String, default value: Bool = false) throws(InputError) -> Bool {
    try integer(name, default: value ? 1 : 0) != 0
  }

  func float(_ name: String, default value: Float) throws(InputError) -> Float {
    guard let found = attribute(name) else { return value }
    guard case .float(let float) = found else { throw wrongType(name) }
    return float
  }

  func integers(_ name: String) throws(InputError) -> [Int64]? {
    guard let found = attribute(name) else { return nil }
    guard case .integers(let integers) = found else { throw wrongType(name) }
    return integers
  }

  func floats(_ name: String) throws(InputError) -> [Float]? {
    guard let found = attribute(name) else { return nil }
    guard case .floats(let floats) = found else { throw wrongType(name) }
    return floats
  }

  func string(_ name: String, default value: String) throws(InputError) -> String {
    guard let found = attribute(name) else { return value }
    guard case .string(let string) = found else { throw wrongType(name) }
    return string
  }

  func tensor(_ name: String) throws(InputError) -> ONNXTensor? {
    guard let found = attribute(name) else { return nil }
    guard case .tensor(let tensor) = found else { throw wrongType(name) }
    return tensor
  }

  /// Small sizes (kernels, strides, pads) as Int, within ±2³⁰.
  func sizes(_ name: String) throws(InputError) -> [Int]? {
    guard let values = try integers(name) else { return nil }
    guard values.allSatisfy({ abs($0) < 1 << 30 }) else {
      throw graphError("attribute '\(name)' of node '\(node.path)' is out of range: \(values)")
    }
    return values.map(Int.init)
  }

  /// A list that is an attribute in old operator sets and an input in new ones: axes, pads.
  /// Nil if it is in neither place; `.blocked` reasons are noted.
  mutating func integerList(
    _ name: String, input position: Int
  ) throws(InputError) -> IntegerList {
    if let values = try integers(name) { return .values(values) }
    guard let value = input(position) else { return .absent }
    if case .constant(let tensor) = value, let integers = tensor.integers {
      return .values(integers)
    }
    if case .activation = value {
      note(305, "'\(name)' is computed from the data", help: "export with fixed shapes")
    }
    return .blocked
  }

  enum IntegerList {
    case values([Int64])
    case absent
    case blocked
  }

  /// Operators Tally knows, with the attributes it understands. Another attribute may change
  /// the result, so it is an obstacle.
  static let operators: [String: Set<String>] = [
    "Abs": [], "Add": [], "And": [],
    "AveragePool": [
      "auto_pad", "ceil_mode", "count_include_pad", "dilations", "kernel_shape", "pads", "strides",
    ],
    "BatchNormalization": ["epsilon", "momentum", "spatial", "training_mode"],
    "Cast": ["to", "saturate"], "CastLike": ["saturate"], "Ceil": [], "Clip": ["min", "max"],
    "Concat": ["axis"],
    "Constant": [
      "value", "value_float", "value_floats", "value_int", "value_ints",
    ],
    "ConstantOfShape": ["value"],
    "Conv": ["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"],
    "DequantizeLinear": ["axis", "block_size", "output_dtype"],
    "Div": [], "Dropout": ["ratio", "seed"], "Equal": [], "Erf": [],
    "Exp": [], "Expand": [], "Flatten": ["axis"], "Floor": [], "Gather": ["axis"],
    "Gelu": ["approximate"], "Gemm": ["alpha", "beta", "transA", "transB"],
    "GlobalAveragePool": [], "GlobalMaxPool": [], "Greater": [], "GreaterOrEqual": [],
    "HardSigmoid": ["alpha", "beta"], "HardSwish": [], "Identity": [], "LeakyRelu": ["alpha"],
    "Less": [], "LessOrEqual": [], "LogSoftmax": ["axis"], "MatMul": [], "Max": [],
    "MaxPool": [
      "auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "storage_order", "strides",
    ],
    "Min": [], "Mod": ["fmod"], "Mul": [], "Neg": [], "Not": [], "Or": [],
    "PRelu": [], "Pad": ["mode", "pads", "value"], "Pow": [],
    "QuantizeLinear": ["axis", "block_size", "output_dtype", "saturate"],
    "Range": [], "Reciprocal": [],
    "ReduceMax": ["axes", "keepdims", "noop_with_empty_axes"],
    "ReduceMean": ["axes", "keepdims", "noop_with_empty_axes"],
    "ReduceMin": ["axes", "keepdims", "noop_with_empty_axes"],
    "ReduceProd": ["axes", "keepdims", "noop_with_empty_axes"],
    "ReduceSum": ["axes", "keepdims", "noop_with_empty_axes"],
    "Relu": [], "Reshape": ["allowzero"],
    "Resize": [
      "antialias", "axes", "coordinate_transformation_mode", "cubic_coeff_a", "exclude_outside",
      "extrapolation_value", "keep_aspect_ratio_policy", "mode", "nearest_mode",
    ],
    "Shape": ["start", "end"], "Sigmoid": [], "Size": [],
    "Slice": ["axes", "ends", "starts"],
    "Softmax": ["axis"], "Split": ["axis", "num_outputs", "split"], "Sqrt": [],
    "Squeeze": ["axes"], "Sub": [], "Sum": [], "Tanh": [], "Tile": [],
    "Transpose": ["perm"], "Unsqueeze": ["axes"],
    "Upsample": ["mode", "scales"], "Where": [],
  ]

  /// What to do instead, for operators people are likely to bring.
  static func advice(for operatorType: String) -> String? {
    switch operatorType {
    case "ConvTranspose", "DepthToSpace":
      "replace \(operatorType) by nearest-neighbour Resize followed by Conv"
    case "LSTM", "GRU", "RNN", "Scan": "recurrent networks are not supported; use 1-D convolutions"
    case "LayerNormalization", "InstanceNormalization", "GroupNormalization", "LpNormalization":
      "train with BatchNormalization, which folds into the layer before it"
    case "QLinearConv", "QLinearMatMul", "QGemm", "QLinearAdd", "ConvInteger", "MatMulInteger",
      "DynamicQuantizeLinear":
      "quantise with quant_format=QDQ and static ranges, or convert the float model"
    case "Elu", "Selu", "Celu", "Softplus", "Mish", "ThresholdedRelu", "Softsign":
      "use Relu, Clip, LeakyRelu, HardSwish, Sigmoid, Tanh, Gelu or SiLU"
    case "ArgMax", "TopK", "NonMaxSuppression", "ZipMap", "ArrayFeatureExtractor":
      "take the scores before it with --tensor"
    case "If", "Loop": "export in eval() mode with fixed shapes, so that control flow is resolved"
    default: nil
    }
  }
}
