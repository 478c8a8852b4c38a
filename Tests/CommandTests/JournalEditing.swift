import Tally

/// A journal taken apart by the layout of Formats/journal.md, independently of `JournalReader`.
struct JournalParts {
  struct Part {
    var type: UInt8
    var payload: [UInt8]
    var tag: [UInt8]
    /// Where the record begins in the file, and how long it is.
    let offset: Int
    let byteCount: Int

    var isChained: Bool { type < 0x80 }
  }

  let header: [UInt8]
  var parts: [Part] = []

  init(_ bytes: [UInt8]) {
    header = Array(bytes.prefix(16))
    var offset = 16
    while offset < bytes.count {
      let length =
        Int(bytes[offset + 1]) | Int(bytes[offset + 2]) << 8 | Int(bytes[offset + 3]) << 16
      let type = bytes[offset]
      let payload = Array(bytes[offset + 4..<offset + 4 + length])
      let tagCount = type < 0x80 ? 8 : 0
      let tag = Array(bytes[offset + 4 + length..<offset + 4 + length + tagCount])
      parts.append(
        Part(
          type: type, payload: payload, tag: tag, offset: offset, byteCount: 4 + length + tagCount))
      offset += 4 + length + tagCount
    }
  }

  /// The bytes again; the tags as they stand.
  var bytes: [UInt8] {
    header
      + parts.flatMap { part in
        let frame = UInt32(part.type) | UInt32(part.payload.count) << 8
        return (0..<4).map { UInt8(truncatingIfNeeded: frame >> (8 * UInt32($0))) } + part.payload
          + part.tag
      }
  }

  /// Makes every tag anew (SPEC 9.4), as somebody would who wants to hide a change.
  mutating func rechain() {
    var head = sha256(Array("tally/journal/v1".utf8))
    for index in parts.indices where parts[index].isChained {
      let length = UInt32(parts[index].payload.count)
      head = sha256(
        Array("tally/record/v1".utf8) + head + [parts[index].type]
          + (0..<4).map { UInt8(truncatingIfNeeded: length >> (8 * UInt32($0))) }
          + parts[index].payload)
      parts[index].tag = Array(head.prefix(8))
    }
  }

  /// Steps recorded before part `index`.
  func steps(before index: Int) -> Int { parts[..<index].filter { $0.type == 2 }.count }

  private func sha256(_ bytes: [UInt8]) -> [UInt8] {
    var hash = SHA256()
    hash.update(bytes.span.bytes)
    let digest = hash.finalize()
    return (0..<32).map { digest[$0] }
  }
}
