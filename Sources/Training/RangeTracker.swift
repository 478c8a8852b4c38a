import CounterRandom
import FixedPoint
import Kernels
import Layers
import Tensors

/// A change of one Scale by a power of two; the range record of the journal (Formats/journal.md).
public struct RangeChange: Equatable, Sendable {
  public enum Target: UInt8, Sendable {
    case tensor = 1
    case weights = 2
    /// σ of a group of coordinates (SPEC 8.18).
    case perturbation = 3
  }

  /// The step after which it happens; `calibration` before step 0.
  public var step: UInt32
  /// Tensor number, node number or group number.
  public var index: UInt32
  public var target: Target
  /// The Scale, or σ, is multiplied by 2^k.
  public var octaves: Int8
  public var tail: UInt32
  public var count: UInt32

  public static var calibration: UInt32 { 0xFFFF_FFFF }
}

/// Moves Scales by octaves while a network trains from scratch (SPEC 8.9).
///
/// A decision depends on integer counts only, so it is the same for every order of work.
struct RangeTracker {
  private let session: Session
  private let recipe: Recipe
  private let planned: UInt32

  init(_ session: Session, _ recipe: Recipe, planned: UInt32) {
    self.session = session
    self.recipe = recipe
    self.planned = planned
  }

  private var network: Network { session.network }
  private var table: SessionTable { session.table }

  /// Counts above bin `bin`: all of them for a negative one.
  private func tail(_ histogram: View<Int64>, _ bin: Int32) -> Int64 {
    var sum: Int64 = 0
    for index in Int(max(bin + 1, 0))..<max(33, Int(max(bin + 1, 0))) { sum += histogram[index] }
    return sum
  }

  /// Octaves of |v| that the tensor can hold.
  private func capacity(_ tensor: Int) -> Int32 {
    let quantization = network.quantization(ofTensor: tensor)
    return quantization.isRectified
      ? bitLength(UInt32(max(quantization.high - quantization.zeroPoint, 0))) : 7
  }

  // MARK: - Calibration

  /// Sets every tracked Scale from the first micro-batch, which is in the session's input.
  func calibrate(samples: Int, onChange: (RangeChange) -> Void) {
    for index in 0..<network.nodeCount {
      if let histogram = session.histogram(index + 1) {
        calibrate(tensor: index + 1, histogram, samples: samples, onChange)
      }
      session.run(index, samples: samples)
    }
  }

  /// Chooses one tensor's Scale. A first guess far too large makes nearly every value 0, which hides how
  /// much too large it is, so the choice is repeated.
  private func calibrate(
    tensor: Int, _ histogram: View<Int64>, samples: Int, _ onChange: (RangeChange) -> Void
  ) {
    let capacity = capacity(tensor)
    var sum = RangeChange(
      step: RangeChange.calibration, index: UInt32(truncatingIfNeeded: tensor), target: .tensor,
      octaves: 0, tail: 0, count: 0)
    for _ in 0..<4 {
      session.run(tensor - 1, samples: samples, observing: true)
      let total = tail(histogram, -1)
      var octaves: Int32 = -24
      while tail(histogram, capacity + octaves) * 128 > total { octaves += 1 }
      sum.tail = saturated(tail(histogram, capacity))
      sum.count = saturated(total)
      histogram.fill(0)
      var change = sum
      change.octaves = Int8(truncatingIfNeeded: octaves)
      guard octaves != 0, apply(change) else { break }
      sum.octaves += change.octaves
      if octaves > -capacity { break }
    }
    if sum.octaves != 0 { onChange(sum) }
  }

  private func saturated(_ count: Int64) -> UInt32 {
    UInt32(truncatingIfNeeded: min(count, Int64(UInt32.max)))
  }

  // MARK: - Decisions

  /// Decides after step t has been applied, and makes the changes.
  func decide(after step: UInt32, onChange: (RangeChange) -> Void) {
    let u = step + 1
    guard u <= planned - planned / 10 else { return }
    let isRegular = u % recipe.rangePeriod == 0
    let isStartUp = u < recipe.rangePeriod && u & (u - 1) == 0
    guard isRegular || isStartUp else { return }
    // Wishes first, from the same counts; the table's words hold them until they are applied.
    for tensor in 1..<network.tensorCount {
      guard let histogram = session.histogram(tensor) else { continue }
      let change = tensorChange(tensor, histogram, step, isRegular: isRegular)
      if let change, apply(change) {
        table.setHistory(tensor, .tensorChange, Int32(bitPattern: u))
        onChange(change)
      }
    }
    if isRegular {
      for index in 0..<network.nodeCount where tracksWeights(index) {
        if let change = weightChange(index, step), apply(change) {
          table.setHistory(index + 1, .weightChange, Int32(bitPattern: u))
          onChange(change)
        }
      }
    }
    for tensor in 1..<network.tensorCount { session.histogram(tensor)?.fill(0) }
  }

