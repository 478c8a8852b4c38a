// Where a plan is fullest, and how it compares with placing buffers as they come.

extension PlannedMemory {
  /// Sums by purpose of what lives at the fullest time; they add up to `lowerBound`.
  public struct Peak: Sendable {
    /// Node i runs forward at time i and backward at 2N − i; the loss at N.
    public let time: Int
    public let byPurpose: [(name: String, byteCount: Int)]
    /// Of the layer that works at that time, and of all that live throughout.
    public let byteCount: Int
  }

  public var peak: Peak {
    var best = (time: 0, byteCount: -1)
    // Some buffer starts at the fullest time; of equal times the first.
    for time in Set(buffers.map(\.start)).sorted() {
      let sum = live(at: time).reduce(0) { $0 + PlannedMemory.aligned($1.byteCount) }
      if sum > best.byteCount { best = (time, sum) }
    }
    let live = live(at: best.time)
    var byPurpose: [(name: String, byteCount: Int)] = []
    for (name, _) in self.byPurpose {
      let sum = live.filter { $0.purpose == name }
        .reduce(0) { $0 + PlannedMemory.aligned($1.byteCount) }
      if sum > 0 { byPurpose.append((name, sum)) }
    }
    return Peak(time: best.time, byPurpose: byPurpose, byteCount: best.byteCount)
  }

  private func live(at time: Int) -> [Buffer] {
    buffers.filter { $0.start <= time && time <= $0.end }
  }

  /// Bytes that placing every buffer in its order of use, at the lowest free place, would take.
  public var firstFitByteCount: Int {
    var placed: [(buffer: Buffer, offset: Int)] = []
    var end = 0
    for buffer in buffers.sorted(by: {
      ($0.start, $0.layer, $0.purpose) < ($1.start, $1.layer, $1.purpose)
    }) {
      let size = PlannedMemory.aligned(buffer.byteCount)
      var offset = 0
      let others = placed.filter {
        $0.buffer.start <= buffer.end && buffer.start <= $0.buffer.end
      }.sorted { $0.offset < $1.offset }
      for other in others where other.offset < offset + size {
        offset = max(offset, other.offset + PlannedMemory.aligned(other.buffer.byteCount))
      }
      placed.append((buffer, offset))
      end = max(end, offset + size)
    }
    return end
  }

  /// The arena's alignment.
  private static func aligned(_ byteCount: Int) -> Int { (byteCount + 15) & ~15 }
}
