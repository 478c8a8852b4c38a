import Importers
import Tally
import TallyHost

/// A format that `tally export` writes; each has a file of its own.
struct ExportFormat: Sendable {
  /// What `--to` calls it.
  let name: String
  let summary: String
  /// Makes and writes the files.
  let write: @Sendable (ExportRequest) throws(InputError) -> ExportedFiles

  static let all: [ExportFormat] = [.onnx, .safetensors, .npz]

  static var names: String { all.map(\.name).joined(separator: ", ") }
}

/// A model on its way out.
struct ExportRequest {
  let model: LoadedModel
  let arguments: ArgumentList
  /// The model's file.
  var path: String { arguments.positionals[0] }
  var isDequantized: Bool { arguments.has("--dequantize") }

  /// Writes one file: to `--output`, or beside the model with another extension.
  func write(
    extension name: String, _ make: (LoadedModel) throws(InputError) -> [UInt8]
  ) throws(InputError) -> ExportedFiles {
    let stem = path.hasSuffix(".tally") ? String(path.dropLast(6)) : path
    let output = try OutputFile(
      arguments["--output"] ?? "\(stem).\(name)", force: arguments.has("--force"), inputs: [path])
    let bytes = try make(model)
    try output.write(bytes)
    return ExportedFiles(paths: [output.path], byteCount: bytes.count)
  }
}

/// What was written.
struct ExportedFiles {
  var paths: [String]
  var byteCount: Int
}

extension Verb {
  static let export = Verb(
    name: "export", summary: "write a model's integers in a format of other tools",
    positionals: [Positional(name: "MODEL", help: "a .tally model")],
    options: [
      .value("--to", nil, "FORMAT", ExportFormat.names),
      .value("--output", "-o", "PATH", "default: the model's name with the format's extension"),
      .flag("--dequantize", nil, "float32 weights that stand for the integers"),
      .flag("--force", nil, "replace an existing output"),
    ],
    details: """
      \(Verb.columns(ExportFormat.all.map { ($0.name, $0.summary) }))
      Integers and Scales are written exactly (Formats/exports.md), and `tally convert` reads an
      exported ONNX file back to the same model.

      JSON: format, paths, bytes, modelDigest.
      """
  ) { arguments, console in
    let name = try arguments.require("--to")
    guard let format = ExportFormat.all.first(where: { $0.name == name }) else {
      throw InputError(
        802, "\u{2018}\(name)\u{2019} is not a format", place: "--to",
        help: "one of \(ExportFormat.names)", exit: 2)
    }
    let model = try Inputs.model(arguments.positionals[0])
    let files = try format.write(ExportRequest(model: model, arguments: arguments))
    console.print("\(DecimalText.grouped(files.byteCount)) bytes in")
    for path in files.paths { console.print(path) }
    console.result([
      "format": .string(format.name), "paths": .array(files.paths.map { .string($0) }),
      "bytes": JSONOutput(files.byteCount), "modelDigest": .string(model.digest.hexadecimal),
    ])
    return 0
  }
}