  /// The weights that a channel selection leaves alone could not follow a change.
  private func tracksWeights(_ index: Int) -> Bool {
    recipe.update(ofNode: index).contains(.weights) && recipe.selection(ofNode: index) == nil
  }

  /// What one tensor's counts ask for. Counts do not depend on other changes of the same decision.
  private func tensorChange(
    _ tensor: Int, _ histogram: View<Int64>, _ step: UInt32, isRegular: Bool
  ) -> RangeChange? {
    let total = tail(histogram, -1)
    let capacity = capacity(tensor)
    func change(_ octaves: Int32, _ bin: Int32) -> RangeChange {
      RangeChange(
        step: step, index: UInt32(truncatingIfNeeded: tensor), target: .tensor,
        octaves: Int8(truncatingIfNeeded: octaves), tail: saturated(tail(histogram, bin)),
        count: saturated(total))
    }
    let wishesShrink = tail(histogram, capacity - 1) * 1024 < total
    let wishedBefore = table.history(tensor, .tensorWish) != 0
    if isRegular { table.setHistory(tensor, .tensorWish, wishesShrink ? 1 : 0) }
    if tail(histogram, capacity) * 128 > total {
      var octaves: Int32 = 1
      if !isRegular {
        while octaves < 8 && tail(histogram, capacity + octaves) * 128 > total { octaves += 1 }
      }
      return change(octaves, capacity)
    }
    guard isRegular, wishesShrink, wishedBefore, isSettled(tensor, .tensorChange, step) else {
      return nil
    }
    return change(-1, capacity - 1)
  }

  /// Whether two periods have passed since the last change.
  private func isSettled(_ tensor: Int, _ history: SessionTable.History, _ step: UInt32) -> Bool {
    step + 1 - UInt32(bitPattern: table.history(tensor, history)) >= 2 * recipe.rangePeriod
  }

  private func weightChange(_ index: Int, _ step: UInt32) -> RangeChange? {
    let weights = session.weights(index, network.node(index))
    let atLimit = weights.count - count(of: -126...126, in: weights)
    func change(_ octaves: Int8, _ tail: UInt32) -> RangeChange {
      RangeChange(
        step: step, index: UInt32(truncatingIfNeeded: index), target: .weights, octaves: octaves,
        tail: tail, count: UInt32(truncatingIfNeeded: weights.count))
    }
    if atLimit * 128 > weights.count { return change(1, UInt32(truncatingIfNeeded: atLimit)) }
    guard count(of: -31...31, in: weights) == weights.count,
      isSettled(index + 1, .weightChange, step)
    else { return nil }
    var largest: UInt32 = 0
    for element in 0..<weights.count { largest = max(largest, UInt32(weights[element].magnitude)) }
    return change(-1, largest)
  }

  // MARK: - Changing Scales

  /// Makes a change if everything that depends on it stays legal.
  private func apply(_ change: RangeChange) -> Bool {
    switch change.target {
    case .tensor: applyToTensor(Int(change.index), Int32(change.octaves))
    case .weights: applyToWeights(Int(change.index), Int32(change.octaves))
    // No Scale: the step itself decides it.
    case .perturbation: false
    }
  }

  private func moves(_ tensor: Int, with root: Int) -> Bool {
    network.rangeRoot(ofTensor: tensor) == root
  }

  private func applyToTensor(_ tensor: Int, _ octaves: Int32) -> Bool {
    guard canChange(tensor, octaves) else { return false }
    for index in 0..<network.tensorCount where moves(index, with: tensor) {
      table.setScale(index, table.scale(index).multiplied(byPowerOfTwo: octaves))
    }
    for index in 0..<network.nodeCount {
      let node = network.node(index)
      guard node.operation.weighted != nil else { continue }
      if moves(node.firstInput, with: tensor) {
        rescaleBiases(index, node, octaves)
        session.refresh(index)
      } else if index + 1 == tensor {
        session.refreshMultipliers(index, node)
      }
    }
    updateHeadScale()
    return true
  }

