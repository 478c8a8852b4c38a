package import Importers
package import Tally
package import Training

/// A trace in memory (Formats/trace.md).
package final class LoadedTrace {
  /// Payload of the begin record of the traced run.
  package let begin: [UInt8]
  package let steps: Range<UInt32>
  /// h before the first step's record.
  package let head: Digest
  package let hasValues: Bool
  package private(set) var entries: [Entry] = []
  private let bytes: [UInt8]

  package struct Entry {
    package let header: TraceEntry
    /// The first 16 bytes of the SHA-256 of the values.
    package let digest: [UInt8]
    /// Offset of the values, if the trace has them.
    let values: Int
  }

  /// - Throws: TLY0902 for damage, 0106 for a file cut off, 0901 for another version, 0103 for another
  ///   kind of file.
  package init(_ bytes: [UInt8], file: String) throws(InputError) {
    self.bytes = bytes
    func refused(_ code: Int, _ words: String, exit: Int32 = 3) -> InputError {
      InputError(code, "not a good trace: \(words)", place: file, exit: exit)
    }
    guard bytes.starts(with: TraceFormat.magic) else {
      throw refused(103, "it does not start as a trace")
    }
    guard bytes.count >= TraceFormat.headerByteCount + 32 else {
      throw refused(106, "it ends inside its header")
    }
    guard LoadedTrace.u32(bytes, 8) == 1 | 1 << 16 else {
      throw refused(901, "another format or arithmetic version", exit: 4)
    }
    let end = bytes.count - 32
    var hash = SHA256()
    hash.update(bytes.span.bytes.extracting(0..<end))
    let digest = hash.finalize()
    for index in 0..<32 where digest[index] != bytes[end + index] {
      throw refused(902, "its digest is not that of its bytes")
    }
    let first = LoadedTrace.u32(bytes, 16)
    let (last, overflow) = first.addingReportingOverflow(LoadedTrace.u32(bytes, 20))
    let beginCount = Int(LoadedTrace.u32(bytes, 24))
    let flags = LoadedTrace.u32(bytes, 12)
    guard !overflow, last > first, flags <= 1, LoadedTrace.u32(bytes, 28) == 0,
      beginCount > JournalFormat.beginByteCount, beginCount <= end - TraceFormat.headerByteCount
    else { throw refused(902, "its header is malformed") }
    steps = first..<last
    hasValues = flags == 1
    head = LoadedTrace.digest(bytes, 32)
    begin = Array(bytes[TraceFormat.headerByteCount..<TraceFormat.headerByteCount + beginCount])
    var offset = TraceFormat.headerByteCount + (beginCount + 3) & ~3
    while offset < end {
      guard end - offset >= TraceFormat.entryByteCount,
        let header = LoadedTrace.header(bytes, offset)
      else { throw refused(902, "the entry at offset \(offset) is malformed") }
      let values = offset + TraceFormat.entryByteCount
      let byteCount = hasValues ? (header.count * header.width + 3) & ~3 : 0
      guard end - values >= byteCount else {
        throw refused(902, "the entry at offset \(offset) is longer than the file")
      }
      entries.append(
        Entry(header: header, digest: Array(bytes[offset + 32..<offset + 48]), values: values))
      offset = values + byteCount
    }
  }

  package var modelDigest: Digest { LoadedTrace.digest(begin, 0) }
  /// n of the run.
  package var sampleCount: UInt32 { LoadedTrace.u32(begin, 96) }

  private static func u32(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
    bytes.span.bytes.u32(at: offset)
  }

  private static func digest(_ bytes: [UInt8], _ offset: Int) -> Digest {
    Digest(reading: bytes.span.bytes, at: offset)
  }

  private static func header(_ bytes: [UInt8], _ offset: Int) -> TraceEntry? {
    guard let phase = TraceEntry.Phase(rawValue: bytes[offset]),
      let kind = TraceEntry.Kind(rawValue: bytes[offset + 1]),
      bytes[offset + 2] == 1 || bytes[offset + 2] == 4, bytes[offset + 3] == 0,
      let scale = Scale(
        mantissa: Int32(bitPattern: u32(bytes, offset + 16)),
        exponent: Int32(bitPattern: u32(bytes, offset + 20)))
    else { return nil }
    return TraceEntry(
      phase: phase, kind: kind, step: u32(bytes, offset + 4), query: u32(bytes, offset + 8),
      index: u32(bytes, offset + 12), scale: scale, count: Int(u32(bytes, offset + 24)),
      width: Int(bytes[offset + 2]))
  }

  /// Value number `element` of an entry.
  package func value(_ entry: Entry, _ element: Int) -> Int32 {
    precondition(hasValues && element < entry.header.count, "the trace holds no such value")
    return entry.header.width == 1
      ? Int32(Int8(bitPattern: bytes[entry.values + element]))
      : Int32(bitPattern: LoadedTrace.u32(bytes, entry.values + 4 * element))
  }

  /// The last entry of a kind before entry number `position`.
  package func last(
    _ kind: TraceEntry.Kind, _ index: Int, query: UInt32? = nil, before position: Int
  ) -> Entry? {
    entries[..<position].last {
      $0.header.kind == kind && Int($0.header.index) == index
        && (query == nil || $0.header.query == query)
    }
  }
}
