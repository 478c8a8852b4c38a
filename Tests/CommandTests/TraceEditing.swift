import Tally

/// A trace of one step taken apart by the layout of Formats/trace.md, independently of `LoadedTrace`.
struct TraceParts {
  struct Part {
    /// The 48 bytes before the values, without their digest.
    let header: [UInt8]
    /// Padded to a multiple of 4.
    var values: [UInt8]

    var kind: UInt8 { header[1] }
    var width: Int { Int(header[2]) }
    var step: Int { word(4) }
    var query: Int { word(8) }
    var index: Int { word(12) }
    var count: Int { word(24) }

    private func word(_ offset: Int) -> Int {
      (0..<4).reduce(0) { $0 | Int(header[offset + $1]) << (8 * $1) }
    }

    subscript(element: Int) -> Int {
      get {
        width == 1
          ? Int(Int8(bitPattern: values[element]))
          : Int(
            Int32(
              truncatingIfNeeded: (0..<4).reduce(0) {
                $0 | Int(values[4 * element + $1]) << (8 * $1)
              }
            ))
      }
      set {
        for byte in 0..<width {
          values[width * element + byte] = UInt8(truncatingIfNeeded: newValue >> (8 * byte))
        }
      }
    }
  }

  private let head: [UInt8]
  var parts: [Part] = []

  init(_ bytes: [UInt8]) {
    let begin = Int(bytes[24]) | Int(bytes[25]) << 8
    var offset = (64 + begin + 3) & ~3
    head = Array(bytes[..<offset])
    while offset < bytes.count - 32 {
      var part = Part(header: Array(bytes[offset..<offset + 32]), values: [])
      let size = (part.count * part.width + 3) & ~3
      part.values = Array(bytes[offset + 48..<offset + 48 + size])
      parts.append(part)
      offset += 48 + size
    }
  }

  /// The file again, its digests made anew: what a machine that computed these values would write.
  var bytes: [UInt8] {
    var bytes = head
    for part in parts {
      bytes += part.header + sha256(Array(part.values.prefix(part.count * part.width))).prefix(16)
      bytes += part.values
    }
    return bytes + sha256(bytes)
  }

  private func sha256(_ bytes: [UInt8]) -> [UInt8] {
    var hash = SHA256()
    hash.update(bytes.span.bytes)
    let digest = hash.finalize()
    return (0..<32).map { digest[$0] }
  }
}
