public import Kernels
public import Tensors

/// What a node does (SPEC 6).
public enum Operation: Equatable, Sendable {
  case convolution(Convolution)
  case fullyConnected(Convolution)
  case maxPooling(Pooling)
  case averagePooling(Pooling)
  case add
  case multiply
  case concatenate
  case table
  case rescale
  case slicePad(SlicePad)
  case upsample(Upsampling)

  /// The weighted shape, if the operation has weights.
  public var weighted: Convolution? {
    switch self {
    case .convolution(let shape), .fullyConnected(let shape): shape
    case .maxPooling, .averagePooling, .add, .multiply, .concatenate, .table, .rescale, .slicePad,
      .upsample:
      nil
    }
  }

  /// Whether elements outside the bounds stop gradients (the mask of SPEC 6).
  public var hasMask: Bool {
    switch self {
    case .convolution, .fullyConnected, .add, .multiply, .concatenate, .rescale: true
    case .maxPooling, .averagePooling, .table, .slicePad, .upsample: false
    }
  }

  /// Whether elements of the output's gradient become the input's as they are, so that there are no sums.
  public var passesGradient: Bool {
    switch self {
    case .add, .rescale: true
    case .maxPooling(let pooling): !pooling.hasOverlaps
    case .convolution, .fullyConnected, .averagePooling, .multiply, .concatenate, .table, .slicePad,
      .upsample:
      false
    }
  }

  /// Whether the output repeats its input's Scale for good (SPEC 8.9, followers).
  public var isFollower: Bool {
    switch self {
    case .maxPooling, .averagePooling, .slicePad, .upsample: true
    case .convolution, .fullyConnected, .add, .multiply, .concatenate, .table, .rescale: false
    }
  }
}

/// One node of a network, decoded from its record (SPEC 5.1, Formats/model.md).
public struct Node: Equatable, Sendable {
  public let operation: Operation
  /// Tensor numbers; `secondInput` is `nil` for operations of one input.
  @Narrow public private(set) var firstInput: Int
  private let second: Narrow?
  public var secondInput: Int? { second?.wrappedValue }
  public let output: Shape
  public let quantization: Quantization
  /// A head of raw int32 logits (SPEC 5.7).
  public let hasAccumulators: Bool
  public let scalesPerChannel: Bool
  /// Element indices into the model's sections.
  @Narrow public private(set) var firstWeight: Int
  @Narrow public private(set) var firstBias: Int
  @Narrow public private(set) var firstScale: Int
  @Narrow public private(set) var tableIndex: Int

  public init(
    operation: Operation, firstInput: Int, secondInput: Int?, output: Shape,
    quantization: Quantization, hasAccumulators: Bool, scalesPerChannel: Bool, firstWeight: Int,
    firstBias: Int, firstScale: Int, tableIndex: Int
  ) {
    self.operation = operation
    self.firstInput = firstInput
    second = secondInput.map { Narrow(wrappedValue: $0) }
    self.output = output
    self.quantization = quantization
    self.hasAccumulators = hasAccumulators
    self.scalesPerChannel = scalesPerChannel
    self.firstWeight = firstWeight
    self.firstBias = firstBias
    self.firstScale = firstScale
    self.tableIndex = tableIndex
  }

  /// Number of weight Scales: 0, 1, or one per output channel.
  public var scaleCount: Int {
    guard let weighted = operation.weighted else { return 0 }
    return scalesPerChannel ? weighted.output.channels : 1
  }

  /// Whether the node writes a mask when a gradient passes through it.
  public var hasMask: Bool { operation.hasMask && !hasAccumulators }
}
