/// A table of numbers in comma-separated text, with a label column.
///
/// A first line without a single number in it is a header. A byte-order mark, CRLF
/// line ends and spaces around fields are accepted; quotes, ragged rows, semicolons and decimal
/// commas are refused with their line and column, because guessing would shift columns silently.
public struct CSV: Sendable {
  public enum LabelColumn: Sendable, Equatable {
    case last, none
    /// By its name in the header.
    case named(String)
    /// Counted from zero.
    case index(Int)
  }

  public enum Labels: Sendable, Equatable {
    /// The column held integers only.
    case integers([Int64])
    /// The column held words: indices into `names`, which are in order of first appearance.
    case classes([Int32], names: [String])
    /// The column held numbers, not all of them integers.
    case values([ExactDecimal])
  }

  /// Names of all columns, when the first line has them.
  public let header: [String]?
  /// Features, [rows, columns], without the label column; storage `.decimal`.
  public let features: NumericArray
  public let labels: Labels?

  /// - Throws: TLY0704 with line and column; TLY0703 when no row holds data; TLY0805 for a label
  ///   column that does not exist.
  public init(_ bytes: ArraySlice<UInt8>, label: LabelColumn = .last, file: String)
    throws(InputError)
  {
    let text = bytes.starts(with: [0xef, 0xbb, 0xbf]) ? bytes.dropFirst(3) : bytes
    var lines = CSVLines(text, file: file)
    guard let first = try lines.next() else {
      throw .noSamples(file, "the table has no rows", exit: 3)
    }
    let isHeader = Self.isHeader(first, label: label)
    let names = isHeader ? first.fields.map { String(decoding: $0, as: UTF8.self) } : nil
    let column = try Self.labelIndex(label, names: names, count: first.fields.count, file: file)
    guard first.fields.count > (column == nil ? 0 : 1) else {
      throw .csv(
        "\(file):\(first.number):1", "a row of one field",
        help: first.fields[0].contains(UInt8(ascii: ";"))
          ? "fields are separated by commas, not semicolons" : nil)
    }
    var features: [ExactDecimal] = []
    var words: [(text: ArraySlice<UInt8>, place: String)] = []
    var line = isHeader ? try lines.next() : first
    while let row = line {
      guard row.fields.count == first.fields.count else {
        throw .csv(
          "\(file):\(row.number):1",
          "\(row.fields.count) fields, the first line has \(first.fields.count)",
          help: "a decimal comma splits a number in two: write 3.5, not 3,5")
      }
      for (index, field) in row.fields.enumerated() {
        if index == column {
          words.append((field, row.place(index)))
        } else {
          features.append(try Self.number(field, place: row.place(index)))
        }
      }
      line = try lines.next()
    }
    let columnCount = first.fields.count - (column == nil ? 0 : 1)
    guard !features.isEmpty else { throw .noSamples(file, "the table has no rows", exit: 3) }
    header = names
    self.features = NumericArray(
      shape: [features.count / columnCount, columnCount], storage: .decimal(features))
    labels = column == nil ? nil : try Self.labels(words, hasHeader: isHeader)
  }

  /// No field of the line is a number. A line with some of each is data with a fault.
  private static func isHeader(_ line: CSVLine, label: LabelColumn) -> Bool {
    // A name can only be found in a header.
    if case .named = label { return true }
    return line.fields.allSatisfy {
      // A number with too many digits is a number all the same.
      if case .failure(.notANumber) = ExactDecimal.parse($0) { true } else { false }
    }
  }

  private static func labelIndex(
    _ label: LabelColumn, names: [String]?, count: Int, file: String
  ) throws(InputError) -> Int? {
    switch label {
    case .none: return nil
    case .last: return count - 1
    case .index(let index):
      guard (0..<count).contains(index) else {
        throw .missingValue(
          "there is no column \(index)", place: file, help: "use 0 to \(count - 1)")
      }
      return index
    case .named(let name):
      let hits = (names ?? []).indices.filter { names![$0] == name }
      guard hits.count == 1 else {
        let near = nearestNames(to: name, among: names ?? [])
        throw .missingValue(
          "\(hits.count) columns are named \(quoted(name))", place: file,
          help: near.isEmpty ? "columns: \(listed(names ?? []))" : "did you mean \(listed(near))?")
      }
      return hits[0]
    }
  }

