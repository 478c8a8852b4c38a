/// The index of the first byte that is not part of well-formed UTF-8, or nil.
///
/// Well-formed is what the Unicode standard's table 3-7 allows: no overlong forms, no surrogates,
/// nothing above U+10FFFF, no character cut off at the end.
func firstInvalidUTF8(_ bytes: ArraySlice<UInt8>) -> Int? {
  bytes.withUnsafeBufferPointer { buffer in
    var index = 0
    while index < buffer.count {
      let lead = buffer[index]
      if lead < 0x80 {
        index += 1
        continue
      }
      // Length, and the range of the second byte, which is where the special cases are.
      let length: Int
      var second: ClosedRange<UInt8> = 0x80...0xbf
      switch lead {
      case 0xc2...0xdf: length = 2
      case 0xe0...0xef:
        length = 3
        if lead == 0xe0 { second = 0xa0...0xbf }
        if lead == 0xed { second = 0x80...0x9f }
      case 0xf0...0xf4:
        length = 4
        if lead == 0xf0 { second = 0x90...0xbf }
        if lead == 0xf4 { second = 0x80...0x8f }
      default: return bytes.startIndex + index
      }
      guard index + length <= buffer.count, second.contains(buffer[index + 1]),
        (2..<length).allSatisfy({ buffer[index + $0] & 0xc0 == 0x80 })
      else { return bytes.startIndex + index }
      index += length
    }
    return nil
  }
}
