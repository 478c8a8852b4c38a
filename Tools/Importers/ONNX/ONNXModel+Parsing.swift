extension ONNXModel {
  static let nodeLimit = 100_000
  static let initializerLimit = 100_000
  static let rankLimit = 8

  /// Reads the messages of an ONNX file; tensors' elements are not decoded yet.
  ///
  /// - Throws: TLY0102 (empty), TLY0106 (no graph), TLY0301 (malformed protobuf, limits).
  public init(
    parsing bytes: [UInt8], fileName: String = "model.onnx", directory: String? = nil
  ) throws(InputError) {
    guard !bytes.isEmpty else {
      throw InputError(102, "file is empty (0 bytes)", place: fileName, exit: 3)
    }
    var cursor = ProtobufCursor(bytes, context: fileName)
    var graph: ONNXGraph?
    self.init(operatorSets: [], graph: ONNXGraph())
    self.fileName = fileName
    self.directory = directory
    while true {
      let start = cursor.offset
      let field: ProtobufCursor.Field
      do throws(InputError) {
        guard let next = try cursor.next() else { break }
        field = next
        if ![1, 2, 3, 7, 8, 14, 25].contains(field.number) {
          try cursor.skip(field.wireType)
          continue
        }
      } catch {
        // A message has no end mark. Behind a whole model, garbage is what somebody appended.
        guard graph != nil, !operatorSets.isEmpty else { throw error }
        trailingByteCount = bytes.count - start
        break
      }
      switch field.number {
      case 1:
        try cursor.expect(field, .varint)
        irVersion = Int64(bitPattern: try cursor.varint())
      case 2:
        try cursor.expect(field, .lengthDelimited)
        producerName = try cursor.string(limit: 65_536)
      case 3:
        try cursor.expect(field, .lengthDelimited)
        producerVersion = try cursor.string(limit: 65_536)
      case 7:
        try cursor.expect(field, .lengthDelimited)
        if graph != nil { throw cursor.malformed("two graphs") }
        graph = try ONNXGraph(reading: cursor.message())
      case 8:
        try cursor.expect(field, .lengthDelimited)
        operatorSets.append(try OperatorSet(reading: cursor.message()))
      case 14:
        try cursor.expect(field, .lengthDelimited)
        metadata.append(try ONNXProperty(reading: cursor.message()))
      case 25:
        try cursor.expect(field, .lengthDelimited)
        functions.append(try Self.functionName(reading: cursor.message()))
      default: try cursor.skip(field.wireType)
      }
    }
    guard let graph else {
      throw InputError(
        106, "no graph in the file: truncated, or not an ONNX model", place: fileName,
        note: "\(bytes.count) bytes read", help: "copy or export the file again", exit: 3)
    }
    self.graph = graph
  }

  private static func functionName(reading message: ProtobufCursor) throws(InputError) -> String {
    var cursor = message
    var name = ""
    var domain = ""
    while let field = try cursor.next() {
      switch field.number {
      case 1 where field.wireType == .lengthDelimited: name = try cursor.string()
      case 10 where field.wireType == .lengthDelimited: domain = try cursor.string()
      default: try cursor.skip(field.wireType)
      }
    }
    return domain.isEmpty ? name : "\(domain).\(name)"
  }
}

extension ONNXModel.OperatorSet {
  fileprivate init(reading message: ProtobufCursor) throws(InputError) {
    var cursor = message
    self.init(version: 0)
    while let field = try cursor.next() {
      switch field.number {
      case 1:
        try cursor.expect(field, .lengthDelimited)
        domain = try cursor.string()
      case 2:
        try cursor.expect(field, .varint)
        version = Int64(bitPattern: try cursor.varint())
      default: try cursor.skip(field.wireType)
      }
    }
  }
}

extension ONNXProperty {
  fileprivate init(reading message: ProtobufCursor) throws(InputError) {
    var cursor = message
    self.init(key: "", value: "")
    while let field = try cursor.next() {
      switch field.number {
      case 1:
        try cursor.expect(field, .lengthDelimited)
        key = try cursor.string()
      case 2:
        // Exporters store stack traces here: long, but bounded.
        try cursor.expect(field, .lengthDelimited)
        value = try cursor.string(limit: 1 << 20)
      default: try cursor.skip(field.wireType)
      }
    }
  }
}