  /// - Parameter place: written out only for an error; a large table has millions of fields.
  private static func number(_ field: ArraySlice<UInt8>, place: @autoclosure () -> String)
    throws(InputError) -> ExactDecimal
  {
    switch ExactDecimal.parse(field) {
    case .success(let number): return number
    case .failure(.tooManyDigits):
      throw .csv(
        place(), "a number of more than 19 digits", help: "round it: 19 digits are read exactly")
    case .failure(.exponentOutOfRange):
      throw .csv(place(), "a number outside 10^±\(ExactDecimal.exponentLimit)")
    case .failure(.notANumber):
      let text = String(decoding: field.prefix(40), as: UTF8.self)
      let what = field.isEmpty ? "an empty field" : "\(quoted(text)) is not a number"
      let help =
        field.contains(UInt8(ascii: ";")) ? "fields are separated by commas, not semicolons" : nil
      throw .csv(place(), what, help: help)
    }
  }

  private static func labels(_ words: [(text: ArraySlice<UInt8>, place: String)], hasHeader: Bool)
    throws(InputError) -> Labels
  {
    let numbers = words.map { try? ExactDecimal.parse($0.text).get() }
    if let wordIndex = numbers.firstIndex(where: { $0 == nil }) {
      // All columns have numbers for names when a table is written without naming them.
      if wordIndex == 0, !hasHeader, numbers.count > 1,
        numbers.dropFirst().allSatisfy({ $0 != nil })
      {
        throw .csv(
          words[0].place, "the first label is a word and all others are numbers",
          help: "if the first line is a header, its features must not be numbers; remove it")
      }
      return try classes(words)
    }
    let integers = numbers.compactMap { $0!.integer }
    return integers.count == numbers.count ? .integers(integers) : .values(numbers.map { $0! })
  }

  private static func classes(_ words: [(text: ArraySlice<UInt8>, place: String)])
    throws(InputError) -> Labels
  {
    var names: [String] = []
    var indices: [String: Int32] = [:]
    var labels: [Int32] = []
    for (text, place) in words {
      guard !text.isEmpty else { throw .csv(place, "an empty label") }
      let name = String(decoding: text, as: UTF8.self)
      if let index = indices[name] {
        labels.append(index)
        continue
      }
      indices[name] = Int32(names.count)
      labels.append(Int32(names.count))
      names.append(name)
    }
    return .classes(labels, names: names)
  }
}

/// One line, its fields without the spaces around them, and where each began.
private struct CSVLine {
  let number: Int
  let file: String
  var fields: [ArraySlice<UInt8>] = []
  var columns: [Int] = []

  func place(_ index: Int) -> String { "\(file):\(number):\(columns[index])" }
}

/// Lines that are not empty; CR LF and LF both end one.
private struct CSVLines {
  private var rest: ArraySlice<UInt8>
  private let file: String
  private var number = 0

  init(_ text: ArraySlice<UInt8>, file: String) {
    rest = text
    self.file = file
  }

  mutating func next() throws(InputError) -> CSVLine? {
    while !rest.isEmpty {
      number += 1
      let end = rest.firstIndex(of: 10) ?? rest.endIndex
      var text = rest[rest.startIndex..<end]
      rest = end == rest.endIndex ? rest.suffix(0) : rest[(end + 1)...]
      if text.last == 13 { text = text.dropLast() }
      if text.allSatisfy({ $0 == 32 || $0 == 9 }) { continue }
      return try split(text)
    }
    return nil
  }

  private func split(_ text: ArraySlice<UInt8>) throws(InputError) -> CSVLine {
    // Columns in errors count bytes; the text before a fault is digits in practice.
    if let bad = firstInvalidUTF8(text) {
      throw .csv(place(bad - text.startIndex), "a byte that is not UTF-8")
    }
    if let bad = text.firstIndex(where: { $0 < 32 && $0 != 9 }) {
      throw .csv(
        place(bad - text.startIndex), "a control character",
        help: text[bad] == 13 ? "end lines with LF or CRLF" : nil)
    }
    if let quote = text.firstIndex(of: UInt8(ascii: "\"")) {
      throw .csv(
        place(quote - text.startIndex), "quoted fields are not read",
        help: "write the table without quotes")
    }
    var line = CSVLine(number: number, file: file)
    for field in text.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
      line.columns.append(field.startIndex - text.startIndex + 1)
      let inner = field.drop { $0 == 32 || $0 == 9 }
      let last = inner.lastIndex { $0 != 32 && $0 != 9 }
      line.fields.append(last.map { inner[...$0] } ?? inner.suffix(0))
    }
    return line
  }

  private func place(_ offset: Int) -> String { "\(file):\(number):\(offset + 1)" }
}
