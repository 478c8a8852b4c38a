import Tally

/// Folding of x · scale + offset into neighbouring layers: products and sums in Double, one
/// rounding at the end.
extension ImportGraph {
  /// Merges chains of affine functions and folds them into the layer they follow.
  mutating func foldAffinesBackward(output: inout Int) {
    var readers = [Int](repeating: 0, count: nodes.count + 1)
    for node in nodes { for input in node.inputs { readers[input] += 1 } }
    readers[output] += 1
    var replacement = Array(0...nodes.count)
    for index in nodes.indices {
      nodes[index].inputs = nodes[index].inputs.map { replacement[$0] }
      guard case .affine(var scale, var offset) = nodes[index].operation else { continue }
      let tensor = index + 1
      let channels = nodes[index].shape.channels
      if case .affine(let earlierScale, let earlierOffset)? = operation(of: nodes[index].inputs[0])
      {
        let source = nodes[index].inputs[0]
        (scale, offset) = Self.composed((earlierScale, earlierOffset), (scale, offset), channels)
        nodes[index].inputs = nodes[source - 1].inputs
        nodes[index].operation = .affine(scale: scale, offset: offset)
        readers[source] -= 1
        readers[nodes[index].inputs[0]] += 1
      }
      let source = nodes[index].inputs[0]
      let isIdentity = scale.allSatisfy { $0 == 1 } && offset.allSatisfy { $0 == 0 }
      if isIdentity {
        if source > 0, nodes[source - 1].quantization == nil {
          nodes[source - 1].quantization = nodes[index].quantization
        }
      } else {
        guard source > 0, readers[source] == 1,
          nodes[source - 1].absorb(scale: scale, offset: offset)
        else { continue }
        nodes[source - 1].quantization = nodes[index].quantization
      }
      readers[source] += readers[tensor] - 1
      replacement[tensor] = source
    }
    output = replacement[output]
  }

  /// Folds what is left into the layers that read it, if all of them can take it exactly: not
  /// an offset before zero padding, for zeros are not offset.
  mutating func foldAffinesForward(output: inout Int) {
    let readers = consumers()
    var replacement = Array(0...nodes.count)
    for index in nodes.indices {
      nodes[index].inputs = nodes[index].inputs.map { replacement[$0] }
      guard case .affine(let scale, let offset) = nodes[index].operation, output != index + 1,
        !readers[index + 1].isEmpty,
        readers[index + 1].allSatisfy({
          nodes[$0].canPrepend(
            scale: scale, offset: offset, channels: nodes[index].shape.channels)
        })
      else { continue }
      for reader in readers[index + 1] {
        nodes[reader].prepend(scale: scale, offset: offset, channels: nodes[index].shape.channels)
      }
      replacement[index + 1] = nodes[index].inputs[0]
    }
  }

  /// What no layer could take becomes a layer: a depthwise 1×1 convolution. One value per
  /// element cannot be that; such a function stays, to be reported.
  mutating func turnAffinesIntoLayers() {
    for index in nodes.indices {
      guard case .affine(let scale, let offset) = nodes[index].operation else { continue }
      let channels = nodes[index].shape.channels
      guard max(scale.count, offset.count) <= channels else { continue }
      func perChannel(_ values: [Double]) -> [Float] {
        (0..<channels).map { Float(affineValue(values, $0, channels)) }
      }
      nodes[index].operation = .network(
        .convolution(
          geometry: WindowGeometry(kernelHeight: 1, kernelWidth: 1), groups: channels,
          outputChannels: channels, weights: perChannel(scale), bias: perChannel(offset)))
    }
  }

  /// second(first(x)).
  private static func composed(
    _ first: (scale: [Double], offset: [Double]), _ second: (scale: [Double], offset: [Double]),
    _ channels: Int
  ) -> ([Double], [Double]) {
    let count = [first.scale, first.offset, second.scale, second.offset].reduce(1) {
      max($0, $1.count)
    }
    var scale: [Double] = []
    var offset: [Double] = []
    for index in 0..<count {
      let factor = affineValue(second.scale, index, channels)
      scale.append(affineValue(first.scale, index, channels) * factor)
      offset.append(
        affineValue(first.offset, index, channels) * factor
          + affineValue(second.offset, index, channels))
    }
    return (scale, offset)
  }
}

