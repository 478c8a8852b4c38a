import CounterRandom
import FixedPoint
import Kernels
import Layers
import Tally
import Tensors
import Training

// dx of every operation (SPEC 6, the backward clauses), as sums over the index equations.

extension Deriver {
  /// Adds up dx of a node's input from the gradient of its output.
  ///
  /// - Returns: the Scale of dx; `nil` if the trace does not hold what it needs.
  func inputGradient(
    _ index: Int, _ node: Node, _ g: LoadedTrace.Entry, _ slot: Int, into dx: inout InputGradient
  ) -> Scale? {
    let scale = g.header.scale
    guard scale != .zero else { return .zero }
    let outputs = (0..<g.header.count).map { Int64(trace.value(g, $0)) }
    switch node.operation {
    case .convolution(let shape), .fullyConnected(let shape):
      return weighted(index, node, shape, g, outputs, into: &dx)
    case .add, .rescale:
      for (element, value) in outputs.enumerated() { dx.add(value, to: element) }
      return scale
    case .maxPooling(let pooling):
      return largest(pooling, node, outputs, into: &dx) ? scale : nil
    case .averagePooling(let pooling): return average(pooling, scale, outputs, into: &dx)
    case .multiply: return product(node, scale, outputs, slot, into: &dx)
    case .concatenate:
      joined(node, outputs, slot, into: &dx)
      return scale
    case .table:
      guard let x = values(node.firstInput) else { return nil }
      let slopes = network.table(of: node).slopes
      for (element, value) in outputs.enumerated() {
        dx.add(value * Int64(slopes[Int(trace.value(x, element)) + 128]), to: element)
      }
      return scale.multiplied(byPowerOfTwo: -12)
    case .slicePad(let slice):
      for (element, value) in outputs.enumerated() {
        let at = coordinates(element, slice.output)
        if let source = source(slice, row: at.row, column: at.column, channel: at.channel) {
          dx.add(value, to: at.sample * slice.input.count + source)
        }
      }
      return scale
    case .upsample(let upsampling):
      for (element, value) in outputs.enumerated() {
        let at = coordinates(element, upsampling.output)
        dx.add(
          value,
          to: place(
            upsampling.input, at.sample, at.row / upsampling.rows, at.column / upsampling.columns,
            at.channel))
      }
      return scale
    }
  }

  /// The index of an element in a micro-batch.
  private func place(
    _ shape: Shape, _ sample: Int, _ row: Int, _ column: Int, _ channel: Int
  ) -> Int {
    ((sample * shape.height + row) * shape.width + column) * shape.channels + channel
  }

  // MARK: - Sums

  private func weighted(
    _ index: Int, _ node: Node, _ shape: Convolution, _ g: LoadedTrace.Entry, _ outputs: [Int64],
    into dx: inout InputGradient
  ) -> Scale? {
    var outputs = outputs
    if entry(.largestGradient, index) != nil {
      guard let left = kept(index, node, g) else { return nil }
      outputs = left
    }
    var weightScale = weightScale(index, 0)
    if node.scalesPerChannel {
      weightScale = (0..<node.scaleCount).map { self.weightScale(index, $0) }
        .reduce(.zero) { $0 < $1 ? $1 : $0 }
      outputs = folded(index, node, outputs, largest: weightScale)
    }
    let channels = shape.output.channels
    for (element, value) in outputs.enumerated() where value != 0 {
      let sample = element / node.output.count
      let rest = element % node.output.count
      forEachProduct(shape, position: rest / channels, output: rest % channels) { weight, input in
        dx.add(value * self.weight(index, weight), to: sample * shape.input.count + input)
      }
    }
    return weightScale * g.header.scale
  }

  /// ĝ of SPEC 6.1: g with every channel at the largest weight Scale.
  private func folded(
    _ index: Int, _ node: Node, _ outputs: [Int64], largest: Scale
  ) -> [Int64] {
    let stream = RandomKey(seed: recipe.seed).stream(
      .foldRounding, tensor: UInt32(4 * index + 3), step: header.step, query: header.query)
    let ratios = (0..<node.output.channels).map {
      (weightScale(index, $0) / largest).roundedToInteger(fractionBits: 15)
    }
    return outputs.enumerated().map { element, value in
      let bits = Int64(stream.bits16(UInt32(element)))
      let product = value * ratios[element % node.output.channels]
      return min(max(Deriver.stochastic(product, 15, bits), -127), 127)
    }
  }

  /// - Returns: whether the trace holds the input.
  private func largest(
    _ pooling: Pooling, _ node: Node, _ outputs: [Int64], into dx: inout InputGradient
  ) -> Bool {
    guard let x = values(node.firstInput) else { return false }
    for (element, value) in outputs.enumerated() {
      let at = coordinates(element, pooling.output)
      let inside = window(pooling.geometry, pooling.input, row: at.row, column: at.column)
        .map { place(pooling.input, at.sample, $0.row, $0.column, at.channel) }
      let most = inside.map { trace.value(x, $0) }.max()
      // The first position that holds the maximum takes it all.
      guard let first = inside.first(where: { trace.value(x, $0) == most }) else { return false }
      dx.add(value, to: first)
    }
    return true
  }

  private func average(
    _ pooling: Pooling, _ scale: Scale, _ outputs: [Int64], into dx: inout InputGradient
  ) -> Scale {
    let area = pooling.geometry.kernelHeight * pooling.geometry.kernelWidth
    var divisors: Set<Int> = []
    for row in 0..<pooling.output.height {
      for column in 0..<pooling.output.width {
        divisors.insert(divisor(pooling, row: row, column: column))
      }
    }
    let common = divisors.count == 1 ? divisors.first : nil
    for (element, value) in outputs.enumerated() {
      let at = coordinates(element, pooling.output)
      let n = divisor(pooling, row: at.row, column: at.column)
      let weight = common == nil ? Int64((128 * area + n) / (2 * n)) : 1
      for position in window(pooling.geometry, pooling.input, row: at.row, column: at.column) {
        dx.add(
          value * weight,
          to: place(pooling.input, at.sample, position.row, position.column, at.channel))
      }
    }
    return scale / Scale(UInt64(common ?? 64 * area))
  }

  private func product(
    _ node: Node, _ scale: Scale, _ outputs: [Int64], _ slot: Int, into dx: inout InputGradient
  ) -> Scale? {
    guard let second = node.secondInput, let x1 = values(node.firstInput), let x2 = values(second)
    else { return nil }
    let count = network.shape(ofTensor: second).count
    for (element, value) in outputs.enumerated() {
      let other = secondElement(element, node, count)
      if slot == 0 {
        dx.add(value * (Int64(trace.value(x2, other)) - zeroPoint(second)), to: element)
      } else {
        let x = Int64(trace.value(x1, element)) - zeroPoint(node.firstInput)
        dx.add(value * x, to: other)
      }
    }
    return scale * self.scale(slot == 0 ? second : node.firstInput)
  }

  private func joined(
    _ node: Node, _ outputs: [Int64], _ slot: Int, into dx: inout InputGradient
  ) {
    let first = network.shape(ofTensor: node.firstInput)
    let shape = slot == 0 ? first : network.shape(ofTensor: node.secondInput ?? node.firstInput)
    let start = slot == 0 ? 0 : first.channels
    for (element, value) in outputs.enumerated() {
      let at = coordinates(element, node.output)
      guard (start..<start + shape.channels).contains(at.channel) else { continue }
      dx.add(value, to: place(shape, at.sample, at.row, at.column, at.channel - start))
    }
  }
}
