public import Tally

extension PlannedMemory {
  /// Bytes that one step adds to a journal at most (Formats/journal.md): what a buffer must hold that takes a
  /// step's records at once. A run keeps none of them: records go to the sink from the stack.
  ///
  /// - Parameter recipe: what the memory is planned for.
  public func journalByteCount(_ recipe: Recipe) -> Int {
    func record(_ payload: Int) -> Int { 4 + payload + JournalFormat.tagByteCount }
    func sum(_ purpose: BufferPurpose) -> Int {
      byPurpose.first { $0.name == purpose.words }?.byteCount ?? 0
    }
    let fixed: [RecordType] = [.step, .root, .epoch]
    var count = fixed.reduce(0) { $0 + record($1.fixedByteCount ?? 0) }
    let kept = sum(.keptCounts)
    if kept > 0 { count += record(JournalFormat.keptByteCount + kept) }
    let differences = sum(.differences)
    if differences > 0 { count += record(JournalFormat.differencesByteCount + differences) }
    // One change of a group's size, or one of every tensor and every node's weights.
    let changes = recipe.tracksRanges ? 2 * recipe.nodeCount : differences > 0 ? 1 : 0
    return count + changes * record(RecordType.range.fixedByteCount ?? 0)
  }
}
