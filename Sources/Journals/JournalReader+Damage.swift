import Bytes
import Tensors

// A file that ends inside a record is torn, or its length field is damaged (Formats/journal.md, duties).

extension JournalReader {
  /// Whether the record at `offset` only seems to pass the end of the file: a writer that was cut off
  /// there could not have left these bytes.
  func lengthIsDamaged(_ type: RecordType, _ length: Int) -> Bool {
    if let fixed = type.fixedByteCount { return length != fixed }
    // Lengths that the payload decides: the record is whole if its tag stands somewhere before the end.
    let first = offset + 4
    let tagCount = type.isChained ? JournalFormat.tagByteCount : 0
    for candidate in 0...max(0, bytes.count - first - tagCount) {
      let next = first + candidate + tagCount
      guard next <= bytes.count, isPlausibleFrame(next) else { continue }
      if type.isChained ? continues(type, first, candidate) : isFollowed(next) { return true }
    }
    return false
  }

  /// Whether a record may begin at `place`, or the file ends there. Keeps the search from hashing at
  /// every byte.
  private func isPlausibleFrame(_ place: Int) -> Bool {
    if place == bytes.count { return true }
    guard bytes.count - place >= 4, let type = RecordType(rawValue: bytes[place]) else {
      return false
    }
    let length = Int(truncatingIfNeeded: u32(place) >> 8)
    return type.fixedByteCount.map { $0 == length } ?? true
  }

  /// Whether `length` bytes at `payload` are a record of this type that the chain's tag confirms.
  private func continues(_ type: RecordType, _ payload: Int, _ length: Int) -> Bool {
    guard length >= 0, bytes.count - payload - length >= JournalFormat.tagByteCount else {
      return false
    }
    var chain = chain
    bytes.slice(payload, length).withRawSpan { chain.extend(type.rawValue, $0, rest: RawSpan()) }
    for index in 0..<JournalFormat.tagByteCount
    where bytes[payload + length + index] != chain.head[index] {
      return false
    }
    return true
  }

  /// Whether a chained record at `place`, or behind notes that stand there, follows from the records so
  /// far.
  private func isFollowed(_ place: Int) -> Bool {
    var place = place
    while bytes.count - place >= 4, let type = RecordType(rawValue: bytes[place]) {
      let length = Int(truncatingIfNeeded: u32(place) >> 8)
      if type.isChained { return continues(type, place + 4, length) }
      place += 4 + length
    }
    return false
  }
}
