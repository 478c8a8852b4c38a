import FixedPoint
import Kernels
import Layers
public import Tensors

/// What a run's next step depends on besides model, recipe, data and step number (SPEC 9.7).
///
/// The same walk writes a state out and reads it in: every part is memory of the session.
extension Trainer {
  /// Calls `body` with each part of the state, in order.
  public func forEachStatePart(_ body: (View<UInt8>) -> Void) {
    let network = session.network
    for index in 0..<network.nodeCount {
      let node = network.node(index)
      guard let shape = node.operation.weighted else { continue }
      session.owned(index, .weights, shape.weightCount, Int8.self).map { body($0.bytes) }
      session.masters(index).map { body($0.bytes) }
      session.weightVelocities(index).map { body($0.bytes) }
      session.owned(index, .biases, node.output.channels, Int32.self).map { body($0.bytes) }
      session.biasVelocities(index).map { body($0.bytes) }
      session.owned(index, .weightScales, 2 * node.scaleCount, Int32.self).map { body($0.bytes) }
      session.scaleVelocities(index).map { body($0.bytes) }
      // The second Scale there is the current step's.
      session.largestGradient(index).map { body($0.slice(0, 2).bytes) }
    }
    for tensor in 0..<network.tensorCount { body(session.table.scaleBytes(tensor)) }
    for group in 0..<recipe.needs.groupCount {
      session.perturbationCounts(group: group).map { body($0.bytes) }
    }
    guard recipe.tracksRanges else { return }
    for tensor in 0..<network.tensorCount { session.histogram(tensor).map { body($0.bytes) } }
    for tensor in 0..<network.tensorCount { body(session.table.historyBytes(tensor)) }
  }

  public var stateByteCount: Int {
    var sum = 0
    forEachStatePart { sum += $0.count }
    return sum
  }

  /// Goes on behind `step` steps with a state that was written out there.
  ///
  /// - Parameter bytes: from a file that may have been made to deceive, so every value is checked
  ///   against the bounds that training keeps.
  /// - Returns: whether it is such a state; if not, the session is to be used no more.
  public mutating func restore(_ bytes: View<UInt8>, step: UInt32) -> Bool {
    guard step <= plannedSteps, bytes.count == stateByteCount else { return false }
    var offset = 0
    forEachStatePart { part in
      part.copy(from: bytes.slice(offset, part.count))
      offset += part.count
    }
    guard isLegalState(behind: step) else { return false }
    session.refreshAll()
    self.step = step
    return true
  }

  // MARK: - Bounds

  private func isLegalState(behind step: UInt32) -> Bool {
    let network = session.network
    for index in 0..<network.nodeCount where !hasLegalParameters(index) { return false }
    for tensor in 0..<network.tensorCount where !hasLegalScale(tensor) { return false }
    for group in 0..<recipe.needs.groupCount where !hasLegalSize(group) { return false }
    return hasLegalSums() && hasLegalHistory(behind: step)
  }

  private func hasLegalParameters(_ index: Int) -> Bool {
    let node = session.network.node(index)
    guard let shape = node.operation.weighted else { return true }
    if let weights = session.owned(index, .weights, shape.weightCount, Int8.self) {
      for element in 0..<weights.count where weights[element] == -128 { return false }
    }
    func isWithin(_ values: View<Int32>?, _ limit: Int32) -> Bool {
      guard let values else { return true }
      for element in 0..<values.count where values[element].magnitude > limit.magnitude {
        return false
      }
      return true
    }
    guard isWithin(session.masters(index), UpdateLimit.master), showMasters(index, node),
      isWithin(session.weightVelocities(index), UpdateLimit.velocity),
      isWithin(session.owned(index, .biases, node.output.channels, Int32.self), UpdateLimit.bias),
      isWithin(session.biasVelocities(index), UpdateLimit.velocity),
      isWithin(session.scaleVelocities(index), Gain.limit)
    else { return false }
    if let scales = session.owned(index, .weightScales, 2 * node.scaleCount, Int32.self) {
      for channel in 0..<node.scaleCount
      where !isPositiveScale(scales[2 * channel], scales[2 * channel + 1]) {
        return false
      }
    }
    // Y_max is zero until a gradient has been seen.
    guard let largest = session.largestGradient(index) else { return true }
    return Scale(mantissa: largest[0], exponent: largest[1]) != nil
  }

  /// Whether weights are what their masters show, which a step without a gradient for them leaves so.
  private func showMasters(_ index: Int, _ node: Node) -> Bool {
    guard let masters = session.masters(index), let shape = node.operation.weighted,
      session.weightSelection(index, shape) == nil
    else { return true }
    let weights = session.weights(index, node)
    for element in 0..<masters.count
    where Int32(weights[element]) != (masters[element] &+ 1 << 15) >> 16 {
      return false
    }
    return true
  }

  /// e of a group within its range, and counts that nothing can make overflow (SPEC 8.18).
  private func hasLegalSize(_ group: Int) -> Bool {
    guard let counts = session.perturbationCounts(group: group) else { return true }
    for word in 1..<6 where counts[word] < 0 || counts[word] >> 46 != 0 { return false }
    return counts[6] >= 0 && abs(counts[0]) <= PerturbationSize.largestExponent
  }

  private func isPositiveScale(_ mantissa: Int32, _ exponent: Int32) -> Bool {
    mantissa >= 1 << 30 && exponent >= -512 && exponent <= 512
  }

  /// A tensor's Scale is the model's, moved by octaves if the recipe tracks ranges; a head with
  /// accumulators states S_x·S_w.
  private func hasLegalScale(_ tensor: Int) -> Bool {
    let network = session.network
    let words = session.table.scaleWords(tensor)
    guard isPositiveScale(words[0], words[1]) else { return false }
    if tensor == network.nodeCount && network.node(tensor - 1).hasAccumulators {
      return session.table.scale(tensor) == session.logitScale
    }
    let original = network.quantization(ofTensor: tensor).scale
    return recipe.tracksRanges
      ? words[0] == original.mantissa : session.table.scale(tensor) == original
  }

  /// Additions keep a fraction bit (SPEC 6.5).
  private func hasLegalSums() -> Bool {
    let network = session.network
    for index in 0..<network.nodeCount {
      let node = network.node(index)
      guard case .add = node.operation else { continue }
      let inputs = (
        session.table.scale(node.firstInput), session.table.scale(session.secondInput(node))
      )
      let output = session.table.scale(index + 1)
      if AddConstants(inputs.0, inputs.1, output: output) == nil { return false }
    }
    return true
  }

  private func hasLegalHistory(behind step: UInt32) -> Bool {
    guard recipe.tracksRanges else { return true }
    for tensor in 0..<session.network.tensorCount {
      if let histogram = session.histogram(tensor) {
        // A tail of 33 counts below 2⁴⁶, times 1024, is below 2⁶³.
        for bin in 0..<histogram.count where histogram[bin] < 0 || histogram[bin] >> 46 != 0 {
          return false
        }
      }
      let changes = (
        UInt32(bitPattern: session.table.history(tensor, .tensorChange)),
        UInt32(bitPattern: session.table.history(tensor, .weightChange))
      )
      guard changes.0 <= step, changes.1 <= step else { return false }
    }
    return true
  }
}
