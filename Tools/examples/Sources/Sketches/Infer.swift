public import Tally

/// Infer: the caller owns the memory, the plan says how much of it.
///
/// - Parameters:
///   - pixels: int8, as many as the network has inputs.
///   - memory: for the plan's list and the arena, aligned to 16 bytes.
/// - Returns: the class with the largest logit.
/// - Throws: `MemoryPlanError` if the memory is too small.
public func classify(
  _ pixels: [Int8], _ network: Network, in memory: UnsafeMutableRawBufferPointer
) throws(MemoryPlanError) -> Int {
  let session = try makeSession(network, SessionRequest(samples: 1, isCompact: true), in: memory)
  for (index, pixel) in pixels.enumerated() { session.input[index] = pixel }
  session.forward(samples: 1)
  let logits = session.logits(sample: 0)
  return (0..<logits.count).max { logits[$0] < logits[$1] } ?? 0
}

/// A session with its plan at the start of `memory` and its arena behind it.
///
/// - Throws: `MemoryPlanError.arenaTooLarge` if the memory is too small.
public func makeSession(
  _ network: Network, _ request: SessionRequest, in memory: UnsafeMutableRawBufferPointer
) throws(MemoryPlanError) -> Session {
  let entryCount = MemoryPlan.largestEntryCount(nodeCount: network.nodeCount)
  let planByteCount = Arena.aligned(entryCount * MemoryLayout<MemoryPlan.Entry>.stride)
  guard let start = memory.baseAddress, memory.count >= planByteCount else { throw .arenaTooLarge }
  let entries = View<MemoryPlan.Entry>(
    base: UnsafeRawPointer(start), offset: 0, count: entryCount)
  let plan = try MemoryPlan(network, request, entries: entries)
  guard memory.count >= planByteCount + plan.byteCount else { throw .arenaTooLarge }
  let arena = Arena(UnsafeMutableRawBufferPointer(rebasing: memory[planByteCount...]))
  return Session(network, request, plan: plan, arena: arena)
}
