import Bytes
import Testing

/// The little-endian bytes of a number, by division.
private func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
  var rest = UInt64(truncatingIfNeeded: value)
  return (0..<(type(of: value).bitWidth / 8)).map { _ in
    defer { rest /= 256 }
    return UInt8(rest % 256)
  }
}

/// One of each type, with the sign bit set where there is one.
private let numbers =
  littleEndian(0xFE as UInt8) + littleEndian(-2 as Int8) + littleEndian(0xFEDC as UInt16)
  + littleEndian(0xFEDC_BA98 as UInt32) + littleEndian(-123_456_789 as Int32)
  + littleEndian(0xFEDC_BA98_7654_3210 as UInt64)
  + littleEndian(-1_234_567_890_123_456_789 as Int64) + [1, 2, 3]

@Test("A reader gives the numbers back, whatever the alignment", arguments: 0..<9)
func reading(lead: Int) throws {
  let memory = pattern(lead) + numbers
  var reader = ByteReader(memory.span.bytes)
  let skipped = try reader.bytes(lead)
  #expect(skipped.byteCount == lead)
  #expect(try reader.u8() == 0xFE)
  #expect(try reader.i8() == -2)
  #expect(try reader.u16() == 0xFEDC)
  #expect(try reader.u32() == 0xFEDC_BA98)
  #expect(try reader.i32() == -123_456_789)
  #expect(try reader.u64() == 0xFEDC_BA98_7654_3210)
  #expect(try reader.i64() == -1_234_567_890_123_456_789)
  #expect(reader.offset == lead + 28)
  #expect(reader.remainingByteCount == 3)
  let last = try reader.bytes(3)
  #expect([last.u8(at: 0), last.u8(at: 1), last.u8(at: 2)] == [1, 2, 3])
  #expect(reader.remainingByteCount == 0)
  #expect(try reader.bytes(0).byteCount == 0)
}

@Test("A writer writes what a reader reads, and nothing else", arguments: 0..<9)
func writing(lead: Int) throws {
  var memory = [UInt8](repeating: 0xEE, count: lead + numbers.count + 2)
  try memory.withUnsafeMutableBytes { buffer in
    var writer = ByteWriter(buffer.mutableBytes)
    try writer.bytes(pattern(lead).span.bytes)
    try writer.u8(0xFE)
    try writer.i8(-2)
    try writer.u16(0xFEDC)
    try writer.u32(0xFEDC_BA98)
    try writer.i32(-123_456_789)
    try writer.u64(0xFEDC_BA98_7654_3210)
    try writer.i64(-1_234_567_890_123_456_789)
    try writer.bytes(([1, 2, 3] as [UInt8]).span.bytes)
    #expect(writer.offset == lead + numbers.count)
    #expect(writer.remainingByteCount == 2)
    let written = writer.written
    #expect(written.byteCount == lead + numbers.count)
    #expect(written.u8(at: written.byteCount - 1) == 3)
  }
  #expect(memory == pattern(lead) + numbers + [0xEE, 0xEE])
}

@Test("A read past the end names its offset and does not move", arguments: 0..<8)
func readingPastTheEnd(left: Int) throws {
  let memory = pattern(5 + left)
  var reader = ByteReader(memory.span.bytes)
  #expect(try reader.bytes(5).byteCount == 5)
  let end = ByteError(offset: 5)
  if left < 1 { #expect(throws: end) { try reader.u8() } }
  if left < 1 { #expect(throws: end) { try reader.i8() } }
  if left < 2 { #expect(throws: end) { try reader.u16() } }
  if left < 4 { #expect(throws: end) { try reader.u32() } }
  if left < 4 { #expect(throws: end) { try reader.i32() } }
  #expect(throws: end) { try reader.u64() }
  #expect(throws: end) { try reader.i64() }
  for count in [left + 1, .max, -1, .min] {
    #expect(throws: end) { try reader.bytes(count).byteCount }
  }
  #expect(reader.offset == 5)
  #expect(try reader.bytes(left).byteCount == left)
}

@Test("A write past the end changes neither memory nor offset", arguments: 0..<8)
func writingPastTheEnd(left: Int) {
  var memory = [UInt8](repeating: 0xEE, count: 3 + left)
  memory.withUnsafeMutableBytes { buffer in
    var writer = ByteWriter(buffer.mutableBytes)
    #expect(throws: Never.self) { try writer.bytes(([1, 2, 3] as [UInt8]).span.bytes) }
    let end = ByteError(offset: 3)
    if left < 1 { #expect(throws: end) { try writer.u8(0) } }
    if left < 1 { #expect(throws: end) { try writer.i8(0) } }
    if left < 2 { #expect(throws: end) { try writer.u16(0) } }
    if left < 4 { #expect(throws: end) { try writer.u32(0) } }
    if left < 4 { #expect(throws: end) { try writer.i32(0) } }
    #expect(throws: end) { try writer.u64(0) }
    #expect(throws: end) { try writer.i64(0) }
    #expect(throws: end) { try writer.bytes(pattern(left + 1).span.bytes) }
    #expect(writer.offset == 3)
    #expect(writer.remainingByteCount == left)
  }
  #expect(memory == [1, 2, 3] + [UInt8](repeating: 0xEE, count: left))
}

@Test("Loads and stores anywhere in memory", arguments: 0..<9)
func randomAccess(offset: Int) {
  var memory = [UInt8](repeating: 0xEE, count: offset + 28)
  memory.withUnsafeMutableBytes { buffer in
    var span = buffer.mutableBytes
    span.store(u8: 0xFE, at: offset)
    span.store(i8: -2, at: offset + 1)
    span.store(u16: 0xFEDC, at: offset + 2)
    span.store(u32: 0xFEDC_BA98, at: offset + 4)
    span.store(i32: -123_456_789, at: offset + 8)
    span.store(u64: 0xFEDC_BA98_7654_3210, at: offset + 12)
    span.store(i64: -1_234_567_890_123_456_789, at: offset + 20)
  }
  #expect(memory == [UInt8](repeating: 0xEE, count: offset) + numbers.dropLast(3))
  let span = memory.span.bytes
  #expect(span.u8(at: offset) == 0xFE)
  #expect(span.i8(at: offset + 1) == -2)
  #expect(span.u16(at: offset + 2) == 0xFEDC)
  #expect(span.u32(at: offset + 4) == 0xFEDC_BA98)
  #expect(span.i32(at: offset + 8) == -123_456_789)
  #expect(span.u64(at: offset + 12) == 0xFEDC_BA98_7654_3210)
  #expect(span.i64(at: offset + 20) == -1_234_567_890_123_456_789)
}

@Test("A number outside the memory is a contract breach")
func accessBreaches() async {
  await #expect(processExitsWith: .failure) { _ = pattern(7).span.bytes.u32(at: 4) }
  await #expect(processExitsWith: .failure) { _ = pattern(7).span.bytes.u8(at: -1) }
  await #expect(processExitsWith: .failure) { _ = pattern(7).span.bytes.i64(at: 0) }
  await #expect(processExitsWith: .failure) { _ = pattern(7).span.bytes.u16(at: .max) }
  await #expect(processExitsWith: .failure) {
    var memory = pattern(7)
    memory.withUnsafeMutableBytes { buffer in
      var span = buffer.mutableBytes
      span.store(u64: 0, at: 0)
    }
  }
}
