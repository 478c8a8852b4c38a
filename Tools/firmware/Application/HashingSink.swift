import Tally

/// A journal's bytes on a machine that has nowhere to keep them: counted and hashed.
struct HashingSink: ByteSink {
  var hash = SHA256()
  var byteCount = 0
  var hasFailed: Bool { false }

  mutating func write(_ bytes: RawSpan) {
    hash.update(bytes)
    byteCount += bytes.byteCount
  }
}
