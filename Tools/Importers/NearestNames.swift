/// The names within two edits of `name`, nearest first, for "did you mean".
///
/// An edit inserts, deletes or replaces a character or swaps two neighbours. A name of one or two
/// characters would be near everything, so at most half of its characters may change.
public func nearestNames(to name: String, among candidates: [String], limit: Int = 3) -> [String] {
  let reach = min(2, max(1, name.count / 2))
  let wanted = Array(name.lowercased())
  var found: [(distance: Int, name: String)] = []
  for candidate in candidates where candidate != name {
    let other = Array(candidate.lowercased())
    if abs(other.count - wanted.count) > reach { continue }
    let distance = editDistance(wanted, other)
    if distance <= reach { found.append((distance, candidate)) }
  }
  // A total order, so that the text does not depend on the order of a directory listing.
  found.sort {
    $0.distance != $1.distance
      ? $0.distance < $1.distance : $0.name.utf8.lexicographicallyPrecedes($1.name.utf8)
  }
  return found.prefix(limit).map(\.name)
}

/// Edits between two words; a swap of neighbours counts once (optimal string alignment).
func editDistance(_ a: [Character], _ b: [Character]) -> Int {
  var beforeLast: [Int] = []
  var last = Array(0...b.count)
  for (i, x) in a.enumerated() {
    var row = [i + 1]
    for (j, y) in b.enumerated() {
      var best = min(last[j + 1] + 1, row[j] + 1, last[j] + (x == y ? 0 : 1))
      if i > 0, j > 0, x == b[j - 1], a[i - 1] == y { best = min(best, beforeLast[j - 1] + 1) }
      row.append(best)
    }
    beforeLast = last
    last = row
  }
  return last[b.count]
}
