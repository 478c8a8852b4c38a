/// A piece of an ONNX axis: `size` steps of `stride` elements in a tensor's NHWC memory.
struct Factor: Equatable {
  var size: Int
  var stride: Int

  /// The batch is no part of a tensor's memory; its factor carries this in place of a stride.
  static let batchStride = -1

  var isBatch: Bool { stride == Factor.batchStride }

  static func batch(_ size: Int) -> Factor { Factor(size: size, stride: batchStride) }
}

/// How an ONNX value looks at a tensor of the network being built.
///
/// The file says [N, C, H, W] and permutes, flattens and splits axes as it likes; memory is
/// [height, width, channels] all the same. Each ONNX axis is a list of factors, outermost first
/// (none for an axis of size 1). Transpose and Reshape change the view and move no data; only an
/// operator that needs a certain order can ask for data to move.
struct TensorView {
  var tensor: Int
  var axes: [[Factor]]

  var sizes: [Int] { axes.map { $0.reduce(1) { $0 * $1.size } } }

  func isBatch(_ axis: Int) -> Bool { axes[axis].contains { $0.isBatch } }

  /// Merges factors that are one run of memory and drops those of size 1.
  static func merged(_ factors: [Factor]) -> [Factor] {
    var result: [Factor] = []
    for factor in factors where factor.size != 1 || factor.isBatch {
      if let last = result.last, !last.isBatch, !factor.isBatch,
        last.stride == factor.size * factor.stride
      {
        result[result.count - 1] = Factor(size: last.size * factor.size, stride: factor.stride)
      } else {
        result.append(factor)
      }
    }
    return result
  }

  /// The factors of an axis without the batch, merged.
  func factors(_ axis: Int) -> [Factor] {
    Self.merged(axes[axis].filter { !$0.isBatch })
  }

  func transposed(_ permutation: [Int]) -> TensorView {
    TensorView(tensor: tensor, axes: permutation.map { axes[$0] })
  }

  /// The same elements under other axes, or nil if an axis would cut a factor in a place where
  /// it cannot be cut.
  func reshaped(_ sizes: [Int]) -> TensorView? {
    var rest = Self.merged(axes.flatMap { $0 })[...]
    var result: [[Factor]] = []
    for size in sizes {
      var axis: [Factor] = []
      var product = 1
      // A batch of one belongs to the first axis it can belong to.
      while let factor = rest.first, product < size || (factor.isBatch && factor.size == 1) {
        let (whole, overflow) = product.multipliedReportingOverflow(by: factor.size)
        if !overflow, whole <= size, size % whole == 0 {
          axis.append(factor)
          product = whole
          rest.removeFirst()
          continue
        }
        guard size % product == 0, factor.size % (size / product) == 0, !factor.isBatch else {
          return nil
        }
        let outer = size / product
        let inner = factor.size / outer
        axis.append(Factor(size: outer, stride: factor.stride * inner))
        rest[rest.startIndex] = Factor(size: inner, stride: factor.stride)
        product = size
      }
      if product != size { return nil }
      result.append(axis)
    }
    return rest.isEmpty ? TensorView(tensor: tensor, axes: result) : nil
  }
}

/// What an axis of a view is in memory.
enum AxisRole: Equatable {
  case batch
  /// Size 1: nothing to say.
  case one
  case height
  case width
  case channels
}

extension TensorView {
  /// The role of every axis, or nil if one is a mixture. `shape` is the tensor's.
  func roles(in shape: TensorShape) -> [AxisRole]? {
    var roles: [AxisRole] = []
    for axis in axes.indices {
      let factors = factors(axis)
      if isBatch(axis) {
        if !factors.isEmpty { return nil }
        roles.append(.batch)
        continue
      }
      switch factors {
      case []: roles.append(.one)
      case [Factor(size: shape.channels, stride: 1)]: roles.append(.channels)
      case [Factor(size: shape.width, stride: shape.channels)]: roles.append(.width)
      case [Factor(size: shape.height, stride: shape.channels * shape.width)]:
        roles.append(.height)
      default: return nil
      }
    }
    return roles
  }

  /// A view of `tensor`, of shape `shape`, with the given roles.
  init(tensor: Int, shape: TensorShape, roles: [AxisRole], batch: Int) {
    self.tensor = tensor
    self.axes = roles.map {
      switch $0 {
      case .batch: [Factor.batch(batch)]
      case .one: []
      case .height: [Factor(size: shape.height, stride: shape.channels * shape.width)]
      case .width: [Factor(size: shape.width, stride: shape.channels)]
      case .channels: [Factor(size: shape.channels, stride: 1)]
      }
    }
  }
}
