package import FixedPoint
package import Kernels
package import Tensors

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
        for channel in 0..<node.scaleCount {
          let scale = network.weightScale(of: node, channel)
          scales[2 * channel] = scale.mantissa
          scales[2 * channel + 1] = scale.exponent
        }
      }
      if let masters = self.masters(index) {
        let weights = self.weights(index, node)
        for element in 0..<masters.count { masters[element] = Int32(weights[element]) &<< 16 }
      }
      weightVelocities(index)?.fill(0)
      biasVelocities(index)?.fill(0)
    }
    for tensor in 0..<network.tensorCount { histogram(tensor)?.fill(0) }
    refreshAll()
  }

  // MARK: Buffers

  /// A node's own buffer, if the plan has it.
  package func owned<Element: BitwiseCopyable>(
    _ node: Int, _ purpose: BufferPurpose, _ count: Int, _ type: Element.Type
  ) -> View<Element>? {
    let offset = table.offset(node + 1, purpose)
    return offset < 0 ? nil : arena.view(offset, count, of: type)
  }

  private func weightCount(_ index: Int) -> Int {
    network.node(index).operation.weighted?.weightCount ?? 0
  }

  /// Current weights: the session's own where they are trained, the model's elsewhere.
  package func weights(_ index: Int, _ node: Node) -> View<Int8> {
    owned(index, .weights, node.operation.weighted?.weightCount ?? 0, Int8.self)
      ?? network.weights(of: node)
  }

  package func biases(_ index: Int, _ node: Node) -> View<Int32> {
    owned(index, .biases, node.output.channels, Int32.self) ?? network.biases(of: node)
  }

  package func weightScale(_ index: Int, _ node: Node, _ channel: Int) -> Scale {
    guard let scales = owned(index, .weightScales, 2 * node.scaleCount, Int32.self) else {
      return network.weightScale(of: node, channel)
    }
    return storedScale(scales[2 * channel], scales[2 * channel + 1])
  }

  package func masters(_ index: Int) -> View<Int32>? {
    owned(index, .masters, weightCount(index), Int32.self)
  }

  package func weightVelocities(_ index: Int) -> View<Int32>? {
    owned(index, .weightVelocities, weightCount(index), Int32.self)
  }

  package func biasVelocities(_ index: Int) -> View<Int32>? {
    owned(index, .biasVelocities, network.shape(ofTensor: index + 1).channels, Int32.self)
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
    let weights = self.weights(index, node)
    let biases = self.biases(index, node)
    let zeroPoint = network.quantization(ofTensor: node.firstInput).zeroPoint
    guard let derived = owned(index, .offsetBiases, shape.output.channels, Int32.self) else {
      preconditionFailure("a plan has derived biases for weighted nodes")
    }
    for o in 0..<shape.output.channels {
      let sum = zeroPoint == 0 ? 0 : Kernels.sum(weights.slice(o * shape.depth, shape.depth))
      // May wrap; the complete accumulator does not (SPEC 5.6), so the sum comes out right.
      derived[o] = biases[o] &- zeroPoint &* sum
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
