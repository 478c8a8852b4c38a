/// A shuffled order of samples that needs no memory: a permutation of 0..<count (SPEC §4).
///
/// Let b be the bit length of count − 1 and h = max(1, ⌈b/2⌉). A value x of 2h bits is split into
/// its high half L and low half R. Eight rounds, numbered 0…7, each set
/// (L, R) ← (R, L xor F(R)), with F(R) = word 0 of `philox4x32` for the counter
/// (R, round + shuffle·2^24, epoch, 0), masked to h bits. The result is L·2^h + R.
/// A permutation of 0..<2^(2h) follows; it is applied to the position, and again to its own result
/// while that is not below count (at most 2^(2h) / count < 4 applications on average).
public struct SampleOrder: Equatable, Sendable {
  @usableFromInline let key: RandomKey
  @usableFromInline let epoch: UInt32
  @usableFromInline let halfBits: UInt32
  /// Number of samples, 1…2^31.
  public let count: UInt32

  /// - Parameter count: 1…2^31.
  /// - Parameter epoch: any value; each gives its own order.
  @inlinable
  public init(key: RandomKey, count: UInt32, epoch: UInt32) {
    precondition(count >= 1 && count <= 1 << 31, "the count must be in 1…2^31")
    self.key = key
    self.count = count
    self.epoch = epoch
    let bits = 32 &- UInt32(truncatingIfNeeded: (count &- 1).leadingZeroBitCount)
    halfBits = max(1, (bits &+ 1) &>> 1)
  }

  /// The sample at a position.
  ///
  /// - Parameter position: 0..<count.
  /// - Returns: 0..<count, different for every position.
  @inlinable
  public subscript(position: UInt32) -> UInt32 {
    precondition(position < count, "the position must be below the count")
    var value = permuted(position)
    while value >= count { value = permuted(value) }
    return value
  }

  /// The Feistel network on 2·halfBits bits.
  @inlinable
  func permuted(_ value: UInt32) -> UInt32 {
    let mask: UInt32 = (1 &<< halfBits) &- 1
    var left = value &>> halfBits
    var right = value & mask
    for round: UInt32 in 0..<8 {
      let stream = key.stream(.shuffle, tensor: round, step: epoch, query: 0)
      let mixed = left ^ (stream.words(block: right).0 & mask)
      left = right
      right = mixed
    }
    return left &<< halfBits | right
  }
}
