import CounterRandom
import FixedPoint
import Kernels
import Layers
import Tally
import Tensors
import Training

// Gradients of tensors (SPEC 8.4): what each reader gives, rounded, and merged.

/// A tensor's gradient as far as it has come, and how one element of it came about.
private struct Gradient {
  var values: [Int64]
  var scale: Scale
  var lines: [String]
}

extension Deriver {
  func tensorGradient(_ element: Int) -> Derivation? {
    let tensor = Int(header.index)
    guard let stopped = stoppedElements(tensor, element) else { return nil }
    var gradient: Gradient?
    for source in tensor == network.nodeCount ? [lossSource(element)] : sources(tensor, element) {
      guard var source else { return nil }
      if !stopped.isEmpty {
        for index in stopped { source.values[index] = 0 }
        source.lines.append(
          "mask         \(stopped.contains(element) ? "0: the output was clamped" : "1")   (SPEC 6)"
        )
      }
      let given = rounded(source, element)
      gradient = gradient.map { merged($0, given, source, element) } ?? given
    }
    return gradient.map { Derivation(value: $0.values[element], lines: $0.lines) }
  }

  /// Accumulators that a reader gives, before they are rounded.
  struct Source {
    /// dx over the micro-batch.
    var values: [Int64]
    var scale: Scale
    /// Names the lanes: of the rounding 4·node + slot.
    let lanes: Int
    var lines: [String]
  }

  // MARK: - Stages

  /// Steps 2 and 3 of SPEC 8.4.
  private func rounded(_ source: Source, _ element: Int) -> Gradient {
    let most = source.values.reduce(Int64(0)) { max($0, abs($1)) }
    guard most > 0, source.scale != .zero else {
      return Gradient(
        values: source.values.map { _ in 0 }, scale: .zero,
        lines: source.lines + ["rounded      all is 0   (SPEC 8.4)"])
    }
    let shift = gradientShift(most)
    let (values, lines) = spread(
      source.values, shift, Purpose.gradientRounding, source.lanes, element)
    return Gradient(
      values: values, scale: source.scale.multiplied(byPowerOfTwo: shift),
      lines: source.lines + [
        "shift        s = bitlen(\(most)) − 7, at least 0, = \(shift)   (SPEC 8.4)"
      ] + lines)
  }

  private func gradientShift(_ most: Int64) -> Int32 {
    Int32(max(0, 64 - most.leadingZeroBitCount - 7))
  }

  /// clamp(SR(v, s, lane), ±127) of all values, and the words for one.
  private func spread(
    _ values: [Int64], _ shift: Int32, _ purpose: Purpose, _ lanes: Int, _ element: Int
  ) -> (values: [Int64], lines: [String]) {
    let stream = RandomKey(seed: recipe.seed).stream(
      purpose, tensor: UInt32(lanes), step: header.step, query: header.query)
    var lines: [String] = []
    let results = values.enumerated().map { index, value in
      let bits = shift == 0 ? 0 : stream.bits16(UInt32(index))
      let rounded = Deriver.stochastic(value, Int64(shift), Int64(bits))
      let clamped = min(max(rounded, -127), 127)
      if index == element {
        lines = [
          "rounded      \(value) ≫ \(shift) with the random bits \(bits) = \(rounded)   (SPEC 3.4)",
          "clamped      to ±127: \(clamped)",
        ]
      }
      return clamped
    }
    return (results, lines)
  }

  /// Two gradients of one tensor at the larger Scale (SPEC 8.4, merge).
  private func merged(
    _ present: Gradient, _ given: Gradient, _ source: Source, _ element: Int
  ) -> Gradient {
    if given.scale == .zero { return present }
    if present.scale == .zero { return given }
    let largest = present.scale < given.scale ? given.scale : present.scale
    let first = (present.scale / largest).roundedToInteger(fractionBits: 15)
    let second = (given.scale / largest).roundedToInteger(fractionBits: 15)
    let sums = zip(present.values, given.values).map { $0 * first + $1 * second }
    let most = sums.reduce(Int64(0)) { max($0, abs($1)) }
    let shift = gradientShift(most)
    let (values, lines) = spread(sums, shift, .foldRounding, source.lanes, element)
    return Gradient(
      values: values,
      scale: most == 0 ? .zero : largest.multiplied(byPowerOfTwo: shift - 15),
      lines: present.lines + given.lines + [
        "merged       \(present.values[element])·\(first) + \(given.values[element])·\(second) = "
          + "\(sums[element]), s = \(shift)   (SPEC 8.4)"
      ] + lines)
  }

