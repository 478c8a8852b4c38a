/// A cursor that reads little-endian numbers from raw memory (SPEC §9).
///
/// Every read checks before it moves: after a `ByteError` the offset is where it was.
///
///     var reader = ByteReader(bytes)
///     let count = try reader.u32()
///     let name = try reader.bytes(Int(count))
public struct ByteReader: ~Escapable {
  /// The whole memory, from its start.
  public let memory: RawSpan
  /// Where the next read begins, from the start of the memory: 0…`memory.byteCount`.
  public private(set) var offset: Int

  @_lifetime(copy memory)
  public init(_ memory: RawSpan) {
    self.memory = memory
    offset = 0
  }

  /// Bytes not yet read.
  public var remainingByteCount: Int { memory.byteCount &- offset }

  @_lifetime(self: copy self)
  public mutating func u8() throws(ByteError) -> UInt8 { memory.u8(at: try advance(by: 1)) }

  @_lifetime(self: copy self)
  public mutating func i8() throws(ByteError) -> Int8 { memory.i8(at: try advance(by: 1)) }

  @_lifetime(self: copy self)
  public mutating func u16() throws(ByteError) -> UInt16 { memory.u16(at: try advance(by: 2)) }

  @_lifetime(self: copy self)
  public mutating func u32() throws(ByteError) -> UInt32 { memory.u32(at: try advance(by: 4)) }

  @_lifetime(self: copy self)
  public mutating func i32() throws(ByteError) -> Int32 { memory.i32(at: try advance(by: 4)) }

  @_lifetime(self: copy self)
  public mutating func u64() throws(ByteError) -> UInt64 { memory.u64(at: try advance(by: 8)) }

  @_lifetime(self: copy self)
  public mutating func i64() throws(ByteError) -> Int64 { memory.i64(at: try advance(by: 8)) }

  /// The next `count` bytes, in place. A negative count, too, is a `ByteError`.
  @_lifetime(copy self)
  public mutating func bytes(_ count: Int) throws(ByteError) -> RawSpan {
    let start = try advance(by: count)
    return memory.extracting(start..<(start &+ count))
  }

  /// Moves past `count` bytes and returns where they begin.
  @_lifetime(self: copy self)
  private mutating func advance(by count: Int) throws(ByteError) -> Int {
    let start = offset
    guard count >= 0, count <= remainingByteCount else { throw ByteError(offset: start) }
    offset = start &+ count
    return start
  }
}
