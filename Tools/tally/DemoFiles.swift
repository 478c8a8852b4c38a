import Platform
import Importers
import Tally
import TallyHost

/// `tally demo --keep FOLDER`: the demo's inputs and results as files.
struct DemoFiles {
  private let model, adapted, journal, recipe, data, digits, checkpoint: OutputFile
  private let folder: String

  /// nil without a folder.
  init?(_ folder: String?, force: Bool) throws(InputError) {
    guard let folder else { return nil }
    self.folder = folder
    if !FileContents.exists(folder), mkdir(folder, 0o755) != 0 { throw OutputFile.failure(folder) }
    func file(_ name: String) throws(InputError) -> OutputFile {
      try OutputFile(Path.joined(folder, name), force: force)
    }
    model = try file("digits.tally")
    adapted = try file("adapted.tally")
    journal = try file("run.tlj")
    recipe = try file("recipe.json")
    data = try file("turned.npz")
    digits = try file("digits.npz")
    checkpoint = try file("digits.onnx")
  }

  func write(
    _ demo: Demo, _ adapted: LoadedModel, _ journal: LoadedJournal, _ console: Console
  ) throws(InputError) {
    try model.write(demo.model.bytes)
    try self.adapted.write(adapted.bytes)
    try self.journal.write((0..<journal.bytes.count).map { journal.bytes[$0] })
    try digits.write(PackageResources.digits_npz)
    try checkpoint.write(PackageResources.digits_onnx)
    try recipe.write(Array((Demo.recipeText + "\n").utf8))
    let labels = NumericArray(
      shape: [demo.turned.count],
      storage: .uint8((demo.turned.labels ?? []).map { UInt8($0) }))
    try data.write(
      ZipArchive.stored([
        ("x.npy", try NumpyArray.encoded(demo.turned.samples)),
        ("y.npy", try NumpyArray.encoded(labels)),
      ]))
    console.note(
      """

      Try it yourself:
        tally inspect \(model.path)
        tally verify \(self.journal.path) --model \(model.path) \
      --data '\(data.path)[0..<\(DemoData.trainingCount)]'
      """)
  }
}
