import Tally

/// Runs a finished model's integers and shows every tensor, to measure what conversion lost.
final class IntegerProbe {
  let network: Network
  let batch: Int
  private let model: AlignedMemory
  private let arena: AlignedMemory
  private let session: Session

  /// - Parameter bytes: a model that has been validated once.
  init(_ bytes: [UInt8], batch: Int) throws(InputError) {
    model = AlignedMemory(bytes)
    self.batch = batch
    do {
      network = try Network(
        validating: UnsafeRawBufferPointer(model.bytes), checkingDigest: false)
    } catch {
      throw .limit("\(error.summary)", place: "network")
    }
    let entryCount = MemoryPlan.largestEntryCount(nodeCount: network.nodeCount)
    let memory = AlignedMemory(byteCount: entryCount * MemoryLayout<MemoryPlan.Entry>.stride)
    let request = SessionRequest(samples: batch)
    do {
      let plan = try MemoryPlan(network, request, entries: memory.view(of: MemoryPlan.Entry.self))
      arena = AlignedMemory(byteCount: plan.byteCount)
      session = Session(network, request, plan: plan, arena: Arena(arena.bytes))
    } catch {
      throw .limit("the network needs more than 2 GiB of activations", place: "network")
    }
  }

  /// The value of one unit of the logits.
  var logitScale: Scale { session.logitScale }

  var hasAccumulators: Bool { network.node(network.nodeCount - 1).hasAccumulators }

  /// Runs `count` samples of int8 inputs.
  ///
  /// - Parameter end: runs the nodes before this one only; nil for all.
  /// - Parameter observe: gets each tensor's number and its values, [count, height, width, channels],
  ///   the input first; not that of a head with accumulators, which has none.
  func run(
    _ input: some RandomAccessCollection<Int8>, count: Int, until end: Int? = nil,
    observe: (_ tensor: Int, _ values: View<Int8>) -> Void = { _, _ in }
  ) {
    for (index, value) in input.enumerated() { session.input[index] = value }
    observe(0, session.input.slice(0, count * network.inputShape.count))
    for index in 0..<(end ?? network.nodeCount) {
      session.run(index, samples: count)
      guard !network.node(index).hasAccumulators else { continue }
      let elements = count * network.shape(ofTensor: index + 1).count
      observe(index + 1, session.activation(index + 1).slice(0, elements))
    }
  }

  /// The logits of one sample after `run`.
  func logits(_ sample: Int) -> View<Int32> { session.logits(sample: sample) }

  /// The answer for one sample after `run`: the lowest index of the largest logit.
  func answer(_ sample: Int) -> Int {
    let logits = self.logits(sample)
    return (0..<logits.count).reduce(0) { logits[$1] > logits[$0] ? $1 : $0 }
  }
}
