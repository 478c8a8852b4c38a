public import Bytes
import CounterRandom
import FixedPoint
import Kernels
public import Layers
import Tensors

/// Training by a recipe, one step at a time (SPEC 8.2).
///
/// The trainer holds no state but its position: parameters live in the session's arena, and every
/// random number is an address. `step` advances; `root` digests the state.
public struct Trainer {
  public let session: Session
  public let recipe: Recipe
  public let samples: Samples
  /// T.
  public let plannedSteps: UInt32
  /// The next step, t.
  public internal(set) var step: UInt32 = 0
  /// Takes the micro-batches of a step last to first. Results do not depend on it (SPEC 11).
  /// Zeroth-order recipes measure in order whatever this says.
  public var reversesMicroBatches = false
  let key: RandomKey

  /// What one step did; the step record of the journal (Formats/journal.md).
  public struct StepResult: Equatable, Sendable {
    public var step: UInt32 = 0
    public var samples: UInt32 = 0
    /// Sum of Q16 nats.
    public var loss: Int64 = 0
    public var correct: UInt32 = 0
    public var saturated: UInt32 = 0
    public var clipped: UInt32 = 0
    public var batchDigest = SHA256().finalize()

    public init() {}
  }

  /// Sums over a set of samples.
  public struct Evaluation: Equatable, Sendable {
    public var samples: UInt32 = 0
    /// Sum of Q16 nats.
    public var loss: Int64 = 0
    public var correct: UInt32 = 0

    public init() {}
  }

  /// - Precondition: session, recipe and samples belong to the same network, and the session was
  ///   planned with the recipe's needs for micro-batches of at least `recipe.microBatch`.
  public init(_ session: Session, _ recipe: Recipe, _ samples: Samples) {
    precondition(samples.firstMisfit(session.network) == nil, "samples that do not fit the network")
    self.session = session
    self.recipe = recipe
    self.samples = samples
    plannedSteps = recipe.plannedSteps(samples: UInt32(truncatingIfNeeded: samples.count))
    key = RandomKey(seed: recipe.seed)
  }

  private var sampleCount: UInt32 { UInt32(truncatingIfNeeded: samples.count) }
  public var stepsPerEpoch: UInt32 { recipe.stepsPerEpoch(samples: sampleCount) }
  public var isDone: Bool { step >= plannedSteps }
  /// The epoch of the next step, ε.
  public var epoch: UInt32 { step / stepsPerEpoch }
  /// Whether the step just taken was the last of its epoch, or of the run.
  public var endsEpoch: Bool { step > 0 && (step % stepsPerEpoch == 0 || isDone) }
  /// Whether the step just taken is followed by a state root (SPEC 9.5).
  public var rootIsDue: Bool { step > 0 && (step % recipe.rootPeriod == 0 || isDone) }

  // MARK: - A step

  /// What happens in a step, in the order of the journal.
  public enum Event {
    case step(StepResult)
    case rangeChange(RangeChange)
    case differences(ZerothOrderRecord)
  }

  /// Takes the next step.
  ///
  /// - Parameter onEvent: called once with the result, then for each change of a Scale (SPEC 8.9).
  public mutating func takeStep(onEvent: (Event) -> Void) {
    takeStep(observing: { _ in }, isObserved: false, onEvent: onEvent)
  }

  /// - Parameter onNode: called when the gradient of a node's output is complete, and with N before the
  ///   loss's.
  mutating func takeStep(onNode: (Backward, Int) -> Void, onEvent: (Event) -> Void) {
    takeStep(
      observing: { seen in
        if case .backward(let index) = seen.moment, let pass = seen.pass { onNode(pass, index) }
      }, onEvent: onEvent)
  }

  /// Its own frame, so that a board's stack does not hold observations that nobody makes.
  @inline(never)
  private func tell(
    _ moment: Observation.Moment, _ observing: (Observation) -> Void,
    query: UInt32 = Observation.wholeStep, samples: Int = 0, answers: Observation.Answers? = nil
  ) {
    observing(
      Observation(
        moment: moment, session: session, recipe: recipe, step: step, query: query,
        samples: samples, pass: nil, answers: answers))
  }

  @inline(never)
  private func tellLoaded(
    _ order: StepOrder, _ positions: Range<UInt32>, _ query: UInt32,
    _ observing: (Observation) -> Void
  ) {
    tell(
      .loaded, observing, query: query, samples: positions.count,
      answers: Observation.Answers(
        samples: samples, order: order.drawn, first: positions.lowerBound))
  }

