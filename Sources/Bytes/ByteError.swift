/// Too few bytes are left; nothing was read or written (SPEC §9).
public struct ByteError: Error, Equatable, Sendable {
  /// Where the missing bytes would have begun, from the start of the memory.
  public let offset: Int

  @inlinable
  public init(offset: Int) {
    self.offset = offset
  }
}
