import Importers
import Kernels
import Tally
package import Training

/// One element of a trace computed by hand from the entries before it, in 64-bit integers and with its
/// reasons (Formats/trace.md).
package struct Derivation {
  /// What the element must be.
  package let value: Int64
  /// One line for each stage, with its clause of SPEC.md.
  package let lines: [String]
  /// Of a placed output: the value before the clamp, which decides the mask (SPEC 6).
  var unclamped: Int64?
}

/// Computes elements of a trace anew. It shares no kernel with the engine: sums run over the index
/// equations of SPEC 6, roundings are written out.
package struct Deriver {
  let trace: LoadedTrace
  let model: LoadedModel
  let recipe: Recipe
  /// Entries before this one are agreed upon.
  let position: Int

  package init(_ trace: LoadedTrace, _ model: LoadedModel, _ recipe: Recipe, at position: Int) {
    self.trace = trace
    self.model = model
    self.recipe = recipe
    self.position = position
  }

  var network: Network { model.network }
  var header: TraceEntry { trace.entries[position].header }

  /// `nil` for a kind of entry that is not derived, and where the trace does not fit the model.
  package func derive(_ element: Int) -> Derivation? {
    guard fits(header), hasGoodScales else { return nil }
    switch header.kind {
    case .output: return output(Int(header.index) - 1, element)
    case .lossGradient: return lossGradient(element)
    case .gradient: return tensorGradient(element)
    case .biasGradient: return biasGradient(element)
    case .differences: return difference(element)
    case .weightGradient: return weightGradient(element)
    case .masters where header.phase == .during: return master(element)
    case .weights where header.phase == .after: return weight(element)
    default: return nil
    }
  }

  // MARK: - What entries hold

  /// Samples of the entry's micro-batch.
  var samples: Int {
    let size = network.inputShape.count
    let input = trace.last(.input, 0, query: header.query, before: position + 1)
    return (input?.header.count ?? 0) / size
  }

  /// A trace may come from anybody: entries must have the sizes that the model gives them.
  func fits(_ header: TraceEntry) -> Bool {
    let index = Int(header.index)
    guard header.width == width(header) else { return false }
    switch header.kind {
    case .input, .output, .gradient, .lossGradient:
      return index < network.tensorCount
        && header.count == samples * network.shape(ofTensor: index).count
    case .tensorScales: return header.count == 2 * network.tensorCount
    case .largestGradient: return true
    case .labels: return header.count == samples
    case .targets: return header.count == samples * network.outputCount
    case .perturbedLogits: return header.count == samples * network.outputCount
    case .differences: return header.count == 1 || header.count == samples
    case .weights, .masters, .weightVelocities, .weightGradient:
      guard index < network.nodeCount else { return false }
      return header.count == network.node(index).operation.weighted?.weightCount
    case .biases, .biasVelocities, .biasGradient:
      return index < network.nodeCount && header.count == network.node(index).output.channels
    case .weightScales, .scaleVelocities:
      guard index < network.nodeCount else { return false }
      let count = network.node(index).scaleCount
      return header.count == (header.kind == .weightScales ? 2 * count : count)
    }
  }

  /// Bytes of a value.
  private func width(_ header: TraceEntry) -> Int {
    switch header.kind {
    case .weights, .input, .gradient: 1
    case .output:
      (1...network.nodeCount).contains(Int(header.index))
        && network.node(Int(header.index) - 1).hasAccumulators ? 4 : 1
    case .biases, .weightScales, .masters, .weightVelocities, .biasVelocities, .scaleVelocities,
      .tensorScales, .largestGradient, .lossGradient, .biasGradient, .weightGradient, .differences,
      .perturbedLogits, .labels, .targets:
      4
    }
  }

  private var hasGoodScales: Bool {
    let lists = trace.entries[..<position].filter {
      $0.header.kind == .tensorScales || $0.header.kind == .weightScales
    }
    return !lists.isEmpty
      && lists.allSatisfy { list in
        fits(list.header)
          && stride(from: 0, to: list.header.count, by: 2).allSatisfy { word in
            let mantissa = trace.value(list, word)
            return mantissa > 0
              && Scale(mantissa: mantissa, exponent: trace.value(list, word + 1)) != nil
          }
      }
  }

  func entry(_ kind: TraceEntry.Kind, _ index: Int, query: UInt32? = nil) -> LoadedTrace.Entry? {
    let found = trace.last(kind, index, query: query, before: position)
    return found.flatMap { fits($0.header) ? $0 : nil }
  }

  func weight(_ node: Int, _ element: Int) -> Int64 {
    entry(.weights, node).map { Int64(trace.value($0, element)) }
      ?? Int64(network.weights(of: network.node(node))[element])
  }

  func bias(_ node: Int, _ channel: Int) -> Int64 {
    entry(.biases, node).map { Int64(trace.value($0, channel)) }
      ?? Int64(network.biases(of: network.node(node))[channel])
  }

  func weightScale(_ node: Int, _ channel: Int) -> Scale {
    let described = network.node(node)
    let number = described.scaleCount == 1 ? 0 : channel
    guard let entry = entry(.weightScales, node),
      let scale = Scale(
        mantissa: trace.value(entry, 2 * number), exponent: trace.value(entry, 2 * number + 1))
    else { return network.weightScale(of: described, number) }
    return scale
  }

  func scale(_ tensor: Int) -> Scale {
    guard let entry = entry(.tensorScales, 0),
      let scale = Scale(
        mantissa: trace.value(entry, 2 * tensor), exponent: trace.value(entry, 2 * tensor + 1))
    else { return network.quantization(ofTensor: tensor).scale }
    return scale
  }

  /// Values of a tensor in this micro-batch.
  func values(_ tensor: Int) -> LoadedTrace.Entry? {
    entry(tensor == 0 ? .input : .output, tensor, query: header.query)
  }

  func zeroPoint(_ tensor: Int) -> Int64 { Int64(network.quantization(ofTensor: tensor).zeroPoint) }
}

extension Deriver {
  /// ⌊(v + 2^(n−1)) / 2^n⌋ by division, the definition of half up.
  static func halfUp(_ value: Int64, _ shift: Int32) -> Int64 {
    if shift <= 0 { return value << Int64(min(-shift, 64)) }
    if shift > 62 { return 0 }
    let half = Int64(1) << Int64(shift - 1)
    let (quotient, remainder) = value.quotientAndRemainder(dividingBy: 1 << Int64(shift))
    // Division rounds towards zero; make it a floor first.
    let floor = remainder < 0 ? quotient - 1 : quotient
    let rest = value - floor << Int64(shift)
    return rest >= half ? floor + 1 : floor
  }

  /// SR of SPEC 3.4 from its definition; of a product it is requantSR.
  static func stochastic(_ value: Int64, _ shift: Int64, _ bits: Int64) -> Int64 {
    if shift > 62 { return 0 }
    // Swift's shift of a signed number is a floor.
    if shift > 16 { return ((value >> (shift - 16)) + bits) >> 16 }
    return shift <= 0 ? value << min(-shift, 64) : (value + bits % (1 << shift)) >> shift
  }
}
