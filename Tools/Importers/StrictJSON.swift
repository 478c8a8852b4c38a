/// A JSON value with the place it stands at; numbers stay the text that was written.
public struct JSONValue: Sendable {
  public enum Content: Sendable {
    case null
    case bool(Bool)
    /// The number's own text, so that no decimal passes through floating point.
    case number(String)
    case string(String)
    case array([JSONValue])
    case object([JSONMember])
  }

  public let content: Content
  /// Where the value begins, in bytes from the start of the text.
  public let offset: Int
}

/// A key of an object and its value, in the order of the text.
public struct JSONMember: Sendable {
  public let key: String
  public let keyOffset: Int
  public let value: JSONValue
}

/// A JSON text and its root value.
///
/// Foundation's decoder keeps the first of two equal keys, reads `1.0` as an integer and reports no
/// line; here a key may stand once, a number is its text, and every error has its line and column.
public struct JSONDocument: Sendable {
  public struct Options: OptionSet, Sendable {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }
    /// `// …` and `/* … */` (from JSON5).
    public static let comments = Options(rawValue: 1)
    /// A comma after the last element or member (from JSON5).
    public static let trailingCommas = Options(rawValue: 2)
    /// What recipes and network descriptions may use.
    public static let userWritten: Options = [.comments, .trailingCommas]
  }

  public let text: ArraySlice<UInt8>
  public let file: String
  public let root: JSONValue
  /// The exit status of errors about this text: 2 for what a user wrote, 3 for a part of a file.
  public let exit: Int32

  /// Reads one JSON value that is the whole text.
  ///
  /// - Parameter exit: 2 for a file the user wrote, 3 for a part of a binary file.
  /// - Throws: TLY0202 for anything that is not JSON, TLY0203 for a key that appears twice.
  public init(
    _ text: ArraySlice<UInt8>, file: String, options: Options = [], exit: Int32 = 3
  ) throws(InputError) {
    self.text = text
    self.file = file
    self.exit = exit
    var parser = JSONParser(text, options: options)
    do throws(JSONFault) {
      root = try parser.document()
    } catch {
      let place = Self.place(in: text, file: file, at: error.offset)
      switch error.reason {
      case .syntax(let what): throw .json(what, place: place, exit: exit)
      case .duplicate(let key): throw .duplicateKey(key, place: place, exit: exit)
      }
    }
  }

  /// `file:line:column`, both counted from one; a column is a Unicode scalar.
  public func place(at offset: Int) -> String { Self.place(in: text, file: file, at: offset) }

  static func place(in text: ArraySlice<UInt8>, file: String, at offset: Int) -> String {
    let before = text.prefix(offset)
    let line = before.reduce(1) { $0 + ($1 == 10 ? 1 : 0) }
    let start = before.lastIndex(of: 10).map { $0 + 1 } ?? before.startIndex
    let column = before[start...].reduce(1) { $0 + ($1 & 0xc0 == 0x80 ? 0 : 1) }
    return "\(file):\(line):\(column)"
  }
}

struct JSONFault: Error {
  enum Reason { case syntax(String), duplicate(String) }
  let reason: Reason
  let offset: Int
}

/// RFC 8259, nothing more, and the two options.
private struct JSONParser {
  static let depthLimit = 64

  let text: ArraySlice<UInt8>
  let options: JSONDocument.Options
  var index: Int
  var depth = 0

  init(_ text: ArraySlice<UInt8>, options: JSONDocument.Options) {
    self.text = text
    self.options = options
    index = text.startIndex
  }

  var offset: Int { index - text.startIndex }
  var next: UInt8? { index < text.endIndex ? text[index] : nil }

  func fault(_ what: String, at offset: Int? = nil) -> JSONFault {
    JSONFault(reason: .syntax(what), offset: offset ?? self.offset)
  }

  mutating func document() throws(JSONFault) -> JSONValue {
    if let bad = firstInvalidUTF8(text) {
      throw fault("a byte that is not UTF-8", at: bad - text.startIndex)
    }
    try skipSpace()
    let root = try value()
    try skipSpace()
    guard next == nil else { throw fault("text after the end of the value") }
    return root
  }

  mutating func value() throws(JSONFault) -> JSONValue {
    let start = offset
    let content: JSONValue.Content
    switch next {
    case UInt8(ascii: "{"): content = .object(try object())
    case UInt8(ascii: "["): content = .array(try array())
    case UInt8(ascii: "\""): content = .string(try string())
    case UInt8(ascii: "t"): content = try word("true", .bool(true))
    case UInt8(ascii: "f"): content = try word("false", .bool(false))
    case UInt8(ascii: "n"): content = try word("null", .null)
    case UInt8(ascii: "-"): content = .number(try number())
    case let digit? where (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit):
      content = .number(try number())
    case nil: throw fault("the text ends where a value is due")
    default: throw fault("a value is due here")
    }
    return JSONValue(content: content, offset: start)
  }

  mutating func object() throws(JSONFault) -> [JSONMember] {
    var members: [JSONMember] = []
    // String equality is canonical equivalence: two spellings of one accented name are one key.
    var keys: Set<String> = []
    try list(until: UInt8(ascii: "}")) { parser throws(JSONFault) in
      let keyOffset = parser.offset
      guard parser.next == UInt8(ascii: "\"") else {
        throw parser.fault("a key in double quotes is due here")
      }
      let key = try parser.string()
      guard keys.insert(key).inserted else {
        throw JSONFault(reason: .duplicate(key), offset: keyOffset)
      }
      try parser.skipSpace()
      guard parser.next == UInt8(ascii: ":") else { throw parser.fault("a colon is due here") }
      parser.index += 1
      try parser.skipSpace()
      members.append(JSONMember(key: key, keyOffset: keyOffset, value: try parser.value()))
    }
    return members
  }

