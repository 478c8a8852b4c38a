extension ZipArchive {
  /// An archive that stores its members as they are, in the order given.
  ///
  /// Nothing is deflated: those bytes would depend on the library's version. The date is always the
  /// first one a zip can hold, so that equal members are equal archives.
  /// - Precondition: names are distinct and not empty, everything fits in 4 GiB and 65 535 members.
  public static func stored(_ members: [(name: String, bytes: [UInt8])]) -> [UInt8] {
    precondition(members.count < 0xffff, "too many members")
    precondition(Set(members.map(\.name)).count == members.count, "two members of one name")
    var archive: [UInt8] = []
    var directory: [UInt8] = []
    for (name, bytes) in members {
      precondition(!name.isEmpty && name.utf8.count <= 0xffff, "a name of this length cannot be")
      let offset = UInt32(archive.count)
      let entry = entryHead(name, bytes)
      archive += littleEndianBytes([0x0403_4b50 as UInt32])
      archive += littleEndianBytes([20 as UInt16])  // version needed
      archive += entry
      archive += littleEndianBytes([0 as UInt16])  // no extra field
      archive += Array(name.utf8)
      archive += bytes

      directory += littleEndianBytes([0x0201_4b50 as UInt32])
      directory += littleEndianBytes([20, 20] as [UInt16])  // version made by, needed
      directory += entry
      // Extra field, comment, disk, internal attributes; then external attributes.
      directory += littleEndianBytes([0, 0, 0, 0] as [UInt16])
      directory += littleEndianBytes([0, offset] as [UInt32])
      directory += Array(name.utf8)
    }
    let count = UInt16(members.count)
    let end =
      littleEndianBytes([0x0605_4b50 as UInt32])
      + littleEndianBytes([0, 0, count, count] as [UInt16])
      + littleEndianBytes([UInt32(directory.count), UInt32(archive.count)])
      + littleEndianBytes([0 as UInt16])
    return archive + directory + end
  }

  /// Flags, method, time, date, CRC-32, both lengths and the name's length.
  private static func entryHead(_ name: String, _ bytes: [UInt8]) -> [UInt8] {
    let isASCII = name.utf8.allSatisfy { $0 < 128 }
    let firstDate: UInt16 = 0x21  // 1980-01-01
    return littleEndianBytes([isASCII ? 0 : 0x800, 0, 0, firstDate] as [UInt16])
      + littleEndianBytes([crc32(bytes[...]), UInt32(bytes.count), UInt32(bytes.count)])
      + littleEndianBytes([UInt16(name.utf8.count)])
  }
}
