import CZlib
public import Importers

/// Raw deflate through the system's zlib: the `Inflater` that hosts hand to the readers.
///
/// Framing, checksums and limits of gzip and zip are the readers' (`Gzip`, `ZipArchive`); here the
/// stream must end exactly where its input ends and fill exactly the expected bytes.
public enum Inflate {
  /// - Parameter expected: bytes that the stream must give.
  /// - Throws: what is wrong with the stream.
  public static func raw(_ input: ArraySlice<UInt8>, _ expected: Int) throws(InflateFailure)
    -> [UInt8]
  {
    var outcome = Outcome.corrupt
    let output = [UInt8](unsafeUninitializedCapacity: expected) { buffer, filled in
      outcome = input.withUnsafeBufferPointer { run($0, into: buffer) }
      filled = outcome == .done ? expected : 0
    }
    switch outcome {
    case .done: return output
    case .corrupt: throw .corrupt
    case .inputEnded(let produced): throw .inputEnded(produced: produced)
    case .streamEnded(let produced, let consumed):
      throw .streamEnded(produced: produced, consumed: consumed)
    case .tooLong: throw .tooLong
    }
  }

  private enum Outcome: Equatable {
    case done, corrupt, tooLong
    case inputEnded(produced: Int)
    case streamEnded(produced: Int, consumed: Int)
  }

  /// zlib counts in 32 bits, so input and output are handed over in parts.
  private static let partLimit = 1 << 30

  private static func run(
    _ input: UnsafeBufferPointer<UInt8>, into output: UnsafeMutableBufferPointer<UInt8>
  ) -> Outcome {
    var stream = z_stream()
    // Minus fifteen: the largest window, and no header, since the reader has read it.
    let status = inflateInit2_(
      &stream, -15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard status == Z_OK else { return .corrupt }
    defer { inflateEnd(&stream) }
    var consumed = 0
    var produced = 0
    // One byte beyond the output: a stream that fills it is too long, and one that has exactly the
    // expected bytes may need it to reach its end mark.
    var spare: UInt8 = 0
    return withUnsafeMutablePointer(to: &spare) { spare in
      while true {
        let inputPart = min(input.count - consumed, partLimit)
        let outputPart = min(output.count - produced, partLimit)
        stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress.map { $0 + consumed })
        stream.avail_in = UInt32(inputPart)
        stream.next_out = outputPart > 0 ? output.baseAddress! + produced : spare
        stream.avail_out = UInt32(max(outputPart, 1))
        let status = inflate(&stream, Z_NO_FLUSH)
        let got = max(outputPart, 1) - Int(stream.avail_out)
        let used = inputPart - Int(stream.avail_in)
        if outputPart == 0, got > 0 { return .tooLong }
        consumed += used
        produced += got
        switch status {
        case Z_STREAM_END:
          return produced == output.count && consumed == input.count
            ? .done : .streamEnded(produced: produced, consumed: consumed)
        case Z_OK where got > 0 || used > 0: continue
        case Z_OK, Z_BUF_ERROR: return .inputEnded(produced: produced)
        default: return .corrupt
        }
      }
    }
  }
}
