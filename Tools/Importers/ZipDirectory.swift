/// Where an archive's central directory lies, and how one of its entries is read and checked.
struct ZipDirectory {
  var start: Int
  var end: Int
  var memberCount: Int

  private static let endRecordCount = 22

  /// Finds the end record: the last one whose comment ends with the file.
  init(_ bytes: ArraySlice<UInt8>, file: String) throws(InputError) {
    let size = bytes.count
    guard let offset = Self.endRecordOffset(bytes) else {
      throw .zip(
        file, "no end record: not a zip archive, cut short, or one disk of several",
        note: "the file has \(size) bytes")
    }
    var cursor = ByteCursor(bytes, file: file)
    try cursor.seek(to: offset + 4)
    let disk: UInt16 = try cursor.integer()
    let directoryDisk: UInt16 = try cursor.integer()
    let countHere: UInt16 = try cursor.integer()
    let count: UInt16 = try cursor.integer()
    let byteCount: UInt32 = try cursor.integer()
    let start: UInt32 = try cursor.integer()
    guard disk == 0, directoryDisk == 0, countHere == count else {
      throw .zip(file, "the archive is split over several disks", at: offset)
    }
    memberCount = Int(count)
    self.start = Int(start)
    end = self.start + Int(byteCount)
    var limit = offset
    // All ones say that the real numbers are in the 64-bit record.
    if count == .max || byteCount == .max || start == .max {
      limit = try readWideRecord(bytes, before: offset, file: file)
    }
    guard end == limit else {
      throw .zip(
        file, "the directory does not end where its end record begins", at: limit,
        note: "it is said to cover \(self.start) to \(end)")
    }
  }

  /// Reads the zip64 end record and returns its offset.
  private mutating func readWideRecord(_ bytes: ArraySlice<UInt8>, before offset: Int, file: String)
    throws(InputError) -> Int
  {
    var cursor = ByteCursor(bytes, file: file)
    guard offset >= 20 else { throw .zip(file, "the 64-bit end record is missing", at: offset) }
    try cursor.seek(to: offset - 20)
    guard try cursor.integer(UInt32.self) == 0x0706_4b50 else {
      throw .zip(file, "the 64-bit end record is missing", at: offset - 20)
    }
    let disk: UInt32 = try cursor.integer()
    let place: UInt64 = try cursor.integer()
    let disks: UInt32 = try cursor.integer()
    guard disk == 0, disks == 1, place <= UInt64(offset - 20) else {
      throw .zip(file, "the 64-bit end record does not fit the file", at: offset - 20)
    }
    try cursor.seek(to: Int(place))
    let mark: UInt32 = try cursor.integer()
    let recordCount: UInt64 = try cursor.integer()
    guard mark == 0x0606_4b50, recordCount == UInt64(offset - 20) - place - 12, recordCount >= 44
    else { throw .zip(file, "the 64-bit end record does not fit the file", at: Int(place)) }
    _ = try cursor.take(4)  // versions
    let thisDisk: UInt32 = try cursor.integer()
    let directoryDisk: UInt32 = try cursor.integer()
    let countHere: UInt64 = try cursor.integer()
    let count: UInt64 = try cursor.integer()
    let byteCount: UInt64 = try cursor.integer()
    let start: UInt64 = try cursor.integer()
    guard thisDisk == 0, directoryDisk == 0, countHere == count else {
      throw .zip(file, "the archive is split over several disks", at: Int(place))
    }
    guard start <= place, byteCount == place - start, count <= byteCount else {
      throw .zip(file, "64-bit sizes beyond the file", at: Int(place))
    }
    self.start = Int(start)
    end = Int(start + byteCount)
    memberCount = Int(count)
    return Int(place)
  }

  private static func endRecordOffset(_ bytes: ArraySlice<UInt8>) -> Int? {
    let size = bytes.count
    guard size >= endRecordCount else { return nil }
    for offset in stride(
      from: size - endRecordCount, through: max(0, size - endRecordCount - 65535), by: -1)
    {
      let at = bytes.startIndex + offset
      guard bytes[at] == 0x50, bytes[at + 1] == 0x4b, bytes[at + 2] == 5, bytes[at + 3] == 6 else {
        continue
      }
      let comment = Int(bytes[at + 20]) | Int(bytes[at + 21]) << 8
      if offset + endRecordCount + comment == size { return offset }
    }
    return nil
  }

