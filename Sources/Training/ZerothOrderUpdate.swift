import CounterRandom
import FixedPoint
import Kernels
import Layers
import Tensors

/// Turns the differences of a step into new weights, biases or Scales: all that a replay needs
/// (SPEC 8.16, 8.19). Directions are drawn again; no gradient is kept.
struct ZerothOrderUpdate {
  let perturbation: Perturbation
  let recipe: Recipe
  let rates: Backward.Rates
  /// B_t.
  let batch: Int
  /// D.
  let differences: View<Int32>
  /// Found once: it counts the numbers of the group over the whole network.
  private let estimate: ZerothOrderEstimate

  init(
    perturbation: Perturbation, recipe: Recipe, rates: Backward.Rates, batch: Int,
    differences: View<Int32>
  ) {
    self.perturbation = perturbation
    self.recipe = recipe
    self.rates = rates
    self.batch = batch
    self.differences = differences
    let network = perturbation.session.network
    estimate = ZerothOrderEstimate(
      perturbation.zerothOrder, perturbation.group, batch: batch,
      dimension: network.dimension(perturbation.group))
  }

  private var session: Session { perturbation.session }
  private var network: Network { session.network }
  private var zerothOrder: ZerothOrderRecipe { perturbation.zerothOrder }
  private var group: CoordinateGroup { perturbation.group }
  private var block: View<Int32> {
    session.arena.view(session.table.offset(0, .signedSums), 128, of: Int32.self)
  }

  func apply() {
    switch group.kind {
    case .weights:
      for index in group.node..<network.nodeCount where network.contains(group, index) {
        updateWeights(index)
        updateBiases(index)
        session.refresh(index)
      }
    case .gain, .channelGains: updateScales()
    case .nodes, .inputs: break
    }
  }

  // MARK: Sums

  /// Σ D·u of elements first ..< first + count of a stream, all in one block of signs.
  private func sums(
    _ node: Int, _ target: Perturbation.Target, first: Int, count: Int
  ) -> View<Int32> {
    var sum = SignedSum(first: first, count: count)
    for entry in 0..<differences.count {
      // An entry is a query's number where directions are shared, else Q·position + query.
      let position = zerothOrder.isPerSample(group) ? entry / zerothOrder.queries : 0
      sum.add(
        differences[entry],
        perturbation.stream(
          node, target, position: position, query: entry - position * zerothOrder.queries))
    }
    let result = block.slice(0, count)
    for element in 0..<count { result[element] = sum[element] }
    return result
  }

  /// Calls `body` with Σ D·u of runs of a tensor's weights, 0 where the weight was not perturbed.
  private func forEachRun(
    _ index: Int, _ weights: View<Int8>, _ body: (_ sums: View<Int32>, _ first: Int) -> Void
  ) {
    let most = 127 - perturbation.weightSigma
    var first = 0
    while first < weights.count {
      let count = min(128, weights.count - first)
      let sums = self.sums(index, .weights, first: first, count: count)
      for element in 0..<count where abs(Int32(weights[first + element])) > most {
        sums[element] = 0
      }
      body(sums, first)
      first += count
    }
  }

  // MARK: Weights

  private func isHead(_ index: Int) -> Bool { index == network.lastWeightedNode }

  /// The backward pass knows the limits of a step; here one update makes the step.
  private var limiter: Backward {
    Backward(
      session: session, recipe: recipe, key: perturbation.key, step: perturbation.step, query: 0,
      samples: 0, rates: rates.atOnce)
  }

  private func updateWeights(_ index: Int) {
    let node = network.node(index)
    guard let shape = node.operation.weighted else { return }
    let weights = session.weights(index, node)
    let rate = rates.rate(isHead: isHead(index), .weights)
    let sigma = perturbation.weightSigma
    var limits = Backward.StepLimits()
    if recipe.trustRatio != .zero || recipe.normClip != .zero {
      var squares = SquareSum()
      forEachRun(index, weights) { sums, _ in squares.add(sums) }
      if squares.isZero { return }
      let unit = ChannelFold(node, session.weightScales(index, node)).largest
      let norm = estimate.scale(unit: unit, sigma: sigma) * squares.scale.squareRoot()
      limits = limiter.stepLimits(index, node, shape, norm: norm, rate: rate)
    }
    let masters = session.masters(index)
    // The second half of the block of sums.
    let pending = session.arena.view(
      session.table.offset(0, .signedSums), 256, of: Int32.self
    ).slice(128, 128)
    let lanes = limiter.stream(.weightRounding, 4 * index)
    let key = perturbation.key
    let rounding = key.stream(
      .weightRounding, tensor: UInt32(truncatingIfNeeded: 4 * index), step: perturbation.step,
      query: 1)
    var clipped = 0
    func multiplier(_ o: Int) -> Multiplier {
      let weightScale = session.weightScale(index, node, node.scalesPerChannel ? o : 0)
      let unit = (rate * estimate.scale(unit: weightScale, sigma: sigma) / weightScale)
        .multiplied(byPowerOfTwo: 16)
      return limits.applied(to: unit).multiplier
    }
    let common = multiplier(0)
    // Weights change behind the run that is read, so every mask is of the start of the step.
    forEachRun(index, weights) { sums, first in
      let end = first + sums.count
      var start = first
      while start < end {
        let o = start / shape.depth
        // Per layer one multiplier serves the run.
        let stop = node.scalesPerChannel ? min(end, (o + 1) * shape.depth) : end
        let part = sums.slice(start - first, stop - start)
        let target = masters?.slice(start, part.count) ?? pending.slice(0, part.count)
        if masters == nil { target.fill(0) }
        clipped += contribute(
          part, node.scalesPerChannel ? multiplier(o) : common, lanes, first: start,
          limit: recipe.clip << 16,
          subtracting: masters != nil, into: target)
        if masters == nil {
          round(target, into: weights.slice(start, part.count), rounding, first: start)
        }
        start = stop
      }
    }
    if let masters { Kernels.refresh(masters: masters, into: weights) }
    session.table.add(clipped, to: .clipped)
  }

