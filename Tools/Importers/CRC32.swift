/// CRC-32 as zip and gzip use it: polynomial 0x04C11DB7 reflected, all ones before and after.
///
///     crc32("123456789") == 0xCBF43926
func crc32(_ bytes: ArraySlice<UInt8>) -> UInt32 {
  crcTables.withUnsafeBufferPointer { table in
    bytes.withUnsafeBytes { input in
      var crc = ~UInt32(0)
      var index = 0
      // Eight bytes a step: table k is the effect of a byte followed by k zero bytes.
      while index &+ 8 <= input.count {
        let low = UInt32(littleEndian: input.loadUnaligned(fromByteOffset: index, as: UInt32.self))
        let high = UInt32(
          littleEndian: input.loadUnaligned(fromByteOffset: index &+ 4, as: UInt32.self))
        let x = low ^ crc
        crc = table[0x700 | Int(x & 255)] ^ table[0x600 | Int(x &>> 8 & 255)]
        crc ^= table[0x500 | Int(x &>> 16 & 255)] ^ table[0x400 | Int(x &>> 24)]
        crc ^= table[0x300 | Int(high & 255)] ^ table[0x200 | Int(high &>> 8 & 255)]
        crc ^= table[0x100 | Int(high &>> 16 & 255)] ^ table[Int(high &>> 24)]
        index &+= 8
      }
      while index < input.count {
        crc = table[Int((crc ^ UInt32(input[index])) & 255)] ^ crc &>> 8
        index &+= 1
      }
      return ~crc
    }
  }
}

/// Eight tables of 256 words, one after another.
private let crcTables: [UInt32] = {
  var table = [UInt32](repeating: 0, count: 8 * 256)
  for byte in 0..<256 {
    var word = UInt32(byte)
    for _ in 0..<8 { word = word & 1 == 1 ? word >> 1 ^ 0xedb8_8320 : word >> 1 }
    table[byte] = word
  }
  for index in 256..<8 * 256 {
    let before = table[index - 256]
    table[index] = table[Int(before & 255)] ^ before >> 8
  }
  return table
}()
