package import FixedPoint
import Kernels
import Layers
package import Tensors

/// What one operation of a step has computed: an entry of a trace (Formats/trace.md).
package struct TraceEntry: Equatable, Sendable {
  package enum Phase: UInt8, Sendable {
    case before = 0
    case during, after
  }

  package enum Kind: UInt8, Sendable, CaseIterable {
    case weights = 1
    case biases, weightScales, masters, weightVelocities, biasVelocities, scaleVelocities
    case tensorScales, largestGradient
    case input = 16
    /// int8; int32 accumulators with their biases of a head that has them.
    case output
    case lossGradient, gradient, biasGradient, weightGradient
    /// What a query's differences have come to with one of its signs.
    case differences
    /// int32 logits of a perturbed pass.
    case perturbedLogits
    /// What the samples should give: a class each, or Q16 targets.
    case labels, targets
  }

  package var phase: Phase
  package var kind: Kind
  package var step: UInt32
  /// The micro-batch, or `Observation.wholeStep`.
  package var query: UInt32
  /// Number of the tensor (input, output, gradients) or of the node; of differences and perturbed
  /// logits 2·query, and 1 more for the opposite sign.
  package var index: UInt32
  /// Of a tensor's values; zero where there is none.
  package var scale: Scale
  /// Elements, of 1 or 4 bytes.
  package var count: Int
  package var width: Int

  package init(
    phase: Phase, kind: Kind, step: UInt32, query: UInt32, index: UInt32, scale: Scale, count: Int,
    width: Int
  ) {
    self.phase = phase
    self.kind = kind
    self.step = step
    self.query = query
    self.index = index
    self.scale = scale
    self.count = count
    self.width = width
  }
}

/// Takes entries and their values, which may come in several runs.
package protocol TraceSink {
  mutating func begin(_ entry: TraceEntry)
  mutating func append(_ values: View<UInt8>)
}

extension Observation {
  private var network: Network { session.network }

  /// Writes down what has been computed since the last moment.
  package func trace(into sink: inout some TraceSink) {
    switch moment {
    case .begun: traceState(.before, &sink)
    case .loaded:
      put(.input, 0, session.table.scale(0), session.activation(0), samples, &sink)
      traceAnswers(&sink)
    case .measured(let number): traceMeasurement(number, &sink)
    case .forward(let index): traceOutput(index, &sink)
    case .backward(let index): traceGradients(index, &sink)
    case .contributed(let index): tracePending(index, .during, &sink)
    case .applied: traceState(.after, &sink)
    }
  }

  private func begin(
    _ kind: TraceEntry.Kind, _ index: Int, _ scale: Scale, _ count: Int, width: Int,
    _ phase: TraceEntry.Phase, _ sink: inout some TraceSink
  ) {
    sink.begin(
      TraceEntry(
        phase: phase, kind: kind, step: step, query: query,
        index: UInt32(truncatingIfNeeded: index), scale: scale, count: count, width: width))
  }

  /// The first `samples` rows of a buffer for all samples of a micro-batch.
  private func put<Element: BitwiseCopyable>(
    _ kind: TraceEntry.Kind, _ index: Int, _ scale: Scale, _ all: View<Element>, _ samples: Int,
    _ sink: inout some TraceSink
  ) {
    put(
      kind, index, scale, all.slice(0, all.count / session.request.samples * samples), .during,
      &sink)
  }

  private func put<Element: BitwiseCopyable>(
    _ kind: TraceEntry.Kind, _ index: Int, _ scale: Scale, _ values: View<Element>,
    _ phase: TraceEntry.Phase, _ sink: inout some TraceSink
  ) {
    begin(
      kind, index, scale, values.count, width: MemoryLayout<Element>.stride, phase, &sink)
    sink.append(values.bytes)
  }

  private func put<Element: BitwiseCopyable>(
    _ kind: TraceEntry.Kind, _ index: Int, _ values: View<Element>?, _ phase: TraceEntry.Phase,
    _ sink: inout some TraceSink
  ) {
    if let values { put(kind, index, .zero, values, phase, &sink) }
  }

  // MARK: - State

  private func traceState(_ phase: TraceEntry.Phase, _ sink: inout some TraceSink) {
    for index in 0..<network.nodeCount {
      let node = network.node(index)
      guard let shape = node.operation.weighted else { continue }
      tracePending(index, phase, &sink)
      put(
        .weights, index, session.owned(index, .weights, shape.weightCount, Int8.self), phase, &sink)
      put(
        .biases, index, session.owned(index, .biases, node.output.channels, Int32.self), phase,
        &sink)
      put(
        .weightScales, index,
        session.owned(index, .weightScales, 2 * node.scaleCount, Int32.self), phase, &sink)
      put(.largestGradient, index, session.largestGradient(index)?.slice(0, 2), phase, &sink)
    }
    begin(.tensorScales, 0, .zero, 2 * network.tensorCount, width: 4, phase, &sink)
    for tensor in 0..<network.tensorCount { sink.append(session.table.scaleBytes(tensor)) }
  }

