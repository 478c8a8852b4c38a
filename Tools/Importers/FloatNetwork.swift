public import Tally

/// A network as somebody trained it: real weights, NHWC tensors, one input, one output.
///
/// Every importer ends here and the converter begins here. Tensors are numbered: 0 is the
/// input, node i produces tensor i + 1; a node reads only tensors made before it. The batch is
/// implicit: every tensor is [height, width, channels], channels innermost in memory.
public struct FloatNetwork: Sendable {
  /// The input, [height, width, channels]; a feature vector is [1, 1, features].
  public var inputShape: TensorShape
  public var inputName: String
  /// How the file's users lay the input out; `FloatExecutor` always takes NHWC.
  public var inputLayout: DataLayout
  /// The input's dimensions as the file states them, without the batch: [3, 32, 32], [784].
  public var inputDimensions: [Int]
  /// What a quantised file does to its input before it becomes integers; tensor 0 is the result.
  public var inputAffine: InputAffine?
  /// The input maps of the model that the file was exported from.
  public var exactInputMaps: [ModelBuilder.InputMap]?
  /// The classes as the file names them; empty if it does not.
  public var classNames: [String] = []
  public var nodes: [FloatNode]
  /// The tensor that is the network's result.
  public var output: Int
  public var outputName: String
  /// The order in which the file's users see the output.
  public var outputLayout: DataLayout
  /// What is worth a word but stops nothing (`exit` is 0).
  public var warnings: [InputError]

  public init(
    inputShape: TensorShape, inputName: String = "input", inputLayout: DataLayout = .nhwc,
    inputDimensions: [Int]? = nil, nodes: [FloatNode], output: Int, outputName: String = "output",
    outputLayout: DataLayout = .nhwc, warnings: [InputError] = []
  ) {
    self.inputShape = inputShape
    self.inputName = inputName
    self.inputLayout = inputLayout
    self.inputDimensions =
      inputDimensions ?? [inputShape.height, inputShape.width, inputShape.channels]
    self.nodes = nodes
    self.output = output
    self.outputName = outputName
    self.outputLayout = outputLayout
    self.warnings = warnings
  }

  /// The shape of a tensor by its number.
  public func shape(of tensor: Int) -> TensorShape {
    tensor == 0 ? inputShape : nodes[tensor - 1].shape
  }

  public var outputShape: TensorShape { shape(of: output) }

  /// Weights and biases together.
  public var parameterCount: Int {
    nodes.reduce(0) { $0 + $1.operation.parameterCount }
  }
}

/// x · scale + offset: one pair for all, or one per channel.
public struct InputAffine: Hashable, Sendable {
  public var scale: [Double]
  public var offset: [Double]

  public init(scale: [Double], offset: [Double]) {
    self.scale = scale
    self.offset = offset
  }

  func scale(_ channel: Int) -> Double { scale[scale.count == 1 ? 0 : channel] }
  func offset(_ channel: Int) -> Double { offset[offset.count == 1 ? 0 : channel] }

  /// The function on [count, height, width, channels].
  func apply(_ values: [Float], channels: Int) -> [Float] {
    values.indices.map {
      Float(Double(values[$0]) * scale($0 % channels) + offset($0 % channels))
    }
  }
}

/// Height, width and channels of a tensor; a signal has height 1, a vector also width 1.
public struct TensorShape: Hashable, Sendable, CustomStringConvertible {
  public var height: Int
  public var width: Int
  public var channels: Int

  public init(height: Int, width: Int, channels: Int) {
    self.height = height
    self.width = width
    self.channels = channels
  }

  /// Number of elements.
  public var count: Int { height * width * channels }

  public var description: String { "\(height)×\(width)×\(channels)" }
}

extension WindowGeometry {
  var hasPadding: Bool { padTop != 0 || padLeft != 0 || padBottom != 0 || padRight != 0 }

  /// Height and width of the result; nil if the window does not fit once.
  func outputSize(_ input: TensorShape) -> (height: Int, width: Int)? {
    guard let height = outputHeight(input.height), let width = outputWidth(input.width) else {
      return nil
    }
    return (height, width)
  }
}

public struct FloatNode: Sendable {
  /// Unique in the network; a layer with weights bears the layer's name.
  public var name: String
  /// Tensor numbers, all smaller than this node's own.
  public var inputs: [Int]
  public var operation: FloatOperation
  /// Shape of the result. A fully connected layer may give any shape with `outputs` elements.
  public var shape: TensorShape
  /// The integers and scales a quantised file prescribes for this node.
  public var quantization: ImportedQuantization?

  public init(
    name: String, inputs: [Int], operation: FloatOperation, shape: TensorShape,
    quantization: ImportedQuantization? = nil
  ) {
    self.name = name
    self.inputs = inputs
    self.operation = operation
    self.shape = shape
    self.quantization = quantization
  }
}

public enum FloatOperation: Sendable {
  /// Weights [out][kernelHeight][kernelWidth][in / groups], bias [out]; padding is zeros.
  case convolution(
    geometry: WindowGeometry, groups: Int, outputChannels: Int, weights: [Float], bias: [Float])
  /// Weights [out][in], `in` in the order of the input tensor's memory; bias [out].
  case fullyConnected(outputs: Int, weights: [Float], bias: [Float])
  /// Padding never wins.
  case maxPool(geometry: WindowGeometry)
  /// Divides by the window's size if `countsPadding`, else by its elements inside the input.
  case averagePool(geometry: WindowGeometry, countsPadding: Bool)
  /// Two inputs of one shape.
  case add
  /// Two inputs of one shape, or the second 1×1×channels.
  case multiply
  /// Two or more inputs of one height and width, joined along the channels.
  case concatenate
  case activation(ActivationKind)
  case slicePad(SlicePad)
  /// Nearest neighbour: every element is repeated.
  case upsample(factorHeight: Int, factorWidth: Int)
  /// Over the channels of a 1×1×channels tensor; only as the last node.
  case softmax
  case logSoftmax

