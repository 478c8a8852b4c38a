import Importers
import Tally
import TallyHost

extension ExportFormat {
  /// `model.h` and `model.c` for a program that links the library (Tools/library).
  static let c = ExportFormat(
    name: "c", summary: "model.h and model.c: constant arrays for a program in C"
  ) { request throws(InputError) in
    let arguments = request.arguments
    let wanted = arguments["--name"] ?? "model"
    guard let name = CSource.identifier(wanted) else {
      throw InputError(
        802, "\u{2018}\(wanted)\u{2019} is no name for a C array", place: "--name",
        help: "--name model", exit: 2)
    }
    var recipe: RecipeMemory?
    if arguments.has("--recipe") || arguments.has("--set") {
      let document = try Inputs.recipe(arguments["--recipe"], arguments.all("--set"))
      let fields = try document.resolved(for: request.model, hasLabels: true)
      do throws(RecipeError) {
        recipe = try RecipeMemory(fields, request.model)
      } catch {
        throw InputError(
          802, "the recipe does not fit the model", place: "canonical recipe, byte \(error.offset)",
          exit: 2)
      }
    }
    let source = try CSource(name: name, request.model, recipe)
    let beside = request.path.lastIndex(of: "/").map { String(request.path[..<$0]) } ?? "."
    let folder = arguments["--output"] ?? beside
    let files = try [(".h", source.header), (".c", source.source)].map {
      (kind, text) throws(InputError) in
      (
        file: try OutputFile(
          "\(folder)/\(name)\(kind)", force: arguments.has("--force"), inputs: [request.path]),
        bytes: Array(text.utf8)
      )
    }
    for (file, bytes) in files { try file.write(bytes) }
    return ExportedFiles(
      paths: files.map(\.file.path), byteCount: files.reduce(0) { $0 + $1.bytes.count })
  }
}
