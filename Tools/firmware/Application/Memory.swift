import FirmwareBoard
import Tally

/// The board's free memory, as much of it as the session needs.
struct Memory {
  let session: Session
  /// Bytes of it in use: the plan and the session share them.
  let byteCount: Int

  /// - Throws: `arenaTooLarge` also where the board's memory is smaller than the plan.
  @inline(never)
  init(_ network: Network, _ recipe: Recipe) throws(MemoryPlanError) {
    let request = SessionRequest(
      samples: Int(truncatingIfNeeded: recipe.microBatch), isCompact: true, training: recipe.needs)
    // The board hands this memory to nobody else.
    let memory = unsafe UnsafeMutableRawBufferPointer(
      start: board_memory(), count: Int(truncatingIfNeeded: board_memory_bytes()))
    let plan = try unsafe MemoryPlan(network, request, in: memory)
    byteCount = plan.sessionByteCount(nodeCount: network.nodeCount)
    guard byteCount <= memory.count else { throw .arenaTooLarge }
    session = unsafe Session(network, request, plan: plan, in: memory)
  }
}
