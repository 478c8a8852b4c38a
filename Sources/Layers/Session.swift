package import FixedPoint
package import Kernels
public import Tensors

/// A network at work in an arena: the current parameters, Scales and activations.
///
/// A session is a set of views; copies share the same state. One pass runs up to `request.samples`
/// samples: fill `input`, call `forward`, read `logits`.
public struct Session {
  public let network: Network
  public let request: SessionRequest
  package let arena: Arena
  package let table: SessionTable
  /// Bytes of the arena in use: exactly what the plan says.
  public let byteCount: Int

  /// Lays a session out in an arena and loads the model's parameters.
  ///
  /// - Parameters:
  ///   - plan: made for the same network and request.
  ///   - arena: at least `plan.byteCount` bytes.
  public init(_ network: Network, _ request: SessionRequest, plan: MemoryPlan, arena: Arena) {
    precondition(arena.byteCount >= plan.byteCount, "the arena is smaller than the plan")
    self.network = network
    self.request = request
    self.arena = arena
    byteCount = plan.byteCount
    guard let entry = plan.entry(row: 0, .sessionTable) else {
      preconditionFailure("a plan has a session table")
    }
    table = SessionTable(arena, offset: Int(entry.offset), tensorCount: network.tensorCount)
    table.clear()
    for index in 0..<plan.count {
      let entry = plan.entries[index]
      table.setOffset(Int(entry.row), purpose: Int(entry.purpose), entry.offset)
    }
    load()
  }

  /// Sets all parameters and Scales to the model's, masters to the weights, velocities to zero.
  private func load() {
    for tensor in 0..<network.tensorCount {
      table.setScale(tensor, network.quantization(ofTensor: tensor).scale)
    }
    if let training = request.training {
      _ = GradientPath(network, training, memory: table.path)
    } else {
      table.path.fill(0)
    }
    for index in 0..<network.nodeCount {
      let node = network.node(index)
      guard let shape = node.operation.weighted else { continue }
      if let weights = owned(index, .weights, shape.weightCount, Int8.self) {
        weights.copy(from: network.weights(of: node))
      }
      if let biases = owned(index, .biases, shape.output.channels, Int32.self) {
        biases.copy(from: network.biases(of: node))
      }
      if let scales = owned(index, .weightScales, 2 * node.scaleCount, Int32.self) {
        scales.bytes.copy(from: network.weightScales(of: node).bytes)
      }
      if let selection = request.training?.selection(ofNode: index),
        let training = request.training, let channels = selectedChannels(index)
      {
        ChannelChoice(network: network, training: training, index: index, shape: shape)
          .choose(selection, into: channels)
      }
      if let masters = self.masters(index) {
        let weights = self.weights(index, node)
        if let selection = weightSelection(index, shape) {
          selection.load(masters: masters, from: weights)
        } else {
          for element in 0..<masters.count { masters[element] = Int32(weights[element]) &<< 16 }
        }
      }
      weightVelocities(index)?.fill(0)
      biasVelocities(index)?.fill(0)
      scaleVelocities(index)?.fill(0)
      largestGradient(index)?.fill(0)
      touchedRows(index)?.fill(0)
    }
    for tensor in 0..<network.tensorCount { histogram(tensor)?.fill(0) }
    keptCounts?.fill(0)
    for group in 0..<(request.training?.groupCount ?? 0) {
      perturbationCounts(group: group)?.fill(0)
    }
    refreshAll()
  }

  // MARK: Buffers

  /// A node's own buffer, if the plan has it.
  package func owned<Element: BitwiseCopyable>(
    _ node: Int, _ purpose: BufferPurpose, _ count: @autoclosure () -> Int, _ type: Element.Type
  ) -> View<Element>? {
    let offset = table.offset(node + 1, purpose)
    return offset < 0 ? nil : arena.view(offset, count(), of: type)
  }

  /// Number of weights that training changes.
  private func trainedWeightCount(_ index: Int) -> Int {
    network.node(index).operation.weighted.map { trainedShape(index, $0).weightCount } ?? 0
  }

  /// A weighted node's operation on the channels whose weights change (SPEC 8.11).
  package func trainedShape(_ index: Int, _ shape: Convolution) -> Convolution {
    request.training?.trainedShape(ofNode: index, shape) ?? shape
  }

  private func selectedChannels(_ index: Int) -> View<Int32>? {
    guard let selection = request.training?.selection(ofNode: index) else { return nil }
    return owned(index, .selectedChannels, selection.count, Int32.self)
  }

  /// The channels whose weights change; `nil` for all.
  package func weightSelection(_ index: Int, _ shape: Convolution) -> WeightSelection? {
    selectedChannels(index).map { WeightSelection($0, of: shape) }
  }

