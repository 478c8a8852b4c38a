/// The header of a `.npy` file: a Python dictionary literal with exactly three keys.
///
///     {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
///
/// Only the literals NumPy itself writes are read: two kinds of quotes, `True` and `False`, and a
/// tuple of non-negative integers. Nothing is evaluated.
struct NumpyHeader {
  static let rankLimit = 8

  var type: ElementType
  var isBigEndian: Bool
  var isFortranOrder: Bool
  var shape: [Int]

  init(_ text: ArraySlice<UInt8>, file: String, offset: Int) throws(InputError) {
    var literal = NumpyLiteral(text, file: file, offset: offset)
    var descr: String?
    var order: Bool?
    var shape: [Int]?
    try literal.expect(UInt8(ascii: "{"))
    while !literal.skip(UInt8(ascii: "}")) {
      let key = try literal.string()
      try literal.expect(UInt8(ascii: ":"))
      switch key {
      case "descr" where descr == nil: descr = try literal.typeString()
      case "fortran_order" where order == nil: order = try literal.bool()
      case "shape" where shape == nil: shape = try literal.tuple()
      default: throw literal.fault("the key \(quoted(key)) is unknown or stands twice")
      }
      if literal.skip(UInt8(ascii: ",")) { continue }
      try literal.expect(UInt8(ascii: "}"))
      break
    }
    try literal.end()
    guard let descr, let order, let shape else {
      throw literal.fault("one of 'descr', 'fortran_order' and 'shape' is missing")
    }
    guard shape.count <= Self.rankLimit else {
      throw literal.fault("\(shape.count) axes; at most \(Self.rankLimit) are read")
    }
    (type, isBigEndian) = try Self.elementType(descr, file: file, offset: offset)
    isFortranOrder = order
    self.shape = shape
  }

  /// `<f4` and its like: byte order, kind, bytes.
  private static func elementType(_ descr: String, file: String, offset: Int)
    throws(InputError) -> (ElementType, isBigEndian: Bool)
  {
    let order = descr.first
    let name = descr.dropFirst()
    if name.first == "O" {
      throw .numpy(
        file, "an array of Python objects is refused", at: offset,
        note: "it holds a pickle, and loading one can run any program")
    }
    guard let type = types[String(name)] else {
      if name.first == "c" {
        throw .unsupportedNumber(file, "complex numbers (\(descr)) are not supported")
      }
      throw .numpy(
        file, "the element type \(quoted(descr)) is not read", at: offset,
        note: "read are b1, i1…i8, u1…u8, f2, f4 and f8")
    }
    switch order {
    case "<": return (type, false)
    case ">": return (type, type.byteCount > 1)
    case "|" where type.byteCount == 1: return (type, false)
    // `=` means the byte order of the machine that reads: not a fact about the file.
    default:
      throw .numpy(file, "the element type \(quoted(descr)) has no byte order", at: offset)
    }
  }

  private static let types: [String: ElementType] = [
    "b1": .bool, "u1": .uint8, "i1": .int8, "u2": .uint16, "i2": .int16, "u4": .uint32,
    "i4": .int32, "u8": .uint64, "i8": .int64, "f2": .float16, "f4": .float32, "f8": .float64,
  ]
}

/// A cursor over the literal; errors carry the offset in the file.
private struct NumpyLiteral {
  private let text: ArraySlice<UInt8>
  private let file: String
  private let offset: Int
  private var index: Int

  init(_ text: ArraySlice<UInt8>, file: String, offset: Int) {
    self.text = text
    self.file = file
    self.offset = offset
    index = text.startIndex
  }

  func fault(_ what: String) -> InputError {
    .numpy(
      file, "the header is not one that NumPy writes: \(what)",
      at: offset + index - text.startIndex)
  }

  private var next: UInt8? { index < text.endIndex ? text[index] : nil }

  private mutating func skipSpace() {
    while next == 32 || next == 10 { index += 1 }
  }

  mutating func skip(_ byte: UInt8) -> Bool {
    skipSpace()
    guard next == byte else { return false }
    index += 1
    return true
  }

  mutating func expect(_ byte: UInt8) throws(InputError) {
    guard skip(byte) else {
      throw fault("\(quoted(String(Unicode.Scalar(byte)))) is due here")
    }
  }

  mutating func end() throws(InputError) {
    skipSpace()
    guard next == nil else { throw fault("text after the dictionary") }
  }

  mutating func string() throws(InputError) -> String {
    skipSpace()
    guard let quote = next, quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"") else {
      throw fault("a string is due here")
    }
    let body = text[(index + 1)...].prefix { $0 != quote }
    // A backslash would start an escape, and NumPy writes none in these three values.
    guard body.endIndex < text.endIndex, !body.contains(0x5c), firstInvalidUTF8(body) == nil else {
      throw fault("a string without its end, or with an escape")
    }
    index = body.endIndex + 1
    return String(decoding: body, as: UTF8.self)
  }

  /// The value of `descr`; a list there describes named fields.
  mutating func typeString() throws(InputError) -> String {
    skipSpace()
    if next == UInt8(ascii: "[") || next == UInt8(ascii: "(") {
      throw .numpy(
        file, "an array of records (named fields) is refused",
        at: offset + index - text.startIndex, note: "save each field as an array of its own")
    }
    return try string()
  }

  mutating func bool() throws(InputError) -> Bool {
    skipSpace()
    for (word, value) in [("True", true), ("False", false)]
    where text[index...].starts(with: Array(word.utf8)) {
      index += word.utf8.count
      return value
    }
    throw fault("True or False is due here")
  }

  /// `()`, `(3,)`, `(3, 4)`; `(3)` is a number in Python and is refused.
  mutating func tuple() throws(InputError) -> [Int] {
    try expect(UInt8(ascii: "("))
    var sizes: [Int] = []
    while !skip(UInt8(ascii: ")")) {
      skipSpace()
      let digits = text[index...].prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
      guard let size = Int(String(decoding: digits, as: UTF8.self)) else {
        throw fault("a size of 0 to \(Int.max) is due here")
      }
      index = digits.endIndex
      sizes.append(size)
      if skip(UInt8(ascii: ",")) { continue }
      guard sizes.count > 1 else { throw fault("a tuple of one needs its comma") }
      try expect(UInt8(ascii: ")"))
      break
    }
    return sizes
  }
}
