/// A checked reader over the bytes of one protobuf message.
///
/// Every read checks before it moves, and a length is compared with the bytes that are left
/// before anything is allocated. Wire types 3, 4 (groups), 6 and 7 are refused: no ONNX file
/// contains them, and skipping a group would need a second notion of nesting.
struct ProtobufCursor {
  enum WireType: UInt64 {
    case varint = 0
    case fixed64 = 1
    case lengthDelimited = 2
    case fixed32 = 5
  }

  struct Field {
    var number: Int
    var wireType: WireType
  }

  /// Messages inside messages: a model's attribute tensor is at depth 5; 32 leaves room for
  /// subgraphs and stops a file made of nothing but nesting.
  static let maximumDepth = 32

  let bytes: [UInt8]
  private(set) var offset: Int
  let end: Int
  let depth: Int
  private let context: String

  init(_ bytes: [UInt8], context: String) {
    self.init(bytes, range: 0..<bytes.count, depth: 0, context: context)
  }

  private init(_ bytes: [UInt8], range: Range<Int>, depth: Int, context: String) {
    self.bytes = bytes
    self.offset = range.lowerBound
    self.end = range.upperBound
    self.depth = depth
    self.context = context
  }

  var isAtEnd: Bool { offset == end }

  /// TLY0301 at the current position of the file.
  func malformed(_ what: String, at position: Int? = nil) -> InputError {
    InputError(
      301, "malformed protobuf: \(what)", place: "\(context) byte \(position ?? offset)",
      note: "\(bytes.count) bytes in the file", help: "copy or export the file again", exit: 3)
  }

  /// The next field's number and wire type, or nil at the end of the message.
  mutating func next() throws(InputError) -> Field? {
    if isAtEnd { return nil }
    let start = offset
    let key = try varint()
    guard let wireType = WireType(rawValue: key & 7) else {
      throw malformed("wire type \(key & 7) is not used by ONNX", at: start)
    }
    let number = key >> 3
    guard number >= 1, number <= 536_870_911 else {
      throw malformed("field number \(number)", at: start)
    }
    return Field(number: Int(number), wireType: wireType)
  }

  mutating func varint() throws(InputError) -> UInt64 {
    let start = offset
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while true {
      guard offset < end else { throw malformed("a number is cut off", at: start) }
      let byte = bytes[offset]
      offset += 1
      // The tenth byte holds bit 63 alone.
      guard shift < 63 || byte <= 1 else { throw malformed("varint too long", at: start) }
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
      shift += 7
      guard shift <= 63 else { throw malformed("varint too long", at: start) }
    }
  }

  mutating func fixed32() throws(InputError) -> UInt32 {
    guard end - offset >= 4 else { throw malformed("4 bytes needed, \(end - offset) left") }
    defer { offset += 4 }
    return littleEndian(4, at: offset, as: UInt32.self)
  }

  mutating func fixed64() throws(InputError) -> UInt64 {
    guard end - offset >= 8 else { throw malformed("8 bytes needed, \(end - offset) left") }
    defer { offset += 8 }
    return littleEndian(8, at: offset, as: UInt64.self)
  }

  /// The extent of a length-delimited field; the cursor moves past it.
  mutating func range() throws(InputError) -> Range<Int> {
    let start = offset
    let length = try varint()
    guard length <= UInt64(end - offset) else {
      throw malformed("length \(length) reaches past the end (\(end - offset) left)", at: start)
    }
    defer { offset += Int(length) }
    return offset..<offset + Int(length)
  }

  /// A cursor over an embedded message.
  mutating func message() throws(InputError) -> ProtobufCursor {
    guard depth < Self.maximumDepth else {
      throw malformed("more than \(Self.maximumDepth) messages inside each other")
    }
    let range = try range()
    return ProtobufCursor(bytes, range: range, depth: depth + 1, context: context)
  }

  mutating func slice() throws(InputError) -> ArraySlice<UInt8> {
    let range = try range()
    return bytes[range]
  }

  /// UTF-8 text of at most `limit` bytes.
  mutating func string(limit: Int = 1024) throws(InputError) -> String {
    let range = try range()
    guard range.count <= limit else {
      throw malformed("a name of \(range.count) bytes; \(limit) is the limit", at: range.lowerBound)
    }
    guard let text = String(validating: bytes[range], as: UTF8.self) else {
      throw malformed("a name that is not UTF-8", at: range.lowerBound)
    }
    return text
  }

  mutating func skip(_ wireType: WireType) throws(InputError) {
    switch wireType {
    case .varint: _ = try varint()
    case .fixed32: _ = try fixed32()
    case .fixed64: _ = try fixed64()
    case .lengthDelimited: _ = try range()
    }
  }

  /// Refuses a known field that comes in another wire type than its own.
  func expect(_ field: Field, _ wireType: WireType) throws(InputError) {
    if field.wireType != wireType {
      throw malformed("field \(field.number) has wire type \(field.wireType.rawValue)")
    }
  }

  /// Appends the integers of a repeated field, packed or one by one.
  mutating func integers(_ field: Field, into values: inout [Int64]) throws(InputError) {
    if field.wireType == .varint {
      values.append(Int64(bitPattern: try varint()))
      return
    }
    try expect(field, .lengthDelimited)
    var packed = try message()
    while !packed.isAtEnd { values.append(Int64(bitPattern: try packed.varint())) }
  }

  /// Appends the floats of a repeated field, packed or one by one.
  mutating func floats(_ field: Field, into values: inout [Float]) throws(InputError) {
    if field.wireType == .fixed32 {
      values.append(Float(bitPattern: try fixed32()))
      return
    }
    try expect(field, .lengthDelimited)
    let range = try range()
    guard range.count % 4 == 0 else { throw malformed("\(range.count) bytes of packed floats") }
    values.reserveCapacity(values.count + range.count / 4)
    for position in stride(from: range.lowerBound, to: range.upperBound, by: 4) {
      values.append(Float(bitPattern: littleEndian(4, at: position, as: UInt32.self)))
    }
  }

  /// Appends the doubles of a repeated field, packed or one by one.
  mutating func doubles(_ field: Field, into values: inout [Double]) throws(InputError) {
    if field.wireType == .fixed64 {
      values.append(Double(bitPattern: try fixed64()))
      return
    }
    try expect(field, .lengthDelimited)
    let range = try range()
    guard range.count % 8 == 0 else { throw malformed("\(range.count) bytes of packed doubles") }
    values.reserveCapacity(values.count + range.count / 8)
    for position in stride(from: range.lowerBound, to: range.upperBound, by: 8) {
      values.append(Double(bitPattern: littleEndian(8, at: position, as: UInt64.self)))
    }
  }

  private func littleEndian<Word: FixedWidthInteger>(
    _ count: Int, at position: Int, as: Word.Type
  ) -> Word {
    var word: Word = 0
    for index in (0..<count).reversed() { word = word << 8 | Word(bytes[position + index]) }
    return word
  }
}
