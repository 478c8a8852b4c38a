/// A safetensors file: tensors by name, checked before any of them is touched.
///
/// A 64-bit length, a JSON header, then one buffer that the tensors cover without a hole, an
/// overlap or a byte left over. Elements are copied out, so their alignment does not matter.
public struct Safetensors: Sendable {
  public struct Tensor: Sendable, Equatable {
    public let name: String
    public let type: ElementType
    public let shape: [Int]
    /// Its bytes within the buffer that follows the header.
    public let byteRange: Range<Int>
  }

  /// The longest header, in bytes: 100 MB.
  static let headerLimit = 100_000_000
  static let rankLimit = 8

  /// In the order of the buffer.
  public let tensors: [Tensor]
  /// `__metadata__`, in the order of the file.
  public let metadata: [(key: String, value: String)]
  public let file: String
  private let buffer: ArraySlice<UInt8>
  private let indices: [String: Int]

  /// - Throws: TLY0106, 0107, and 0201 to 0206.
  public init(_ bytes: ArraySlice<UInt8>, file: String) throws(InputError) {
    var cursor = ByteCursor(bytes, file: file)
    let headerCount: UInt64 = try cursor.integer()
    guard headerCount <= Self.headerLimit else {
      throw .safetensorsHeader(
        file, "a header of \(headerCount) bytes", note: "the limit is \(Self.headerLimit)")
    }
    guard headerCount <= cursor.remaining else {
      throw .safetensorsHeader(
        file, "the header is longer than the file",
        note: "it is said to have \(headerCount) bytes, \(cursor.remaining) follow its length")
    }
    let text = try cursor.take(Int(headerCount))
    guard text.first == UInt8(ascii: "{") else {
      throw .json("the header does not begin with {", place: "\(file):1:1", exit: 3)
    }
    let document = try JSONDocument(text, file: file)
    guard case .object(let members) = document.root.content else {
      preconditionFailure("text that begins with a brace is an object")
    }
    self.file = file
    buffer = try cursor.take(cursor.remaining)
    var found: [Tensor] = []
    var metadata: [(key: String, value: String)] = []
    for member in members {
      if member.key == "__metadata__" {
        metadata = try Self.metadata(member.value, document)
      } else {
        found.append(try Self.tensor(member, document, file: file))
      }
    }
    self.metadata = metadata
    tensors = try Self.placed(found, bufferCount: buffer.count, in: bytes, file: file)
    indices = Dictionary(
      uniqueKeysWithValues: tensors.indices.map { [tensors] in
        (tensors[$0].name, $0)
      })
  }

  /// The parts of a split checkpoint as one file.
  ///
  /// - Parameter index: names the part of every tensor.
  /// - Throws: TLY0203 for a name that two parts hold, TLY0208 for a tensor that is not in the part
  ///   where the index has it.
  public init(joining parts: [Safetensors], _ index: SafetensorsIndex, file: String)
    throws(InputError)
  {
    var joined: [UInt8] = []
    var tensors: [Tensor] = []
    var indices: [String: Int] = [:]
    for part in parts {
      for tensor in part.tensors {
        guard indices.updateValue(tensors.count, forKey: tensor.name) == nil else {
          throw .duplicateKey(tensor.name, place: part.file, exit: 3)
        }
        let range = tensor.byteRange
        tensors.append(
          Tensor(
            name: tensor.name, type: tensor.type, shape: tensor.shape,
            byteRange: joined.count + range.lowerBound..<joined.count + range.upperBound))
      }
      joined += part.buffer
    }
    let lost = index.shardOfTensor.map(\.tensor).filter { indices[$0] == nil }
    guard lost.isEmpty else { throw .missingTensors(file, lost) }
    self.tensors = tensors
    self.indices = indices
    metadata = parts.flatMap(\.metadata)
    buffer = joined[...]
    self.file = file
  }

  /// The elements of the tensor named `name`, or nil when there is none.
  ///
  /// - Throws: TLY0606 for values no type here holds.
  public func array(named name: String) throws(InputError) -> NumericArray? {
    guard let index = indices[name] else { return nil }
    let tensor = tensors[index]
    let start = buffer.startIndex
    let bytes = buffer[start + tensor.byteRange.lowerBound..<start + tensor.byteRange.upperBound]
    return NumericArray(
      shape: tensor.shape, storage: try tensor.type.decode(bytes, place: "\(file)(\(name))"))
  }

  // MARK: - Header

