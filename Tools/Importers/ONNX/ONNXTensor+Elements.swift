extension ONNXTensor {
  /// Number of elements, checked: dimensions are not negative, the product fits.
  func elementCount() throws(InputError) -> Int {
    guard dimensions.allSatisfy({ $0 >= 0 && $0 <= Int64(Int32.max) }),
      let count = checkedCount(dimensions.map(Int.init))
    else {
      throw InputError(
        309, "tensor has impossible dimensions \(dimensions)", place: "tensor '\(name)'", exit: 3)
    }
    return count
  }

  /// Decodes the elements.
  ///
  /// - Throws: TLY0206 (element type), TLY0302/0303 (external data), TLY0309 (payload and shape
  ///   disagree), TLY0606 (a double that no float can hold).
  func elements(from external: ExternalData?) throws(InputError) -> ConstantTensor {
    let count = try elementCount()
    guard let width = elementType.byteCount else {
      let isString = elementType == .string || stringCount > 0
      throw InputError(
        isString ? 309 : 206, "tensor of type \(elementType.name) cannot be read",
        place: "tensor '\(name)'", help: "export the model in float32", exit: isString ? 3 : 4)
    }
    let shape = dimensions.map(Int.init)
    let bytes: ArraySlice<UInt8>
    let typedCount = floats.count + int32s.count + int64s.count + uint64s.count + doubles.count
    if let location = self.external {
      guard raw == nil, typedCount == 0 else { throw payloadConflict("external data and elements") }
      guard let external else {
        throw InputError(
          302, "weights are in '\(location.path)', and no folder was given to look in",
          place: "tensor '\(name)'", exit: 3)
      }
      let length = location.length ?? Int64(count * width)
      guard length == Int64(count * width) else { throw wrongSize(Int(length), count * width) }
      bytes = try external.bytes(location, count: count * width, tensor: name)
    } else if let raw {
      guard typedCount == 0 else { throw payloadConflict("raw_data and typed elements") }
      bytes = raw
    } else {
      return try typedElements(count: count, shape: shape)
    }
    guard bytes.count == count * width else { throw wrongSize(bytes.count, count * width) }
    return try rawElements(bytes, count: count, shape: shape)
  }

  private func payloadConflict(_ what: String) -> InputError {
    InputError(309, "tensor has both \(what)", place: "tensor '\(name)'", exit: 3)
  }

  private func wrongSize(_ found: Int, _ needed: Int) -> InputError {
    InputError(
      309, "tensor has \(found) bytes of elements, its shape needs \(needed)",
      place: "tensor '\(name)'", note: "\(elementType.name) \(dimensions)", exit: 3)
  }

  private func rawElements(
    _ bytes: ArraySlice<UInt8>, count: Int, shape: [Int]
  ) throws(InputError) -> ConstantTensor {
    func words<Word: FixedWidthInteger>(_: Word.Type) -> [Word] {
      bytes.withUnsafeBytes { buffer in
        (0..<count).map {
          Word(
            littleEndian: buffer.loadUnaligned(
              fromByteOffset: $0 * MemoryLayout<Word>.size, as: Word.self))
        }
      }
    }
    func integers<Word: FixedWidthInteger>(_ type: Word.Type) -> ConstantTensor {
      ConstantTensor(
        shape: shape, integers: words(type).map { Int64(truncatingIfNeeded: $0) },
        elementType: elementType, name: name)
    }
    switch elementType {
    case .float: return floatTensor(words(UInt32.self).map { Float(bitPattern: $0) }, shape)
    case .float16: return floatTensor(words(UInt16.self).map(float(half:)), shape)
    case .bfloat16:
      return floatTensor(words(UInt16.self).map { Float(bitPattern: UInt32($0) << 16) }, shape)
    case .double:
      return try floatTensor(rounding: words(UInt64.self).map { Double(bitPattern: $0) }, shape)
    case .uint8, .bool: return integers(UInt8.self)
    case .int8: return integers(Int8.self)
    case .uint16: return integers(UInt16.self)
    case .int16: return integers(Int16.self)
    case .int32: return integers(Int32.self)
    case .uint32: return integers(UInt32.self)
    default: return integers(Int64.self)
    }
  }

  private func typedElements(count: Int, shape: [Int]) throws(InputError) -> ConstantTensor {
    let found: Int
    let others: Int
    let total = floats.count + int32s.count + int64s.count + uint64s.count + doubles.count
    switch elementType {
    case .float: found = floats.count
    case .double: found = doubles.count
    case .int64: found = int64s.count
    case .uint64, .uint32: found = uint64s.count
    default: found = int32s.count
    }
    others = total - found
    guard others == 0 else { throw payloadConflict("elements of two types") }
    guard found == count else {
      throw InputError(
        309, "tensor has \(found) elements, its shape needs \(count)", place: "tensor '\(name)'",
        note: "\(elementType.name) \(dimensions)", exit: 3)
    }
    switch elementType {
    case .float: return floatTensor(floats, shape)
    case .double: return try floatTensor(rounding: doubles, shape)
    case .float16:
      return floatTensor(int32s.map { float(half: UInt16(truncatingIfNeeded: $0)) }, shape)
    case .bfloat16:
      return floatTensor(
        int32s.map { Float(bitPattern: UInt32(truncatingIfNeeded: $0) << 16) }, shape)
    default:
      let values =
        switch elementType {
        case .int64: int64s
        case .uint64, .uint32: uint64s
        default: int32s
        }
      let range = integerRange
      guard values.allSatisfy({ range.contains($0) }) else {
        throw InputError(
          309, "an element does not fit \(elementType.name)", place: "tensor '\(name)'", exit: 3)
      }
      return ConstantTensor(
        shape: shape, integers: values, elementType: elementType, name: name)
    }
  }

  private var integerRange: ClosedRange<Int64> {
    switch elementType {
    case .uint8: 0...255
    case .int8: -128...127
    case .bool: 0...1
    case .uint16: 0...65_535
    case .int16: -32_768...32_767
    case .int32: Int64(Int32.min)...Int64(Int32.max)
    case .uint32: 0...Int64(UInt32.max)
    default: Int64.min...Int64.max
    }
  }

  private func floatTensor(_ values: [Float], _ shape: [Int]) -> ConstantTensor {
    var tensor = ConstantTensor(shape: shape, floats: values, name: name)
    tensor.elementType = elementType
    return tensor
  }

  private func floatTensor(
    rounding doubles: [Double], _ shape: [Int]
  ) throws(InputError) -> ConstantTensor {
    let values = doubles.map { Float($0) }
    if let index = values.indices.first(where: { values[$0].isInfinite && doubles[$0].isFinite }) {
      throw InputError(
        606, "\(doubles[index]) is beyond the range of float32",
        place: "tensor '\(name)' element \(index)", exit: 3)
    }
    return floatTensor(values, shape)
  }
}

/// IEEE half precision to single, exactly.
func float(half bits: UInt16) -> Float {
  let sign = UInt32(bits & 0x8000) << 16
  let exponent = UInt32(bits >> 10) & 31
  let fraction = UInt32(bits & 0x3ff)
  switch exponent {
  case 0:
    // Subnormal: fraction · 2⁻²⁴, exact in Float.
    let magnitude = Float(fraction) / 16_777_216
    return sign == 0 ? magnitude : -magnitude
  case 31: return Float(bitPattern: sign | 0x7f80_0000 | fraction << 13)
  default: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
  }
}