  /// Elements of a tensor whose value was clamped where it was placed: they pass no gradient. `nil` if
  /// the trace does not hold what placed them.
  private func stoppedElements(_ tensor: Int, _ element: Int) -> Set<Int>? {
    guard tensor > 0 else { return nil }
    guard network.node(tensor - 1).hasMask else { return [] }
    let quantization = network.quantization(ofTensor: tensor)
    let (low, high) = (Int64(quantization.low), Int64(quantization.high))
    guard let values = values(tensor) else { return nil }
    var stopped: Set<Int> = []
    for index in 0..<values.header.count {
      let value = Int64(trace.value(values, index))
      guard value == low || value == high else { continue }
      guard let placed = output(tensor - 1, index)?.unclamped else { return nil }
      if placed < low || placed > high { stopped.insert(index) }
    }
    return stopped
  }

  // MARK: - Readers

  /// What the nodes that read a tensor give it, in the order of SPEC 8.4: from last to first.
  private func sources(_ tensor: Int, _ element: Int) -> [Source?] {
    var sources: [Source?] = []
    for index in stride(from: network.nodeCount - 1, through: tensor, by: -1) {
      let node = network.node(index)
      guard node.firstInput == tensor || node.secondInput == tensor,
        let g = entry(.gradient, index + 1, query: header.query)
      else { continue }
      for slot in 0..<2 where (slot == 0 ? node.firstInput : node.secondInput) == tensor {
        sources.append(source(index, node, g, slot, element))
      }
    }
    return sources
  }

  /// dx of one reader.
  private func source(
    _ index: Int, _ node: Node, _ g: LoadedTrace.Entry, _ slot: Int, _ element: Int
  ) -> Source? {
    let tensor = slot == 0 ? node.firstInput : node.secondInput ?? node.firstInput
    var given = InputGradient(
      count: samples * network.shape(ofTensor: tensor).count, element: element)
    guard let scale = inputGradient(index, node, g, slot, into: &given) else { return nil }
    let name = model.name(ofNode: index)
    return Source(
      values: given.values, scale: g.header.scale == .zero ? .zero : scale, lanes: 4 * index + slot,
      lines: [
        "accumulator  dx from \(name): Σ over \(given.terms) products = "
          + "\(given.values[element])   (SPEC \(node.operation.clause))"
      ])
  }

  private func lossSource(_ element: Int) -> Source? {
    guard
      let given = trace.last(
        .lossGradient, network.nodeCount, query: header.query, before: position),
      fits(given.header), let scale = lossScale
    else { return nil }
    let values = (0..<given.header.count).map { Int64(trace.value(given, $0)) }
    return Source(
      values: values, scale: scale, lanes: 4 * network.nodeCount,
      lines: ["accumulator  the gradient of the loss = \(values[element])   (SPEC 7)"])
  }
}

/// Accumulators dx of a tensor over a micro-batch, and how many products went into one of them.
struct InputGradient {
  private(set) var values: [Int64]
  private(set) var terms = 0
  private let element: Int

  init(count: Int, element: Int) {
    values = Array(repeating: 0, count: count)
    self.element = element
  }

  mutating func add(_ value: Int64, to index: Int) {
    values[index] += value
    if index == element { terms += 1 }
  }
}

extension Operation {
  /// The clause of SPEC.md that defines it.
  var clause: String {
    switch self {
    case .convolution, .fullyConnected: "6.1"
    case .maxPooling: "6.3"
    case .averagePooling: "6.4"
    case .add: "6.5"
    case .multiply: "6.6"
    case .concatenate: "6.7"
    case .table: "6.8"
    case .rescale: "6.9"
    case .slicePad: "6.10"
    case .upsample: "6.11"
    }
  }
}
