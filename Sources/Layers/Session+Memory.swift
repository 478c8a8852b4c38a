import Tensors

// A plan and its session in one piece of memory: the plan's list is read for the last time when the
// session's table has been filled, so it may lie where activations will.

extension MemoryPlan {
  /// Bytes that planning itself needs.
  public static func planningByteCount(nodeCount: Int) -> Int {
    Arena.aligned(largestEntryCount(nodeCount: nodeCount) * MemoryLayout<Entry>.stride)
  }

  /// Bytes of memory in which a session can be planned and then run: the arena, or the session's table
  /// with the plan behind it if that is more.
  ///
  /// - Parameter nodeCount: of the network that was planned for.
  public func sessionByteCount(nodeCount: Int) -> Int {
    guard let table = entry(row: 0, .sessionTable) else {
      preconditionFailure("a plan has a session table")
    }
    let tableEnd = Int(table.offset) + Arena.aligned(Int(table.byteCount))
    return max(byteCount, tableEnd + MemoryPlan.planningByteCount(nodeCount: nodeCount))
  }

  /// Plans in the last bytes of `memory`, where the list does not meet the session's table.
  ///
  /// - Parameter memory: aligned to 16 bytes; as large as planning needs, or the plan is not made.
  /// - Throws: `arenaTooLarge` also if `memory` is smaller than planning needs.
  @unsafe
  public init(
    _ network: Network, _ request: SessionRequest, in memory: UnsafeMutableRawBufferPointer
  ) throws(MemoryPlanError) {
    let planning = MemoryPlan.planningByteCount(nodeCount: network.nodeCount)
    let end = memory.count & ~(Arena.alignment - 1)
    guard let base = memory.baseAddress, planning <= end else { throw .arenaTooLarge }
    // The last `planning` bytes of the caller's memory.
    let entries = unsafe View<Entry>(
      base: UnsafeRawPointer(base), offset: end - planning,
      count: planning / MemoryLayout<Entry>.stride)
    try self.init(network, request, entries: entries)
  }
}

extension Session {
  /// Lays a session out in the memory that its plan was made in.
  ///
  /// - Precondition: `plan` comes from `MemoryPlan(_:_:in:)` with the same network, request and memory,
  ///   and `memory` has at least its `sessionByteCount(nodeCount:)` bytes.
  @unsafe
  public init(
    _ network: Network, _ request: SessionRequest, plan: MemoryPlan,
    in memory: UnsafeMutableRawBufferPointer
  ) {
    precondition(
      memory.count >= plan.sessionByteCount(nodeCount: network.nodeCount),
      "the memory is smaller than the plan")
    self.init(network, request, plan: plan, arena: unsafe Arena(memory))
  }
}
