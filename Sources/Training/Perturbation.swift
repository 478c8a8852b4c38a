import CounterRandom
import FixedPoint
import Kernels
import Layers
import Tensors

/// One query of a step: the directions of a group, and forward passes with them (SPEC 8.14).
struct Perturbation {
  let session: Session
  let zerothOrder: ZerothOrderRecipe
  let group: CoordinateGroup
  let size: PerturbationSize
  let key: RandomKey
  let step: UInt32

  private var network: Network { session.network }

  /// Streams of purpose 2, by what they perturb.
  enum Target: UInt32 { case weights, biases, tensor, scales }

  /// The directions of query `query` for the sample at `position` of the step.
  func stream(_ node: Int, _ target: Target, position: Int, query: Int) -> RandomStream {
    let queries = zerothOrder.queries
    return key.stream(
      .perturbation, tensor: UInt32(truncatingIfNeeded: 4 * node) + target.rawValue, step: step,
      query: UInt32(
        truncatingIfNeeded: zerothOrder.isPerSample(group) ? queries * position + query : query))
  }

  // MARK: Sizes

  /// σ of weights, in LSB.
  var weightSigma: Int32 { size.scaled(zerothOrder.weightSigma) }

  /// The largest |w| that σ moves.
  var largestMovedWeight: Int32 { 127 - weightSigma }

  /// How many weights σ moves.
  func movedWeights(_ weights: View<Int8>) -> Int {
    count(of: -largestMovedWeight...largestMovedWeight, in: weights)
  }

  /// σ of a node's biases, in bias LSB: as large in real units as the weights'.
  func biasSigma(_ node: Node) -> Int32 {
    let input = session.table.scale(node.firstInput)
    let ratio = Scale(UInt64(truncatingIfNeeded: weightSigma)) / input
    return Int32(truncatingIfNeeded: min(max(ratio.roundedToInteger(fractionBits: 0), 1), 1 << 20))
  }

  /// σ of the perturbed tensor, in its LSB.
  func tensorSigma(_ tensor: Int) -> Int32 {
    guard network.node(tensor - 1).hasAccumulators else {
      return size.scaled(zerothOrder.nodeSigma)
    }
    let ratio = size.scaled(zerothOrder.logitSigma) / session.logitScale
    return Int32(truncatingIfNeeded: min(max(ratio.roundedToInteger(fractionBits: 0), 1), 1 << 24))
  }

  /// σ of gains in Q30.
  var gainSigma: Int64 { size.scaled(zerothOrder.gainSigma).roundedToInteger(fractionBits: 30) }

  // MARK: Forward

  /// Runs the network from the first perturbed node on, with θ + sign·σ·u.
  ///
  /// - Parameters:
  ///   - sign: 1 or −1.
  ///   - first: the position in the step of the sample in slot 0.
  func run(query: Int, sign: Int32, first: Int, samples: Int) {
    for index in network.firstPerturbedNode(group)..<network.nodeCount {
      if group.isOfTensor {
        session.run(index, samples: samples)
        if index + 1 == network.perturbedTensor(group) {
          perturbTensor(index + 1, query, sign, first: first, samples: samples)
        }
      } else if !network.contains(group, index) {
        session.run(index, samples: samples)
      } else if group.kind == .weights {
        runWeights(index, query, sign, first: first, samples: samples)
      } else {
        runGains(index, query, sign, first: first, samples: samples)
      }
    }
  }

  /// Makes derived parameters those of θ again.
  func restore() {
    guard !group.isOfTensor else { return }
    for index in group.node..<network.nodeCount where network.contains(group, index) {
      session.refresh(index)
    }
  }

  private func perturbTensor(
    _ tensor: Int, _ query: Int, _ sign: Int32, first: Int, samples: Int
  ) {
    let sigma = sign * tensorSigma(tensor)
    let isAccumulators = network.node(tensor - 1).hasAccumulators
    let quantization = network.quantization(ofTensor: tensor)
    for sample in 0..<samples {
      let stream = stream(tensor - 1, .tensor, position: first + sample, query: query)
      if isAccumulators {
        let logits = session.logits(sample: sample)
        var signs = SignSequence(stream, startingAt: 0)
        for j in 0..<logits.count { logits[j] &+= signs.next() &* sigma }
      } else {
        perturb(
          session.activation(tensor, sample: sample), by: sigma, stream, low: quantization.low,
          high: quantization.high)
      }
    }
  }

  private func runGains(_ index: Int, _ query: Int, _ sign: Int32, first: Int, samples: Int) {
    let node = network.node(index)
    guard let shape = node.operation.weighted else { return }
    func directions(_ sample: Int) -> RandomStream {
      stream(index, .scales, position: first + sample, query: query)
    }
    var current = -1
    session.forEachTile(index, node, shape, samples: 0..<samples) {
      accumulators, sample, element, count, _ in
      if sample != current {
        if current >= 0 {
          shiftBiases(index, node, sign, directions(current), isBack: true)
        }
        current = sample
        perturbMultipliers(index, node, sign, directions(sample))
        shiftBiases(index, node, sign, directions(sample), isBack: false)
      }
      session.placeTile(
        index, node, accumulators, sample: sample, first: element, count: count)
    }
    shiftBiases(index, node, sign, directions(samples - 1), isBack: true)
  }

  /// The multipliers of S_w·(1 + σ·u), in the place of the node's.
  private func perturbMultipliers(
    _ index: Int, _ node: Node, _ sign: Int32, _ stream: RandomStream
  ) {
    let multipliers = session.multipliers(index, node)
    let input = session.table.scale(node.firstInput)
    let output = session.table.scale(index + 1)
    for channel in 0..<node.scaleCount {
      let scale = perturbedScale(index, node, channel, sign, stream)
      let multiplier = (input * scale / output).multiplier
      multipliers.mantissas[channel] = multiplier.mantissa
      multipliers.shifts[channel] = multiplier.shift
    }
  }

