import Tally

extension ModelAssembly {
  /// The first guess of an output's Scale in a network that is not trained: by SPEC 8.10 for weighted
  /// nodes and additions, elsewhere the power of two that holds whatever the inputs can hold.
  func initial(
    _ planned: ConversionPlan.Node, _ inputs: [Quantization], low: Float, high: Float
  ) -> Quantization {
    let node = plan.network.nodes[planned.index]
    let isRectified = low == 0 && high == .infinity
    if low > -.infinity || high < .infinity, !isRectified {
      // An upper bound such as relu6's takes the last step; the range tracker may move it.
      return Quantization(TensorRange(low: low, high: high).bounded)
    }
    let scale: Scale
    switch node.operation {
    case .convolution, .fullyConnected:
      let depth = node.operation.depth(of: plan.network.shape(of: node.inputs[0]))
      scale = InitialWeights.outputScale(
        depth: depth, input: inputs[0].scale, weights: InitialWeights.scale(depth: depth))
    case .add: scale = InitialWeights.sumScale(inputs[0].scale, inputs[1].scale)
    case .multiply, .concatenate, .activation:
      var range = reach(node.operation, inputs)
      if isRectified { range.low = max(range.low, 0) }
      return Quantization(powerOfTwoOver: range)
    case .maxPool, .averagePool, .slicePad, .upsample, .softmax, .logSoftmax:
      preconditionFailure("these repeat their input's quantization")
    }
    return Quantization(scale: scale, zeroPoint: isRectified ? -128 : 0)
  }

  /// The real values an operation can give for all that its inputs can hold.
  private func reach(_ operation: FloatOperation, _ inputs: [Quantization]) -> TensorRange {
    var range = TensorRange()
    switch operation {
    case .activation(let kind):
      let unit = inputs[0].scale.double
      for q in inputs[0].low...inputs[0].high {
        range.include([Float(kind(unit * Double(q - inputs[0].zeroPoint)))])
      }
    case .multiply:
      let (a, b) = (inputs[0].realRange, inputs[1].realRange)
      range.include([a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high])
    default:
      for input in inputs { range.include([input.realRange.low, input.realRange.high]) }
    }
    return range
  }
}

extension TensorRange {
  /// Infinite ends become 0.
  fileprivate var bounded: TensorRange {
    TensorRange(low: low > -.infinity ? low : 0, high: high < .infinity ? high : 0)
  }
}

extension Quantization {
  fileprivate var realRange: TensorRange {
    TensorRange(
      low: Float(scale.double) * Float(low - zeroPoint),
      high: Float(scale.double) * Float(high - zeroPoint))
  }

  /// A power of two, with zero point −128 if nothing is negative and 0 otherwise.
  fileprivate init(powerOfTwoOver range: TensorRange) {
    let isRectified = range.low >= 0
    let largest = max(abs(range.low), abs(range.high))
    let step =
      (ExactNumber(exactly: Double(largest)) / ExactNumber(isRectified ? 255 : 127)).scale()
    let scale = step.mantissa == 1 << 30 ? step : .powerOfTwo(step.exponent)
    self.init(scale: scale, zeroPoint: isRectified ? -128 : 0)
  }
}

extension FloatOperation {
  /// Weights per output.
  func depth(of input: TensorShape) -> Int {
    switch self {
    case .convolution(let geometry, let groups, _, _, _):
      geometry.kernelHeight * geometry.kernelWidth * (input.channels / groups)
    case .fullyConnected: input.count
    default: 0
    }
  }
}
