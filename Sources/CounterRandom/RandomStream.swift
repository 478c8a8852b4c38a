/// 2^32 blocks of 128 random bits that belong to one address (SPEC §4).
///
/// Block b is `philox4x32` of the counter (b, tensor + purpose·2^24, step, query) under the key
/// (low half of the seed, high half). A block holds four words, eight 16-bit lanes or 128 signs; an
/// element number selects one of them:
///
/// | draw     | block         | inside the block                                            |
/// |----------|---------------|-------------------------------------------------------------|
/// | `word`   | element / 4   | word element mod 4                                          |
/// | `bits16` | element / 8   | lane j = element mod 8: word j/2, low half for even j       |
/// | `sign`   | element / 128 | word (element/32) mod 4, bit element mod 32; bit 1 means −1 |
///
/// The three kinds read the same blocks, so one address is used for one kind of draw only.
public struct RandomStream: Equatable, Sendable {
  @usableFromInline let key: RandomKey
  @usableFromInline let tensorAndPurpose: UInt32
  @usableFromInline let step: UInt32
  @usableFromInline let query: UInt32

  @inlinable
  init(key: RandomKey, tensorAndPurpose: UInt32, step: UInt32, query: UInt32) {
    self.key = key
    self.tensorAndPurpose = tensorAndPurpose
    self.step = step
    self.query = query
  }

  /// The key as two words, low first, for vectorised generators.
  @inlinable
  public var keyWords: (UInt32, UInt32) { (key.low, key.high) }

  /// The counter's words behind the block number.
  @inlinable
  public var counterWords: (UInt32, UInt32, UInt32) { (tensorAndPurpose, step, query) }

  /// The four words of a block.
  @inlinable
  public func words(block: UInt32) -> (UInt32, UInt32, UInt32, UInt32) {
    philox4x32(counter: (block, tensorAndPurpose, step, query), key: (key.low, key.high))
  }

  /// The 32-bit word of an element.
  @inlinable
  public func word(_ element: UInt32) -> UInt32 {
    selected(element & 3, of: words(block: element &>> 2))
  }

  /// The 16-bit lane of an element, for stochastic rounding.
  @inlinable
  public func bits16(_ element: UInt32) -> UInt16 {
    let word = selected((element &>> 1) & 3, of: words(block: element &>> 3))
    return UInt16(truncatingIfNeeded: element & 1 == 0 ? word : word &>> 16)
  }

  /// The sign of an element: +1 when its bit is 0, −1 when it is 1.
  @inlinable
  public func sign(_ element: UInt32) -> Int32 {
    let word = selected((element &>> 5) & 3, of: words(block: element &>> 7))
    return 1 &- 2 &* Int32(truncatingIfNeeded: (word &>> (element & 31)) & 1)
  }

  /// A number in 0..<bound: the high 32 bits of `word(element)`·bound.
  ///
  /// The probability of each result differs from 1/bound by less than 2^−32, so no result is more
  /// than bound/2^32 (relative) off. That is the price of one draw per element and no rejection.
  ///
  /// - Parameter bound: 1…2^32 − 1.
  @inlinable
  public func uniform(_ element: UInt32, below bound: UInt32) -> UInt32 {
    precondition(bound > 0, "the bound must be positive")
    return UInt32(truncatingIfNeeded: (UInt64(word(element)) &* UInt64(bound)) &>> 32)
  }
}

/// - Parameter index: 0…3.
@inlinable
func selected(_ index: UInt32, of words: (UInt32, UInt32, UInt32, UInt32)) -> UInt32 {
  switch index {
  case 0: words.0
  case 1: words.1
  case 2: words.2
  default: words.3
  }
}
