/// A cursor that writes little-endian numbers into memory the caller owns (SPEC §9).
///
/// Every write checks before it moves: after a `ByteError` the memory and the offset are as before.
public struct ByteWriter: ~Copyable, ~Escapable {
  /// The whole memory, from its start.
  private var memory: MutableRawSpan
  /// Where the next write begins, and the number of bytes written: 0…capacity.
  public private(set) var offset: Int

  @_lifetime(copy memory)
  public init(_ memory: consuming MutableRawSpan) {
    self.memory = memory
    offset = 0
  }

  /// Bytes not yet written.
  public var remainingByteCount: Int { memory.byteCount &- offset }

  @_lifetime(self: copy self)
  public mutating func u8(_ value: UInt8) throws(ByteError) {
    memory.store(u8: value, at: try advance(by: 1))
  }

  @_lifetime(self: copy self)
  public mutating func i8(_ value: Int8) throws(ByteError) {
    memory.store(i8: value, at: try advance(by: 1))
  }

  @_lifetime(self: copy self)
  public mutating func u16(_ value: UInt16) throws(ByteError) {
    memory.store(u16: value, at: try advance(by: 2))
  }

  @_lifetime(self: copy self)
  public mutating func u32(_ value: UInt32) throws(ByteError) {
    memory.store(u32: value, at: try advance(by: 4))
  }

  @_lifetime(self: copy self)
  public mutating func i32(_ value: Int32) throws(ByteError) {
    memory.store(i32: value, at: try advance(by: 4))
  }

  @_lifetime(self: copy self)
  public mutating func u64(_ value: UInt64) throws(ByteError) {
    memory.store(u64: value, at: try advance(by: 8))
  }

  @_lifetime(self: copy self)
  public mutating func i64(_ value: Int64) throws(ByteError) {
    memory.store(i64: value, at: try advance(by: 8))
  }

  /// Copies bytes.
  @_lifetime(self: copy self)
  public mutating func bytes(_ source: RawSpan) throws(ByteError) {
    let start = try advance(by: source.byteCount)
    for index in 0..<source.byteCount {
      memory.store(u8: source.u8(at: index), at: start &+ index)
    }
  }

  /// What has been written so far, for a digest over it.
  public var written: RawSpan {
    @_lifetime(borrow self)
    get { memory.bytes.extracting(0..<offset) }
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
