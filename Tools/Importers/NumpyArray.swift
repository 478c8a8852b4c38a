/// One array of a `.npy` file, versions 1 to 3.
public enum NumpyArray {
  private static let mark: [UInt8] = [0x93] + Array("NUMPY".utf8)
  /// The longest header read, in bytes; NumPy's own is below 200 for every type that is read here.
  static let headerLimit = 1 << 16

  /// The array, in C order and in this machine's byte order.
  ///
  /// - Throws: TLY0505 for a header NumPy would not write, object and record arrays and types that
  ///   are not numbers; TLY0606 for complex numbers and values no type here holds; TLY0106 and 0107
  ///   for data shorter or longer than the shape says.
  public static func read(_ bytes: ArraySlice<UInt8>, file: String)
    throws(InputError) -> NumericArray
  {
    var cursor = ByteCursor(bytes, file: file)
    guard try cursor.take(6).elementsEqual(mark) else {
      throw .numpy(file, "does not begin with \\x93NUMPY", at: 0)
    }
    let major: UInt8 = try cursor.integer()
    let minor: UInt8 = try cursor.integer()
    guard (1...3).contains(major), minor == 0 else {
      throw .numpy(file, "version \(major).\(minor) of the format is not known", at: 6)
    }
    let headerCount =
      major == 1 ? Int(try cursor.integer(UInt16.self)) : Int(try cursor.integer(UInt32.self))
    guard headerCount <= headerLimit else {
      throw .numpy(
        file, "a header of \(headerCount) bytes", at: 8, note: "the limit is \(headerLimit)")
    }
    let headerOffset = cursor.offset
    let header = try NumpyHeader(
      try cursor.take(headerCount), file: file, offset: headerOffset)
    guard let count = checkedProduct(header.shape),
      case let (byteCount, overflow) = count.multipliedReportingOverflow(
        by: header.type.byteCount), !overflow
    else {
      throw .numpy(file, "the shape \(header.shape) is too large to count", at: headerOffset)
    }
    let data = try cursor.take(byteCount)
    guard cursor.remaining == 0 else {
      throw .trailingBytes(file, cursor.remaining, at: cursor.offset)
    }
    let storage = try header.type.decode(data, bigEndian: header.isBigEndian, place: file)
    guard header.isFortranOrder else { return NumericArray(shape: header.shape, storage: storage) }
    // The first axis runs fastest: C order of the reversed shape, then turned around.
    return NumericArray(shape: header.shape.reversed(), storage: storage)
      .transposed(Array(header.shape.indices.reversed()))
  }

  /// A version 1.0 file in C order, little-endian, its data aligned to 64 bytes.
  ///
  /// - Throws: TLY0505 for decimals, which have no NumPy type.
  public static func encoded(_ array: NumericArray) throws(InputError) -> [UInt8] {
    guard let type = array.storage.elementType, let name = typeNames[type] else {
      throw .numpy("npy", "decimals have no NumPy type")
    }
    let sizes = array.shape.map(String.init).joined(separator: ", ")
    let shape = array.shape.count == 1 ? "(\(sizes),)" : "(\(sizes))"
    var header = Array("{'descr': '\(name)', 'fortran_order': False, 'shape': \(shape), }".utf8)
    let unpadded = 10 + header.count + 1
    header += [UInt8](repeating: 32, count: (64 - unpadded % 64) % 64) + [10]
    return mark + [1, 0] + littleEndianBytes([UInt16(header.count)]) + header
      + array.storage.encoded()
  }

  private static let typeNames: [ElementType: String] = [
    .uint8: "|u1", .int8: "|i1", .int16: "<i2", .int32: "<i4", .int64: "<i8", .float32: "<f4",
    .float64: "<f8",
  ]
}
