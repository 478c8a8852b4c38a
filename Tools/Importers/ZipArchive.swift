/// A zip archive read through its central directory: stored and deflated members, one disk.
///
/// The archive must be exactly what its directory says. Two members over the same bytes, a local
/// header that tells another story, a name that climbs out of its folder, a member that is
/// encrypted or unpacks too far: each is TLY0406.
public struct ZipArchive: Sendable {
  public struct Member: Sendable {
    public let name: String
    /// Bytes after unpacking.
    public let count: Int
    public let compressedCount: Int
    public let crc: UInt32
    public let isDeflated: Bool
    /// Where its data begins, from the start of the archive.
    public let dataOffset: Int
    let headerOffset: Int
  }

  /// A member above `ratioFloor` bytes may not unpack to more than this many times its size.
  static let ratioLimit = 200
  /// A constant label array of a few hundred kilobytes packs 1 000 to 1 and harms nobody.
  static let ratioFloor = 1 << 20

  /// In the order of the central directory.
  public let members: [Member]
  public let file: String
  private let bytes: ArraySlice<UInt8>

  /// Checks the whole directory and every local header.
  ///
  /// - Throws: TLY0406, or TLY0106 where the archive ends too early.
  public init(_ bytes: ArraySlice<UInt8>, file: String) throws(InputError) {
    self.bytes = bytes
    self.file = file
    let directory = try ZipDirectory(bytes, file: file)
    var cursor = ByteCursor(bytes.prefix(directory.end), file: file)
    try cursor.seek(to: directory.start)
    var found: [Member] = []
    var names: Set<String> = []
    while cursor.remaining > 0 {
      let member = try ZipDirectory.readMember(&cursor, in: bytes, directory: directory, file: file)
      guard names.insert(member.name).inserted else {
        throw .zip(file, "two members are named \(quoted(member.name))")
      }
      found.append(member)
    }
    guard found.count == directory.memberCount else {
      throw .zip(
        file,
        "the directory holds \(found.count) members, its end record says "
          + "\(directory.memberCount)")
    }
    try Self.rejectOverlap(found, directoryStart: directory.start, file: file)
    members = found
  }

  /// The unpacked bytes of one member.
  ///
  /// - Throws: TLY0406 for data that does not unpack to the stated length and CRC-32.
  public func contents(of member: Member, inflate: Inflater) throws(InputError) -> ArraySlice<UInt8>
  {
    let start = bytes.startIndex + member.dataOffset
    let packed = bytes[start..<start + member.compressedCount]
    let place = "\(file)(\(member.name))"
    let unpacked: ArraySlice<UInt8>
    if member.isDeflated {
      do throws(InflateFailure) {
        unpacked = try inflate(packed, member.count)[...]
      } catch {
        throw .zip(place, error.words, note: "the directory says \(member.count) bytes")
      }
    } else {
      unpacked = packed
    }
    guard unpacked.count == member.count else {
      throw .zip(place, "unpacks to \(unpacked.count) bytes, the directory says \(member.count)")
    }
    let crc = crc32(unpacked)
    guard crc == member.crc else {
      throw .zip(
        place, "the checksum does not match: the data is damaged",
        note: "CRC-32 stored \(hexadecimalWord(member.crc)), found \(hexadecimalWord(crc))")
    }
    return unpacked
  }

  /// Members that share bytes are how a small archive unpacks into petabytes.
  private static func rejectOverlap(_ members: [Member], directoryStart: Int, file: String)
    throws(InputError)
  {
    var end = 0
    for member in members.sorted(by: { $0.headerOffset < $1.headerOffset }) {
      guard member.headerOffset >= end else {
        throw .zip(
          file, "the member \(quoted(member.name)) lies over another", at: member.headerOffset)
      }
      end = member.dataOffset + member.compressedCount
    }
    guard end <= directoryStart else {
      throw .zip(file, "a member reaches into the directory", at: directoryStart)
    }
  }
}