  /// - Parameters:
  ///   - observing: called at each moment of the step, for those who look into it.
  ///   - isObserved: whether it does anything.
  package mutating func takeStep(
    observing: (Observation) -> Void, isObserved: Bool = true, onEvent: (Event) -> Void
  ) {
    precondition(!isDone, "the run is over")
    let plan = stepPlan(isObserved: isObserved)
    var result = beginStep(plan, observing)
    let zerothOrder = zerothOrderStep(batch: Int(plan.count))
    for turn in 0..<plan.rates.microBatches {
      let query =
        reversesMicroBatches && zerothOrder == nil ? plan.rates.microBatches - 1 - turn : turn
      let start = plan.first + query * recipe.microBatch
      let end = min(start + recipe.microBatch, plan.first + plan.count)
      runMicroBatch(
        plan.order, start..<end, query, plan.rates, batch: plan.count, zerothOrder,
        first: Int(start - plan.first), &result, observing: observing)
    }
    endStep(plan.rates, zerothOrder, &result, observing)
    onEvent(.step(result))
    report(zerothOrder, onEvent)
    step += 1
  }

  /// The samples of a step, drawn once where there is memory for their numbers (SPEC 4.5).
  private struct StepOrder {
    let drawn: SampleOrder
    private let first: UInt32
    private let numbers: View<UInt32>?

    init(_ order: SampleOrder, _ positions: Range<UInt32>, _ session: Session) {
      drawn = order
      first = positions.lowerBound
      numbers = session.sampleNumbers(positions.count)
      guard let numbers else { return }
      for slot in 0..<numbers.count {
        numbers[slot] = order[first &+ UInt32(truncatingIfNeeded: slot)]
      }
    }

    /// The number of the sample at a position of the epoch.
    subscript(position: UInt32) -> UInt32 {
      numbers?[Int(truncatingIfNeeded: position &- first)] ?? drawn[position]
    }
  }

  /// What a step takes, and how fast it goes.
  private struct StepPlan {
    let order: StepOrder
    /// Position of its first sample in the epoch, and its number of samples, B_t.
    let first: UInt32
    let count: UInt32
    let rates: Backward.Rates
  }

  // The parts of a step stand on each other on a board's stack only where one calls the other: inlined,
  // the frames of all of them would lie under the deepest. A call of its own leaves a copy of the trainer
  // on the caller's frame, so few are made from one.

  @inline(never)
  private func stepPlan(isObserved: Bool) -> StepPlan {
    let first = step % stepsPerEpoch * recipe.batch
    let count = min(recipe.batch, sampleCount - first)
    let factor = recipe.rateFactor(step: step, of: plannedSteps, epoch: epoch)
    var rates = Backward.Rates(
      recipe, factor: factor, microBatches: (count - 1) / recipe.microBatch + 1)
    rates.isUnobserved = !isObserved
    let order = StepOrder(
      SampleOrder(key: key, count: sampleCount, epoch: epoch), first..<first + count, session)
    return StepPlan(order: order, first: first, count: count, rates: rates)
  }

  @inline(never)
  private func beginStep(_ plan: StepPlan, _ observing: (Observation) -> Void) -> StepResult {
    var result = StepResult()
    result.step = step
    result.samples = plan.count
    session.table.reset(.saturated)
    session.table.reset(.clipped)
    tell(.begun, observing)
    prepareUpdates(plan.rates)
    prepareSparseGradients()
    result.batchDigest = batchDigest(plan.order, plan.first..<plan.first + plan.count)
    return result
  }

  @inline(never)
  private func zerothOrderStep(batch: Int) -> ZerothOrderStep? {
    recipe.zerothOrder.map {
      ZerothOrderStep(session, recipe, $0, key: key, step: step, batch: batch)
    }
  }

  /// SPEC 9.3.
  @inline(never)
  private func batchDigest(_ order: StepOrder, _ positions: Range<UInt32>) -> Digest {
    var hash = SHA256()
    hash.update(tag: "tally/batch/v1")
    for position in positions {
      hash.update(samples.leaf(Int(truncatingIfNeeded: order[position])))
    }
    return hash.finalize()
  }

