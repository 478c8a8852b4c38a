import Tally

/// What a file is, told by its first bytes and never by its name.
public enum FileKind: String, Sendable, CaseIterable {
  case tally, journal, checkpoint, trace
  case onnx, safetensors
  case numpy, npz, zip, gzip, idx
  case json, text
  /// Formats of other tools that only their own libraries read (TLY0409).
  case torch, pickle, keras, hdf5, tflite

  /// Marks at a fixed offset; the one table of them.
  static let signatures: [(offset: Int, mark: [UInt8], kind: FileKind)] = [
    (0, littleEndianBytes([ModelFormat.magic]), .tally),
    (0, littleEndianBytes([JournalFormat.magic]), .journal),
    (0, littleEndianBytes([Checkpoint.magic]), .checkpoint),
    (0, Array("TLYTRAC\n".utf8), .trace),
    (0, [0x93] + Array("NUMPY".utf8), .numpy),
    (0, [0x1f, 0x8b], .gzip),
    (0, [0x89] + Array("HDF\r\n".utf8) + [0x1a, 0x0a], .hdf5),
    (4, Array("TFL3".utf8), .tflite),
    (0, Array("PK\u{3}\u{4}".utf8), .zip),
    // An archive without members is its end record alone.
    (0, Array("PK\u{5}\u{6}".utf8), .zip),
  ]

  /// The kind of the file that begins with `bytes`.
  ///
  /// - Throws: TLY0102 for no bytes, TLY0103 for bytes of no known format, TLY0105 for a Git-LFS
  ///   pointer or a web page in the file's place.
  public static func detect(_ bytes: ArraySlice<UInt8>, file: String) throws(InputError) -> FileKind
  {
    guard !bytes.isEmpty else { throw .empty(file) }
    for (offset, mark, kind) in signatures where bytes.dropFirst(offset).starts(with: mark) {
      return kind == .zip ? archiveKind(bytes, file: file) : kind
    }
    try rejectPlaceholder(bytes, file: file)
    if looksLikeIDX(bytes) { return .idx }
    if looksLikeSafetensors(bytes) { return .safetensors }
    if isText(bytes) { return looksLikeJSON(bytes) ? .json : .text }
    if looksLikePickle(bytes) { return .pickle }
    if looksLikeONNX(bytes) { return .onnx }
    throw .unknownFormat(file, first: bytes)
  }

  /// Refuses a format that only its own library reads.
  ///
  /// - Throws: TLY0409 naming the exporter command.
  public func rejectIfForeign(file: String) throws(InputError) {
    let pytorch = "pytorch MODULE:FACTORY --checkpoint \(file) --input 1,3,32,32"
    switch self {
    case .torch: throw .needsExporter(file, "a PyTorch checkpoint", pytorch)
    case .pickle:
      throw .needsExporter(file, "a Python pickle (an old PyTorch checkpoint?)", pytorch)
    case .keras: throw .needsExporter(file, "a Keras model", "keras \(file)")
    case .hdf5: throw .needsExporter(file, "an HDF5 file (Keras .h5)", "keras \(file)")
    case .tflite: throw .needsExporter(file, "a TensorFlow Lite model", "tflite \(file)")
    case .tally, .journal, .checkpoint, .trace, .onnx, .safetensors, .numpy, .npz, .zip, .gzip,
      .idx, .json, .text:
      return
    }
  }

