import Tally

/// Simplification of bounds, slices and padding.
extension ImportGraph {
  /// A bound after a bound is one bound; a slice after a slice is one slice.
  mutating func mergeBoundsAndSlices(output: inout Int) {
    var replacement = Array(0...nodes.count)
    for index in nodes.indices {
      nodes[index].inputs = nodes[index].inputs.map { replacement[$0] }
      guard case .network(let operation) = nodes[index].operation,
        let source = nodes[index].inputs.first
      else { continue }
      if case .slicePad(let slice) = operation, slice == SlicePad(identity: shape(of: source)) {
        replacement[index + 1] = source
        continue
      }
      guard source > 0, case .network(let earlier) = nodes[source - 1].operation,
        nodes[source - 1].quantization == nil
      else { continue }
      if let merged = Self.merged(earlier, operation) {
        nodes[index].operation = .network(merged)
        nodes[index].inputs = nodes[source - 1].inputs
      }
    }
    output = replacement[output]
  }

  private static func merged(_ first: FloatOperation, _ second: FloatOperation) -> FloatOperation? {
    switch (first, second) {
    case (.activation(let a), .activation(let b)):
      guard let (low, high) = bounds(a), let (lower, upper) = bounds(b) else { return nil }
      let least = min(max(low, lower), upper)
      let most = min(max(high, lower), upper)
      return .activation(
        least == 0 && most == .infinity ? .relu : .clip(low: least, high: most))
    case (.slicePad(let a), .slicePad(let b)):
      guard let height = merged(a.height, b.height), let width = merged(a.width, b.width),
        let channels = merged(a.channels, b.channels)
      else { return nil }
      return .slicePad(SlicePad(height: height, width: width, channels: channels))
    default: return nil
    }
  }

  private static func bounds(_ kind: ActivationKind) -> (Float, Float)? {
    switch kind {
    case .relu: (0, .infinity)
    case .clip(let low, let high): (low, high)
    default: nil
    }
  }

  private static func merged(_ a: SlicePad.Axis, _ b: SlicePad.Axis) -> SlicePad.Axis? {
    if a.padBefore == 0 && a.padAfter == 0 {
      var result = b
      result.start = a.start + a.stride * b.start
      result.stride = a.stride * b.stride
      return result
    }
    // Everything taken, so padding adds to padding.
    guard b.start == 0, b.stride == 1, b.count == a.outputCount else { return nil }
    var result = a
    result.padBefore += b.padBefore
    result.padAfter += b.padAfter
    return result
  }

  /// Zero padding of height and width becomes the padding of the windows that read it.
  mutating func foldPaddingIntoWindows(output: Int) {
    let readers = consumers()
    for index in nodes.indices {
      let tensor = index + 1
      guard case .network(.slicePad(let slice)) = nodes[index].operation, output != tensor,
        slice.isPadding(of: shape(of: nodes[index].inputs[0])), !readers[tensor].isEmpty
      else { continue }
      let isPositive = isNeverNegative(nodes[index].inputs[0])
      let folded = readers[tensor].map {
        nodes[$0].operation.padded(by: slice, isPositive: isPositive)
      }
      guard folded.allSatisfy({ $0 != nil }) else { continue }
      for (reader, operation) in zip(readers[tensor], folded) {
        if let operation { nodes[reader].operation = operation }
        nodes[reader].inputs = nodes[reader].inputs.map {
          $0 == tensor ? nodes[index].inputs[0] : $0
        }
      }
    }
  }

  /// Whether all elements of a tensor are known to be 0 or more.
  func isNeverNegative(_ tensor: Int) -> Bool {
    var tensor = tensor
    while tensor > 0, case .network(let operation) = nodes[tensor - 1].operation {
      switch operation {
      case .activation(.relu), .activation(.sigmoid), .activation(.hardSigmoid), .softmax:
        return true
      case .activation(.clip(let low, _)): return low >= 0
      case .maxPool, .averagePool, .slicePad, .upsample: tensor = nodes[tensor - 1].inputs[0]
      default: return false
      }
    }
    return false
  }
}

extension SlicePad {
  /// Nothing cut, and zeros only around height and width.
  fileprivate func isPadding(of shape: TensorShape) -> Bool {
    func isWhole(_ axis: Axis, _ size: Int) -> Bool {
      axis.start == 0 && axis.stride == 1 && axis.count == size
    }
    return isWhole(height, shape.height) && isWhole(width, shape.width)
      && isWhole(channels, shape.channels) && channels.outputCount == shape.channels
  }
}

extension ImportGraph.Operation {
  /// The operation that does the padding itself; nil if that would not be the same.
  fileprivate func padded(by slice: SlicePad, isPositive: Bool) -> ImportGraph.Operation? {
    func grown(_ geometry: WindowGeometry) -> WindowGeometry {
      var geometry = geometry
      geometry.padTop += slice.height.padBefore
      geometry.padBottom += slice.height.padAfter
      geometry.padLeft += slice.width.padBefore
      geometry.padRight += slice.width.padAfter
      return geometry
    }
    switch self {
    case .network(.convolution(let geometry, let groups, let outputs, let weights, let bias)):
      return .network(
        .convolution(
          geometry: grown(geometry), groups: groups, outputChannels: outputs, weights: weights,
          bias: bias))
    case .network(.averagePool(let geometry, let countsPadding)):
      guard countsPadding || !geometry.hasPadding else { return nil }
      return .network(.averagePool(geometry: grown(geometry), countsPadding: true))
    case .network(.maxPool(let geometry)):
      // A zero of the padding never beats a value that is not negative, provided that every
      // window holds such a value.
      let geometry = grown(geometry)
      let isCovered =
        max(geometry.padTop, geometry.padBottom) < geometry.extentHeight
        && max(geometry.padLeft, geometry.padRight) < geometry.extentWidth
        && geometry.dilationHeight == 1 && geometry.dilationWidth == 1
      return isPositive && isCovered ? .network(.maxPool(geometry: geometry)) : nil
    default: return nil
    }
  }
}
