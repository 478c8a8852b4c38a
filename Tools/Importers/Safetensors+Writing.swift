extension Safetensors {
  /// A file of these tensors; equal input gives equal bytes.
  ///
  /// The header is padded with spaces so that the buffer begins at a multiple of 64 bytes, and wide
  /// elements come before narrow ones, so that each tensor is aligned to its own element. Keys stand
  /// in the order of their UTF-8 bytes, `__metadata__` first.
  /// - Precondition: names are distinct and none is `__metadata__`; no array holds decimals.
  public static func encoded(
    _ tensors: [(name: String, array: NumericArray)],
    metadata: [(key: String, value: String)] = []
  ) -> [UInt8] {
    let names = Set(tensors.map(\.name))
    precondition(names.count == tensors.count, "two tensors of one name")
    precondition(!names.contains("__metadata__"), "a reserved name")
    precondition(Set(metadata.map(\.key)).count == metadata.count, "two metadata keys of one name")
    let placed = tensors.sorted { a, b in
      let (wide, narrow) = (elementByteCount(a.array), elementByteCount(b.array))
      return wide != narrow ? wide > narrow : isBefore(a.name, b.name)
    }
    var buffer: [UInt8] = []
    var entries: [(name: String, text: String)] = []
    for (name, array) in placed {
      let start = buffer.count
      buffer += array.storage.encoded()
      let shape = array.shape.map(String.init).joined(separator: ",")
      let text =
        "{\"dtype\":\"\(typeName(array))\",\"shape\":[\(shape)],"
        + "\"data_offsets\":[\(start),\(buffer.count)]}"
      entries.append((name, text))
    }
    entries.sort { isBefore($0.name, $1.name) }
    var members = entries.map { "\(jsonText($0.name)):\($0.text)" }
    if !metadata.isEmpty {
      let pairs = metadata.sorted { isBefore($0.key, $1.key) }
        .map { "\(jsonText($0.key)):\(jsonText($0.value))" }
      members.insert("\"__metadata__\":{\(pairs.joined(separator: ","))}", at: 0)
    }
    var header = Array("{\(members.joined(separator: ","))}".utf8)
    header += [UInt8](repeating: 32, count: (64 - (8 + header.count) % 64) % 64)
    precondition(header.count <= headerLimit, "the header is too long")
    return littleEndianBytes([UInt64(header.count)]) + header + buffer
  }

  private static func isBefore(_ a: String, _ b: String) -> Bool {
    a.utf8.lexicographicallyPrecedes(b.utf8)
  }

  private static func elementByteCount(_ array: NumericArray) -> Int {
    array.storage.elementType?.byteCount ?? 0
  }

  private static func typeName(_ array: NumericArray) -> String {
    switch array.storage {
    case .uint8: "U8"
    case .int8: "I8"
    case .int16: "I16"
    case .int32: "I32"
    case .int64: "I64"
    case .float32: "F32"
    case .float64: "F64"
    case .decimal: preconditionFailure("decimals have no binary form")
    }
  }
}

/// A JSON string in quotes; only what must be escaped is.
func jsonText(_ text: String) -> String {
  var quoted = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"": quoted += "\\\""
    case "\\": quoted += "\\\\"
    case "\n": quoted += "\\n"
    case "\r": quoted += "\\r"
    case "\t": quoted += "\\t"
    case _ where scalar.value < 32:
      quoted += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
    default: quoted.unicodeScalars.append(scalar)
    }
  }
  return quoted + "\""
}