  @inline(never)
  private func endStep(
    _ rates: Backward.Rates, _ zerothOrder: ZerothOrderStep?, _ result: inout StepResult,
    _ observing: (Observation) -> Void
  ) {
    applyUpdates(rates, zerothOrder?.perturbation.group)
    updateLargestGradients()
    zerothOrder?.update(rates).apply()
    tell(.applied, observing)
    result.saturated = UInt32(truncatingIfNeeded: session.table.counter(.saturated))
    result.clipped = UInt32(truncatingIfNeeded: session.table.counter(.clipped))
  }

  /// What follows the step's own record.
  @inline(never)
  private func report(_ zerothOrder: ZerothOrderStep?, _ onEvent: (Event) -> Void) {
    if let zerothOrder {
      onEvent(.differences(zerothOrder.record))
      if let change = zerothOrder.adaptSize() { onEvent(.rangeChange(change)) }
    }
    if recipe.tracksRanges { trackRanges { onEvent(.rangeChange($0)) } }
  }

  @inline(never)
  private func trackRanges(onChange: (RangeChange) -> Void) {
    RangeTracker(session, recipe, planned: plannedSteps).decide(after: step, onChange: onChange)
  }

  @inline(never)
  private func runMicroBatch(
    _ order: StepOrder, _ positions: Range<UInt32>, _ query: UInt32, _ rates: Backward.Rates,
    batch: UInt32, _ zerothOrder: ZerothOrderStep?, first: Int,
    _ result: inout StepResult, observing: (Observation) -> Void
  ) {
    load(order, positions)
    tellLoaded(order, positions, query, observing)
    runForward(order, positions, query, zerothOrder, first: first, observing: observing)
    addLosses(order, positions, zerothOrder, first: first, &result)
    let backward = Backward(
      session: session, recipe: recipe, key: key, step: step, query: query,
      samples: positions.count, rates: rates, batch: batch)
    runBackward(backward, zerothOrder, first: first, observing: observing)
  }

  @inline(never)
  private func load(_ order: StepOrder, _ positions: Range<UInt32>) {
    let size = session.network.inputShape.count
    for (slot, position) in positions.enumerated() {
      let sample = Int(truncatingIfNeeded: order[position])
      session.input.slice(slot * size, size).copy(from: samples.values(sample))
    }
  }

  @inline(never)
  private func runForward(
    _ order: StepOrder, _ positions: Range<UInt32>, _ query: UInt32,
    _ zerothOrder: ZerothOrderStep?, first: Int, observing: (Observation) -> Void
  ) {
    for index in 0..<session.network.nodeCount {
      if let zerothOrder, index == zerothOrder.firstNode {
        measure(zerothOrder, order, positions, query, first: first, observing: observing)
      }
      session.run(index, samples: positions.count, observing: recipe.tracksRanges)
      // At once: a tensor that nobody reads again gives its memory to later ones.
      tell(.forward(index), observing, query: query, samples: positions.count)
      countSaturated(index, samples: positions.count)
    }
  }

  /// Adds up losses, and leaves the gradient of the logits.
  @inline(never)
  private func addLosses(
    _ order: StepOrder, _ positions: Range<UInt32>, _ zerothOrder: ZerothOrderStep?,
    first: Int, _ result: inout StepResult
  ) {
    let outputs = session.network.outputCount
    let gradient = session.logitGradient
    for (slot, position) in positions.enumerated() {
      let sample = Int(truncatingIfNeeded: order[position])
      let (loss, isCorrect) = Trainer.loss(
        session, recipe.loss, samples, sample, slot: slot,
        gradient: gradient.slice(slot * outputs, outputs))
      result.loss = saturatingSum(result.loss, loss)
      if isCorrect { result.correct += 1 }
      zerothOrder?.note(baseLoss: loss, position: first + slot)
    }
  }

  @inline(never)
  private func runBackward(
    _ backward: Backward, _ zerothOrder: ZerothOrderStep?, first: Int,
    observing: (Observation) -> Void
  ) {
    backward.run(
      lossScale: recipe.lossScale(session, batch: backward.batch), observing: observing)
    if let zerothOrder {
      zerothOrder.finish(first: first, samples: backward.samples)
      zerothOrder.trainNode(backward, first: first)
    }
  }

