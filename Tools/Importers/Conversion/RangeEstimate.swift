/// Ranges without data: means and variances carried through the network as if values were normal and
/// independent. A guess that keeps a network running, and is said to be one.
extension Calibration {
  /// - Parameter input: the real values the input can take; taken as uniform.
  init(estimating plan: ConversionPlan, input: ClosedRange<Float>) {
    let network = plan.network
    let low = Double(input.lowerBound)
    let high = Double(input.upperBound)
    var tensors = [
      Moments(mean: (low + high) / 2, variance: (high - low) * (high - low) / 12).repeated(
        network.inputShape.channels)
    ]
    for node in network.nodes {
      tensors.append(Self.moments(node, tensors, network))
    }
    self.init(
      ranges: tensors.map { channels in
        var range = TensorRange(low: 0, high: 0)
        for channel in channels {
          let reach = 4 * channel.variance.squareRoot()
          range.low = min(range.low, Float(max(channel.mean - reach, channel.low)))
          range.high = max(range.high, Float(min(channel.mean + reach, channel.high)))
        }
        return range
      })
  }

  private static func moments(_ node: FloatNode, _ tensors: [[Moments]], _ network: FloatNetwork)
    -> [Moments]
  {
    let x = tensors[node.inputs[0]]
    switch node.operation {
    case .convolution(_, let groups, let outputs, let weights, let bias):
      return sums(weights, bias, outputs: outputs) { output, index in
        let perGroup = x.count / groups
        return x[output / (outputs / groups) * perGroup + index % perGroup]
      }
    case .fullyConnected(let outputs, let weights, let bias):
      return sums(weights, bias, outputs: outputs) { _, index in x[index % x.count] }
    case .maxPool: return x.map { $0.maximum }
    case .averagePool, .upsample: return x
    case .add: return zip(x, tensors[node.inputs[1]]).map { $0 + $1 }
    case .multiply: return zip(x, tensors[node.inputs[1]]).map { $0 * $1 }
    case .concatenate: return node.inputs.flatMap { tensors[$0] }
    case .activation(let kind): return x.map { $0.after(kind) }
    case .slicePad(let slice):
      let axis = slice.channels
      return (0..<axis.outputCount).map { index in
        let taken = index - axis.padBefore
        return taken >= 0 && taken < axis.count
          ? x[axis.start + axis.stride * taken] : Moments(mean: 0, variance: 0)
      }
    case .softmax, .logSoftmax: return x
    }
  }

  /// Σ w·x + b of independent x; `input` gives the moments of weight `index`'s input.
  private static func sums(
    _ weights: [Float], _ bias: [Float], outputs: Int, _ input: (Int, Int) -> Moments
  ) -> [Moments] {
    let depth = weights.count / outputs
    return (0..<outputs).map { output in
      var sum = Moments(mean: Double(bias[output]), variance: 0)
      for index in 0..<depth {
        let weight = Double(weights[output * depth + index])
        let x = input(output, index)
        sum.mean += weight * x.mean
        sum.variance += weight * weight * x.variance
      }
      return sum
    }
  }
}

/// Mean and variance of a channel, and bounds that an activation sets.
private struct Moments {
  var mean: Double
  var variance: Double
  var low = -Double.infinity
  var high = Double.infinity

  func repeated(_ count: Int) -> [Moments] { Array(repeating: self, count: count) }

  static func + (a: Moments, b: Moments) -> Moments {
    Moments(mean: a.mean + b.mean, variance: a.variance + b.variance)
  }

  static func * (a: Moments, b: Moments) -> Moments {
    Moments(
      mean: a.mean * b.mean,
      variance: a.mean * a.mean * b.variance + b.mean * b.mean * a.variance
        + a.variance * b.variance)
  }

  /// About the largest of four.
  var maximum: Moments {
    Moments(mean: mean + variance.squareRoot(), variance: variance / 2, low: low, high: high)
  }

  /// Of f(x) for normal x: sums over 33 points of the bell curve within four deviations.
  func after(_ f: ActivationKind) -> Moments {
    let deviation = variance.squareRoot()
    var (total, first, second) = (0.0, 0.0, 0.0)
    var (least, largest) = (Double.infinity, -Double.infinity)
    for point in -16...16 {
      let z = Double(point) / 4
      let weight = DeterministicMath.exp(-z * z / 2)
      let y = f(min(max(mean + z * deviation, low), high))
      total += weight
      first += weight * y
      second += weight * y * y
      least = min(least, y)
      largest = max(largest, y)
    }
    let mean = first / total
    return Moments(
      mean: mean, variance: max(0, second / total - mean * mean), low: least, high: largest)
  }
}