  /// Biases, additions and exponents stay in bounds.
  private func canChange(_ tensor: Int, _ octaves: Int32) -> Bool {
    func scale(_ index: Int) -> Scale {
      let scale = table.scale(index)
      return moves(index, with: tensor) ? scale.multiplied(byPowerOfTwo: octaves) : scale
    }
    for index in 0..<network.tensorCount where !isInRange(scale(index)) { return false }
    guard isInRange(headScale(input: scale)) else { return false }
    for index in 0..<network.nodeCount {
      let node = network.node(index)
      switch node.operation {
      case .convolution, .fullyConnected:
        if octaves < 0, moves(node.firstInput, with: tensor),
          !canDouble(session.biases(index, node), times: -octaves)
        {
          return false
        }
      case .add:
        let second = session.secondInput(node)
        if AddConstants(scale(node.firstInput), scale(second), output: scale(index + 1)) == nil {
          return false
        }
      case .maxPooling, .averagePooling, .multiply, .concatenate, .table, .rescale, .slicePad,
        .upsample:
        break
      }
    }
    return true
  }

  /// S_x·S_w of a head with accumulators after a change; the output's own Scale for any other head.
  private func headScale(input scale: (Int) -> Scale, weightOctaves: Int32 = 0) -> Scale {
    let last = network.nodeCount - 1
    let node = network.node(last)
    guard node.hasAccumulators else { return scale(last + 1) }
    let weights = session.weightScale(last, node, 0).multiplied(byPowerOfTwo: weightOctaves)
    return scale(node.firstInput) * weights
  }

  private func isInRange(_ scale: Scale) -> Bool { abs(scale.exponent) <= 512 }

  private func canDouble(_ biases: View<Int32>, times: Int32) -> Bool {
    for o in 0..<biases.count {
      let magnitude = UInt64(biases[o].magnitude) << UInt64(min(times, 30))
      if magnitude > UInt64(UpdateLimit.bias.magnitude) { return false }
    }
    return true
  }

  private func applyToWeights(_ index: Int, _ octaves: Int32) -> Bool {
    let node = network.node(index)
    guard octaves > 0 || canDouble(session.biases(index, node), times: 1) else { return false }
    guard let scales = session.owned(index, .weightScales, 2 * node.scaleCount, Int32.self) else {
      preconditionFailure("a tracking plan owns weight Scales")
    }
    for channel in 0..<node.scaleCount {
      guard abs(scales[2 * channel + 1] + octaves) <= 512 else { return false }
    }
    if index == network.nodeCount - 1 {
      guard isInRange(headScale(input: table.scale, weightOctaves: octaves)) else { return false }
    }
    for channel in 0..<node.scaleCount { scales[2 * channel + 1] += octaves }
    let weights = session.weights(index, node)
    if let masters = session.masters(index) {
      shift(masters, octaves, halvingUp: true)
      Kernels.refresh(masters: masters, into: weights)
    } else {
      for element in 0..<weights.count {
        let weight = Int32(weights[element])
        weights[element] = Int8(truncatingIfNeeded: octaves > 0 ? (weight + 1) >> 1 : weight * 2)
      }
    }
    session.weightVelocities(index).map { shift($0, octaves, halvingUp: false) }
    rescaleBiases(index, node, octaves)
    session.refresh(index)
    updateHeadScale()
    return true
  }

  private func rescaleBiases(_ index: Int, _ node: Node, _ octaves: Int32) {
    shift(session.biases(index, node), octaves, halvingUp: true)
    session.biasVelocities(index).map { shift($0, octaves, halvingUp: false) }
  }

  /// Halves `octaves` times, each rounding half up or towards zero, or doubles −`octaves` times.
  private func shift(_ values: View<Int32>, _ octaves: Int32, halvingUp: Bool) {
    for _ in 0..<abs(octaves) {
      for element in 0..<values.count {
        let value = values[element]
        values[element] =
          octaves < 0 ? value &* 2 : halvingUp ? (value &+ 1) >> 1 : value / 2
      }
    }
  }

  /// A head with accumulators states S_x·S_w.
  private func updateHeadScale() {
    let last = network.nodeCount - 1
    if network.node(last).hasAccumulators { table.setScale(last + 1, session.logitScale) }
  }
}

extension Trainer {
  /// Sets tracked Scales from the first micro-batch of step 0 (SPEC 8.9, calibration).
  public func calibrate(onRangeChange: (RangeChange) -> Void) {
    guard recipe.tracksRanges, plannedSteps > 0 else { return }
    let order = SampleOrder(
      key: key, count: UInt32(truncatingIfNeeded: samples.count), epoch: 0)
    let count = min(min(recipe.microBatch, recipe.batch), order.count)
    let size = session.network.inputShape.count
    for position in 0..<count {
      session.input.slice(Int(position) * size, size)
        .copy(from: samples.values(Int(order[position])))
    }
    RangeTracker(session, recipe, planned: plannedSteps)
      .calibrate(samples: Int(count), onChange: onRangeChange)
  }
}