  private static func metadata(_ value: JSONValue, _ document: JSONDocument)
    throws(InputError) -> [(key: String, value: String)]
  {
    guard case .object(let members) = value.content else {
      throw .json(
        "__metadata__ is not an object", place: document.place(at: value.offset), exit: 3)
    }
    return try members.map { member throws(InputError) in
      guard case .string(let text) = member.value.content else {
        throw .json(
          "metadata values are strings", place: document.place(at: member.value.offset), exit: 3)
      }
      return (member.key, text)
    }
  }

  private static func tensor(_ member: JSONMember, _ document: JSONDocument, file: String)
    throws(InputError) -> Tensor
  {
    let name = member.key
    var typeName: String?
    var shape: [Int]?
    var offsets: [Int]?
    guard case .object(let fields) = member.value.content else {
      throw .json(
        "a tensor is an object", place: document.place(at: member.value.offset), exit: 3)
    }
    for field in fields {
      switch (field.key, field.value.content) {
      case ("dtype", .string(let text)): typeName = text
      case ("shape", .array(let sizes)): shape = try integers(sizes, name, document)
      case ("data_offsets", .array(let ends)): offsets = try integers(ends, name, document)
      default:
        throw .json(
          "\(quoted(field.key)) is not a field of a tensor, or not of this type",
          place: document.place(at: field.keyOffset), exit: 3)
      }
    }
    guard let typeName, let shape, let offsets, offsets.count == 2 else {
      throw .json(
        "tensor \(quoted(name)) needs a dtype, a shape and two data_offsets",
        place: document.place(at: member.keyOffset), exit: 3)
    }
    guard let type = types[typeName] else { throw .tensorType(file, name, typeName) }
    guard offsets[0] <= offsets[1] else {
      throw .tensorPlacement(file, name, "ends before it begins", note: "data_offsets \(offsets)")
    }
    guard shape.count <= rankLimit, let count = checkedProduct(shape),
      case let (byteCount, overflow) = count.multipliedReportingOverflow(by: type.byteCount),
      !overflow
    else {
      throw .tensorLength(
        file, name, "the shape \(shape) is too large",
        note: "at most \(rankLimit) axes, and sizes whose product 64 bits can count")
    }
    guard byteCount == offsets[1] - offsets[0] else {
      throw .tensorLength(
        file, name, "the shape \(shape) of \(typeName) needs \(byteCount) bytes",
        note: "data_offsets \(offsets) are \(offsets[1] - offsets[0]) bytes")
    }
    return Tensor(name: name, type: type, shape: shape, byteRange: offsets[0]..<offsets[1])
  }

  /// Sizes and offsets: digits only, so neither −1 nor 1.0 nor 1e3.
  private static func integers(_ values: [JSONValue], _ name: String, _ document: JSONDocument)
    throws(InputError) -> [Int]
  {
    try values.map { value throws(InputError) in
      guard case .number(let text) = value.content, let number = Int(text), text != "-0",
        number >= 0
      else {
        throw .tensorLength(
          document.place(at: value.offset), name, "sizes and offsets are whole numbers from 0",
          note: "at most \(Int.max)")
      }
      return number
    }
  }

  private static let types: [String: ElementType] = [
    "BOOL": .bool, "U8": .uint8, "I8": .int8, "U16": .uint16, "I16": .int16, "U32": .uint32,
    "I32": .int32, "U64": .uint64, "I64": .int64, "F16": .float16, "BF16": .bfloat16,
    "F32": .float32, "F64": .float64,
  ]

  /// The tensors in the order of the buffer, which they cover exactly.
  private static func placed(
    _ tensors: [Tensor], bufferCount: Int, in bytes: ArraySlice<UInt8>, file: String
  ) throws(InputError) -> [Tensor] {
    // Empty tensors share their place with a neighbour; names make the order total.
    let sorted = tensors.sorted { a, b in
      (a.byteRange.lowerBound, a.byteRange.upperBound)
        != (b.byteRange.lowerBound, b.byteRange.upperBound)
        ? (a.byteRange.lowerBound, a.byteRange.upperBound)
          < (b.byteRange.lowerBound, b.byteRange.upperBound)
        : a.name.utf8.lexicographicallyPrecedes(b.name.utf8)
    }
    var end = 0
    for tensor in sorted {
      guard tensor.byteRange.lowerBound == end else {
        let what = tensor.byteRange.lowerBound < end ? "overlaps another" : "follows a hole"
        throw .tensorPlacement(
          file, tensor.name, what,
          note: "it begins at \(tensor.byteRange.lowerBound), the one before it ends at \(end)")
      }
      end = tensor.byteRange.upperBound
    }
    let start = bytes.count - bufferCount
    if end > bufferCount {
      throw .truncated(file, needs: end, at: start, has: bytes.count)
    }
    if end < bufferCount { throw .trailingBytes(file, bufferCount - end, at: start + end) }
    return sorted
  }
}