  /// TLY0104 when the file's extension promises another kind; the content is what counts.
  public func extensionWarning(path: String) -> InputWarning? {
    let name = path.split(separator: "/").last ?? ""
    guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return nil }
    let ending = name[name.index(after: dot)...].lowercased()
    guard let promised = Self.extensions[ending], !promised.contains(self) else { return nil }
    return InputWarning(
      code: 104, message: "the name ends in .\(ending), the content is \(rawValue)", place: path,
      help: "it is read as \(rawValue)")
  }

  private static let extensions: [String: [FileKind]] = [
    "tally": [.tally], "tlj": [.journal], "tlc": [.checkpoint], "tlt": [.trace],
    "onnx": [.onnx],
    "safetensors": [.safetensors], "npy": [.numpy], "npz": [.npz, .zip], "gz": [.gzip],
    "idx": [.idx], "json": [.json], "csv": [.text], "pt": [.torch, .pickle],
    "pth": [.torch, .pickle], "keras": [.keras], "h5": [.hdf5], "tflite": [.tflite],
  ]

  // MARK: - Shapes that have no mark

  private static func rejectPlaceholder(_ bytes: ArraySlice<UInt8>, file: String)
    throws(InputError)
  {
    if bytes.starts(with: Array("version https://git-lfs.github.com/spec/".utf8)) {
      throw .notTheFile(file, "a Git LFS pointer", help: "git lfs pull")
    }
    let start = String(decoding: afterSpace(bytes).prefix(16), as: UTF8.self).lowercased()
    if start.hasPrefix("<!doctype") || start.hasPrefix("<html") || start.hasPrefix("<?xml") {
      throw .notTheFile(
        file, "a web page", help: "download the raw file; the link led to a page about it")
    }
  }

  /// PyTorch and Keras keep their parts in a zip; an archive of arrays holds `.npy` members only.
  private static func archiveKind(_ bytes: ArraySlice<UInt8>, file: String) -> FileKind {
    guard let names = try? ZipArchive(bytes, file: file).members.map(\.name) else { return .zip }
    if names.contains(where: { $0 == "data.pkl" || $0.hasSuffix("/data.pkl") }) { return .torch }
    if names.contains("config.json"), names.contains(where: { $0.hasSuffix(".h5") }) {
      return .keras
    }
    // What `tally export` says beside the arrays is a text.
    let arrays = names.filter { $0 != ModelTensors.metadataName }
    return !arrays.isEmpty && arrays.allSatisfy { $0.hasSuffix(".npy") } ? .npz : .zip
  }

  /// Two zero bytes, a type below 16, one to eight dimensions. A type that does not exist is for
  /// the idx reader to refuse.
  private static func looksLikeIDX(_ bytes: ArraySlice<UInt8>) -> Bool {
    let head = Array(bytes.prefix(4))
    return head.count == 4 && head[0] == 0 && head[1] == 0 && (1..<16).contains(head[2])
      && (1...8).contains(head[3])
  }

  /// A 64-bit length whose top byte is zero, then a brace. No text has a zero byte there.
  private static func looksLikeSafetensors(_ bytes: ArraySlice<UInt8>) -> Bool {
    let head = Array(bytes.prefix(9))
    return head.count == 9 && head[7] == 0 && head[8] == UInt8(ascii: "{")
  }

  /// Pickle protocol 2…5: a PROTO opcode, and STOP as the last byte.
  private static func looksLikePickle(_ bytes: ArraySlice<UInt8>) -> Bool {
    let head = Array(bytes.prefix(3))
    // Old PyTorch files are several pickles and then raw storages: the first is a long integer.
    return head.count == 3 && head[0] == 0x80 && (2...5).contains(head[1])
      && (bytes.last == UInt8(ascii: ".") || head[2] == 0x8a)
  }

  private static func looksLikeJSON(_ bytes: ArraySlice<UInt8>) -> Bool {
    let rest = afterSpace(bytes)
    guard let first = rest.first else { return false }
    return first == UInt8(ascii: "{") || first == UInt8(ascii: "[")
      || rest.starts(with: Array("//".utf8)) || rest.starts(with: Array("/*".utf8))
  }

  /// UTF-8 without control characters in its first 4 096 bytes.
  private static func isText(_ bytes: ArraySlice<UInt8>) -> Bool {
    let head = bytes.prefix(4096)
    let hasControl = head.contains { $0 < 32 && $0 != 9 && $0 != 10 && $0 != 13 || $0 == 127 }
    if hasControl { return false }
    guard let fault = firstInvalidUTF8(head) else { return true }
    // The prefix may cut the last character in two.
    return head.count < bytes.count && fault > head.endIndex - 4
  }

  private static func afterSpace(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    let start = bytes.starts(with: [0xef, 0xbb, 0xbf]) ? bytes.dropFirst(3) : bytes
    return start.drop { $0 == 32 || $0 == 9 || $0 == 10 || $0 == 13 }
  }

  /// Top-level fields of a `ModelProto`: an IR version and a graph, and nothing that is not one of
  /// its fields before them. A graph that reaches past the end is still ONNX, a truncated one.
  private static func looksLikeONNX(_ bytes: ArraySlice<UInt8>) -> Bool {
    var cursor = ByteCursor(bytes, file: "")
    var hasVersion = false
    while cursor.remaining > 0 {
      guard let tag = varint(&cursor) else { return false }
      switch (field: tag >> 3, wire: tag & 7) {
      case (field: 1, wire: 0), (field: 5, wire: 0):
        guard let value = varint(&cursor), value < 1 << 32 || tag >> 3 == 5 else { return false }
        hasVersion = hasVersion || tag >> 3 == 1
      case (field: 7, wire: 2) where hasVersion:
        return true
      case (field: 2...4, wire: 2), (field: 6...8, wire: 2), (field: 14, wire: 2),
        (field: 20, wire: 2), (field: 25...26, wire: 2):
        guard let length = varint(&cursor), length <= UInt64(cursor.remaining),
          (try? cursor.take(Int(length))) != nil
        else { return false }
      default: return false
      }
    }
    return false
  }

  private static func varint(_ cursor: inout ByteCursor) -> UInt64? {
    var value: UInt64 = 0
    for index in 0..<10 {
      guard let byte = try? cursor.integer(UInt8.self) else { return nil }
      value |= UInt64(byte & 127) << (7 * UInt64(index))
      if byte < 128 { return value }
    }
    return nil
  }
}