  mutating func array() throws(JSONFault) -> [JSONValue] {
    var elements: [JSONValue] = []
    try list(until: UInt8(ascii: "]")) { parser throws(JSONFault) in
      elements.append(try parser.value())
    }
    return elements
  }

  /// Elements with commas between them, from the opening bracket to `end`.
  private mutating func list(
    until end: UInt8, element: (inout JSONParser) throws(JSONFault) -> Void
  ) throws(JSONFault) {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.depthLimit else {
      throw fault("nesting deeper than \(Self.depthLimit) levels")
    }
    index += 1
    try skipSpace()
    if next == end {
      index += 1
      return
    }
    while true {
      try element(&self)
      try skipSpace()
      let separator = next
      let separatorOffset = offset
      guard separator == UInt8(ascii: ",") || separator == end else {
        throw fault(
          separator == nil
            ? "the text ends inside brackets" : "a comma or a closing bracket is due here")
      }
      index += 1
      if separator == end { return }
      try skipSpace()
      if next == end {
        guard options.contains(.trailingCommas) else {
          throw fault("a comma before the closing bracket", at: separatorOffset)
        }
        index += 1
        return
      }
    }
  }

  mutating func word(_ word: String, _ content: JSONValue.Content)
    throws(JSONFault) -> JSONValue.Content
  {
    guard text[index...].starts(with: Array(word.utf8)) else { throw fault("a value is due here") }
    index += word.utf8.count
    return content
  }

  mutating func number() throws(JSONFault) -> String {
    let start = index
    if next == UInt8(ascii: "-") { index += 1 }
    let first = next
    let whole = digits()
    guard whole > 0 else { throw fault("a digit is due here") }
    if first == UInt8(ascii: "0"), whole > 1 { throw fault("a number with a leading zero") }
    if next == UInt8(ascii: ".") {
      index += 1
      guard digits() > 0 else { throw fault("a digit is due after the point") }
    }
    if let letter = next, letter | 0x20 == UInt8(ascii: "e") {
      index += 1
      if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { index += 1 }
      guard digits() > 0 else { throw fault("a digit is due in the exponent") }
    }
    return String(decoding: text[start..<index], as: UTF8.self)
  }

  /// Skips digits and counts them.
  mutating func digits() -> Int {
    let start = index
    while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { index += 1 }
    return index - start
  }

  mutating func string() throws(JSONFault) -> String {
    index += 1
    var bytes: [UInt8] = []
    while true {
      let run = text[index...].prefix { $0 != UInt8(ascii: "\"") && $0 != 0x5c && $0 >= 32 }
      bytes += run
      index = run.endIndex
      switch next {
      case UInt8(ascii: "\""):
        index += 1
        return String(decoding: bytes, as: UTF8.self)
      case 0x5c: bytes += Array(String(try escape()).utf8)
      case nil: throw fault("the text ends inside a string")
      default: throw fault("a control character inside a string")
      }
    }
  }

  /// The scalar behind a backslash.
  private mutating func escape() throws(JSONFault) -> Unicode.Scalar {
    let start = offset
    index += 1
    let letter = next
    index += 1
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(letter!)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{c}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"):
      let unit = try hexadecimalUnit(start)
      if let scalar = Unicode.Scalar(unit) { return scalar }
      // A surrogate means something only as the first half of a pair.
      guard unit < 0xdc00, text[index...].starts(with: [0x5c, UInt8(ascii: "u")]) else {
        throw fault("half of a surrogate pair", at: start)
      }
      index += 2
      let low = try hexadecimalUnit(start)
      guard (0xdc00...0xdfff).contains(low) else {
        throw fault("half of a surrogate pair", at: start)
      }
      return Unicode.Scalar(0x10000 + (unit - 0xd800) << 10 + (low - 0xdc00))!
    default: throw fault("an unknown escape in a string", at: start)
    }
  }

  private mutating func hexadecimalUnit(_ start: Int) throws(JSONFault) -> UInt32 {
    let digits = text[index...].prefix(4)
    let characters = digits.filter { Character(Unicode.Scalar($0)).isHexDigit }
    guard characters.count == 4,
      let unit = UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
    else { throw fault("four hexadecimal digits are due after \\u", at: start) }
    index += 4
    return unit
  }

  mutating func skipSpace() throws(JSONFault) {
    while let byte = next {
      switch byte {
      case 32, 9, 10, 13: index += 1
      case UInt8(ascii: "/") where options.contains(.comments): try skipComment()
      default: return
      }
    }
  }

  private mutating func skipComment() throws(JSONFault) {
    let start = offset
    if text[index...].starts(with: Array("//".utf8)) {
      index = text[index...].firstIndex(of: 10) ?? text.endIndex
      return
    }
    guard text[index...].starts(with: Array("/*".utf8)) else { throw fault("a lone slash") }
    index += 2
    while index < text.endIndex {
      if text[index...].starts(with: Array("*/".utf8)) {
        index += 2
        return
      }
      index += 1
    }
    throw fault("a comment without its end", at: start)
  }
}
