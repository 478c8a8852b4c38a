public import Tally

/// Which segments of a run a sampled verification does again (Formats/checkpoint.md).
public enum SegmentChoice {
  /// `count` different segments of `total`, ascending: a draw that only the journal's head and the
  /// verifier's nonce decide, so whoever made the journal could not know it.
  public static func segments(
    _ count: Int, of total: Int, head: Digest, nonce: [UInt8]
  ) -> [Int] {
    var all = Array(0..<total)
    let wanted = min(count, total)
    for position in 0..<wanted {
      var hash = SHA256()
      hash.update(tag: "tally/segments/v1")
      hash.update(head)
      hash.update(nonce.span.bytes)
      hash.update(littleEndian: UInt32(position))
      let digest = hash.finalize()
      let word = (0..<8).reduce(UInt64(0)) { $0 | UInt64(digest[$1]) << UInt64(8 * $1) }
      all.swapAt(position, position + Int(word % UInt64(total - position)))
    }
    return all[..<wanted].sorted()
  }
}
