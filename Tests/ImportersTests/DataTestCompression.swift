import Importers

/// Deflate read bit by bit from RFC 1951: the second definition beside zlib, and what the tests
/// unpack with. It is slow and has no table but the RFC's own.
enum SlowInflate {
  static let inflater: Inflater = { (input, expected) throws(InflateFailure) in
    try unpack(input, expected: expected)
  }

  static func unpack(_ input: ArraySlice<UInt8>, expected: Int) throws(InflateFailure) -> [UInt8] {
    var bits = BitReader(bytes: Array(input))
    var output: [UInt8] = []
    output.reserveCapacity(expected)
    do throws(Stop) {
      while true {
        let isLast = try bits.take(1) == 1
        switch try bits.take(2) {
        case 0: try stored(&bits, &output, expected)
        case 1: try codes(&bits, &output, expected, fixedLiterals, fixedDistances)
        case 2:
          let (literals, distances) = try dynamicCodes(&bits)
          try codes(&bits, &output, expected, literals, distances)
        default: throw .corrupt
        }
        if isLast { break }
      }
    } catch {
      switch error {
      case .corrupt: throw .corrupt
      case .ended: throw .inputEnded(produced: output.count)
      case .full: throw .tooLong
      }
    }
    guard output.count == expected, bits.consumed == input.count else {
      throw .streamEnded(produced: output.count, consumed: bits.consumed)
    }
    return output
  }

  private enum Stop: Error { case corrupt, ended, full }

  private struct BitReader {
    let bytes: [UInt8]
    var bit = 0
    var consumed: Int { (bit + 7) / 8 }

    mutating func take(_ count: Int) throws(Stop) -> Int {
      var value = 0
      var index = 0
      while index < count {
        guard bit >> 3 < bytes.count else { throw .ended }
        value |= Int(bytes[bit >> 3] >> UInt8(bit & 7) & 1) << index
        bit += 1
        index += 1
      }
      return value
    }

    mutating func alignToByte() { bit = consumed * 8 }
  }

  /// A canonical code: how many codes of each length, and the symbols in order.
  private struct Code {
    var counts = [Int](repeating: 0, count: 16)
    var symbols: [Int] = []

    init(_ lengths: [Int]) {
      for length in 1...15 {
        for (symbol, l) in lengths.enumerated() where l == length { symbols.append(symbol) }
        counts[length] = lengths.reduce(0) { $0 + ($1 == length ? 1 : 0) }
      }
    }

    func read(_ bits: inout BitReader) throws(Stop) -> Int {
      var code = 0
      var first = 0
      var index = 0
      var length = 1
      while length <= 15 {
        guard bits.bit >> 3 < bits.bytes.count else { throw .ended }
        code |= Int(bits.bytes[bits.bit >> 3] >> UInt8(bits.bit & 7) & 1)
        bits.bit += 1
        let count = counts[length]
        if code - count < first { return symbols[index + code - first] }
        index += count
        first = (first + count) << 1
        code <<= 1
        length += 1
      }
      throw .corrupt
    }
  }

  private static let fixedLiterals = Code(
    Array(repeating: 8, count: 144) + Array(repeating: 9, count: 112)
      + Array(repeating: 7, count: 24) + Array(repeating: 8, count: 8))
  private static let fixedDistances = Code(Array(repeating: 5, count: 30))

  private static func stored(_ bits: inout BitReader, _ output: inout [UInt8], _ expected: Int)
    throws(Stop)
  {
    bits.alignToByte()
    let count = try bits.take(16)
    guard try bits.take(16) == count ^ 0xffff else { throw .corrupt }
    for _ in 0..<count {
      let byte = UInt8(try bits.take(8))
      guard output.count < expected else { throw .full }
      output.append(byte)
    }
  }

