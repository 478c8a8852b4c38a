/// The 16-bit lanes of consecutive elements, one Philox block per eight of them (SPEC §4).
///
/// The i-th call of `next()` equals `stream.bits16(start + i)` (mod 2^32); kernels walk a row with it.
public struct RoundingLanes: Sendable {
  @usableFromInline let stream: RandomStream
  @usableFromInline var element: UInt32
  /// Words of the current block; the next lane is always in `word0`.
  @usableFromInline var word0: UInt32 = 0
  @usableFromInline var word1: UInt32 = 0
  @usableFromInline var word2: UInt32 = 0
  @usableFromInline var word3: UInt32 = 0

  @inlinable
  public init(_ stream: RandomStream, startingAt start: UInt32) {
    self.stream = stream
    element = start & ~7
    // Inside a block: draw it and drop the lanes before the start.
    while element != start { _ = next() }
  }

  /// The lane of the next element.
  @inlinable
  public mutating func next() -> UInt16 {
    if element & 7 == 0 {
      (word0, word1, word2, word3) = stream.words(block: element &>> 3)
    }
    let word = word0
    let isLow = element & 1 == 0
    element &+= 1
    if isLow { return UInt16(truncatingIfNeeded: word) }
    word0 = word1
    word1 = word2
    word2 = word3
    return UInt16(truncatingIfNeeded: word &>> 16)
  }
}
