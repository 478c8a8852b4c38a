import FixedPoint
import Kernels
import Layers
import Tally
import Tensors
import Training

// The loss, its gradient, and the differences that zeroth order measures (SPEC 7, 8.15).

extension Deriver {
  /// S_z (SPEC 5.7).
  private var logitScale: Scale {
    let last = network.nodeCount - 1
    let node = network.node(last)
    return node.hasAccumulators
      ? scale(node.firstInput) * weightScale(last, 0) : scale(network.nodeCount)
  }

  /// The Scale of the loss's gradient.
  var lossScale: Scale? {
    guard let batch = scheduled()?.samples else { return nil }
    return switch recipe.loss {
    case .crossEntropy: Scale.powerOfTwo(-15) / Scale(UInt64(batch))
    case .meanSquaredError:
      logitScale.multiplied(byPowerOfTwo: 1)
        / Scale(UInt64(batch) * UInt64(network.outputCount))
    }
  }

  /// z of a sample, from the entry of the head's output or of perturbed logits.
  private func logits(_ entry: LoadedTrace.Entry, _ sample: Int) -> [Int64] {
    let count = network.outputCount
    let isPlaced =
      entry.header.kind == .output && !network.node(network.nodeCount - 1).hasAccumulators
    let zero = isPlaced ? zeroPoint(network.nodeCount) : 0
    return (0..<count).map { Int64(trace.value(entry, sample * count + $0)) - zero }
  }

  private func label(_ sample: Int) -> Int? {
    entry(.labels, 0, query: header.query).map { Int(trace.value($0, sample)) }
  }

  func lossGradient(_ element: Int) -> Derivation? {
    guard let output = values(network.nodeCount) else { return nil }
    let (sample, class_) = (element / network.outputCount, element % network.outputCount)
    let z = logits(output, sample)
    switch recipe.loss {
    case .crossEntropy:
      guard let label = label(sample), z.indices.contains(label) else { return nil }
      return Softmax(z, logitScale).gradient(class_, label: label)
    case .meanSquaredError:
      guard let residuals = residuals(z, sample) else { return nil }
      return Derivation(
        value: residuals[class_],
        lines: [
          "accumulator  z − ŷ = \(z[class_]) − \(z[class_] - residuals[class_])   (SPEC 7.2)"
        ])
    }
  }

  /// r_j of SPEC 7.2.
  private func residuals(_ z: [Int64], _ sample: Int) -> [Int64]? {
    let multiplier = (Scale.powerOfTwo(-16) / logitScale).multiplier
    let label = label(sample)
    let targets = entry(.targets, 0, query: header.query)
    guard label != nil || targets != nil else { return nil }
    return z.indices.map { j in
      let target =
        targets.map { Int64(trace.value($0, sample * z.count + j)) } ?? (j == label ? 1 << 16 : 0)
      let goal = Deriver.saturated(
        Deriver.halfUp(target * Int64(multiplier.mantissa), multiplier.shift))
      return Deriver.saturated(z[j] - goal)
    }
  }

  private static func saturated(_ value: Int64) -> Int64 {
    min(max(value, Int64(Int32.min)), Int64(Int32.max))
  }

  // MARK: - Zeroth order

  /// A running difference of a query: the loss measured with one sign is added to what was there.
  func difference(_ element: Int) -> Derivation? {
    guard let zerothOrder = recipe.zerothOrder, recipe.loss == .crossEntropy,
      let batch = scheduled()?.samples,
      let logits = entry(.perturbedLogits, Int(header.index), query: header.query)
    else { return nil }
    let isOpposite = header.index % 2 == 1
    let isShared = !zerothOrder.isPerSample(
      zerothOrder.group(zerothOrder.groupIndex(step: header.step)))
    guard header.count == (isShared ? 1 : samples) else { return nil }
    let most = (Int64(1) << 30 - 1) / (isShared ? Int64(batch) : 1)
    var losses: [Int64] = []
    for sample in isShared ? 0..<samples : element..<element + 1 {
      let z = self.logits(logits, sample)
      guard let label = label(sample), z.indices.contains(label) else { return nil }
      losses.append(min(Softmax(z, logitScale).loss(label: label), most))
    }
    // What the query held before: its other sign, or with shared directions an earlier micro-batch.
    var before: LoadedTrace.Entry?
    if isOpposite {
      before = entry(.differences, Int(header.index) - 1, query: header.query)
      if before == nil { return nil }
    } else if isShared && header.query > 0 {
      before = lastDifference(ofQuery: header.index / 2)
    }
    let old = before.map { Int64(trace.value($0, element)) } ?? 0
    let sum = losses.reduce(0, +)
    let value = isOpposite ? old - sum : old + sum
    return Derivation(
      value: value,
      lines: [
        "loss         \(losses.count == 1 ? "" : "Σ over \(losses.count) samples ")= \(sum), each at "
          + "most \(most)   (SPEC 7.1, 8.15)",
        "difference   \(old) \(isOpposite ? "−" : "+") \(sum) = \(value)",
      ])
  }
}

extension Deriver {
  private func lastDifference(ofQuery query: UInt32) -> LoadedTrace.Entry? {
    trace.entries[..<position].last {
      $0.header.kind == .differences && $0.header.index / 2 == query && fits($0.header)
    }
  }
}

/// Softmax cross-entropy of one sample (SPEC 7.1).
private struct Softmax {
  let multiplier: Multiplier
  let exponents: [Int64]
  let powers: [Int64]
  let sum: Int64

  init(_ logits: [Int64], _ scale: Scale) {
    // log₂e of SPEC 7.1.
    let log2e = Scale(mantissa: 1_549_082_005, exponent: 1) ?? .zero
    let multiplier = (scale * log2e).multiplied(byPowerOfTwo: 16).multiplier
    let most = logits.max() ?? 0
    let cap = Int64(31) << 16
    let exponents = logits.map { z -> Int64 in
      let distance = UInt64(most - z)
      if distance == 0 || multiplier.shift > 62 { return 0 }
      if multiplier.shift <= 0 { return cap }
      let half = UInt64(1) << UInt64(multiplier.shift - 1)
      let product = distance * UInt64(multiplier.mantissa) + half
      return min(Int64(product >> UInt64(multiplier.shift)), cap)
    }
    self.multiplier = multiplier
    self.exponents = exponents
    powers = exponents.map { exponentialBase2(negative: $0) }
    sum = powers.reduce(0, +)
  }

  /// p_c in Q15.
  private func share(_ c: Int) -> Int64 { (powers[c] << 15 + sum / 2) / sum }

  func gradient(_ c: Int, label: Int) -> Derivation {
    var lines = [
      "multiplier   S_z·log2e·2^16 = \(multiplier.mantissa)·2^−\(multiplier.shift)   (SPEC 7.1)",
      "exponent     t = \(exponents[c]), e = exp2neg(t) = \(powers[c]), Σ e = \(sum)   (SPEC 3.6)",
      "divided      p = (e·2^15 + ⌊Σ/2⌋) / Σ = \(share(c))",
    ]
    guard c == label else { return Derivation(value: share(c), lines: lines) }
    let total = powers.indices.reduce(Int64(0)) { $0 + share($1) }
    lines.append("label        p − Σ p = \(share(c)) − \(total) = \(share(c) - total)")
    return Derivation(value: share(c) - total, lines: lines)
  }

  func loss(label: Int) -> Int64 {
    let base2 = Int64(logarithmBase2(sum)) - (30 << 16) + exponents[label]
    return (base2 * 45_426 + 1 << 15) >> 16
  }
}