  /// S_w·(1 + σ·u) of a channel.
  private func perturbedScale(
    _ index: Int, _ node: Node, _ channel: Int, _ sign: Int32, _ stream: RandomStream
  ) -> Scale {
    let u = stream.sign(group.kind == .gain ? 0 : UInt32(truncatingIfNeeded: channel))
    let factor = UInt64(truncatingIfNeeded: 1 << 30 + Int64(sign * u) * gainSigma)
    return (session.weightScale(index, node, channel) * Scale(factor))
      .multiplied(byPowerOfTwo: -30)
  }

  /// Adds to the derived biases, or takes back, what keeps each bias's real value under a perturbed
  /// Scale: a gain is of the weights alone.
  private func shiftBiases(
    _ index: Int, _ node: Node, _ sign: Int32, _ stream: RandomStream, isBack: Bool
  ) {
    let biases = session.biases(index, node)
    let derived = session.offsetBiases(index, node)
    var ratio = Multiplier(mantissa: 0, shift: 0)
    for o in 0..<biases.count {
      if o == 0 || node.scalesPerChannel {
        let scale = perturbedScale(index, node, o, sign, stream)
        ratio = (session.weightScale(index, node, o) / scale).multiplier
      }
      let change = Gain.rescaled(bias: biases[o], ratio) &- biases[o]
      derived[o] &+= isBack ? 0 &- change : change
    }
  }

  private func runWeights(_ index: Int, _ query: Int, _ sign: Int32, first: Int, samples: Int) {
    let node = network.node(index)
    guard let shape = node.operation.weighted else { return }
    let isShared = !zerothOrder.isPerSample(group)
    let sigma = sign * weightSigma
    let biasStep = sign * biasSigma(node)
    let weights = session.weights(index, node)
    let buffer = session.arena.view(
      session.table.offset(index + 1, .perturbedWeights),
      session.request.isCompact ? shape.depth : shape.weightCount, of: Int8.self)
    let (biases, derived) = (session.biases(index, node), session.offsetBiases(index, node))
    let zeroPoint = network.quantization(ofTensor: node.firstInput).zeroPoint
    var sample = 0
    while sample < samples {
      let end = isShared ? samples : sample + 1
      let directions = stream(index, .weights, position: first + sample, query: query)
      let biasDirections = stream(index, .biases, position: first + sample, query: query)
      /// A channel's bias and zero-point term: b + σ·u − Z·Σw.
      func setOffset(_ o: Int, sum: Int32, sign: Int32) {
        let (bias, step) = (biases[o], sign * biasStep)
        let perturbed = abs(bias) &+ abs(step) <= UpdateLimit.bias ? bias &+ step : bias
        // May wrap; the complete accumulator does not (SPEC 5.6).
        derived[o] = perturbed &- zeroPoint &* sum
      }
      if session.request.isCompact {
        runByChannel(index, node, shape, sample..<end, buffer) { o, target in
          let sum = perturb(
            weights.slice(o * shape.depth, shape.depth), by: sigma, directions,
            first: o * shape.depth, into: target)
          setOffset(o, sum: sum, sign: biasDirections.sign(UInt32(truncatingIfNeeded: o)))
        }
      } else {
        _ = perturb(weights, by: sigma, directions, first: 0, into: buffer)
        sumEachRow(buffer, columns: shape.depth, into: derived)
        var signs = SignSequence(biasDirections, startingAt: 0)
        for o in 0..<derived.count { setOffset(o, sum: derived[o], sign: signs.next()) }
        session.forEachTile(index, node, shape, samples: sample..<end, weights: buffer) {
          accumulators, sample, first, count, _ in
          session.placeTile(index, node, accumulators, sample: sample, first: first, count: count)
        }
      }
      sample = end
    }
  }

  /// Tile by tile, with one channel's perturbed weights at a time.
  private func runByChannel(
    _ index: Int, _ node: Node, _ shape: Convolution, _ samples: Range<Int>, _ row: View<Int8>,
    _ fill: (_ channel: Int, _ target: View<Int8>) -> Void
  ) {
    let tiling = Tiling(index, node, session.request)
    let workspace = session.table.offset(index + 1, .forwardWorkspace)
    let patches = session.arena.view(
      max(workspace, 0) + tiling.forwardPatches, tiling.forwardPatchesByteCount, of: Int8.self)
    let padding = Int8(
      truncatingIfNeeded: network.quantization(ofTensor: node.firstInput).zeroPoint)
    let elements = node.output.count
    for sample in samples {
      var first = 0
      while first < shape.output.height {
        let rows = first..<min(first + tiling.outputRows, shape.output.height)
        let element = rows.lowerBound * shape.output.width * shape.output.channels
        let count = rows.count * shape.output.width * shape.output.channels
        let offset =
          node.hasAccumulators
          ? session.table.offset(index + 1, .activation) + 4 * (sample * elements + element)
          : workspace + tiling.forwardAccumulators
        let accumulators = session.arena.view(offset, count, of: Int32.self)
        shape.forwardByChannel(
          session.activation(node.firstInput, sample: sample), padding: padding, rows: rows,
          workspace: patches, into: accumulators
        ) { o in
          fill(o, row)
          return row
        }
        session.placeTile(
          index, node, accumulators, sample: sample, first: element, count: count)
        first = rows.upperBound
      }
    }
  }
}
