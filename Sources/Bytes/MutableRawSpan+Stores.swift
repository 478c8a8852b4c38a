/// Little-endian numbers anywhere in mutable raw memory; alignment does not matter.
///
/// The offset counts bytes from the start; the whole number must lie inside the memory.
extension MutableRawSpan {
  @inlinable
  @_lifetime(self: copy self)
  public mutating func store(u8 value: UInt8, at offset: Int) { store(value, at: offset) }

  @inlinable
  @_lifetime(self: copy self)
  public mutating func store(i8 value: Int8, at offset: Int) { store(value, at: offset) }

  @inlinable
  @_lifetime(self: copy self)
  public mutating func store(u16 value: UInt16, at offset: Int) { store(value, at: offset) }

  @inlinable
  @_lifetime(self: copy self)
  public mutating func store(u32 value: UInt32, at offset: Int) { store(value, at: offset) }

  @inlinable
  @_lifetime(self: copy self)
  public mutating func store(i32 value: Int32, at offset: Int) { store(value, at: offset) }

  @inlinable
  @_lifetime(self: copy self)
  public mutating func store(u64 value: UInt64, at offset: Int) { store(value, at: offset) }

  @inlinable
  @_lifetime(self: copy self)
  public mutating func store(i64 value: Int64, at offset: Int) { store(value, at: offset) }

  @inlinable @inline(__always)
  @_lifetime(self: copy self)
  mutating func store<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value, at offset: Int) {
    let size = MemoryLayout<Value>.size
    precondition(
      byteCount >= size && offset >= 0 && offset <= byteCount &- size,
      "the number is not inside the memory")
    storeBytes(of: value.littleEndian, toByteOffset: offset, as: Value.self)
  }
}