  private static let lengthBase = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
    163, 195, 227, 258,
  ]
  private static let distanceBase = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537,
    2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577,
  ]

  private static func codes(
    _ bits: inout BitReader, _ output: inout [UInt8], _ expected: Int, _ literals: Code,
    _ distances: Code
  ) throws(Stop) {
    while true {
      let symbol = try literals.read(&bits)
      if symbol < 256 {
        guard output.count < expected else { throw .full }
        output.append(UInt8(symbol))
        continue
      }
      if symbol == 256 { return }
      guard symbol < 286 else { throw .corrupt }
      let l = symbol - 257
      let lengthBits = l < 8 || l == 28 ? 0 : l / 4 - 1
      let length = lengthBase[l] + (try bits.take(lengthBits))
      let d = try distances.read(&bits)
      guard d < 30 else { throw .corrupt }
      let distance = distanceBase[d] + (try bits.take(d < 4 ? 0 : d / 2 - 1))
      guard distance <= output.count else { throw .corrupt }
      guard output.count + length <= expected else { throw .full }
      let start = output.count - distance
      for index in 0..<length { output.append(output[start + index]) }
    }
  }

  private static func dynamicCodes(_ bits: inout BitReader) throws(Stop) -> (Code, Code) {
    let literalCount = try bits.take(5) + 257
    let distanceCount = try bits.take(5) + 1
    let codeCount = try bits.take(4) + 4
    guard literalCount <= 286, distanceCount <= 30 else { throw .corrupt }
    let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
    var lengths = [Int](repeating: 0, count: 19)
    for index in 0..<codeCount { lengths[order[index]] = try bits.take(3) }
    let lengthCode = Code(lengths)
    lengths = []
    while lengths.count < literalCount + distanceCount {
      let symbol = try lengthCode.read(&bits)
      switch symbol {
      case 0...15: lengths.append(symbol)
      case 16:
        guard let last = lengths.last else { throw .corrupt }
        lengths += Array(repeating: last, count: try bits.take(2) + 3)
      case 17: lengths += Array(repeating: 0, count: try bits.take(3) + 3)
      default: lengths += Array(repeating: 0, count: try bits.take(7) + 11)
      }
    }
    guard lengths.count == literalCount + distanceCount else { throw .corrupt }
    return (Code(Array(lengths.prefix(literalCount))), Code(Array(lengths.suffix(distanceCount))))
  }
}

/// CRC-32 a bit at a time, straight from the polynomial.
func slowCRC32(_ bytes: [UInt8]) -> UInt32 {
  var crc = ~UInt32(0)
  for byte in bytes {
    crc ^= UInt32(byte)
    for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xedb8_8320 : crc >> 1 }
  }
  return ~crc
}

/// Deflate that only stores: blocks of at most 65 535 bytes.
func storedDeflate(_ bytes: [UInt8]) -> [UInt8] {
  var output: [UInt8] = []
  var rest = bytes[...]
  repeat {
    let block = rest.prefix(65535)
    rest = rest.dropFirst(block.count)
    output += [rest.isEmpty ? 1 : 0] + little(block.count, 2) + little(block.count ^ 0xffff, 2)
    output += block
  } while !rest.isEmpty
  return output
}

/// `1 + 258 · repeats` zeros at two bits per 258: what a decompression bomb is made of.
func zeroRunDeflate(repeats: Int) -> [UInt8] {
  var output: [UInt8] = []
  var bit = 0
  func put(_ value: Int, _ count: Int) {
    for index in 0..<count {
      if bit % 8 == 0 { output.append(0) }
      output[output.count - 1] |= UInt8(value >> index & 1) << UInt8(bit % 8)
      bit += 1
    }
  }
  put(1, 1)  // the last block
  put(2, 2)  // with codes of its own
  put(286 - 257, 5)
  put(1 - 1, 5)
  put(18 - 4, 4)
  // Lengths of the code for lengths, in the order 16 17 18 0 8 7 … 14 1: of 18, 2 and 1.
  for length in [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 2] { put(length, 3) }
  // Its codes, written highest bit first: 18 is 0, 1 is 10, 2 is 11.
  func zeros(_ count: Int) {
    put(0, 1)
    put(count - 11, 7)
  }
  put(0b11, 2)  // literal 0 has two bits
  zeros(138)
  zeros(117)
  put(0b11, 2)  // the end has two bits
  zeros(28)
  put(0b01, 2)  // length 258 has one bit
  put(0b01, 2)  // distance 1 has one bit
  put(0b01, 2)  // literal 0 is 10
  for _ in 0..<repeats { put(0, 2) }
  put(0b11, 2)  // the end is 11
  return output
}

