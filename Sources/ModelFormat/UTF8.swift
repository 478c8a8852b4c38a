import Bytes

/// Whether the bytes are well-formed UTF-8 (RFC 3629): no overlong forms, surrogates or values above U+10FFFF.
package func isUTF8(_ bytes: RawSpan) -> Bool {
  var index = 0
  while index < bytes.byteCount {
    let lead = bytes.u8(at: index)
    let extra: Int
    var smallest: UInt32
    var value: UInt32
    switch lead {
    case 0..<0x80: (extra, smallest, value) = (0, 0, UInt32(lead))
    case 0xC2..<0xE0: (extra, smallest, value) = (1, 0x80, UInt32(lead & 0x1F))
    case 0xE0..<0xF0: (extra, smallest, value) = (2, 0x800, UInt32(lead & 0x0F))
    case 0xF0..<0xF5: (extra, smallest, value) = (3, 0x1_0000, UInt32(lead & 0x07))
    default: return false
    }
    guard extra < bytes.byteCount - index else { return false }
    for step in 0..<extra {
      let byte = bytes.u8(at: index + 1 + step)
      guard byte & 0xC0 == 0x80 else { return false }
      value = value << 6 | UInt32(byte & 0x3F)
    }
    guard value >= smallest, value <= 0x10_FFFF, !(0xD800..<0xE000).contains(value) else {
      return false
    }
    smallest = 0
    index += extra + 1
  }
  return true
}