  /// Masters and velocities, to which micro-batches contribute.
  private func tracePending(
    _ index: Int, _ phase: TraceEntry.Phase, _ sink: inout some TraceSink
  ) {
    put(.masters, index, session.masters(index), phase, &sink)
    put(.weightVelocities, index, session.weightVelocities(index), phase, &sink)
    put(.biasVelocities, index, session.biasVelocities(index), phase, &sink)
    put(.scaleVelocities, index, session.scaleVelocities(index), phase, &sink)
  }

  // MARK: - A micro-batch

  private func traceAnswers(_ sink: inout some TraceSink) {
    guard let answers else { return }
    if let labels = answers.samples.labels {
      begin(.labels, 0, .zero, samples, width: 4, .during, &sink)
      for slot in 0..<samples { sink.append(labels.slice(answers.sample(slot), 1).bytes) }
    } else {
      begin(.targets, 0, .zero, samples * network.outputCount, width: 4, .during, &sink)
      for slot in 0..<samples {
        if let targets = answers.samples.targets(answers.sample(slot)) {
          sink.append(targets.bytes)
        }
      }
    }
  }

  /// The logits of a perturbed pass, and its query's differences as they now are.
  private func traceMeasurement(_ number: Int, _ sink: inout some TraceSink) {
    guard let zerothOrder = recipe.zerothOrder else { return }
    begin(
      .perturbedLogits, number, session.logitScale, samples * network.outputCount, width: 4,
      .during,
      &sink)
    for sample in 0..<samples { sink.append(session.logits(sample: sample).bytes) }
    let group = zerothOrder.group(zerothOrder.groupIndex(step: step))
    let first = Int(truncatingIfNeeded: query) * Int(truncatingIfNeeded: recipe.microBatch)
    func index(_ slot: Int) -> Int {
      zerothOrder.differenceIndex(group, position: first + slot, query: number / 2)
    }
    let differences = session.arena.view(
      session.table.offset(0, .differences), index(samples - 1) + 1, of: Int32.self)
    let count = zerothOrder.isPerSample(group) ? samples : 1
    begin(.differences, number, .zero, count, width: 4, .during, &sink)
    for slot in 0..<count { sink.append(differences.slice(index(slot), 1).bytes) }
  }

  private func traceOutput(_ index: Int, _ sink: inout some TraceSink) {
    let tensor = index + 1
    guard network.node(index).hasAccumulators else {
      put(
        .output, tensor, session.table.scale(tensor), session.activation(tensor), samples, &sink)
      return
    }
    begin(
      .output, tensor, session.logitScale, samples * network.outputCount, width: 4, .during, &sink)
    for sample in 0..<samples { sink.append(session.logits(sample: sample).bytes) }
  }

  private func traceGradients(_ index: Int, _ sink: inout some TraceSink) {
    guard let pass else { return }
    if index == network.nodeCount {
      put(.lossGradient, index, .zero, session.logitGradient, samples, &sink)
      return
    }
    let tensor = index + 1
    let count = samples * network.shape(ofTensor: tensor).count
    begin(.gradient, tensor, session.table.gradientScale(tensor), count, width: 1, .during, &sink)
    for sample in 0..<samples { sink.append(pass.gradient(tensor, sample: sample).bytes) }
    traceParameterGradients(index, pass, &sink)
  }

  /// db and dw; of sparse gradients neither, since what is kept is chosen later.
  private func traceParameterGradients(
    _ index: Int, _ pass: Backward, _ sink: inout some TraceSink
  ) {
    let node = network.node(index)
    let update = recipe.update(ofNode: index)
    guard let shape = node.operation.weighted, session.largestGradient(index) == nil,
      update.contains(.weights) || update.contains(.biases),
      session.table.gradientScale(index + 1) != .zero
    else { return }
    let tiling = Tiling(index, node, session.request)
    let db = pass.biasGradient(index, node, shape, tiling)
    put(.biasGradient, index, db, .during, &sink)
    guard update.contains(.weights) else { return }
    let count = session.trainedShape(index, shape).weightCount
    begin(.weightGradient, index, .zero, count, width: 4, .during, &sink)
    pass.forEachBlock(index, node, shape, db, tiling) { block, _ in sink.append(block.bytes) }
  }
}
