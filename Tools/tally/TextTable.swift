/// Columns of text, the first to the left, numbers to the right.
struct TextTable {
  private var rows: [[String]]
  /// Columns that are words, aligned to the left.
  private let words: Set<Int>

  init(_ head: [String], words: Set<Int> = [0]) {
    rows = [head]
    self.words = words
  }

  /// - Parameter row: as many cells as the head has.
  mutating func add(_ row: [String]) { rows.append(row) }

  var text: String {
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      let cells = row.indices.map { column in
        let padding = String(repeating: " ", count: widths[column] - row[column].count)
        return words.contains(column) ? row[column] + padding : padding + row[column]
      }
      let line = cells.joined(separator: "  ")
      return String(line.reversed().drop { $0 == " " }.reversed())
    }.joined(separator: "\n")
  }
}
