/// Writes protobuf messages: the fields ONNX uses, in the order of the calls.
///
/// A field whose value is the default (0, empty) is written only when asked for, as the ONNX
/// library does; one model therefore gives one byte string.
struct ProtobufWriter {
  private(set) var bytes: [UInt8] = []

  mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  mutating func key(_ field: Int, _ wireType: ProtobufCursor.WireType) {
    varint(UInt64(field) << 3 | wireType.rawValue)
  }

  mutating func integer(_ field: Int, _ value: Int64) {
    key(field, .varint)
    varint(UInt64(bitPattern: value))
  }

  mutating func float(_ field: Int, _ value: Float) {
    key(field, .fixed32)
    append(value.bitPattern)
  }

  mutating func data<Bytes: Collection<UInt8>>(_ field: Int, _ value: Bytes) {
    key(field, .lengthDelimited)
    varint(UInt64(value.count))
    bytes.append(contentsOf: value)
  }

  mutating func string(_ field: Int, _ value: String) {
    data(field, value.utf8)
  }

  mutating func message(_ field: Int, _ write: (inout ProtobufWriter) -> Void) {
    var inner = ProtobufWriter()
    write(&inner)
    data(field, inner.bytes)
  }

  mutating func packedIntegers(_ field: Int, _ values: [Int64]) {
    message(field) { for value in values { $0.varint(UInt64(bitPattern: value)) } }
  }

  mutating func packedFloats(_ field: Int, _ values: [Float]) {
    message(field) { for value in values { $0.append(value.bitPattern) } }
  }

  mutating func packedDoubles(_ field: Int, _ values: [Double]) {
    message(field) { for value in values { $0.append(value.bitPattern) } }
  }

  private mutating func append<Word: FixedWidthInteger>(_ word: Word) {
    var rest = word
    for _ in 0..<Word.bitWidth / 8 {
      bytes.append(UInt8(truncatingIfNeeded: rest))
      rest >>= 8
    }
  }
}
