extension ONNXModel {
  /// The bytes of the file: fields in ascending order, so one model gives one byte string.
  public func serialized() -> [UInt8] {
    var writer = ProtobufWriter()
    writer.integer(1, irVersion)
    if !producerName.isEmpty { writer.string(2, producerName) }
    if !producerVersion.isEmpty { writer.string(3, producerVersion) }
    writer.message(7) { graph.write(&$0) }
    for set in operatorSets {
      writer.message(8) {
        if !set.domain.isEmpty { $0.string(1, set.domain) }
        $0.integer(2, set.version)
      }
    }
    for property in metadata { writer.message(14) { property.write(&$0) } }
    return writer.bytes
  }
}

extension ONNXProperty {
  fileprivate func write(_ writer: inout ProtobufWriter) {
    writer.string(1, key)
    writer.string(2, value)
  }
}

extension ONNXGraph {
  fileprivate func write(_ writer: inout ProtobufWriter) {
    for node in nodes { writer.message(1) { node.write(&$0) } }
    writer.string(2, name)
    for tensor in initializers { writer.message(5) { tensor.write(&$0) } }
    for input in inputs { writer.message(11) { input.write(&$0) } }
    for output in outputs { writer.message(12) { output.write(&$0) } }
  }
}

extension ONNXNode {
  fileprivate func write(_ writer: inout ProtobufWriter) {
    for input in inputs { writer.string(1, input) }
    for output in outputs { writer.string(2, output) }
    if !name.isEmpty { writer.string(3, name) }
    writer.string(4, operatorType)
    for attribute in attributes { writer.message(5) { attribute.write(&$0) } }
    if !domain.isEmpty { writer.string(7, domain) }
    for property in metadata { writer.message(9) { property.write(&$0) } }
  }
}

extension ONNXAttribute {
  fileprivate func write(_ writer: inout ProtobufWriter) {
    writer.string(1, name)
    switch value {
    case .float(let value):
      writer.float(2, value)
      writer.integer(20, 1)
    case .integer(let value):
      writer.integer(3, value)
      writer.integer(20, 2)
    case .string(let value):
      writer.string(4, value)
      writer.integer(20, 3)
    case .tensor(let tensor):
      writer.message(5) { tensor.write(&$0) }
      writer.integer(20, 4)
    case .graph:
      // Subgraphs are not kept; what is written is an empty one.
      writer.message(6) { ONNXGraph(name: "").write(&$0) }
      writer.integer(20, 5)
    case .floats(let values):
      for value in values { writer.float(7, value) }
      writer.integer(20, 6)
    case .integers(let values):
      for value in values { writer.integer(8, value) }
      writer.integer(20, 7)
    case .strings(let values):
      for value in values { writer.string(9, value) }
      writer.integer(20, 8)
    case .other: break
    }
  }
}

extension ONNXValueInfo {
  fileprivate func write(_ writer: inout ProtobufWriter) {
    writer.string(1, name)
    guard let elementType else { return }
    writer.message(2) {
      $0.message(1) {
        $0.integer(1, Int64(elementType.rawValue))
        guard let dimensions else { return }
        $0.message(2) {
          for dimension in dimensions {
            $0.message(1) {
              switch dimension {
              case .size(let size): $0.integer(1, Int64(size))
              case .symbol(let name): if !name.isEmpty { $0.string(2, name) }
              }
            }
          }
        }
      }
    }
  }
}

extension ONNXTensor {
  fileprivate func write(_ writer: inout ProtobufWriter) {
    if !dimensions.isEmpty { writer.packedIntegers(1, dimensions) }
    writer.integer(2, Int64(elementType.rawValue))
    if !floats.isEmpty { writer.packedFloats(4, floats) }
    if !int32s.isEmpty { writer.packedIntegers(5, int32s) }
    if !int64s.isEmpty { writer.packedIntegers(7, int64s) }
    if !name.isEmpty { writer.string(8, name) }
    if let raw { writer.data(9, raw) }
    if !doubles.isEmpty { writer.packedDoubles(10, doubles) }
    if !uint64s.isEmpty { writer.packedIntegers(11, uint64s) }
    guard let external else { return }
    var entries = [
      ONNXProperty(key: "location", value: external.path),
      ONNXProperty(key: "offset", value: String(external.offset)),
    ]
    if let length = external.length {
      entries.append(ONNXProperty(key: "length", value: String(length)))
    }
    for entry in entries { writer.message(13) { entry.write(&$0) } }
    writer.integer(14, 1)
  }

  /// A FLOAT tensor with its elements in `raw_data`.
  public init(_ name: String, dimensions: [Int], floats values: [Float]) {
    self.init(name: name, elementType: .float, dimensions: dimensions.map(Int64.init))
    raw = ArraySlice(Self.littleEndian(values.map(\.bitPattern)))
  }

  /// An integer tensor of `elementType` with its elements in `raw_data`.
  public init(
    _ name: String, elementType: ONNXElementType = .int64, dimensions: [Int],
    integers values: [Int64]
  ) {
    self.init(name: name, elementType: elementType, dimensions: dimensions.map(Int64.init))
    let width = elementType.byteCount ?? 8
    var bytes: [UInt8] = []
    bytes.reserveCapacity(values.count * width)
    for value in values {
      for index in 0..<width { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * index))) }
    }
    raw = ArraySlice(bytes)
  }

  private static func littleEndian(_ words: [UInt32]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(words.count * 4)
    for word in words {
      for index in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: word >> (8 * UInt32(index)))) }
    }
    return bytes
  }
}
