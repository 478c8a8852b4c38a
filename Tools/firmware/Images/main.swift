import Foundation
import Importers
import Tally

// Writes the flash image of every run in runs.txt, and its model and recipe as files of their own:
// FirmwareImages RUNS.txt FOLDER

let arguments = CommandLine.arguments
guard arguments.count == 3 else {
  FileHandle.standardError.write(Data("usage: FirmwareImages RUNS.txt FOLDER\n".utf8))
  exit(2)
}
let table = try String(contentsOfFile: arguments[1], encoding: .utf8)
for line in table.split(separator: "\n") where !line.hasPrefix("#") {
  let fields = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: true)
  guard fields.count == 3 else { fatalError("a run is a name, a network and a recipe: \(line)") }
  guard let network = networks[String(fields[1])] else { fatalError("no network \(fields[1])") }
  let builder = network()
  let model = try builder.bytes()
  let image = FlashImage(
    model: model, recipe: try recipeBytes(String(fields[2]), for: model),
    training: ruleSamples(of: builder, count: 48, from: 0),
    validation: ruleSamples(of: builder, count: 16, from: 48))
  let folder = URL(fileURLWithPath: arguments[2])
  func write(_ bytes: [UInt8], _ kind: String) throws {
    try Data(bytes).write(to: folder.appendingPathComponent("\(fields[0]).\(kind)"))
  }
  try write(image.bytes, "bin")
  try write(model, "tally")
  try write(Array(fields[2].utf8), "json")
}