  /// Measures a micro-batch whose nodes before the perturbed ones have run (SPEC 8.15).
  @inline(never)
  private func measure(
    _ zerothOrder: ZerothOrderStep, _ order: StepOrder, _ positions: Range<UInt32>,
    _ query: UInt32, first: Int, observing: (Observation) -> Void
  ) {
    zerothOrder.beginMeasuring(first: first)
    for pass in zerothOrder.passes {
      zerothOrder.run(pass, first: first, samples: positions.count)
      for (slot, position) in positions.enumerated() {
        let sample = Int(truncatingIfNeeded: order[position])
        let loss = Trainer.loss(session, recipe.loss, samples, sample, slot: slot, gradient: nil)
        zerothOrder.note(loss.loss, position: first + slot, pass: pass)
      }
      tell(.measured(pass), observing, query: query, samples: positions.count)
    }
    zerothOrder.endMeasuring()
  }

  /// Loss of the sample in `slot` of the session, and whether its class is right.
  static func loss(
    _ session: Session, _ loss: Recipe.Loss, _ samples: Samples, _ sample: Int, slot: Int,
    gradient: View<Int32>?
  ) -> (loss: Int64, isCorrect: Bool) {
    let logits = session.logits(sample: slot)
    let label = samples.labels.map { Int($0[sample]) }
    let isCorrect = label.map { $0 == argmax(logits) } ?? false
    switch loss {
    case .crossEntropy:
      guard let label else { preconditionFailure("cross-entropy needs labels") }
      let value = SoftmaxCrossEntropy(logitScale: session.logitScale)
        .loss(logits, label: label, gradient: gradient)
      return (value, isCorrect)
    case .meanSquaredError:
      let targets = samples.targets(sample)
      let value = MeanSquaredError(logitScale: session.logitScale)
        .loss(
          logits, targetOf: { j in targets?[j] ?? (j == label ? 1 << 16 : 0) }, gradient: gradient)
      return (value, isCorrect)
    }
  }

  /// Elements equal to 127 where 127 is the upper bound (Formats/journal.md).
  private func countSaturated(_ index: Int, samples count: Int) {
    let node = session.network.node(index)
    guard !node.hasAccumulators, node.quantization.high == 127 else { return }
    let values = session.activation(index + 1).slice(0, count * node.output.count)
    session.table.add(Kernels.count(of: 127...127, in: values), to: .saturated)
  }

  // MARK: - Evaluation

  /// Loss and right answers over all of `samples` with the session's current parameters.
  public static func evaluate(
    _ session: Session, _ loss: Recipe.Loss, _ samples: Samples,
    onSample: (_ sample: Int, _ predicted: Int) -> Void = { _, _ in }
  ) -> Evaluation {
    var result = Evaluation()
    let size = session.network.inputShape.count
    var first = 0
    while first < samples.count {
      let count = min(session.request.samples, samples.count - first)
      for slot in 0..<count {
        session.input.slice(slot * size, size).copy(from: samples.values(first + slot))
      }
      session.forward(samples: count)
      for slot in 0..<count {
        let (value, isCorrect) = Trainer.loss(
          session, loss, samples, first + slot, slot: slot, gradient: nil)
        result.loss = saturatingSum(result.loss, value)
        if isCorrect { result.correct += 1 }
        onSample(first + slot, argmax(session.logits(sample: slot)))
      }
      result.samples += UInt32(truncatingIfNeeded: count)
      first += count
    }
    return result
  }
}

// MARK: - Updates

extension Trainer {
  /// Damps velocities and applies weight decay (SPEC 8.2, 8.6).
  @inline(never)
  func prepareUpdates(_ rates: Backward.Rates) {
    for index in 0..<session.network.nodeCount {
      session.weightVelocities(index).map { decay(velocities: $0, momentum: recipe.momentum) }
      session.biasVelocities(index).map { decay(velocities: $0, momentum: recipe.momentum) }
      session.scaleVelocities(index).map { decay(velocities: $0, momentum: recipe.momentum) }
      guard recipe.weightDecay != .zero, recipe.update(ofNode: index).contains(.weights) else {
        continue
      }
      let rate = rates.rate(isHead: isHead(index), .weights)
      decayWeights(index, (rate * recipe.weightDecay).multiplier)
    }
  }

  @inline(never)
  private func decayWeights(_ index: Int, _ multiplier: Multiplier) {
    let node = session.network.node(index)
    guard let shape = node.operation.weighted else { return }
    let masters = session.masters(index)
    let velocities = session.weightVelocities(index)
    let weights = session.weights(index, node)
    func decay(_ element: Int, _ weight: Int) {
      let value = masters.map { $0[element] } ?? Int32(weights[weight]) << 16
      let change = multiplier.requantize(value)
      if let velocities {
        velocities[element] &+= change
      } else {
        masters?[element] = value &- change
      }
    }
    if let selection = session.weightSelection(index, shape) {
      selection.forEach(in: 0..<session.trainedShape(index, shape).weightCount, decay)
    } else {
      for element in 0..<weights.count { decay(element, element) }
    }
  }