/// A gzip member around deflate data; every field can be wrong.
func gzipMember(
  _ bytes: [UInt8], deflate: [UInt8]? = nil, flags: UInt8 = 0, extra: [UInt8] = [],
  crc: UInt32? = nil, count: Int? = nil, method: UInt8 = 8
) -> [UInt8] {
  [0x1f, 0x8b, method, flags, 0, 0, 0, 0, 0, 255] + extra + (deflate ?? storedDeflate(bytes))
    + little(Int(crc ?? slowCRC32(bytes)), 4) + little(count ?? bytes.count, 4)
}

/// A zip archive put together field by field, so that each can be wrong.
struct ZipFixture {
  struct Member {
    var name: String
    var bytes: [UInt8]
    var deflate: [UInt8]?
    var flags = 0
    var method: Int?
    var crc: UInt32?
    var count: Int?
    var localName: String?
    var localCount: Int?
    var localCRC: UInt32?
    var disk = 0
    /// As NumPy writes: both lengths in a 64-bit extra field of the local header.
    var isWideLocally = false
    var headerOffset: Int?

    init(_ name: String, _ bytes: [UInt8], deflate: [UInt8]? = nil) {
      self.name = name
      self.bytes = bytes
      self.deflate = deflate
    }
  }

  var members: [Member]
  var disk = 0
  var memberCount: Int?
  var directoryShift = 0
  /// Bytes between the directory and the end record.
  var gap: [UInt8] = []
  var comment: [UInt8] = []
  /// Puts the true end record into a zip64 one.
  var isWide = false
  var wideDirectoryByteCount: Int?

  var bytes: [UInt8] {
    var archive: [UInt8] = []
    var directory: [UInt8] = []
    for member in members {
      let data = member.deflate ?? member.bytes
      let offset = archive.count
      let crc = Int(member.crc ?? slowCRC32(member.bytes))
      let count = member.count ?? member.bytes.count
      func head(_ packed: Int, _ unpacked: Int, _ name: String, _ crc: Int) -> [UInt8] {
        little(member.flags, 2) + little(member.method ?? (member.deflate == nil ? 0 : 8), 2)
          + little(0, 4) + little(crc, 4) + little(packed, 4) + little(unpacked, 4)
          + little(name.utf8.count, 2)
      }
      let localName = member.localName ?? member.name
      let localCRC = member.localCRC.map { Int($0) } ?? crc
      archive += ascii("PK\u{3}\u{4}") + little(20, 2)
      if member.isWideLocally {
        archive +=
          head(0xffff_ffff, 0xffff_ffff, localName, localCRC) + little(20, 2) + ascii(localName)
        archive += little(1, 2) + little(16, 2) + little(count, 8) + little(data.count, 8)
      } else {
        archive += head(data.count, member.localCount ?? count, localName, localCRC) + little(0, 2)
        archive += ascii(localName)
      }
      archive += data
      directory += ascii("PK\u{1}\u{2}") + little(20, 2) + little(20, 2)
      directory += head(data.count, count, member.name, crc) + little(0, 4) + little(member.disk, 2)
      directory += little(0, 6) + little(member.headerOffset ?? offset, 4) + ascii(member.name)
    }
    let start = archive.count + directoryShift
    let count = memberCount ?? members.count
    archive += directory + gap
    if isWide {
      let recordOffset = archive.count
      archive += ascii("PK\u{6}\u{6}") + little(44, 8) + little(45, 2) + little(45, 2)
      archive += little(0, 8) + little(count, 8) + little(count, 8)
      archive += little(wideDirectoryByteCount ?? directory.count, 8) + little(start, 8)
      archive += ascii("PK\u{6}\u{7}") + little(0, 4) + little(recordOffset, 8) + little(1, 4)
      archive += ascii("PK\u{5}\u{6}") + little(0, 4) + little(0xffff, 2) + little(0xffff, 2)
      archive += little(0xffff_ffff, 4) + little(0xffff_ffff, 4)
    } else {
      archive += ascii("PK\u{5}\u{6}") + little(disk, 2) + little(disk, 2)
      archive += little(count, 2) + little(count, 2) + little(directory.count, 4)
      archive += little(start, 4)
    }
    return archive + little(comment.count, 2) + comment
  }
}
