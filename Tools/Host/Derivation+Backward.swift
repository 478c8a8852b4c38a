import CounterRandom
import FixedPoint
import Kernels
import Layers
import Tally
import Tensors
import Training

// Elements of parameter gradients and updates (SPEC 6.1, 8.6, 8.7).

extension Deriver {
  var nodeIndex: Int { Int(header.index) }

  /// Samples of this micro-batch.
  private func sampleCount(_ gradient: LoadedTrace.Entry, _ node: Node) -> Int {
    gradient.header.count / node.output.count
  }

  private func gradient() -> LoadedTrace.Entry? {
    entry(.gradient, nodeIndex + 1, query: header.query)
  }

  func biasGradient(_ element: Int) -> Derivation? {
    guard let g = gradient() else { return nil }
    let channels = network.node(nodeIndex).output.channels
    var sum: Int64 = 0
    for place in stride(from: element, to: g.header.count, by: channels) {
      sum += Int64(trace.value(g, place))
    }
    return Derivation(
      value: sum,
      lines: ["accumulator  Σ g over \(g.header.count / channels) positions = \(sum)   (SPEC 6.1)"])
  }

  func weightGradient(_ element: Int) -> Derivation? {
    let node = network.node(nodeIndex)
    guard let shape = node.operation.weighted, let g = gradient(),
      let x = values(node.firstInput), recipe.selection(ofNode: nodeIndex) == nil
    else { return nil }
    let o = element / shape.depth
    let zero = zeroPoint(node.firstInput)
    var sum: Int64 = 0
    var count = 0
    for sample in 0..<sampleCount(g, node) {
      for position in 0..<shape.output.positions {
        let gradient = Int64(
          trace.value(g, sample * node.output.count + position * shape.output.channels + o))
        forEachProduct(shape, position: position, output: o) { weight, input in
          guard weight == element else { return }
          sum += gradient * (Int64(trace.value(x, sample * shape.input.count + input)) - zero)
          count += 1
        }
      }
    }
    return Derivation(
      value: sum,
      lines: ["accumulator  Σ g·(x − Z) over \(count) products = \(sum)   (SPEC 6.1)"])
  }

  /// A ← A − clamp(requantSR(dw, U)) where nothing else bears on it: no momentum, decay or selection.
  func master(_ element: Int) -> Derivation? {
    let node = network.node(nodeIndex)
    guard recipe.momentum == 0, recipe.weightDecay == .zero, let shape = node.operation.weighted,
      recipe.selection(ofNode: nodeIndex) == nil, let before = entry(.masters, nodeIndex),
      let dw = entry(.weightGradient, nodeIndex, query: header.query), let g = gradient(),
      let multiplier = unit(node, shape, dw, g.header.scale, element)
    else { return nil }
    let gradient = Int64(trace.value(dw, element))
    let stream = RandomKey(seed: recipe.seed).stream(
      .weightRounding, tensor: UInt32(4 * nodeIndex), step: header.step, query: header.query)
    let lane = stream.bits16(UInt32(element))
    let product = gradient * Int64(multiplier.mantissa)
    let shift = Int64(multiplier.shift)
    let change = Deriver.stochastic(product, shift, Int64(lane))
    let limit = Int64(recipe.clip) << 16
    let clipped = min(max(change, -limit), limit)
    let old = Int64(trace.value(before, element))
    return Derivation(
      value: old - clipped,
      lines: [
        "accumulator  dw = \(gradient)",
        "multiplier   U = \(multiplier.mantissa)·2^−\(shift)   (SPEC 8.6)",
        "rounded      \(product) ≫ \(shift) with the random bits \(lane) = \(change)   (SPEC 3.4)",
        "clamped      to ±\(limit): \(clipped)",
        "master       \(old) − \(clipped) = \(old - clipped)",
      ])
  }

  /// U of an element, with the limits that bind (SPEC 8.6).
  private func unit(
    _ node: Node, _ shape: Convolution, _ dw: LoadedTrace.Entry, _ gradientScale: Scale,
    _ element: Int
  ) -> Multiplier? {
    // The norm of weights with many Scales has a sum of its own; it is not derived.
    guard node.scaleCount == 1 || recipe.trustRatio == .zero, let steps = scheduled() else {
      return nil
    }
    let isHead = nodeIndex == network.lastWeightedNode
    let rate = recipe.rate(isHead ? .head : .weights, factor: steps.factor)
    let inputScale = scale(node.firstInput)
    var unit =
      (rate * inputScale * gradientScale / weightScale(nodeIndex, element / shape.depth))
      .multiplied(byPowerOfTwo: 16)
    guard recipe.trustRatio != .zero || recipe.normClip != .zero else { return unit.multiplier }
    var squares = SquareSum()
    for index in 0..<dw.header.count {
      let value = UInt64(trace.value(dw, index).magnitude)
      squares.add(value * value)
    }
    var norm = inputScale * gradientScale * squares.scale.squareRoot()
    if recipe.normClip != .zero, recipe.normClip < norm {
      unit = unit * (recipe.normClip / norm)
      norm = recipe.normClip
    }
    guard recipe.trustRatio != .zero else { return unit.multiplier }
    var sum: UInt64 = 0
    for index in 0..<shape.weightCount {
      sum += (weight(nodeIndex, index) * weight(nodeIndex, index)).magnitude
    }
    let weights = weightScale(nodeIndex, 0) * Scale(sum).squareRoot()
    guard weights != .zero else { return unit.multiplier }
    let limit = recipe.trustRatio * weights / Scale(UInt64(steps.microBatches))
    let step = rate * norm
    if limit < step { unit = unit * (limit / step) }
    return unit.multiplier
  }

  /// f_t of the step, its samples B_t and its number of micro-batches.
  func scheduled() -> (factor: UInt64, samples: UInt32, microBatches: UInt32)? {
    let samples = trace.sampleCount
    guard samples > 0 else { return nil }
    let perEpoch = recipe.stepsPerEpoch(samples: samples)
    guard header.step < recipe.plannedSteps(samples: samples) else { return nil }
    let count = min(recipe.batch, samples - header.step % perEpoch * recipe.batch)
    return (
      recipe.rateFactor(
        step: header.step, of: recipe.plannedSteps(samples: samples),
        epoch: header.step / perEpoch),
      count,
      (count - 1) / recipe.microBatch + 1
    )
  }

  /// w = (A + 2¹⁵) ≫ 16.
  func weight(_ element: Int) -> Derivation? {
    guard recipe.weights == .masters, recipe.selection(ofNode: nodeIndex) == nil,
      let master = entry(.masters, nodeIndex)
    else { return nil }
    let value = Int64(trace.value(master, element))
    let rounded = Deriver.halfUp(value, 16)
    return Derivation(
      value: rounded,
      lines: ["rounded      (\(value) + 2^15) ≫ 16 = \(rounded), half up   (SPEC 8.7)"])
  }
}