  /// The directory entry at the cursor, checked against its local header.
  static func readMember(
    _ cursor: inout ByteCursor, in bytes: ArraySlice<UInt8>, directory: ZipDirectory, file: String
  ) throws(InputError) -> ZipArchive.Member {
    let at = cursor.offset
    guard try cursor.integer(UInt32.self) == 0x0201_4b50 else {
      throw .zip(file, "the directory is damaged", at: at)
    }
    _ = try cursor.take(4)  // versions
    let head = try EntryHead(&cursor, file: file, at: at)
    let extraCount: UInt16 = try cursor.integer()
    let commentCount: UInt16 = try cursor.integer()
    let disk: UInt16 = try cursor.integer()
    _ = try cursor.take(6)  // attributes
    let headerOffset: UInt32 = try cursor.integer()
    let name = try checkedName(try cursor.take(head.nameCount), file: file, at: at)
    let extra = try cursor.take(Int(extraCount))
    _ = try cursor.take(Int(commentCount))
    guard disk == 0 else { throw .zip(file, "the archive is split over several disks", at: at) }

    var wide = WideFields(extra, file: file, at: at)
    let count = try wide.resolve(head.count)
    let compressedCount = try wide.resolve(head.compressedCount)
    let offset = try wide.resolve(headerOffset)
    guard offset <= directory.start, compressedCount <= directory.start - offset else {
      throw .zip(file, "the member \(quoted(name)) reaches beyond the file", at: at)
    }
    guard head.method == 8 || head.method == 0 else {
      throw .zip(
        file, "the member \(quoted(name)) uses compression method \(head.method)", at: at,
        note: "stored (0) and deflate (8) are read")
    }
    guard head.method == 8 || count == compressedCount else {
      throw .zip(file, "the stored member \(quoted(name)) has two lengths", at: at)
    }
    guard count <= ZipArchive.ratioFloor || count <= compressedCount * ZipArchive.ratioLimit else {
      throw .zip(
        file, "the member \(quoted(name)) unpacks \(compressedCount) bytes into \(count)", at: at,
        note: "the limit is \(ZipArchive.ratioLimit) to 1")
    }
    let dataOffset = try checkLocalHeader(
      bytes, at: offset, head: head, name: name, count: count, compressedCount: compressedCount,
      limit: directory.start, file: file)
    return ZipArchive.Member(
      name: name, count: count, compressedCount: compressedCount, crc: head.crc,
      isDeflated: head.method == 8, dataOffset: dataOffset, headerOffset: offset)
  }

  /// The local header must describe the same member: two readers must not see two files.
  private static func checkLocalHeader(
    _ bytes: ArraySlice<UInt8>, at offset: Int, head: EntryHead, name: String, count: Int,
    compressedCount: Int, limit: Int, file: String
  ) throws(InputError) -> Int {
    var cursor = ByteCursor(bytes.prefix(limit), file: file)
    try cursor.seek(to: offset)
    guard try cursor.integer(UInt32.self) == 0x0403_4b50 else {
      throw .zip(file, "no local header for \(quoted(name))", at: offset)
    }
    _ = try cursor.take(2)  // version
    let local = try EntryHead(&cursor, file: file, at: offset)
    let extraCount: UInt16 = try cursor.integer()
    let localName = try cursor.take(local.nameCount)
    let extra = try cursor.take(Int(extraCount))
    guard localName.elementsEqual(name.utf8), local.method == head.method,
      local.flags == head.flags
    else { throw .zip(file, "the local header of \(quoted(name)) differs", at: offset) }
    // Bit 3: lengths and checksum follow the data, and the local header holds zeros.
    if local.flags & 8 == 0 || local.crc != 0 || local.count != 0 || local.compressedCount != 0 {
      var wide = WideFields(extra, file: file, at: offset)
      guard try wide.resolve(local.count) == count,
        try wide.resolve(local.compressedCount) == compressedCount, local.crc == head.crc
      else { throw .zip(file, "the local header of \(quoted(name)) differs", at: offset) }
    }
    guard compressedCount <= cursor.remaining else {
      throw .zip(file, "the member \(quoted(name)) reaches beyond the file", at: offset)
    }
    return cursor.offset
  }

  private static func checkedName(_ bytes: ArraySlice<UInt8>, file: String, at offset: Int)
    throws(InputError) -> String
  {
    guard firstInvalidUTF8(bytes) == nil, !bytes.isEmpty, !bytes.contains(where: { $0 < 32 }) else {
      throw .zip(file, "a member's name is not UTF-8 text", at: offset)
    }
    let name = String(decoding: bytes, as: UTF8.self)
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    guard !name.hasPrefix("/"), !name.contains("\\"), !parts.contains("..") else {
      throw .zip(file, "the member name \(quoted(name)) leaves its folder", at: offset)
    }
    return name
  }
}

/// The fields that a directory entry and a local header share, in their common order.
private struct EntryHead {
  let flags, method: UInt16
  let crc, compressedCount, count: UInt32
  let nameCount: Int

  init(_ cursor: inout ByteCursor, file: String, at offset: Int) throws(InputError) {
    flags = try cursor.integer()
    method = try cursor.integer()
    _ = try cursor.take(4)  // time and date
    crc = try cursor.integer()
    compressedCount = try cursor.integer()
    count = try cursor.integer()
    nameCount = Int(try cursor.integer(UInt16.self))
    // Bits 0, 6 and 13: encrypted, strongly encrypted, masked header values.
    guard flags & 0x2041 == 0 else { throw .zip(file, "a member is encrypted", at: offset) }
  }
}

/// The zip64 extra field: 64-bit values for those of the fixed fields that are all ones, in order.
private struct WideFields {
  private var cursor: ByteCursor?
  private let file: String
  private let offset: Int

  init(_ extra: ArraySlice<UInt8>, file: String, at offset: Int) {
    self.file = file
    self.offset = offset
    var fields = ByteCursor(extra, file: file)
    while fields.remaining >= 4, let tag = try? fields.integer(UInt16.self),
      let count = try? fields.integer(UInt16.self), let body = try? fields.take(Int(count))
    {
      if tag == 1 {
        cursor = ByteCursor(body, file: file)
        return
      }
    }
  }

  /// `field`, or the next 64-bit value when `field` is all ones.
  mutating func resolve(_ field: UInt32) throws(InputError) -> Int {
    guard field == .max else { return Int(field) }
    guard let value = try? cursor?.integer(UInt64.self), value < UInt64(FileContents.byteCountLimit)
    else { throw .zip(file, "64-bit sizes beyond the file", at: offset) }
    return Int(value)
  }
}
