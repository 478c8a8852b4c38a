/// The idx format of MNIST: a type, up to eight sizes, and big-endian elements.
public enum IDX {
  /// - Throws: TLY0706 for a type that does not exist, no or more than eight axes, or sizes that do
  ///   not match the bytes; TLY0106 when the sizes themselves are cut off.
  public static func read(_ bytes: ArraySlice<UInt8>, file: String)
    throws(InputError) -> NumericArray
  {
    var cursor = ByteCursor(bytes, file: file)
    let zeros: UInt16 = try cursor.integer()
    let typeByte: UInt8 = try cursor.integer()
    let rank: UInt8 = try cursor.integer()
    guard zeros == 0 else { throw .idx(file, "does not begin with two zero bytes") }
    guard let type = types[typeByte] else {
      throw .idx(
        file, "\(typeByte) is not an element type",
        note: "types are 8 and 9 (bytes), 11 and 12 (integers), 13 and 14 (floats)")
    }
    guard (1...8).contains(rank) else { throw .idx(file, "\(rank) axes; 1 to 8 are read") }
    var shape: [Int] = []
    for _ in 0..<rank { shape.append(Int(try cursor.integer(UInt32.self, bigEndian: true))) }
    // Eight sizes below 2³² can overflow 64 bits, so the product is checked before it is believed.
    guard let count = checkedProduct(shape),
      case let (byteCount, overflow) = count.multipliedReportingOverflow(by: type.byteCount),
      !overflow, byteCount == cursor.remaining
    else {
      throw .idx(
        file, "the sizes \(shape) do not match the data",
        note: "elements have \(type.byteCount) bytes; \(cursor.remaining) bytes follow the sizes")
    }
    let data = try cursor.take(byteCount)
    return NumericArray(
      shape: shape, storage: try type.decode(data, bigEndian: true, place: file))
  }

  private static let types: [UInt8: ElementType] = [
    0x08: .uint8, 0x09: .int8, 0x0b: .int16, 0x0c: .int32, 0x0d: .float32, 0x0e: .float64,
  ]
}