  /// w ← clamp(w − SR(D, 16), ±127).
  private func round(
    _ steps: View<Int32>, into weights: View<Int8>, _ stream: RandomStream, first: Int
  ) {
    var lanes = RoundingLanes(stream, startingAt: UInt32(truncatingIfNeeded: first))
    for element in 0..<steps.count {
      let step = shiftedStochastically(steps[element], by: 16, bits: lanes.next())
      let weight = Int32(weights[element]) &- step
      weights[element] = Int8(truncatingIfNeeded: min(max(weight, -127), 127))
    }
  }

  // MARK: Biases

  private func updateBiases(_ index: Int) {
    let node = network.node(index)
    let biases = session.biases(index, node)
    let sigma = perturbation.biasSigma(node)
    let rate = rates.rate(isHead: isHead(index), .biases)
    let input = session.table.scale(node.firstInput)
    func sums(_ first: Int) -> View<Int32> {
      let sums = self.sums(
        index, .biases, first: first, count: min(128, biases.count - first))
      for element in 0..<sums.count where abs(biases[first + element]) > UpdateLimit.bias - sigma {
        sums[element] = 0
      }
      return sums
    }
    var factor: Scale?
    if recipe.normClip != .zero {
      var squares = SquareSum()
      for first in stride(from: 0, to: biases.count, by: 128) { squares.add(sums(first)) }
      let unit = input * ChannelFold(node, session.weightScales(index, node)).largest
      let norm = estimate.scale(unit: unit, sigma: sigma) * squares.scale.squareRoot()
      if recipe.normClip < norm { factor = recipe.normClip / norm }
    }
    let lanes = limiter.stream(.weightRounding, 4 * index + 1)
    for first in stride(from: 0, to: biases.count, by: 128) {
      let sums = sums(first)
      for element in 0..<sums.count {
        let o = first + element
        let unitScale = input * session.weightScale(index, node, node.scalesPerChannel ? o : 0)
        var unit = rate * estimate.scale(unit: unitScale, sigma: sigma) / unitScale
        if let factor { unit = unit * factor }
        let limit = limiter.biasLimit(index, node, unitScale)
        let step = unit.multiplier.requantizeStochastically(
          sums[element], bits: lanes.bits16(UInt32(truncatingIfNeeded: o)))
        let bias = biases[o] &- min(max(step, -limit), limit)
        biases[o] = min(max(bias, -UpdateLimit.bias), UpdateLimit.bias)
      }
    }
  }

  // MARK: Scales

  /// A step whose root mean square over the group's gains is the rate (SPEC 8.16).
  private func updateScales() {
    var squares = SquareSum()
    forEachGain { _, sums, _ in squares.add(sums) }
    if squares.isZero { return }
    let count = Scale(UInt64(truncatingIfNeeded: network.dimension(group)))
    let unit = (rates.scales * count.squareRoot() / squares.scale.squareRoot())
      .multiplied(byPowerOfTwo: 30)
    let multiplier = unit.multiplier
    forEachGain { index, sums, first in
      let node = network.node(index)
      let isLayer = group.kind == .gain
      for channel in isLayer ? 0..<node.scaleCount : first..<first + sums.count {
        let step = multiplier.requantize(sums[isLayer ? 0 : channel - first])
        let bounded = min(max(step, -GainLimit.step), GainLimit.step)
        let scale = session.weightScale(index, node, channel)
        let next = Gain.step(scale, velocity: bounded)
        session.setWeightScale(index, node, channel, next)
        let biases = session.biases(index, node)
        let ratio = (scale / next).multiplier
        // The gain is of the weights alone: biases keep their real values.
        for o in node.scalesPerChannel ? channel..<channel + 1 : 0..<biases.count {
          biases[o] = Gain.rescaled(bias: biases[o], ratio)
        }
      }
    }
    for index in group.node..<network.nodeCount where network.contains(group, index) {
      session.refresh(index)
    }
  }

  private enum GainLimit {
    /// A sixteenth of 2³⁰.
    static var step: Int32 { 1 << 26 }
  }

  /// Σ D·u of the group's gains, at most 128 at a time.
  private func forEachGain(_ body: (_ node: Int, _ sums: View<Int32>, _ first: Int) -> Void) {
    for index in group.node..<network.nodeCount where network.contains(group, index) {
      let count = group.kind == .gain ? 1 : network.node(index).scaleCount
      for first in stride(from: 0, to: count, by: 128) {
        body(index, sums(index, .scales, first: first, count: min(128, count - first)), first)
      }
    }
  }
}
