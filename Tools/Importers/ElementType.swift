/// How an element of a file's array is stored in bytes.
public enum ElementType: String, Sendable, CaseIterable {
  case bool, uint8, int8, uint16, int16, uint32, int32, uint64, int64
  case float16, bfloat16, float32, float64

  public var byteCount: Int {
    switch self {
    case .bool, .uint8, .int8: 1
    case .uint16, .int16, .float16, .bfloat16: 2
    case .uint32, .int32, .float32: 4
    case .uint64, .int64, .float64: 8
    }
  }

  /// Elements from their bytes.
  ///
  /// | stored | kept as |
  /// |---|---|
  /// | bool, uint8 | uint8 |
  /// | uint16 | int32 |
  /// | uint32, uint64 | int64 |
  /// | float16, bfloat16 | float32, exactly |
  ///
  /// - Parameter bytes: `count · byteCount` bytes.
  /// - Throws: TLY0606 for a Boolean that is neither 0 nor 1 (exit 3) and for an unsigned number
  ///   above 2⁶³ − 1 (exit 4), naming `place` and the element.
  func decode(_ bytes: ArraySlice<UInt8>, bigEndian: Bool = false, place: String)
    throws(InputError) -> NumericArray.Storage
  {
    precondition(bytes.count % byteCount == 0)
    switch self {
    case .uint8: return .uint8(Array(bytes))
    case .bool:
      if let bad = bytes.firstIndex(where: { $0 > 1 }) {
        throw .unsupportedNumber(
          "\(place), element \(bad - bytes.startIndex)",
          "a Boolean has the value \(bytes[bad]), neither 0 nor 1", exit: 3)
      }
      return .uint8(Array(bytes))
    case .int8: return .int8(words(bytes, bigEndian))
    case .int16: return .int16(words(bytes, bigEndian))
    case .int32: return .int32(words(bytes, bigEndian))
    case .int64: return .int64(words(bytes, bigEndian))
    case .uint16: return .int32((words(bytes, bigEndian) as [UInt16]).map { Int32($0) })
    case .uint32: return .int64((words(bytes, bigEndian) as [UInt32]).map { Int64($0) })
    case .uint64:
      let numbers: [UInt64] = words(bytes, bigEndian)
      if let bad = numbers.firstIndex(where: { $0 > Int64.max }) {
        throw .unsupportedNumber(
          "\(place), element \(bad)", "\(numbers[bad]) is above the 64-bit signed range")
      }
      return .int64(numbers.map { Int64($0) })
    case .float16: return .float32((words(bytes, bigEndian) as [UInt16]).map(widenedHalf))
    case .bfloat16:
      return .float32(
        (words(bytes, bigEndian) as [UInt16]).map { Float(bitPattern: UInt32($0) << 16) })
    case .float32:
      return .float32((words(bytes, bigEndian) as [UInt32]).map { Float(bitPattern: $0) })
    case .float64:
      return .float64((words(bytes, bigEndian) as [UInt64]).map { Double(bitPattern: $0) })
    }
  }
}

/// Words of one width from bytes that need not be aligned.
private func words<Word: FixedWidthInteger>(_ bytes: ArraySlice<UInt8>, _ bigEndian: Bool) -> [Word]
{
  let count = bytes.count / MemoryLayout<Word>.size
  return [Word](unsafeUninitializedCapacity: count) { output, filled in
    let raw = UnsafeMutableRawBufferPointer(output)
    raw.copyBytes(from: bytes.prefix(count * MemoryLayout<Word>.size))
    for index in 0..<count {
      output[index] =
        bigEndian ? Word(bigEndian: output[index]) : Word(littleEndian: output[index])
    }
    filled = count
  }
}

/// An IEEE half as the single-precision number of the same value; a NaN keeps its payload.
func widenedHalf(_ half: UInt16) -> Float {
  let sign = UInt32(half & 0x8000) << 16
  let exponent = UInt32(half >> 10 & 31)
  let fraction = UInt32(half & 0x3ff)
  if exponent == 31 { return Float(bitPattern: sign | 0x7f80_0000 | fraction << 13) }
  if exponent != 0 { return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13) }
  if fraction == 0 { return Float(bitPattern: sign) }
  // A subnormal half is a normal single: move its leading one to the implied place.
  let shift = UInt32(fraction.leadingZeroBitCount) - 21
  return Float(bitPattern: sign | (113 - shift) << 23 | (fraction << shift & 0x3ff) << 13)
}

extension NumericArray.Storage {
  /// The type these elements are written as, or nil for decimals, which no binary format has.
  var elementType: ElementType? {
    switch self {
    case .uint8: .uint8
    case .int8: .int8
    case .int16: .int16
    case .int32: .int32
    case .int64: .int64
    case .float32: .float32
    case .float64: .float64
    case .decimal: nil
    }
  }

  /// Little-endian bytes.
  ///
  /// - Precondition: not decimals.
  func encoded() -> [UInt8] {
    switch self {
    case .uint8(let a): return a
    case .int8(let a): return a.map { UInt8(bitPattern: $0) }
    case .int16(let a): return littleEndianBytes(a)
    case .int32(let a): return littleEndianBytes(a)
    case .int64(let a): return littleEndianBytes(a)
    case .float32(let a): return littleEndianBytes(a.map(\.bitPattern))
    case .float64(let a): return littleEndianBytes(a.map(\.bitPattern))
    case .decimal: preconditionFailure("decimals have no binary form")
    }
  }
}

func littleEndianBytes<Word: FixedWidthInteger>(_ words: [Word]) -> [UInt8] {
  words.map(\.littleEndian).withUnsafeBytes { Array($0) }
}
