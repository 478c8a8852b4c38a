/// Makes the weights of a layer's channels alike, so that one Scale serves them all: what makes a
/// channel of one layer smaller makes the next layer's weights for it larger by the same factor.
///
/// Exact for real numbers where the function between the layers commutes with positive factors. A clamp
/// such as relu6 does not; through one, only channels move that the samples never drive to its upper
/// bound, before or after, so the network gives the same on those samples.
func equalized(
  _ plan: ConversionPlan, _ samples: RealSamples? = nil, rounds: Int = 10
) -> FloatNetwork {
  var network = plan.network
  var pairs = plan.equalizablePairs
  let clamped = pairs.filter { $0.bound != nil }.map(\.first)
  var largest: [Int: [Float]] = [:]
  if let samples, !clamped.isEmpty { largest = channelMaxima(clamped, network, samples) }
  // Without samples nothing is known about what a clamp cuts off.
  pairs.removeAll { $0.bound != nil && largest[$0.first] == nil }
  for _ in 0..<rounds {
    for pair in pairs { equalize(pair, &network, &largest[pair.first]) }
  }
  return network
}

/// The largest value of each channel of some nodes' results, over all samples.
private func channelMaxima(
  _ nodes: [Int], _ network: FloatNetwork, _ samples: RealSamples
) -> [Int: [Float]] {
  var largest: [Int: [Float]] = [:]
  for node in nodes {
    largest[node] = Array(repeating: -.infinity, count: network.nodes[node].shape.channels)
  }
  let executor = FloatExecutor(network)
  samples.forEachBatch { values, count in
    _ = executor.run(values, count: count) { tensor, values in
      guard var known = largest[tensor - 1] else { return }
      for (index, value) in values.enumerated() where value > known[index % known.count] {
        known[index % known.count] = value
      }
      largest[tensor - 1] = known
    }
  }
  return largest
}

/// Two weighted nodes, and the upper bound of a clamp between them.
private struct EqualizablePair {
  var first: Int
  var second: Int
  var bound: Float?
}

extension ConversionPlan {
  /// Weighted nodes of which the second alone reads the first, channel by channel.
  fileprivate var equalizablePairs: [EqualizablePair] {
    let readers = network.readers
    return network.nodes.indices.compactMap { first in
      guard network.nodes[first].operation.hasWeights, network.nodes[first].quantization == nil
      else { return nil }
      var tensor = first + 1
      var bound: Float?
      while readers[tensor].count == 1, tensor != network.output {
        let reader = readers[tensor][0]
        let node = network.nodes[reader]
        switch node.operation {
        case .convolution, .fullyConnected:
          return node.quantization == nil
            ? EqualizablePair(first: first, second: reader, bound: bound) : nil
        case .activation(.relu), .activation(.leakyRelu), .maxPool, .averagePool, .upsample:
          tensor = reader + 1
        // The samples' maxima are those of the layer itself, so nothing may come in between.
        case .activation(.clip(low: 0, let high)) where tensor == first + 1:
          (bound, tensor) = (high, reader + 1)
        default: return nil
        }
      }
      return nil
    }
  }
}

/// - Parameter largest: of each channel of the first layer's result; kept up to date.
private func equalize(
  _ pair: EqualizablePair, _ network: inout FloatNetwork, _ largest: inout [Float]?
) {
  let (first, second) = (pair.first, pair.second)
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
    var factor = (range * next).squareRoot() / next
    guard factor > 0x1p-16, factor < 0x1p16 else { continue }
    if let bound = pair.bound, let top = largest?[channel] {
      guard top < bound else { continue }
      factor = max(factor, top / bound)
      largest?[channel] = top / factor
    }
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