  /// int8 [samples, positions, m]: the selected channels of a node's input, from the node's forward to
  /// its backward pass.
  package func selectedInput(_ index: Int, _ shape: Convolution) -> View<Int8>? {
    owned(
      index, .selectedInput, request.samples * trainedShape(index, shape).input.count, Int8.self)
  }

  /// Current weights: the session's own where they are trained, the model's elsewhere.
  package func weights(_ index: Int, _ node: Node) -> View<Int8> {
    owned(index, .weights, node.operation.weighted?.weightCount ?? 0, Int8.self)
      ?? network.weights(of: node)
  }

  package func biases(_ index: Int, _ node: Node) -> View<Int32> {
    owned(index, .biases, node.output.channels, Int32.self) ?? network.biases(of: node)
  }

  /// The current weights of node `index`, for whoever reads them out; empty for a node without.
  public func currentWeights(ofNode index: Int) -> View<Int8> {
    weights(index, network.node(index))
  }

  /// The current biases of node `index`; empty for a node without.
  public func currentBiases(ofNode index: Int) -> View<Int32> {
    let node = network.node(index)
    return node.operation.weighted == nil ? network.biases(of: node) : biases(index, node)
  }

  /// Mantissa and exponent of each of a weighted node's Scales.
  package func weightScales(_ index: Int, _ node: Node) -> View<Int32> {
    owned(index, .weightScales, 2 * node.scaleCount, Int32.self) ?? network.weightScales(of: node)
  }

  package func weightScale(_ index: Int, _ node: Node, _ channel: Int) -> Scale {
    let scales = weightScales(index, node)
    return storedScale(scales[2 * channel], scales[2 * channel + 1])
  }

  /// - Precondition: the plan owns the node's weight Scales.
  package func setWeightScale(_ index: Int, _ node: Node, _ channel: Int, _ scale: Scale) {
    guard let scales = owned(index, .weightScales, 2 * node.scaleCount, Int32.self) else {
      preconditionFailure("a plan owns the weight Scales that change")
    }
    scales[2 * channel] = scale.mantissa
    scales[2 * channel + 1] = scale.exponent
  }

  package func masters(_ index: Int) -> View<Int32>? {
    owned(index, .masters, trainedWeightCount(index), Int32.self)
  }

  package func weightVelocities(_ index: Int) -> View<Int32>? {
    owned(index, .weightVelocities, trainedWeightCount(index), Int32.self)
  }

  package func biasVelocities(_ index: Int) -> View<Int32>? {
    owned(index, .biasVelocities, network.shape(ofTensor: index + 1).channels, Int32.self)
  }

  /// Velocities of the logarithms of a node's weight Scales, Q30 (SPEC 8.11).
  package func scaleVelocities(_ index: Int) -> View<Int32>? {
    owned(index, .scaleVelocities, network.node(index).scaleCount, Int32.self)
  }

  /// Y_max and the largest gradient of the step: mantissa and exponent of each (SPEC 8.12).
  package func largestGradient(_ index: Int) -> View<Int32>? {
    owned(index, .largestGradient, 4, Int32.self)
  }

  /// A bit for each output channel that a sample's gradient keeps, during a node's backward pass.
  package func keptChannels(_ index: Int, _ node: Node, sample: Int) -> View<UInt8>? {
    let count = maskByteCount(node.output.channels)
    return owned(index, .keptChannels, request.samples * count, UInt8.self)?
      .slice(sample * count, count)
  }

  /// A bit for each output channel whose weights have a gradient in this step; `nil` if all may.
  package func touchedRows(_ index: Int) -> View<UInt8>? {
    owned(
      index, .touchedRows, maskByteCount(network.shape(ofTensor: index + 1).channels), UInt8.self)
  }

  /// The numbers of a step's samples, if the plan has memory for them.
  package func sampleNumbers(_ count: Int) -> View<UInt32>? {
    owned(-1, .sampleNumbers, count, UInt32.self)
  }

  /// Number of weighted nodes of `range` whose output has a gradient (SPEC 8.12).
  package func sparseNodeCount(in range: Range<Int>) -> Int {
    // The plan has Y_max for each of them; asking the network would read its records again and again.
    var count = 0
    for index in range where table.offset(index + 1, .largestGradient) >= 0 { count += 1 }
    return count
  }

  /// Three counts of each sparse node over the last step, in order (SPEC 8.12); none where sparse gradients
  /// are asked for and no gradient is needed.
  package var keptCounts: View<UInt32>? {
    guard request.training?.hasSparseGradients == true else { return nil }
    let count = 3 * sparseNodeCount(in: 0..<network.nodeCount)
    return arena.view(max(0, table.offset(0, .keptCounts)), count, of: UInt32.self)
  }

  /// What decides the size of a group's perturbations; `nil` if it stays (SPEC 8.18).
  package func perturbationCounts(group: Int) -> View<Int64>? {
    let offset = table.offset(0, .perturbationCounts)
    guard offset >= 0 else { return nil }
    let byteCount = SessionTable.perturbationByteCount
    return arena.view(offset + byteCount * group, byteCount / 8, of: Int64.self)
  }

