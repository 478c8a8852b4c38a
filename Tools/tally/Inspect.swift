import Importers
import TallyHost

extension Verb {
  static let inspect = Verb(
    name: "inspect", summary: "say what is in a file: model, journal, checkpoint, weights or data",
    positionals: [Positional(name: "FILE", help: "any file, or a DATA string (tally eval --help)")],
    options: [
      .value("--model", "-m", "FILE", "for a journal: its model, to show the recipe in words")
    ],
    details: """
      What a file is, its content tells and not its name. For ONNX, inspect also says what stands
      in the way of converting it.

      JSON: format, then what there is to say about that format.
      """
  ) { arguments, console in
    let path = arguments.positionals[0]
    let inspection = try inspection(of: path, model: arguments["--model"], console)
    console.result(.object([("format", .string(inspection.format))] + inspection.members))
    console.print("\(path): \(inspection.format)")
    let width = inspection.facts.map { $0.0.count }.max() ?? 0
    for (name, text) in inspection.facts {
      console.print("  \(name)\(String(repeating: " ", count: width - name.count))  \(text)")
    }
    for table in inspection.tables {
      console.print()
      console.print(table.text)
    }
    return 0
  }

  private static func inspection(
    of path: String, model: String?, _ console: Console
  ) throws(InputError) -> Inspection {
    // What is no file may be data with a range, a prefix or array names.
    if !FileContents.exists(path), try DataSource(parsing: path) != DataSource(whole: path) {
      return try Inspection(data: path, console)
    }
    let contents = try FileContents(path: path)
    let kind = try FileKind.detect(contents.bytes[...], file: path)
    if let warning = kind.extensionWarning(path: path) { console.warn(warning) }
    return try Inspection(contents.bytes[...], kind, path: path, model: model)
  }
}

/// What there is to say about a file.
struct Inspection {
  let format: String
  /// For people, in two columns.
  var facts: [(String, String)] = []
  var tables: [TextTable] = []
  /// For programs.
  var members: [(key: String, value: JSONOutput)] = []

  init(format: String) { self.format = format }

  /// Adds a fact under both its names.
  mutating func add(_ name: String, _ text: String, _ key: String, _ value: JSONOutput? = nil) {
    facts.append((name, text))
    members.append((key, value ?? .string(text)))
  }

  /// - Parameter path: names the file, and is where external data of ONNX is looked for.
  init(
    _ bytes: ArraySlice<UInt8>, _ kind: FileKind, path: String, model: String?
  ) throws(InputError) {
    switch kind {
    case .tally: try self.init(modelAt: path)
    case .journal: try self.init(journalAt: path, model: model)
    case .checkpoint: try self.init(checkpoint: Array(bytes), path: path)
    case .trace: try self.init(trace: Array(bytes), path: path, model: model)
    case .onnx: try self.init(onnxAt: path)
    case .safetensors: try self.init(safetensors: try Safetensors(bytes, file: path))
    case .numpy:
      self.init(format: "numpy array")
      try addArrays([("array", try NumpyArray.read(bytes, file: path))])
    case .idx:
      self.init(format: "idx array")
      try addArrays([("array", try IDX.read(bytes, file: path))])
    case .npz: try self.init(archive: try ZipArchive(bytes, file: path))
    case .text: try self.init(table: try CSV(bytes, file: path))
    case .json: try self.init(json: bytes, path: path)
    case .gzip:
      let inner = try Gzip.decompressed(bytes, file: path, inflate: Inflate.raw)[...]
      let innerKind = try FileKind.detect(inner, file: path)
      guard [.numpy, .idx, .npz, .text, .safetensors].contains(innerKind) else {
        self.init(format: "gzip")
        add("holds", innerKind.rawValue, "holds")
        return
      }
      try self.init(inner, innerKind, path: path, model: nil)
      add(
        "packed", "gzip, \(DecimalText.grouped(bytes.count)) bytes", "packedBytes",
        JSONOutput(bytes.count))
    case .torch, .pickle, .keras, .hdf5, .tflite:
      try kind.rejectIfForeign(file: path)
      preconditionFailure("every foreign kind is refused")
    case .zip: self.init(format: "zip archive"); addMembers(try ZipArchive(bytes, file: path))
    }
  }
}

extension DataSource {
  /// A file and nothing else.
  init(whole path: String) throws(InputError) {
    try self.init(parsing: path, fileExists: { $0 == path })
  }
}
