import CounterRandom
import FixedPoint
import Kernels
public import Layers
public import Tensors

/// How much each channel of each layer bears on the loss of some samples (SPEC 8.13).
///
/// Advice for choosing what to train: no run depends on it. The caller owns the memory.
public struct FisherPotentials {
  public let network: Network
  private let memory: View<Int64>

  /// Words of memory: the potentials of all output channels and selectable channels, and the channels of
  /// one sample and layer.
  public static func wordCount(_ network: Network) -> Int {
    var most = 0
    var sum = 0
    for index in 0..<network.nodeCount {
      guard let shape = network.node(index).operation.weighted else { continue }
      sum += shape.output.channels + shape.selectableCount
      most = max(most, shape.selectableCount)
    }
    return sum + most
  }

  /// - Parameter memory: int64 [`wordCount(network)`], cleared.
  public init(_ network: Network, memory: View<Int64>) {
    precondition(
      memory.count >= FisherPotentials.wordCount(network), "too little memory for potentials")
    self.network = network
    self.memory = memory
    memory.fill(0)
  }

  /// Potentials of a weighted node's output channels, Q40; empty for other nodes.
  public func outputs(ofNode index: Int) -> View<Int64> {
    guard let shape = network.node(index).operation.weighted else { return memory.slice(0, 0) }
    return memory.slice(first(index), shape.output.channels)
  }

  /// Potentials of a weighted node's selectable channels, Q40; empty where there are none.
  public func channels(ofNode index: Int) -> View<Int64> {
    guard let shape = network.node(index).operation.weighted else { return memory.slice(0, 0) }
    return memory.slice(first(index) + shape.output.channels, shape.selectableCount)
  }

  /// The logarithm of a layer's potential, Q16; `nil` where it is 0.
  public func potential(ofNode index: Int) -> Int32? {
    let outputs = outputs(ofNode: index)
    var total: Int64 = 0
    for c in 0..<outputs.count { total = saturatingSum(total, outputs[c]) }
    return total == 0 ? nil : logarithmBase2(total)
  }

  /// Score of a layer of which `count` selectable channels change, Q16: the logarithm of its potential over
  /// its weights and its multiply-accumulates. `nil` without potential.
  ///
  /// - Parameter count: `nil` for all weights.
  public func score(ofNode index: Int, selecting count: Int? = nil) -> Int32? {
    guard let shape = network.node(index).operation.weighted,
      let potential = potential(ofNode: index)
    else { return nil }
    let selected = count.map { shape.selecting($0) } ?? shape
    let multiplies = max(1, selected.weightCount &* selected.output.positions)
    return potential &- logarithmBase2(Int64(selected.weightCount))
      &- logarithmBase2(Int64(multiplies))
  }

  /// Where a weighted node's words begin.
  private func first(_ index: Int) -> Int {
    var first = 0
    for before in 0..<index {
      guard let shape = network.node(before).operation.weighted else { continue }
      first += shape.output.channels + shape.selectableCount
    }
    return first
  }

  // MARK: - Measuring

  /// Adds the potentials of samples: forward, loss and gradients of each, no update.
  ///
  /// - Parameters:
  ///   - session: planned for one sample and for `recipe`.
  ///   - recipe: updates the weights of every weighted node, and the Scales of all that have any, at rates of
  ///     zero: the session then keeps what the potentials are made of.
  ///   - count: the first so many of the samples.
  public func measure(_ session: Session, _ recipe: Recipe, _ samples: Samples, count: Int) {
    precondition(
      recipe.learningRate(.weights) == .zero && recipe.learningRate(.head) == .zero,
      "measuring potentials changes no weights")
    for index in 0..<network.nodeCount where network.node(index).operation.weighted != nil {
      let wanted: UpdateSet =
        network.node(index).hasAccumulators ? .weights : [.weights, .scales]
      precondition(
        recipe.update(ofNode: index).isSuperset(of: wanted), "a session that keeps too little")
    }
    let none = Backward.Rates(
      weights: .zero, biases: .zero, head: .zero, scales: .zero, microBatches: 1)
    for sample in 0..<min(count, samples.count) {
      session.input.slice(0, session.network.inputShape.count).copy(from: samples.values(sample))
      session.forward(samples: 1)
      _ = Trainer.loss(
        session, recipe.loss, samples, sample, slot: 0,
        gradient: session.logitGradient.slice(0, network.outputCount))
      Backward(
        session: session, recipe: recipe, key: RandomKey(seed: recipe.seed),
        step: UInt32(truncatingIfNeeded: sample), query: 0, samples: 1, rates: none
      ).run(lossScale: recipe.lossScale(session, batch: 1)) { backward, index in
        if index < network.nodeCount { add(backward, index) }
      }
    }
  }

