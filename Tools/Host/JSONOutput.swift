/// JSON that the command writes: members in the order given, numbers as integers only.
///
///     JSONOutput.object(["correct": 342, "accuracy": "0.9500"]).text
public indirect enum JSONOutput: Equatable, Sendable {
  case null
  case bool(Bool)
  case integer(Int64)
  /// For seeds, which may pass Int64.
  case unsigned(UInt64)
  case string(String)
  case array([JSONOutput])
  case object([(key: String, value: JSONOutput)])

  public init(_ value: some BinaryInteger) { self = .integer(Int64(value)) }

  /// On one line.
  public var text: String {
    var text = ""
    write(into: &text, indent: nil)
    return text
  }

  /// Over several lines, indented by two spaces; arrays of plain values stay on one line.
  public var indentedText: String {
    var text = ""
    write(into: &text, indent: 0)
    return text
  }

  /// The value of a member of an object.
  public subscript(key: String) -> JSONOutput? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.key == key }?.value
  }

  public static func == (a: JSONOutput, b: JSONOutput) -> Bool { a.text == b.text }

  private func write(into text: inout String, indent: Int?) {
    switch self {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .integer(let value): text += String(value)
    case .unsigned(let value): text += String(value)
    case .string(let value): JSONOutput.write(value, into: &text)
    case .array(let values):
      let isPlain = !values.contains { $0.isContainer }
      JSONOutput.list("[", "]", values, into: &text, indent: isPlain ? nil : indent) {
        $0.write(into: &$1, indent: $2)
      }
    case .object(let members):
      JSONOutput.list("{", "}", members, into: &text, indent: indent) {
        JSONOutput.write($0.key, into: &$1)
        $1 += ": "
        $0.value.write(into: &$1, indent: $2)
      }
    }
  }

  private var isContainer: Bool {
    switch self {
    case .array, .object: true
    case .null, .bool, .integer, .unsigned, .string: false
    }
  }

  private static func list<Element>(
    _ open: String, _ close: String, _ elements: [Element], into text: inout String, indent: Int?,
    _ body: (Element, inout String, Int?) -> Void
  ) {
    text += open
    for (index, element) in elements.enumerated() {
      if index > 0 { text += indent == nil ? ", " : "," }
      if let indent { text += "\n" + String(repeating: " ", count: indent + 2) }
      body(element, &text, indent.map { $0 + 2 })
    }
    if let indent, !elements.isEmpty { text += "\n" + String(repeating: " ", count: indent) }
    text += close
  }

  private static func write(_ string: String, into text: inout String) {
    text += "\""
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\t": text += "\\t"
      case _ where scalar.value < 32 || scalar.value == 127:
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}

extension JSONOutput: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral,
  ExpressibleByNilLiteral
{
  public init(stringLiteral value: String) { self = .string(value) }
  public init(integerLiteral value: Int64) { self = .integer(value) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(arrayLiteral elements: JSONOutput...) { self = .array(elements) }
  public init(nilLiteral: ()) { self = .null }
  public init(dictionaryLiteral elements: (String, JSONOutput)...) {
    self = .object(elements.map { (key: $0.0, value: $0.1) })
  }
}