  /// Whether a node is the last weighted one.
  func isHead(_ index: Int) -> Bool { index == session.network.lastWeightedNode }

  /// Turns the step's contributions into new parameters (SPEC 8.7).
  ///
  /// - Parameter group: what this step has estimated, if it has.
  @inline(never)
  func applyUpdates(_ rates: Backward.Rates, _ group: CoordinateGroup? = nil) {
    for index in 0..<session.network.nodeCount {
      let isEstimated = group.map { $0.isOfTensor && $0.node == index } ?? false
      let update = isEstimated ? [.weights, .biases] : recipe.update(ofNode: index)
      guard !update.isEmpty else { continue }
      let node = session.network.node(index)
      let touched = onlyTouchedRows(index)
      if touched != nil { session.detachBiases(index, node) }
      if update.contains(.weights), !rates.refreshAtOnce(session, recipe, index, node) {
        applyWeights(index, node, rates.microBatches, touched)
      }
      if let velocities = session.biasVelocities(index) {
        subtract(
          velocities: velocities, from: session.biases(index, node), limit: UpdateLimit.bias)
        // Without momentum nothing of a step outlives it, not even in the state root.
        if recipe.momentum == 0 { velocities.fill(0) }
      }
      session.scaleVelocities(index).map { applyScales(index, node, $0) }
      if let touched {
        session.refreshMultipliers(index, node)
        session.attachBiases(index, node, touched: touched)
      } else {
        session.refresh(index)
      }
    }
  }

  /// The rows of a node's weights that can have changed, where the others cannot have: no gradient, no
  /// momentum, no decay.
  private func onlyTouchedRows(_ index: Int) -> View<UInt8>? {
    guard recipe.momentum == 0, recipe.weightDecay == .zero else { return nil }
    return session.masters(index) == nil ? nil : session.touchedRows(index)
  }

  @inline(never)
  private func applyWeights(
    _ index: Int, _ node: Node, _ microBatches: UInt32, _ touched: View<UInt8>?
  ) {
    guard let shape = node.operation.weighted else { return }
    let weights = session.weights(index, node)
    let velocities = session.weightVelocities(index)
    if let masters = session.masters(index), let touched {
      refreshRows(index, shape, masters, weights, touched)
    } else if let masters = session.masters(index) {
      if let velocities {
        subtract(velocities: velocities, from: masters, limit: UpdateLimit.master)
      }
      if let selection = session.weightSelection(index, shape) {
        selection.refresh(masters: masters, into: weights, in: 0..<masters.count)
      } else {
        Kernels.refresh(masters: masters, into: weights)
      }
    } else if let velocities {
      let lanes = key.stream(
        .weightRounding, tensor: UInt32(truncatingIfNeeded: 4 * index), step: step,
        query: microBatches)
      if let selection = session.weightSelection(index, shape) {
        selection.subtractStochastically(velocities: velocities, from: weights, lanes)
      } else {
        Kernels.subtractStochastically(velocities: velocities, from: weights, lanes)
      }
      if recipe.momentum == 0 { velocities.fill(0) }
    }
  }

  /// w of the rows that have had a gradient.
  @inline(never)
  private func refreshRows(
    _ index: Int, _ shape: Convolution, _ masters: View<Int32>, _ weights: View<Int8>,
    _ touched: View<UInt8>
  ) {
    let trained = session.trainedShape(index, shape)
    let selection = session.weightSelection(index, shape)
    func isTouched(_ row: Int) -> Bool { isKept(selection?.outputChannel(row) ?? row, touched) }
    var row = 0
    while row < trained.output.channels {
      // Neighbouring rows together.
      var end = row
      while end < trained.output.channels && isTouched(end) { end += 1 }
      let (first, count) = (row * trained.depth, (end - row) * trained.depth)
      row = end + 1
      if count == 0 { continue }
      if let selection {
        selection.refresh(masters: masters, into: weights, in: first..<first + count)
      } else {
        Kernels.refresh(masters: masters.slice(first, count), into: weights.slice(first, count))
      }
    }
  }
}
