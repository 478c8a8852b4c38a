import FirmwareBoard
import Tally

/// The board's free memory, divided: the plan first, then the arena that it plans.
struct Memory {
  let request: SessionRequest
  let plan: MemoryPlan
  let arena: Arena
  /// Bytes the plan's own list takes.
  let planByteCount: Int

  /// - Throws: `arenaTooLarge` also where the board's memory is smaller than the plan.
  init(_ network: Network, _ recipe: Recipe) throws(MemoryPlanError) {
    request = SessionRequest(
      samples: Int(truncatingIfNeeded: recipe.microBatch), isCompact: true, training: recipe.needs)
    guard let memory = unsafe board_memory() else { throw .arenaTooLarge }
    let byteCount = Int(truncatingIfNeeded: board_memory_bytes())
    let entryCount = MemoryPlan.largestEntryCount(nodeCount: network.nodeCount)
    planByteCount = Arena.aligned(entryCount * MemoryLayout<MemoryPlan.Entry>.stride)
    guard planByteCount <= byteCount else { throw .arenaTooLarge }
    // The board hands this memory to nobody else; the plan takes its first bytes.
    let entries = unsafe View<MemoryPlan.Entry>(
      base: UnsafeRawPointer(memory), offset: 0, count: entryCount)
    plan = try MemoryPlan(network, request, entries: entries)
    guard plan.byteCount <= byteCount - planByteCount else { throw .arenaTooLarge }
    arena = unsafe Arena(
      UnsafeMutableRawBufferPointer(start: memory + planByteCount, count: plan.byteCount))
  }
}