  /// One sample's contribution of a node.
  private func add(_ backward: Backward, _ index: Int) {
    let node = network.node(index)
    let scale = backward.table.gradientScale(index + 1)
    guard let shape = node.operation.weighted, scale != .zero else { return }
    let tiling = Tiling(index, node, backward.request)
    addOutputs(backward, index, node, scale, tiling)
    let channels = channels(ofNode: index)
    if channels.count == 0 { return }
    let sums = memory.slice(memory.count - channels.count, channels.count)
    let weightScale = addProducts(backward, index, node, shape, tiling, into: sums)
    let inputScale = backward.table.scale(node.firstInput)
    let multiplier = (weightScale * inputScale * scale).multiplied(byPowerOfTwo: 20).multiplier
    for i in 0..<channels.count { channels[i].addSquare(of: sums[i], multiplier) }
  }

  /// F of the output channels, from γ.
  private func addOutputs(
    _ backward: Backward, _ index: Int, _ node: Node, _ scale: Scale, _ tiling: Tiling
  ) {
    let outputs = outputs(ofNode: index)
    let multiplier =
      (scale * backward.table.scale(index + 1)).multiplied(byPowerOfTwo: 20).multiplier
    if node.hasAccumulators {
      let (g, z) = (backward.gradient(index + 1, sample: 0), backward.session.logits(sample: 0))
      for c in 0..<outputs.count {
        var gamma: Int64 = 0
        var element = c
        while element < g.count {
          gamma &+= Int64(g[element]) &* Int64(z[element])
          element += outputs.count
        }
        outputs[c].addSquare(of: gamma, multiplier)
      }
      return
    }
    let gains = backward.gainGradient(index, node, tiling)
    for c in 0..<outputs.count { outputs[c].addSquare(of: Int64(gains[c]), multiplier) }
  }

  /// q_i = Σ w·dw over the weights that read channel i.
  /// - Returns: the Scale that stands for S_w.
  private func addProducts(
    _ backward: Backward, _ index: Int, _ node: Node, _ shape: Convolution, _ tiling: Tiling,
    into sums: View<Int64>
  ) -> Scale {
    let session = backward.session
    let weights = session.weights(index, node)
    let fold = ChannelFold(node, session.weightScales(index, node))
    sums.fill(0)
    let db = backward.biasGradient(index, node, shape, tiling)
    backward.forEachBlock(index, node, shape, db, tiling) { block, firstRow in
      for row in 0..<block.count / shape.depth {
        let o = firstRow + row
        let ratio = node.scalesPerChannel ? Int64(fold.ratio(o)) : 1
        for i in 0..<(shape.isDepthwise ? 1 : sums.count) {
          var sum: Int64 = 0
          var k = i
          while k < shape.depth {
            sum &+=
              Int64(weights[o &* shape.depth &+ k]) &* Int64(block[row &* shape.depth &+ k])
            k &+= shape.inputsPerGroup
          }
          let channel = shape.isDepthwise ? o : i
          // Below 2⁴⁷ the product with ρ ≤ 2¹⁵ stays in 64 bits.
          if node.scalesPerChannel { sum = min(max(sum, -1 << 47), 1 << 47) }
          sums[channel] = saturatingSignedSum(sums[channel], sum &* ratio)
        }
      }
    }
    return node.scalesPerChannel
      ? fold.largest.multiplied(byPowerOfTwo: -15) : session.weightScale(index, node, 0)
  }
}

extension Int64 {
  /// F ← min(F + T², 2⁶³ − 1), T the real value of `value` in Q20.
  fileprivate mutating func addSquare(of value: Int64, _ multiplier: Multiplier) {
    let most = Int64(Int32.max)
    let t = Swift.min(Swift.max(multiplier.requantizeWide(value), -most), most)
    self = saturatingSum(self, t &* t)
  }
}

/// a + b, clamped to 64 bits.
private func saturatingSignedSum(_ a: Int64, _ b: Int64) -> Int64 {
  let (sum, isOver) = a.addingReportingOverflow(b)
  return isOver ? (b < 0 ? .min : .max) : sum
}

extension Convolution {
  /// Selectable channels, or 0 (SPEC 8.11).
  fileprivate var selectableCount: Int { selectableChannelCount ?? 0 }
}