extension ONNXGraph {
  fileprivate init(reading message: ProtobufCursor) throws(InputError) {
    var cursor = message
    self.init(name: "")
    while let field = try cursor.next() {
      switch field.number {
      case 1:
        try cursor.expect(field, .lengthDelimited)
        guard nodes.count < ONNXModel.nodeLimit else {
          throw cursor.malformed("more than \(ONNXModel.nodeLimit) nodes")
        }
        nodes.append(try ONNXNode(reading: cursor.message()))
      case 2:
        try cursor.expect(field, .lengthDelimited)
        name = try cursor.string()
      case 5:
        try cursor.expect(field, .lengthDelimited)
        guard initializers.count < ONNXModel.initializerLimit else {
          throw cursor.malformed("more than \(ONNXModel.initializerLimit) initialisers")
        }
        initializers.append(try ONNXTensor(reading: cursor.message()))
      case 11:
        try cursor.expect(field, .lengthDelimited)
        inputs.append(try ONNXValueInfo(reading: cursor.message()))
      case 12:
        try cursor.expect(field, .lengthDelimited)
        outputs.append(try ONNXValueInfo(reading: cursor.message()))
      case 15:
        sparseInitializerCount += 1
        try cursor.skip(field.wireType)
      default: try cursor.skip(field.wireType)
      }
    }
  }
}

extension ONNXNode {
  fileprivate init(reading message: ProtobufCursor) throws(InputError) {
    var cursor = message
    self.init("", inputs: [], outputs: [])
    while let field = try cursor.next() {
      if [1, 2, 3, 4, 5, 7, 9].contains(field.number) {
        try cursor.expect(field, .lengthDelimited)
      }
      switch field.number {
      case 1: inputs.append(try cursor.string())
      case 2: outputs.append(try cursor.string())
      case 3: name = try cursor.string()
      case 4: operatorType = try cursor.string()
      case 5: attributes.append(try ONNXAttribute(reading: cursor.message()))
      case 7: domain = try cursor.string()
      case 9: metadata.append(try ONNXProperty(reading: cursor.message()))
      default: try cursor.skip(field.wireType)
      }
    }
  }
}

extension ONNXAttribute {
  /// The value is the field that was present; the declared type settles the empty cases.
  fileprivate init(reading message: ProtobufCursor) throws(InputError) {
    var cursor = message
    var name = ""
    var single: Value?
    var floats: [Float] = []
    var integers: [Int64] = []
    var strings: [String] = []
    var type: UInt64 = 0
    while let field = try cursor.next() {
      switch field.number {
      case 1:
        try cursor.expect(field, .lengthDelimited)
        name = try cursor.string()
      case 2:
        try cursor.expect(field, .fixed32)
        single = .float(Float(bitPattern: try cursor.fixed32()))
      case 3:
        try cursor.expect(field, .varint)
        single = .integer(Int64(bitPattern: try cursor.varint()))
      case 4:
        try cursor.expect(field, .lengthDelimited)
        let bytes = try cursor.slice()
        single = .string(String(decoding: bytes, as: UTF8.self))
      case 5:
        try cursor.expect(field, .lengthDelimited)
        single = .tensor(try ONNXTensor(reading: cursor.message()))
      case 6, 11:
        try cursor.expect(field, .lengthDelimited)
        // Read through, so that what is malformed inside is found; then forgotten.
        _ = try ONNXGraph(reading: cursor.message())
        single = .graph
      case 7: try cursor.floats(field, into: &floats)
      case 8: try cursor.integers(field, into: &integers)
      case 9:
        try cursor.expect(field, .lengthDelimited)
        strings.append(String(decoding: try cursor.slice(), as: UTF8.self))
      case 20:
        try cursor.expect(field, .varint)
        type = try cursor.varint()
      case 21:
        try cursor.expect(field, .lengthDelimited)
        single = .other("reference to \(try cursor.string())")
      default: try cursor.skip(field.wireType)
      }
    }
    let value: Value =
      switch (type, single) {
      case (_, .some(let value)): value
      // proto3 leaves a zero out: the type says which zero.
      case (1, nil): .float(0)
      case (2, nil): .integer(0)
      case (3, nil): .string("")
      case (6, nil): .floats(floats)
      case (7, nil): .integers(integers)
      case (8, nil): .strings(strings)
      case (0, nil) where !integers.isEmpty: .integers(integers)
      case (0, nil) where !floats.isEmpty: .floats(floats)
      default: .other("attribute type \(type)")
      }
    self.init(name, value)
  }
}

