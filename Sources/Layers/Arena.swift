public import Tensors

/// The one piece of memory a session works in. The caller owns it; nothing here allocates.
///
/// The memory must be aligned to 16 bytes and outlive every session in it.
@safe
public struct Arena {
  let base: UnsafeMutableRawPointer
  public let byteCount: Int

  /// Every buffer starts at a multiple of this.
  public static var alignment: Int { 16 }

  @unsafe
  public init(_ memory: UnsafeMutableRawBufferPointer) {
    guard let start = memory.baseAddress else { preconditionFailure("an arena has memory") }
    precondition(
      UInt(bitPattern: start) % UInt(Arena.alignment) == 0, "the arena is not aligned to 16 bytes")
    unsafe base = start
    byteCount = memory.count
  }

  /// `count` elements at byte `offset`.
  @inline(__always)
  public func view<Element: BitwiseCopyable>(
    _ offset: Int, _ count: Int, of type: Element.Type
  ) -> View<Element> {
    precondition(
      offset >= 0 && offset &+ count &* MemoryLayout<Element>.stride <= byteCount,
      "a view outside the arena")
    // Bounds checked above, alignment by the plan.
    return unsafe View(base: base, offset: offset, count: count)
  }

  @inlinable
  public static func aligned(_ byteCount: Int) -> Int { (byteCount &+ 15) & ~15 }
}