  /// 33 counts of a tracked tensor (SPEC 8.9).
  package func histogram(_ tensor: Int) -> View<Int64>? {
    let offset = table.offset(tensor, .histogram)
    return offset < 0 ? nil : arena.view(offset, 33, of: Int64.self)
  }

  /// A tensor's quantization with its current Scale.
  package func quantization(_ tensor: Int) -> Quantization {
    var quantization = network.quantization(ofTensor: tensor)
    quantization.scale = table.scale(tensor)
    return quantization
  }

  /// int8 values of all samples of a tensor.
  package func activation(_ tensor: Int) -> View<Int8> {
    let count = request.samples * network.shape(ofTensor: tensor).count
    return arena.view(table.offset(tensor, .activation), count, of: Int8.self)
  }

  package func activation(_ tensor: Int, sample: Int) -> View<Int8> {
    let count = network.shape(ofTensor: tensor).count
    return arena.view(table.offset(tensor, .activation) + sample * count, count, of: Int8.self)
  }

  package func mask(_ tensor: Int, sample: Int) -> View<UInt8>? {
    let offset = table.offset(tensor, .mask)
    guard offset >= 0 else { return nil }
    let count = maskByteCount(network.shape(ofTensor: tensor).count)
    return arena.view(offset + sample * count, count, of: UInt8.self)
  }

  package func needsGradient(
    _ tensor: Int, _ source: UInt8 = GradientPath.fromLoss
  ) -> Bool { table.path[tensor] & source != 0 }

  // MARK: Derived parameters

  /// Recomputes what forward derives from a weighted node's parameters: biases with the zero-point
  /// term, and the multipliers.
  package func refresh(_ index: Int) {
    let node = network.node(index)
    guard let shape = node.operation.weighted else { return }
    refreshMultipliers(index, node)
    packOnce(index, node, shape)
    let weights = self.weights(index, node)
    let biases = self.biases(index, node)
    let zeroPoint = network.quantization(ofTensor: node.firstInput).zeroPoint
    guard let derived = owned(index, .offsetBiases, shape.output.channels, Int32.self) else {
      preconditionFailure("a plan has derived biases for weighted nodes")
    }
    if zeroPoint == 0 {
      derived.copy(from: biases)
      return
    }
    sumEachRow(weights, columns: shape.depth, into: derived)
    // May wrap; the complete accumulator does not (SPEC 5.6), so the sum comes out right.
    for o in 0..<derived.count { derived[o] = biases[o] &- zeroPoint &* derived[o] }
  }

  /// Leaves only the zero-point terms in a node's derived biases, before its biases change.
  package func detachBiases(_ index: Int, _ node: Node) {
    let (derived, biases) = (offsetBiases(index, node), self.biases(index, node))
    for o in 0..<derived.count { derived[o] &-= biases[o] }
  }

  /// Derived biases again, with new zero-point terms for the marked rows of the weights.
  package func attachBiases(_ index: Int, _ node: Node, touched: View<UInt8>) {
    guard let shape = node.operation.weighted else { return }
    let (derived, biases) = (offsetBiases(index, node), self.biases(index, node))
    let weights = self.weights(index, node)
    let zeroPoint = network.quantization(ofTensor: node.firstInput).zeroPoint
    for o in 0..<derived.count {
      if zeroPoint != 0 && isKept(o, touched) {
        derived[o] = 0 &- zeroPoint &* Kernels.sum(weights.slice(o * shape.depth, shape.depth))
      }
      derived[o] &+= biases[o]
    }
  }

  /// M = S_x·S_w / S_y for each weight Scale (SPEC 6.1).
  package func refreshMultipliers(_ index: Int, _ node: Node) {
    let multipliers = self.multipliers(index, node)
    let input = table.scale(node.firstInput)
    let output = table.scale(index + 1)
    for channel in 0..<node.scaleCount {
      let multiplier = (input * weightScale(index, node, channel) / output).multiplier
      multipliers.mantissas[channel] = multiplier.mantissa
      multipliers.shifts[channel] = multiplier.shift
    }
  }

  package func refreshAll() {
    for index in 0..<network.nodeCount { refresh(index) }
  }

  package func offsetBiases(_ index: Int, _ node: Node) -> View<Int32> {
    arena.view(table.offset(index + 1, .offsetBiases), node.output.channels, of: Int32.self)
  }

  package func multipliers(_ index: Int, _ node: Node) -> Multipliers {
    let pairs = arena.view(
      table.offset(index + 1, .multipliers), 2 * node.scaleCount, of: Int32.self)
    return Multipliers(
      mantissas: pairs.slice(0, node.scaleCount),
      shifts: pairs.slice(node.scaleCount, node.scaleCount))
  }
}