  public var parameterCount: Int {
    switch self {
    case .convolution(_, _, _, let weights, let bias): weights.count + bias.count
    case .fullyConnected(_, let weights, let bias): weights.count + bias.count
    default: 0
    }
  }

  public var hasWeights: Bool { parameterCount > 0 }

  /// The operation's name for tables and messages.
  public var label: String {
    switch self {
    case .convolution: "convolution"
    case .fullyConnected: "fully connected"
    case .maxPool: "max pool"
    case .averagePool: "average pool"
    case .add: "add"
    case .multiply: "multiply"
    case .concatenate: "concatenate"
    case .activation(let kind): kind.label
    case .slicePad: "slice/pad"
    case .upsample: "upsample"
    case .softmax: "softmax"
    case .logSoftmax: "log-softmax"
    }
  }
}

public enum ActivationKind: Hashable, Sendable {
  case relu
  case clip(low: Float, high: Float)
  case leakyRelu(alpha: Float)
  case sigmoid
  case tanh
  /// x · (1 + erf(x / √2)) / 2
  case gelu
  /// x · (1 + tanh(√(2/π) · (x + 0.044715 x³))) / 2
  case geluTanh
  /// x · sigmoid(x)
  case silu
  /// min(max(alpha · x + beta, 0), 1)
  case hardSigmoid(alpha: Float, beta: Float)
  /// x · min(max(x / 6 + 1/2, 0), 1)
  case hardSwish

  public var label: String {
    switch self {
    case .relu: "relu"
    case .clip(let low, let high): "clip [\(low), \(high)]"
    case .leakyRelu: "leaky relu"
    case .sigmoid: "sigmoid"
    case .tanh: "tanh"
    case .gelu: "gelu"
    case .geluTanh: "gelu (tanh)"
    case .silu: "silu"
    case .hardSigmoid: "hard sigmoid"
    case .hardSwish: "hard swish"
    }
  }
}

/// Takes every stride-th element from `start` on and surrounds the result with zeros, on each
/// axis by itself: out[i] = in[start + stride · (i − padBefore)] where the bracket's index i is
/// neither in the leading nor in the trailing padding, else 0.
public struct SlicePad: Hashable, Sendable {
  public struct Axis: Hashable, Sendable {
    public var start: Int
    public var stride: Int
    public var padBefore: Int
    public var padAfter: Int
    /// Elements taken from the input.
    public var count: Int

    public init(start: Int = 0, stride: Int = 1, padBefore: Int = 0, padAfter: Int = 0, count: Int)
    {
      self.start = start
      self.stride = stride
      self.padBefore = padBefore
      self.padAfter = padAfter
      self.count = count
    }

    public var outputCount: Int { padBefore + count + padAfter }
  }

  public var height: Axis
  public var width: Axis
  public var channels: Axis

  public init(height: Axis, width: Axis, channels: Axis) {
    self.height = height
    self.width = width
    self.channels = channels
  }

  /// Everything taken, nothing added.
  public init(identity shape: TensorShape) {
    self.init(
      height: Axis(count: shape.height), width: Axis(count: shape.width),
      channels: Axis(count: shape.channels))
  }

  public var outputShape: TensorShape {
    TensorShape(
      height: height.outputCount, width: width.outputCount, channels: channels.outputCount)
  }
}

/// real = scale · (integer − zeroPoint), integer −128…127.
public struct ActivationQuantization: Equatable, Sendable {
  public var scale: Float
  /// −128…127, also for tensors that the file stores as uint8 (shifted by 128).
  public var zeroPoint: Int
  /// The file's own integers were 0…255.
  public var isUnsigned: Bool
  /// What `scale` is the nearest float to, if the file says.
  public var exactScale: Scale?

  public init(
    scale: Float, zeroPoint: Int, isUnsigned: Bool = false, exactScale: Scale? = nil
  ) {
    self.scale = scale
    self.zeroPoint = zeroPoint
    self.isUnsigned = isUnsigned
    self.exactScale = exactScale
  }
}

/// What a QDQ file prescribes for one node: the converter takes it instead of calibrating.
public struct ImportedQuantization: Sendable {
  /// One per input; nil where the file leaves the tensor in float.
  public var inputs: [ActivationQuantization?]
  /// Of the result, or of the activation that alone reads it and ends in a QuantizeLinear.
  public var output: ActivationQuantization?
  /// One, or one per output channel; empty for nodes without weights.
  public var weightScales: [Float]
  /// What these are the nearest floats to, if the file says.
  public var exactWeightScales: [Scale]?
  /// In the layout of the operation's float weights.
  public var weights: [Int8]
  /// In units of input scale · weight scale.
  public var bias: [Int32]

  public init(
    inputs: [ActivationQuantization?], output: ActivationQuantization?, weightScales: [Float] = [],
    exactWeightScales: [Scale]? = nil, weights: [Int8] = [], bias: [Int32] = []
  ) {
    self.inputs = inputs
    self.output = output
    self.weightScales = weightScales
    self.exactWeightScales = exactWeightScales
    self.weights = weights
    self.bias = bias
  }
}
