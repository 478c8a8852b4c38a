/// Little-endian numbers anywhere in raw memory; alignment does not matter.
///
/// The offset counts bytes from the start; the whole number must lie inside the memory.
extension RawSpan {
  @inlinable
  public func u8(at offset: Int) -> UInt8 { load(at: offset) }

  @inlinable
  public func i8(at offset: Int) -> Int8 { load(at: offset) }

  @inlinable
  public func u16(at offset: Int) -> UInt16 { load(at: offset) }

  @inlinable
  public func u32(at offset: Int) -> UInt32 { load(at: offset) }

  @inlinable
  public func i32(at offset: Int) -> Int32 { load(at: offset) }

  @inlinable
  public func u64(at offset: Int) -> UInt64 { load(at: offset) }

  @inlinable
  public func i64(at offset: Int) -> Int64 { load(at: offset) }

  @inlinable @inline(__always)
  func load<Value: FixedWidthInteger & BitwiseCopyable>(at offset: Int) -> Value {
    let size = MemoryLayout<Value>.size
    precondition(
      byteCount >= size && offset >= 0 && offset <= byteCount &- size,
      "the number is not inside the memory")
    // In bounds by the line above, and every bit pattern of an integer is a value.
    return Value(
      littleEndian: unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: Value.self))
  }
}
