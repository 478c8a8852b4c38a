import Foundation
import Importers
import Tally
import TallyHost
import TallyTestSupport

@testable import TallyCommand

/// A folder with a small model, data and recipe, and the command run inside this process.
///
/// `m.tally` is a dense network 12-8-3 of random weights; `d.npz` has 18 samples, `v.npz` 6; the recipe
/// gives 10 steps.
final class Sandbox {
  let folder: String

  static let recipe = """
    {
      // ten steps of at most four samples
      "epochs": 2, "batch": 4, "microBatch": 2, "learningRate": "0.25", "seed": 7,
      "rootEvery": 2, "rangePeriod": 4,
    }
    """

  init() throws {
    folder = NSTemporaryDirectory() + "tally-command-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try write(SmallNetworks.dense().bytes(), "m.tally")
    try write(Sandbox.data(count: 18), "d.npz")
    try write(Sandbox.data(count: 6, first: 100), "v.npz")
    try write(Array(Sandbox.recipe.utf8), "r.json")
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  /// x, uint8 [count, 12], and y, uint8 [count]: class k lights up the inputs i with i mod 3 = k.
  static func data(count: Int, first: Int = 0, changing: (Int, Int)? = nil) throws -> [UInt8] {
    var x: [UInt8] = []
    for sample in first..<first + count {
      for index in 0..<12 {
        let noise = (sample * 31 + index * 17) % 41
        x.append(UInt8((index % 3 == sample % 3 ? 180 : 20) + noise))
      }
    }
    if let (sample, index) = changing { x[12 * sample + index] ^= 1 }
    let y = (first..<first + count).map { UInt8($0 % 3) }
    return ZipArchive.stored([
      ("x.npy", try NumpyArray.encoded(NumericArray(shape: [count, 12], storage: .uint8(x)))),
      ("y.npy", try NumpyArray.encoded(NumericArray(shape: [count], storage: .uint8(y)))),
    ])
  }

  func path(_ name: String) -> String { "\(folder)/\(name)" }

  func write(_ bytes: [UInt8], _ name: String) throws {
    try Data(bytes).write(to: URL(fileURLWithPath: path(name)))
  }

  func bytes(_ name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(fileURLWithPath: path(name))))
  }

  func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path(name)) }

  var files: [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
  }

  struct Outcome {
    var status: Int32
    var output = ""
    var error = ""

    /// The one object on standard output.
    var json: [String: Any] {
      let lines = output.split(separator: "\n")
      guard lines.count == 1 else { return ["lines": lines.count] }
      let object = try? JSONSerialization.jsonObject(with: Data(output.utf8))
      return object as? [String: Any] ?? [:]
    }
  }

  /// Runs the command; arguments that name a file of the sandbox, or one to be, get its folder.
  ///
  /// - Parameter stopAfter: times the command may ask whether it is interrupted before it is (SIGINT).
  func run(
    _ arguments: [String], stopAfter: Int? = nil, environment: [String: String] = [:],
    isTerminal: Bool = false
  ) -> Outcome {
    var outcome = Outcome(status: -1)
    var asked = 0
    let world = Console.World(
      writeOutput: { outcome.output += $0 }, writeError: { outcome.error += $0 },
      errorIsTerminal: isTerminal, environment: { environment[$0] },
      interruption: {
        asked += 1
        return stopAfter.map { asked > $0 ? SIGINT : 0 } ?? 0
      })
    let pattern =
      #"^[a-z0-9-]+\.(tally|tlj|tlt|tlc|npz|json|csv|npy|idx|onnx|safetensors|gz|bin)(\[.*\])?$"#
    let full = arguments.map { argument in
      argument.range(of: pattern, options: .regularExpression) == nil ? argument : path(argument)
    }
    outcome.status = Command.run(full, Console(world))
    outcome.output = outcome.output.replacingOccurrences(of: folder + "/", with: "")
    outcome.error = outcome.error.replacingOccurrences(of: folder + "/", with: "")
    return outcome
  }

  func run(_ arguments: String...) -> Outcome { run(arguments) }

  /// `tally train` on `d.npz` with the sandbox's recipe.
  func train(
    _ output: String = "out.tally", _ journal: String = "run.tlj", _ more: [String] = [],
    stopAfter: Int? = nil
  ) -> Outcome {
    run(
      [
        "train", "m.tally", "--data", "d.npz", "--recipe", "r.json", "-o", output, "--journal",
        journal,
      ] + more, stopAfter: stopAfter)
  }

  /// `tally verify --json` of `run.tlj`.
  func verify(_ journal: String = "run.tlj", data: String = "d.npz", _ more: [String] = [])
    -> Outcome
  {
    run(["verify", journal, "--model", "m.tally", "--data", data, "--json"] + more)
  }
}
