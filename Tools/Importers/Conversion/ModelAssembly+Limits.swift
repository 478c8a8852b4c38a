import Tally

/// Bounds of SPEC 5.6 and the file format, told before the writer finds them, in the terms of the
/// network.
extension ModelAssembly {
  /// A pooling operation that a model can have.
  func pooling(
    _ input: TensorShape, _ node: FloatNode, _ geometry: WindowGeometry,
    _ countsPadding: Bool = false
  ) throws(InputError) -> Pooling {
    let pooling = Pooling(
      input: input.shape, output: node.shape.shape, geometry: geometry,
      countsPadding: countsPadding)
    let place = "layer \(quoted(node.name))"
    let window = "\(geometry.kernelHeight)×\(geometry.kernelWidth)"
    guard pooling.everyWindowHasInput else {
      throw .limit(
        "a pooling window of \(window) lies in the padding alone", place: place,
        note: "input \(input), padding \(geometry.padTop), \(geometry.padLeft), "
          + "\(geometry.padBottom), \(geometry.padRight)", help: "pad less")
    }
    guard geometry.area <= ModelFormat.largestPoolingArea else {
      throw .limit(
        "a pooling window of \(window)", place: place,
        note: "at most \(ModelFormat.largestPoolingArea) positions", help: "pool in two steps")
    }
    if case .averagePool = node.operation, pooling.commonDivisor == nil,
      geometry.area > ModelFormat.largestUnevenPoolingArea
    {
      throw .limit(
        "average pooling over \(window) with windows that reach beyond the input by different parts",
        place: place,
        note: "where windows differ, at most \(ModelFormat.largestUnevenPoolingArea) positions",
        help: "use a size that divides the input, or count the padding")
    }
    return pooling
  }

  func requireNoDilation(_ geometry: WindowGeometry, _ node: FloatNode) throws(InputError) {
    guard geometry.dilationHeight == 1, geometry.dilationWidth == 1 else {
      throw InputError(
        305, "pooling with dilation", place: "layer \(quoted(node.name))",
        note: "pooling windows have no gaps here", exit: 4)
    }
  }

  /// A gate of one value per channel repeats over positions that a gradient can sum up.
  func requireGate(_ input: Shape, _ gate: Shape, _ node: FloatNode) throws(InputError) {
    guard gate != input, input.positions > ModelFormat.largestRepeatedPositions else { return }
    throw .limit(
      "a gate repeated over \(input.height)×\(input.width) positions",
      place: "layer \(quoted(node.name))",
      note: "at most \(ModelFormat.largestRepeatedPositions) positions",
      help: "reduce the image before the gate")
  }
}
