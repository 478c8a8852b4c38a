/// Makes the weights of a layer's channels alike, so that one Scale serves them all: what makes a
/// channel of one layer smaller makes the next layer's weights for it larger by the same factor.
///
/// Exact for real numbers where the function between the layers commutes with positive factors.
func equalized(_ plan: ConversionPlan, rounds: Int = 10) -> FloatNetwork {
  var network = plan.network
  let pairs = plan.equalizablePairs
  for _ in 0..<rounds {
    for (first, second) in pairs { equalize(first, second, &network) }
  }
  return network
}

extension ConversionPlan {
  /// Weighted nodes of which the second alone reads the first, channel by channel.
  fileprivate var equalizablePairs: [(first: Int, second: Int)] {
    let readers = network.readers
    return network.nodes.indices.compactMap { first in
      guard network.nodes[first].operation.hasWeights, network.nodes[first].quantization == nil
      else { return nil }
      var tensor = first + 1
      while readers[tensor].count == 1, tensor != network.output {
        let reader = readers[tensor][0]
        let node = network.nodes[reader]
        switch node.operation {
        case .convolution, .fullyConnected:
          return node.quantization == nil ? (first, reader) : nil
        case .activation(.relu), .activation(.leakyRelu), .maxPool, .averagePool, .upsample:
          tensor = reader + 1
        default: return nil
        }
      }
      return nil
    }
  }
}

private func equalize(_ first: Int, _ second: Int, _ network: inout FloatNetwork) {
  var a = network.nodes[first].operation.floatWeights
  var b = network.nodes[second].operation.floatWeights
  let channels = a.bias.count
  // The channels of the first layer's result; a vector read as an image has others.
  guard network.nodes[first].shape.channels == channels else { return }
  let depth = a.weights.count / channels
  let groups = network.nodes[second].operation.groupCount
  let inputs = channels / groups
  let outputs = b.bias.count / groups
  let reach = b.weights.count / b.bias.count
  for channel in 0..<channels {
    let own = channel * depth..<(channel + 1) * depth
    let group = channel / inputs
    // Weights of the second layer that read this channel: every `inputs`-th of the group's outputs.
    var others: [Int] = []
    for output in group * outputs..<(group + 1) * outputs {
      others += stride(
        from: output * reach + channel % inputs, to: (output + 1) * reach, by: inputs)
    }
    let range = a.weights[own].reduce(Float(0)) { max($0, abs($1)) }
    let next = others.reduce(Float(0)) { max($0, abs(b.weights[$1])) }
    guard range > 0, next > 0 else { continue }
    let factor = (range * next).squareRoot() / next
    guard factor > 0x1p-16, factor < 0x1p16 else { continue }
    for index in own { a.weights[index] /= factor }
    a.bias[channel] /= factor
    for index in others { b.weights[index] *= factor }
  }
  network.nodes[first].operation = network.nodes[first].operation.replacing(a.weights, a.bias)
  network.nodes[second].operation = network.nodes[second].operation.replacing(b.weights, b.bias)
}

extension FloatOperation {
  /// Weights and biases, empty for an operation without.
  var floatWeights: (weights: [Float], bias: [Float]) {
    switch self {
    case .convolution(_, _, _, let weights, let bias): (weights, bias)
    case .fullyConnected(_, let weights, let bias): (weights, bias)
    default: ([], [])
    }
  }

  var groupCount: Int {
    if case .convolution(_, let groups, _, _, _) = self { groups } else { 1 }
  }

  /// The same operation with other weights.
  func replacing(_ weights: [Float], _ bias: [Float]) -> FloatOperation {
    switch self {
    case .convolution(let geometry, let groups, let outputs, _, _):
      .convolution(
        geometry: geometry, groups: groups, outputChannels: outputs, weights: weights, bias: bias)
    case .fullyConnected(let outputs, _, _):
      .fullyConnected(outputs: outputs, weights: weights, bias: bias)
    default: self
    }
  }
}
