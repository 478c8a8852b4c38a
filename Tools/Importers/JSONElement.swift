/// A value of a user-written JSON file together with its path, read as what the caller expects.
///
/// Every accessor throws an error that names file, line, column and path, and exits with 2. No
/// number passes through floating point: integers are read from their digits, decimals from strings.
public struct JSONElement: Sendable {
  public let value: JSONValue
  public let document: JSONDocument
  /// `$.layers[3].kind`
  public let path: String

  init(_ value: JSONValue, in document: JSONDocument, path: String) {
    self.value = value
    self.document = document
    self.path = path
  }

  /// The root of a file the user wrote: comments and trailing commas are allowed.
  ///
  /// - Throws: TLY0202 or TLY0203 with exit 2.
  public static func userWritten(_ text: ArraySlice<UInt8>, file: String) throws(InputError)
    -> JSONElement
  {
    let document = try JSONDocument(text, file: file, options: .userWritten, exit: 2)
    return JSONElement(document.root, in: document, path: "$")
  }

  /// `recipe.json:3:17, $.learningRate`
  public var place: String { "\(document.place(at: value.offset)), \(path)" }

  public func string() throws(InputError) -> String {
    guard case .string(let text) = value.content else { throw unexpected("a string") }
    return text
  }

  public func bool() throws(InputError) -> Bool {
    guard case .bool(let flag) = value.content else { throw unexpected("true or false") }
    return flag
  }

  /// An integer written with digits only: `1000`, not `1e3` or `1000.0`.
  ///
  /// - Throws: TLY0802 outside `range`, TLY0809 for a fraction or an exponent.
  public func integer(in range: ClosedRange<Int64>) throws(InputError) -> Int64 {
    guard case .number(let text) = value.content else { throw unexpected("an integer") }
    guard !text.contains(where: { $0 == "." || $0 == "e" || $0 == "E" }) else {
      throw .value("\(text) is not written as an integer", place: place, help: integerHelp(text))
    }
    guard let number = Int64(text), range.contains(number) else {
      throw .value(
        "\(text) is out of range", place: place,
        note: "allowed are \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// An exact number: an integer, or a string with a decimal or a ratio (`"0.1"`, `"1/256"`).
  ///
  /// - Throws: TLY0809 for a bare fraction, TLY0802 for text that is no number or needs more than
  ///   64 bits.
  public func ratio() throws(InputError) -> ExactRatio {
    switch value.content {
    case .number(let text):
      guard let number = Int64(text) else {
        guard text.contains(where: { $0 == "." || $0 == "e" || $0 == "E" }) else {
          throw .value("\(text) is out of range", place: place, note: "64 bits are exact")
        }
        throw .bareFraction(text, place: place)
      }
      return ExactRatio(number)
    case .string(let text):
      guard let ratio = ExactRatio(parsing: text) else {
        throw .value(
          "\(quoted(text)) is not a number that 64 bits hold exactly", place: place,
          help: "write a decimal or a ratio: \"0.1\", \"1e-3\", \"1/256\"")
      }
      return ratio
    case .null, .bool, .array, .object: throw unexpected("a decimal string or a ratio")
    }
  }

  public func array() throws(InputError) -> [JSONElement] {
    guard case .array(let elements) = value.content else { throw unexpected("an array") }
    return elements.enumerated().map { index, element in
      JSONElement(element, in: document, path: "\(path)[\(index)]")
    }
  }

  public func object() throws(InputError) -> JSONObject {
    guard case .object(let members) = value.content else { throw unexpected("an object") }
    return JSONObject(members, at: self)
  }

  private func unexpected(_ wanted: String) -> InputError {
    let found =
      switch value.content {
      case .null: "null"
      case .bool: "true or false"
      case .number: "a number"
      case .string: "a string"
      case .array: "an array"
      case .object: "an object"
      }
    return .value("\(wanted) is due here, not \(found)", place: place)
  }

  private func integerHelp(_ text: String) -> String? {
    ExactDecimal(parsing: text)?.integer.map { "write \($0)" }
  }
}

/// The members of an object, taken out by name; what nobody took is an error.
///
///     var recipe = try JSONElement.userWritten(bytes, file: path).object()
///     let epochs = try recipe.take("epochs")?.integer(in: 0...1_000_000) ?? 5
///     let rate = try recipe.require("learningRate").ratio()
///     try recipe.finish()
public struct JSONObject: Sendable {
  private let members: [JSONMember]
  private let element: JSONElement
  private var taken: [String] = []

  init(_ members: [JSONMember], at element: JSONElement) {
    self.members = members
    self.element = element
  }

  /// Keys in the order they were written.
  public var keys: [String] { members.map(\.key) }

  /// The value of `key`, or nil when it is absent. Either way the key is a known one from here on.
  public mutating func take(_ key: String) -> JSONElement? {
    taken.append(key)
    guard let member = members.first(where: { $0.key == key }) else { return nil }
    return JSONElement(member.value, in: element.document, path: "\(element.path).\(key)")
  }

  /// - Throws: TLY0805 when the key is absent.
  public mutating func require(_ key: String) throws(InputError) -> JSONElement {
    guard let found = take(key) else {
      throw .missingValue("the key \(quoted(key)) is missing", place: element.place)
    }
    return found
  }

  /// - Throws: TLY0801 for the first key that was never taken, with the nearest known one.
  public func finish() throws(InputError) {
    for member in members where !taken.contains(member.key) {
      let place = element.document.place(at: member.keyOffset)
      throw .unknownKey(member.key, place: "\(place), \(element.path)", known: taken)
    }
  }
}
