/// Unpacks raw deflate data (RFC 1951) into exactly `expected` bytes, using all of its input.
///
/// The readers do not contain one: the command passes the system's zlib in. An `expected` that is
/// not met is a failure, so no reader allocates more than a header that was checked promises.
public typealias Inflater =
  @Sendable (_ input: ArraySlice<UInt8>, _ expected: Int)
  throws(InflateFailure) -> [UInt8]

/// Why deflate data did not unpack into what its container promises.
public enum InflateFailure: Error, Sendable, Equatable {
  /// The bits are not deflate.
  case corrupt
  /// The input ended after `produced` bytes of output, before the stream did.
  case inputEnded(produced: Int)
  /// The stream ended before the expected output was there, or before the input did.
  case streamEnded(produced: Int, consumed: Int)
  /// There is more output than expected.
  case tooLong

  var words: String {
    switch self {
    case .corrupt: "the compressed data is damaged"
    case .inputEnded(let produced): "the compressed data breaks off after \(produced) bytes"
    case .streamEnded(let produced, let consumed):
      "the compressed data ends after \(consumed) bytes, which unpack to \(produced)"
    case .tooLong: "the compressed data is longer than its length field says"
    }
  }
}

/// One gzip member (RFC 1952) that is the whole file.
public enum Gzip {
  /// Deflate cannot exceed 1 032 to 1: a larger claim is a lie or a bomb.
  static let ratioLimit = 1100

  /// The unpacked bytes.
  ///
  /// The length field at the end is believed only as far as the input can reach, then the inflater
  /// must produce exactly that many bytes, and their CRC-32 must be the stored one.
  /// - Throws: TLY0106 for a file that ends too early; TLY0707 for a wrong CRC or length, several
  ///   members, bytes after the end, reserved flags, or a length no deflate data can reach.
  public static func decompressed(_ bytes: ArraySlice<UInt8>, file: String, inflate: Inflater)
    throws(InputError) -> [UInt8]
  {
    var cursor = ByteCursor(bytes, file: file)
    try skipHeader(&cursor, file: file)
    guard cursor.remaining >= 8 else {
      throw .truncated(file, needs: 8, at: cursor.offset, has: bytes.count)
    }
    let data = try cursor.take(cursor.remaining - 8)
    let storedCRC: UInt32 = try cursor.integer()
    let storedCount = Int(try cursor.integer(UInt32.self))
    guard storedCount <= FileContents.byteCountLimit else {
      throw .gzip(
        file, "its length field says \(storedCount) bytes",
        note: "the limit is \(FileContents.byteCountLimit); or the file is cut short")
    }
    guard storedCount <= data.count * ratioLimit else {
      throw .gzip(
        file, "its length field says \(storedCount) bytes, from \(data.count)",
        note: "more than \(ratioLimit) to 1 is impossible: damaged, cut short, or a trap")
    }
    let unpacked: [UInt8]
    do throws(InflateFailure) {
      unpacked = try inflate(data, storedCount)
    } catch {
      throw failure(error, data: data, count: storedCount, file: file)
    }
    guard unpacked.count == storedCount else {
      throw .gzip(file, "unpacks to \(unpacked.count) bytes, its length field says \(storedCount)")
    }
    let crc = crc32(unpacked[...])
    guard crc == storedCRC else {
      throw .gzip(
        file, "the checksum does not match: the data is damaged",
        note: "CRC-32 stored \(hexadecimalWord(storedCRC)), found \(hexadecimalWord(crc))")
    }
    return unpacked
  }

  private static func skipHeader(_ cursor: inout ByteCursor, file: String) throws(InputError) {
    let start = cursor
    guard try cursor.integer(UInt16.self) == 0x8b1f else {
      throw .gzip(file, "does not begin with 1f 8b")
    }
    let method: UInt8 = try cursor.integer()
    guard method == 8 else { throw .gzip(file, "uses compression method \(method), not deflate") }
    let flags: UInt8 = try cursor.integer()
    guard flags & 0xe0 == 0 else { throw .gzip(file, "sets reserved flags") }
    _ = try cursor.take(6)  // time, extra flags, system: of no meaning here
    if flags & 4 != 0 { _ = try cursor.take(Int(try cursor.integer(UInt16.self))) }
    if flags & 8 != 0 { try skipText(&cursor) }
    if flags & 16 != 0 { try skipText(&cursor) }
    if flags & 2 != 0 {
      let header = start.bytes.prefix(cursor.offset)
      let stored: UInt16 = try cursor.integer()
      guard stored == UInt16(truncatingIfNeeded: crc32(header)) else {
        throw .gzip(file, "the header's checksum does not match")
      }
    }
  }

  private static func skipText(_ cursor: inout ByteCursor) throws(InputError) {
    while try cursor.integer(UInt8.self) != 0 {}
  }

  private static func failure(
    _ failure: InflateFailure, data: ArraySlice<UInt8>, count: Int, file: String
  ) -> InputError {
    switch failure {
    case .corrupt, .inputEnded:
      return .gzip(file, failure.words, note: "its length field says \(count) bytes")
    case .tooLong:
      return .gzip(
        file, failure.words,
        note: "that field says \(count) bytes; several members and added bytes look like this too")
    case .streamEnded(_, let consumed):
      // After the stream come its own checksum and length; another member would follow them.
      let next = data.dropFirst(consumed + 8)
      return next.starts(with: [0x1f, 0x8b])
        ? .gzip(file, "holds several gzip members", note: "unpack it and pack it again as one")
        : .gzip(file, failure.words, note: "bytes follow the end, or the length field is wrong")
    }
  }
}

func hexadecimalWord(_ word: UInt32) -> String {
  let digits = String(word, radix: 16)
  return String(repeating: "0", count: 8 - digits.count) + digits
}
