import Foundation
import Tally
import TallyHost
import TallyTestSupport
import Testing

/// Swift and Tools/reference on the same models, recipes and data, drawn at random.
///
/// Every run of the suite draws new ones and prints its seed; `TALLY_SEED=… swift test` repeats them.
@Suite(
  "Random runs: Swift and the reference agree on every byte",
  .enabled(if: Python.isPresent, "python3 is not installed"))
struct ReferenceComparison {
  static let seed = SeededGenerator.freshSeed()
  static let count = 10
  /// Runs that once differed: sparse gradients asked for, and no node that needs a gradient.
  private static let found: [(seed: UInt64, number: Int)] = [(1_853_589_013, 4)]

  @Test("networks, recipes and data drawn in Swift")
  func drawnInSwift() throws {
    print("Random runs drawn in Swift: TALLY_SEED=\(Self.seed)")
    let folder = try TemporaryFolder()
    var folders: [String] = []
    var summaries = ""
    for (seed, number) in (0..<Self.count).map({ (Self.seed, $0) }) + Self.found {
      let run = try RandomRun(seed: seed, number: number)
      summaries += "\n\(run.summary)"
      let (journal, trained) = try run.train(isCompact: false)
      let compact = try run.train(isCompact: true)
      let isSame = compact.journal == journal && compact.trained == trained
      #expect(isSame, "\(run.summary): a compact session differs")
      try folder.write(run.model.bytes, "\(run.name)/model.tally")
      try folder.write(run.recipe.bytes, "\(run.name)/recipe.bin")
      try folder.write(run.data.archive, "\(run.name)/data.npz")
      if let data = run.validation {
        try folder.write(data.archive, "\(run.name)/validation.npz")
      }
      try folder.write(journal, "\(run.name)/run.tlj")
      try folder.write(trained, "\(run.name)/trained.tally")
      folders.append(folder.path(run.name))
    }
    let (status, output) = try Python.run("compare.py", folders)
    print(output)
    #expect(status == 0, "TALLY_SEED=\(Self.seed)\n\(output)\(summaries)")
    let equal = output.split(separator: "\n").count { $0.contains(": equal: 20 steps") }
    #expect(equal == folders.count)
  }

  @Test("networks, recipes and data drawn by the reference")
  func drawnByReference() throws {
    print("Random runs drawn by the reference: TALLY_SEED=\(Self.seed)")
    let folder = try TemporaryFolder()
    let (status, output) = try Python.run(
      "random_runs.py",
      [
        "--seed", "\(Self.seed)", "--count", "\(Self.count)", "--steps", "20", "--out",
        folder.path(""),
      ])
    try #require(status == 0, "\(output)")
    for number in 0..<Self.count {
      let name = "run-\(Self.seed)-\(number)"
      let run = try GoldenRun(name, in: URL(filePath: folder.path("")))
      let (journal, trained) = try run.train()
      let isSame = try journal == run.journal && trained == run.trained()
      #expect(isSame, "TALLY_SEED=\(Self.seed) \(run.difference(journal))\n\(output)")
    }
  }
}

/// Tools/reference.
enum Python {
  static let isPresent = (try? execute(["--version"]).status) == 0

  static func run(_ script: String, _ arguments: [String]) throws -> (status: Int32, output: String)
  {
    let path = VectorFolder.repository.appending(path: "Tools/reference/\(script)").path
    return try execute(["-B", path] + arguments)
  }

  private static func execute(_ arguments: [String]) throws -> (status: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["python3"] + arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: output, as: UTF8.self))
  }
}

/// A folder that goes with this object.
final class TemporaryFolder {
  private let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appending(path: "tally-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  func path(_ name: String) -> String { name.isEmpty ? url.path : url.appending(path: name).path }

  func write(_ bytes: [UInt8], _ name: String) throws {
    let target = url.appending(path: name)
    try FileManager.default.createDirectory(
      at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: target)
  }
}
