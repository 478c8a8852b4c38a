/// A position in a file's bytes; every read checks before it moves and reports its offset.
struct ByteCursor {
  let bytes: ArraySlice<UInt8>
  let file: String
  /// Bytes read so far, counted from the start of `bytes`.
  private(set) var offset = 0

  init(_ bytes: ArraySlice<UInt8>, file: String) {
    self.bytes = bytes
    self.file = file
  }

  var remaining: Int { bytes.count - offset }

  /// The next `count` bytes, or TLY0106.
  mutating func take(_ count: Int) throws(InputError) -> ArraySlice<UInt8> {
    guard count <= remaining else {
      throw .truncated(file, needs: count, at: offset, has: bytes.count)
    }
    let start = bytes.startIndex + offset
    offset += count
    return bytes[start..<start + count]
  }

  /// The next integer, little-endian unless told otherwise.
  mutating func integer<Word: FixedWidthInteger>(
    _ type: Word.Type = Word.self, bigEndian: Bool = false
  ) throws(InputError) -> Word {
    let taken = try take(Word.bitWidth / 8)
    var word: Word = 0
    for (index, byte) in taken.enumerated() {
      let place = bigEndian ? taken.count - 1 - index : index
      word |= Word(truncatingIfNeeded: byte) << (8 * place)
    }
    return word
  }

  mutating func seek(to offset: Int) throws(InputError) {
    guard offset >= 0, offset <= bytes.count else {
      throw .truncated(file, needs: 1, at: offset, has: bytes.count)
    }
    self.offset = offset
  }
}

/// The product of sizes, or nil when it overflows or a size is negative.
func checkedProduct(_ sizes: [Int]) -> Int? {
  // A zero anywhere makes the product zero even where a partial product would overflow.
  if sizes.contains(where: { $0 < 0 }) { return nil }
  if sizes.contains(0) { return 0 }
  var product = 1
  for size in sizes {
    let (next, overflow) = product.multipliedReportingOverflow(by: size)
    if overflow { return nil }
    product = next
  }
  return product
}
