import Bytes
import Testing

private func check(_ bytes: [UInt8]) -> UInt32 {
  var crc = CRC32C()
  crc.update(bytes.span.bytes)
  return crc.value
}

/// CRC-32C a second way: the remainder of the message as a polynomial, highest power first, with
/// the bits of each byte and of the result reversed.
private func plainCheck(_ bytes: [UInt8]) -> UInt32 {
  func reversed<T: FixedWidthInteger>(_ v: T) -> T {
    (0..<T.bitWidth).reduce(0) { $0 << 1 | (v >> T($1)) & 1 }
  }
  // First complement: the first four bytes (or the zeros behind the message) are inverted.
  var message = bytes.map { reversed($0) } + [0, 0, 0, 0]
  for i in 0..<4 { message[i] ^= 0xFF }
  var remainder: UInt64 = 0
  for byte in message {
    for bit in (0..<8).reversed() {
      remainder = remainder << 1 | UInt64(byte >> UInt8(bit) & 1)
      if remainder >> 32 == 1 { remainder ^= 0x1_1EDC_6F41 }
    }
  }
  return ~reversed(UInt32(remainder))
}

@Test("CRC-32C: the check value and the examples of RFC 3720")
func checkVectors() {
  #expect(check(Array("123456789".utf8)) == 0xE306_9283)
  #expect(check([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
  #expect(check([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
  #expect(check(Array(0..<32)) == 0x46DD_794E)
  #expect(check((0..<32).reversed()) == 0x113F_DB5C)
  #expect(check([]) == 0)
}

@Test("CRC-32C equals polynomial division, in one piece and in two")
func checkSecondDefinition() {
  for count in 0...80 {
    let message = pattern(count)
    let expected = plainCheck(message)
    if check(message) != expected { Issue.record("length \(count)") }
    var crc = CRC32C()
    crc.update(message.span.bytes.extracting(0..<(count / 3)))
    crc.update(message.span.bytes.extracting((count / 3)..<count))
    if crc.value != expected { Issue.record("length \(count) in two pieces") }
  }
  for byte: UInt8 in 0...255 where check([byte]) != plainCheck([byte]) {
    Issue.record("byte \(byte)")
  }
}