/// The element of a list of one value, one per channel, or one per element of memory.
private func affineValue(_ values: [Double], _ index: Int, _ channels: Int) -> Double {
  if values.count == 1 { return values[0] }
  return values[values.count == channels ? index % channels : index]
}

extension ImportGraph.Node {
  /// Takes a following affine function into weights and bias. False if this is no layer, or a
  /// quantised one whose integers would no longer be the file's.
  fileprivate mutating func absorb(scale: [Double], offset: [Double]) -> Bool {
    let isPlainOffset = scale.allSatisfy { $0 == 1 }
    if weightIntegers != nil && !isPlainOffset { return false }
    let channels = shape.channels
    func folded(_ weights: [Float], _ bias: [Float]) -> ([Float], [Float]) {
      let run = weights.count / bias.count
      var weights = weights
      var bias = bias
      for output in bias.indices {
        let factor = affineValue(scale, output, channels)
        if factor != 1 {
          for index in output * run..<(output + 1) * run {
            weights[index] = Float(Double(weights[index]) * factor)
          }
        }
        bias[output] = Float(Double(bias[output]) * factor + affineValue(offset, output, channels))
      }
      return (weights, bias)
    }
    switch operation {
    case .network(.convolution(let geometry, let groups, let outputs, let weights, let bias)):
      guard max(scale.count, offset.count) <= channels else { return false }
      let (weights, bias) = folded(weights, bias)
      operation = .network(
        .convolution(
          geometry: geometry, groups: groups, outputChannels: outputs, weights: weights,
          bias: bias))
    case .network(.fullyConnected(let outputs, let weights, let bias)):
      let (weights, bias) = folded(weights, bias)
      operation = .network(.fullyConnected(outputs: outputs, weights: weights, bias: bias))
    default: return false
    }
    weightIntegers?.bias = nil
    return true
  }

  fileprivate func canPrepend(scale: [Double], offset: [Double], channels: Int) -> Bool {
    guard weightIntegers == nil else { return false }
    switch operation {
    case .network(.convolution(let geometry, _, _, _, _)):
      return max(scale.count, offset.count) <= channels
        && (!geometry.hasPadding || offset.allSatisfy { $0 == 0 })
    case .network(.fullyConnected): return true
    default: return false
    }
  }

  /// Takes an affine function of its input, of `channels` channels, into weights and bias.
  fileprivate mutating func prepend(scale: [Double], offset: [Double], channels: Int) {
    // The weights of one output follow the elements `first`, `first` + 1, …; after `depth` of
    // them the next position of the window begins with `first` again.
    func folded(
      _ weights: [Float], _ bias: [Float], depth: Int, first: (Int) -> Int
    ) -> ([Float], [Float]) {
      let run = weights.count / bias.count
      var weights = weights
      var bias = bias
      for output in bias.indices {
        var sum = Double(bias[output])
        for index in 0..<run {
          let element = first(output) + index % depth
          let weight = Double(weights[output * run + index])
          sum += weight * affineValue(offset, element, channels)
          weights[output * run + index] = Float(weight * affineValue(scale, element, channels))
        }
        bias[output] = Float(sum)
      }
      return (weights, bias)
    }
    switch operation {
    case .network(.convolution(let geometry, let groups, let outputs, let weights, let bias)):
      let depth = channels / groups
      let (weights, bias) = folded(weights, bias, depth: depth) { $0 / (outputs / groups) * depth }
      operation = .network(
        .convolution(
          geometry: geometry, groups: groups, outputChannels: outputs, weights: weights,
          bias: bias))
    case .network(.fullyConnected(let outputs, let weights, let bias)):
      let (weights, bias) = folded(weights, bias, depth: weights.count / outputs) { _ in 0 }
      operation = .network(.fullyConnected(outputs: outputs, weights: weights, bias: bias))
    default: break
    }
  }
}
