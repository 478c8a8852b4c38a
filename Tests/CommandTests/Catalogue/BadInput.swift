import Foundation
import Importers
import Tally
import TallyHost
import TallyTestSupport
import Testing

@testable import TallyCommand

/// A row of the catalogue of bad input: what the command is given, and what it must answer.
struct BadInput: Sendable, CustomTestStringConvertible {
  /// As in `Formats/errors.md`.
  let number: Int
  let input: String
  let code: Int
  let exit: Int32
  /// The file this row stands in, from the package's root.
  let file: String
  /// Makes the input and runs the command on it.
  let run: @Sendable (Sandbox) throws -> Sandbox.Outcome

  init(
    _ number: Int, _ input: String, _ code: Int, _ exit: Int32, file: String = #fileID,
    _ run: @escaping @Sendable (Sandbox) throws -> Sandbox.Outcome
  ) {
    self.number = number
    self.input = input
    self.code = code
    self.exit = exit
    self.file = "Tests/CommandTests/Catalogue/\(file.split(separator: "/").last ?? "")"
    self.run = run
  }

  /// A file of these bytes, and a verb that reads it; the argument that begins with `bad-` names it.
  init(
    _ number: Int, _ input: String, _ code: Int, _ exit: Int32, file: String = #fileID,
    _ bytes: [UInt8], _ arguments: String...
  ) {
    self.init(number, input, code, exit, file: file) { box in
      let name = arguments.first { $0.hasPrefix("bad-") } ?? "bad-input.bin"
      try box.write(bytes, name)
      return box.run(arguments)
    }
  }

  var testDescription: String { "row \(number): \(input)" }

  static let all: [BadInput] =
    files + checkpoints + graphs + graphPlaces + containers + numbers + data + usage + records
}

// MARK: - What rows are made from

extension BadInput {
  static func text(_ string: String) -> [UInt8] { Array(string.utf8) }

  /// A length, this header, then `data`.
  static func safetensors(_ header: String, _ data: [UInt8] = []) -> [UInt8] {
    let length = UInt64(header.utf8.count)
    return (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + text(header) + data
  }

  static func npz(_ x: NumericArray, _ y: NumericArray? = nil) throws -> [UInt8] {
    var members = [("x.npy", try NumpyArray.encoded(x))]
    if let y { members.append(("y.npy", try NumpyArray.encoded(y))) }
    return ZipArchive.stored(members)
  }

  /// Three samples of what the sandbox's model takes.
  static let goodInputs = NumericArray(shape: [3, 12], storage: bytes(36))

  static func bytes(_ count: Int) -> NumericArray.Storage {
    .uint8((0..<count).map { UInt8($0 % 200) })
  }

  static func labels(_ values: [UInt8]) -> NumericArray {
    NumericArray(shape: [values.count], storage: .uint8(values))
  }

  /// `eval m.tally` on an archive.
  static func data(
    _ number: Int, _ input: String, _ code: Int, _ exit: Int32, file: String = #fileID,
    _ archive: @escaping @Sendable () throws -> [UInt8]
  ) -> BadInput {
    BadInput(number, input, code, exit, file: file) { box in
      try box.write(archive(), "bad-data.npz")
      return box.run("eval", "m.tally", "--data", "bad-data.npz")
    }
  }

  /// `train` by a recipe of this text.
  static func recipe(
    _ number: Int, _ input: String, _ code: Int, file: String = #fileID, _ json: String
  ) -> BadInput {
    BadInput(number, input, code, 2, file: file) { box in
      try box.write(text(json), "r.json")
      return box.train()
    }
  }

  /// `convert` of an ONNX model put together in code.
  static func sketch(
    _ number: Int, _ input: String, _ code: Int, _ exit: Int32, file: String = #fileID,
    _ build: @escaping @Sendable (inout ONNXSketch) -> Void
  ) -> BadInput {
    BadInput(number, input, code, exit, file: file) { box in
      var sketch = ONNXSketch.dense
      build(&sketch)
      try box.write(sketch.bytes, "bad-model.onnx")
      return convert(box, "bad-model.onnx")
    }
  }

  static func convert(
    _ box: Sandbox, _ checkpoint: String, _ more: [String] = ["--calibrate", "none"]
  ) -> Sandbox.Outcome {
    box.run(["convert", checkpoint, "-o", "out.tally"] + more)
  }

  /// `convert` of a fixture of the ONNX reader, with a change.
  static func fixture(
    _ number: Int, _ input: String, _ code: Int, _ exit: Int32, file: String = #fileID,
    _ name: String, _ change: @escaping @Sendable (inout [UInt8]) -> Void = { _ in }
  ) -> BadInput {
    BadInput(number, input, code, exit, file: file) { box in
      let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "ImportersTests/Fixtures/onnx")
      var bytes = [UInt8](try Data(contentsOf: folder.appending(path: "\(name).onnx")))
      change(&bytes)
      try box.write(bytes, "bad-model.onnx")
      return convert(box, "bad-model.onnx")
    }
  }
}