extension ONNXValueInfo {
  fileprivate init(reading message: ProtobufCursor) throws(InputError) {
    var cursor = message
    self.init("", elementType: nil, dimensions: nil)
    while let field = try cursor.next() {
      switch field.number {
      case 1:
        try cursor.expect(field, .lengthDelimited)
        name = try cursor.string()
      case 2:
        try cursor.expect(field, .lengthDelimited)
        try readType(cursor.message())
      default: try cursor.skip(field.wireType)
      }
    }
  }

  private mutating func readType(_ message: ProtobufCursor) throws(InputError) {
    var type = message
    while let field = try type.next() {
      guard field.number == 1, field.wireType == .lengthDelimited else {
        try type.skip(field.wireType)
        continue
      }
      var tensor = try type.message()
      while let field = try tensor.next() {
        switch field.number {
        case 1:
          try tensor.expect(field, .varint)
          elementType = ONNXElementType(rawValue: Int(truncatingIfNeeded: try tensor.varint()))
        case 2:
          try tensor.expect(field, .lengthDelimited)
          try readShape(tensor.message())
        default: try tensor.skip(field.wireType)
        }
      }
    }
  }

  private mutating func readShape(_ message: ProtobufCursor) throws(InputError) {
    var shape = message
    var dimensions: [Dimension] = []
    while let field = try shape.next() {
      guard field.number == 1 else {
        try shape.skip(field.wireType)
        continue
      }
      try shape.expect(field, .lengthDelimited)
      guard dimensions.count < ONNXModel.rankLimit else {
        throw shape.malformed("'\(name)' has more than \(ONNXModel.rankLimit) dimensions")
      }
      var message = try shape.message()
      var dimension = Dimension.symbol("")
      while let field = try message.next() {
        switch field.number {
        case 1:
          try message.expect(field, .varint)
          let size = Int64(bitPattern: try message.varint())
          guard size >= 0, size <= Int64(Int32.max) else {
            throw message.malformed("'\(name)' has a dimension of \(size)")
          }
          dimension = .size(Int(size))
        case 2:
          try message.expect(field, .lengthDelimited)
          dimension = .symbol(try message.string())
        default: try message.skip(field.wireType)
        }
      }
      dimensions.append(dimension)
    }
    self.dimensions = dimensions
  }
}

extension ONNXTensor {
  fileprivate init(reading message: ProtobufCursor) throws(InputError) {
    var cursor = message
    var location: String?
    var offset: Int64 = 0
    var length: Int64?
    var isExternal = false
    self.init(name: "", elementType: ONNXElementType(rawValue: 0), dimensions: [])
    while let field = try cursor.next() {
      switch field.number {
      case 1: try cursor.integers(field, into: &dimensions)
      case 2:
        try cursor.expect(field, .varint)
        elementType = ONNXElementType(rawValue: Int(truncatingIfNeeded: try cursor.varint()))
      case 4: try cursor.floats(field, into: &floats)
      case 5: try cursor.integers(field, into: &int32s)
      case 6:
        stringCount += 1
        try cursor.skip(field.wireType)
      case 7: try cursor.integers(field, into: &int64s)
      case 8:
        try cursor.expect(field, .lengthDelimited)
        name = try cursor.string()
      case 9:
        try cursor.expect(field, .lengthDelimited)
        raw = try cursor.slice()
      case 10: try cursor.doubles(field, into: &doubles)
      case 11: try cursor.integers(field, into: &uint64s)
      case 13:
        try cursor.expect(field, .lengthDelimited)
        let entry = try ONNXProperty(reading: cursor.message())
        switch entry.key {
        case "location": location = entry.value
        case "offset": offset = try Self.number(entry, cursor)
        case "length": length = try Self.number(entry, cursor)
        default: break
        }
      case 14:
        try cursor.expect(field, .varint)
        isExternal = try cursor.varint() == 1
      default: try cursor.skip(field.wireType)
      }
    }
    if dimensions.count > ONNXModel.rankLimit {
      throw cursor.malformed("'\(name)' has more than \(ONNXModel.rankLimit) dimensions")
    }
    if isExternal {
      external = ExternalLocation(path: location ?? "", offset: offset, length: length)
    }
  }

  private static func number(
    _ entry: ONNXProperty, _ cursor: ProtobufCursor
  ) throws(InputError) -> Int64 {
    guard let value = Int64(entry.value) else {
      throw cursor.malformed("external data: \(entry.key) '\(entry.value)' is no number")
    }
    return value
  }
}
