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
  /// Memory for a run's sums, and behind them as much for what becomes of them.
  private var runs: (sums: View<Int32>, pending: View<Int32>) {
    let count = session.request.signedSumCount
    let all = session.arena.view(
      session.table.offset(0, .signedSums), 2 * count, of: Int32.self)
    return (all.slice(0, count), all.slice(count, count))
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

  /// Σ D·u of elements first ..< first + count of a stream, 0 for `weights` that were not moved.
  private func sums(
    _ node: Int, _ target: Perturbation.Target, first: Int, count: Int,
    weights: View<Int8>? = nil
  ) -> View<Int32> {
    let result = runs.sums.slice(0, count)
    // Number k of the differences is of query number k, shared directions or not (SPEC 8.14).
    signedSums(
      differences, perturbation.stream(node, target, position: 0, query: 0), first: first,
      weights: weights, most: perturbation.largestMovedWeight, into: result)
    return result
  }

  /// The sums of a run of weights that begins at `first`.
  ///
  /// Runs are loops, not closures: what a closure captures and changes is looked after at run time.
  private func weightSums(_ index: Int, _ weights: View<Int8>, first: Int) -> View<Int32> {
    let count = min(longestRun, weights.count - first)
    return sums(
      index, .weights, first: first, count: count, weights: weights.slice(first, count))
  }

  private var longestRun: Int { session.request.signedSumCount }

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
    // One direction: every sum is D or −D.
    let only = differences.count == 1 ? differences[0] : nil
    var limits = Backward.StepLimits()
    if recipe.trustRatio != .zero || recipe.normClip != .zero {
      var squares = SquareSum()
      if let only {
        squares.add(
          UInt64(only.magnitude) * UInt64(only.magnitude),
          times: perturbation.movedWeights(weights))
      } else {
        for first in stride(from: 0, to: weights.count, by: longestRun) {
          squares.add(weightSums(index, weights, first: first))
        }
      }
      if squares.isZero { return }
      let unit = ChannelFold(node, session.weightScales(index, node)).largest
      let norm = estimate.scale(unit: unit, sigma: sigma) * squares.scale.squareRoot()
      limits = limiter.stepLimits(index, node, shape, norm: norm, rate: rate)
    }
    let masters = session.masters(index)
    let pending = runs.pending
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
    if let only, let masters {
      for o in 0..<(node.scalesPerChannel ? shape.output.channels : 1) {
        let count = node.scalesPerChannel ? shape.depth : weights.count
        clipped += contributeSigns(
          only, node.scalesPerChannel ? multiplier(o) : common,
          perturbation.stream(index, .weights, position: 0, query: 0), lanes, first: o * count,
          most: perturbation.largestMovedWeight, limit: recipe.clip << 16,
          masters: masters.slice(o * count, count), weights: weights.slice(o * count, count))
      }
      session.table.add(clipped, to: .clipped)
      return
    }
    // Weights change behind the run that is read, so every mask is of the start of the step.
    for first in stride(from: 0, to: weights.count, by: longestRun) {
      let sums = weightSums(index, weights, first: first)
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
          limit: recipe.clip << 16, subtracting: masters != nil, into: target,
          refreshing: masters.map { _ in weights.slice(start, part.count) })
        if masters == nil {
          round(target, into: weights.slice(start, part.count), rounding, first: start)
        }
        start = stop
      }
    }
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
        index, .biases, first: first, count: min(longestRun, biases.count - first))
      for element in 0..<sums.count where abs(biases[first + element]) > UpdateLimit.bias - sigma {
        sums[element] = 0
      }
      return sums
    }
    var factor: Scale?
    if recipe.normClip != .zero {
      var squares = SquareSum()
      for first in stride(from: 0, to: biases.count, by: longestRun) { squares.add(sums(first)) }
      let unit = input * ChannelFold(node, session.weightScales(index, node)).largest
      let norm = estimate.scale(unit: unit, sigma: sigma) * squares.scale.squareRoot()
      if recipe.normClip < norm { factor = recipe.normClip / norm }
    }
    let clip = factor
    func change(_ o: Int) -> (multiplier: Multiplier, limit: Int32) {
      let unitScale = input * session.weightScale(index, node, node.scalesPerChannel ? o : 0)
      var unit = rate * estimate.scale(unit: unitScale, sigma: sigma) / unitScale
      if let clip { unit = unit * clip }
      return (unit.multiplier, limiter.biasLimit(index, node, unitScale))
    }
    var lanes = RoundingLanes(limiter.stream(.weightRounding, 4 * index + 1), startingAt: 0)
    var (multiplier, limit) = change(0)
    for first in stride(from: 0, to: biases.count, by: longestRun) {
      let sums = sums(first)
      for element in 0..<sums.count {
        let o = first + element
        if node.scalesPerChannel && o > 0 { (multiplier, limit) = change(o) }
        let step = multiplier.requantizeStochastically(sums[element], bits: lanes.next())
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

  /// Σ D·u of the group's gains, a run at a time.
  private func forEachGain(_ body: (_ node: Int, _ sums: View<Int32>, _ first: Int) -> Void) {
    for index in group.node..<network.nodeCount where network.contains(group, index) {
      let count = group.kind == .gain ? 1 : network.node(index).scaleCount
      for first in stride(from: 0, to: count, by: longestRun) {
        body(
          index,
          sums(index, .scales, first: first, count: min(longestRun, count - first)), first)
      }
    }
  }
}
