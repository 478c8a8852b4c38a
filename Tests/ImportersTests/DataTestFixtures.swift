import Importers

/// A `.npy` file with any header and any data.
func npy(_ header: String, _ data: [UInt8], version: [UInt8] = [1, 0]) -> [UInt8] {
  let text = ascii(header) + [10]
  return [0x93] + ascii("NUMPY") + version + little(text.count, version[0] == 1 ? 2 : 4) + text
    + data
}

func npyHeader(_ descr: String, _ shape: String, fortran: Bool = false) -> String {
  "{'descr': '\(descr)', 'fortran_order': \(fortran ? "True" : "False"), 'shape': \(shape), }"
}

/// A safetensors file with any header and any buffer.
func safetensors(_ header: String, _ buffer: [UInt8], headerCount: Int? = nil) -> [UInt8] {
  little(headerCount ?? header.utf8.count, 8) + ascii(header) + buffer
}

func tensorEntry(_ name: String, _ type: String, _ shape: String, _ start: Int, _ end: Int)
  -> String
{
  "\"\(name)\":{\"dtype\":\"\(type)\",\"shape\":\(shape),\"data_offsets\":[\(start),\(end)]}"
}

/// An idx file.
func idx(_ type: UInt8, _ shape: [Int], _ data: [UInt8]) -> [UInt8] {
  [0, 0, type, UInt8(shape.count)] + shape.flatMap { big($0, 4) } + data
}

/// Two images of three by two pixels and their labels, small enough to see.
let tinyImages = NumericArray(shape: [2, 3, 2], storage: .uint8(Array(0..<12)))
let tinyLabels = NumericArray(shape: [2], storage: .int64([1, 0]))
