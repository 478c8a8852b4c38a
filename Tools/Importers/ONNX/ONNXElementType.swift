/// The element types of ONNX tensors, by their number in the file.
public struct ONNXElementType: RawRepresentable, Hashable, Sendable {
  public var rawValue: Int

  public init(rawValue: Int) { self.rawValue = rawValue }

  public static let float = ONNXElementType(rawValue: 1)
  public static let uint8 = ONNXElementType(rawValue: 2)
  public static let int8 = ONNXElementType(rawValue: 3)
  public static let uint16 = ONNXElementType(rawValue: 4)
  public static let int16 = ONNXElementType(rawValue: 5)
  public static let int32 = ONNXElementType(rawValue: 6)
  public static let int64 = ONNXElementType(rawValue: 7)
  public static let string = ONNXElementType(rawValue: 8)
  public static let bool = ONNXElementType(rawValue: 9)
  public static let float16 = ONNXElementType(rawValue: 10)
  public static let double = ONNXElementType(rawValue: 11)
  public static let uint32 = ONNXElementType(rawValue: 12)
  public static let uint64 = ONNXElementType(rawValue: 13)
  public static let bfloat16 = ONNXElementType(rawValue: 16)

  /// Bytes of one element in `raw_data`; nil for the types Tally does not read.
  public var byteCount: Int? {
    switch self {
    case .uint8, .int8, .bool: 1
    case .uint16, .int16, .float16, .bfloat16: 2
    case .float, .int32, .uint32: 4
    case .double, .int64, .uint64: 8
    default: nil
    }
  }

  public var isFloatingPoint: Bool {
    self == .float || self == .float16 || self == .bfloat16 || self == .double
  }

  public var name: String {
    let names = [
      "UNDEFINED", "FLOAT", "UINT8", "INT8", "UINT16", "INT16", "INT32", "INT64", "STRING", "BOOL",
      "FLOAT16", "DOUBLE", "UINT32", "UINT64", "COMPLEX64", "COMPLEX128", "BFLOAT16",
      "FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "UINT4", "INT4",
      "FLOAT4E2M1",
    ]
    return names.indices.contains(rawValue) ? names[rawValue] : "type \(rawValue)"
  }
}
