/// What one `DATA` string names: files, arrays or columns within them, and a range of samples.
///
/// | text | meaning |
/// |---|---|
/// | `digits.npz` | one file |
/// | `images.idx.gz,labels.idx.gz` | samples and labels in two files |
/// | `w.npz:a,b` | the arrays `a` (samples) and `b` (labels) of an archive |
/// | `t.csv:species` | the label column, by name or counted from 0; `none` for no labels |
/// | `cifar:test.bin.gz` | a CIFAR batch, 10 or 100 classes by its size; also `cifar10:`, `cifar100:` |
/// | `…[0..<1437]`, `…[0...1436]` | the samples of a half-open or closed range |
public struct DataSource: Sendable, Equatable {
  public enum Format: Sendable, Equatable { case automatic, cifar, cifar10, cifar100 }

  public var format: Format
  /// One path, or two: samples and labels.
  public var paths: [String]
  /// Names after the colon; empty when none were given.
  public var keys: [String]
  public var range: Range<Int>?

  /// - Parameter fileExists: tells a comma or a colon inside a name from one between names.
  /// - Throws: TLY0802 for a range that is not one, TLY0805 for a missing file or key name.
  public init(parsing text: String, fileExists: (String) -> Bool = FileContents.exists)
    throws(InputError)
  {
    var rest = text[...]
    format = .automatic
    let prefixes: [(String, Format)] = [
      ("cifar:", .cifar), ("cifar10:", .cifar10), ("cifar100:", .cifar100),
    ]
    for (prefix, format) in prefixes where rest.hasPrefix(prefix) {
      self.format = format
      rest = rest.dropFirst(prefix.count)
    }
    keys = []
    paths = [String(rest)]
    if fileExists(paths[0]) { return }

    if rest.hasSuffix("]"), let open = rest.lastIndex(of: "[") {
      range = try Self.range(rest[rest.index(after: open)...].dropLast(), in: text)
      rest = rest[..<open]
      paths = [String(rest)]
      if fileExists(paths[0]) { return }
    }
    // A colon is a separator when a file stands before it, or when no comma could be one instead.
    if let colon = rest.lastIndex(of: ":"),
      fileExists(String(rest[..<colon])) || !rest[..<colon].contains(",")
    {
      paths = [String(rest[..<colon])]
      keys = Self.parts(rest[rest.index(after: colon)...])
    } else {
      paths = Self.parts(rest)
    }
    let names = paths + keys
    guard paths.count <= 2, keys.count <= 2, !names.contains("") else {
      throw .missingValue(
        "\(quoted(text)) does not name one file, or two files, or a file and its arrays",
        place: "DATA", help: "digits.npz, images.idx.gz,labels.idx.gz or w.npz:x,y")
    }
  }

  private static func parts(_ text: Substring) -> [String] {
    text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
  }

  private static func range(_ text: Substring, in whole: String) throws(InputError) -> Range<Int> {
    let point = text.firstIndex(of: ".") ?? text.endIndex
    let (mark, tail) = (text[point...].prefix(3), text[point...].dropFirst(3))
    if mark == "..<" || mark == "...", let lower = number(text[..<point]), let upper = number(tail),
      lower <= upper
    {
      return mark == "..." ? lower..<upper + 1 : lower..<upper
    }
    throw .value(
      "\(quoted(String(text))) is not a range of samples", place: whole,
      help: "write [0..<100] or [0...99]")
  }

  /// Digits only, below 2⁶², so that one more still fits.
  private static func number(_ text: Substring) -> Int? {
    guard !text.isEmpty, text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
    return Int(text).flatMap { $0 < 1 << 62 ? $0 : nil }
  }
}
