/// A SHA-256 digest: 32 bytes (SPEC §9).
public struct Digest: Equatable, Sendable {
  /// The eight words of FIPS 180-4, first word first; each stands for four bytes, highest first.
  public let words: InlineArray<8, UInt32>

  @inlinable
  public init(words: InlineArray<8, UInt32>) {
    self.words = words
  }

  /// Number of bytes of a digest.
  @inlinable
  public static var byteCount: Int { 32 }

  /// A digest stored as 32 bytes.
  ///
  /// - Parameter offset: 0…`bytes.byteCount` − 32.
  public init(reading bytes: RawSpan, at offset: Int) {
    words = InlineArray { bytes.u32(at: offset &+ 4 &* $0).byteSwapped }
  }

  /// The byte at an index, 0…31.
  public subscript(index: Int) -> UInt8 {
    precondition(index >= 0 && index < 32, "a digest has 32 bytes")
    let shift = UInt32(truncatingIfNeeded: 24 &- 8 &* (index & 3))
    return UInt8(truncatingIfNeeded: words[index &>> 2] &>> shift)
  }

  /// Stores the 32 bytes.
  ///
  /// - Parameter offset: 0…`bytes.byteCount` − 32.
  public func write(into bytes: inout MutableRawSpan, at offset: Int) {
    precondition(
      offset >= 0 && offset <= bytes.byteCount - 32, "the digest is not inside the memory")
    for index in 0..<8 {
      bytes.store(u32: words[index].byteSwapped, at: offset &+ 4 &* index)
    }
  }

  public static func == (a: Digest, b: Digest) -> Bool {
    var difference: UInt32 = 0
    for index in 0..<8 { difference |= a.words[index] ^ b.words[index] }
    return difference == 0
  }
}
