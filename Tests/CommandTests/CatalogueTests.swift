import Foundation
import Importers
import Tally
import TallyHost
import Testing

@testable import TallyCommand

/// A row of the catalogue of bad input: what the command is given, and what it must answer.
struct BadInput: Sendable, CustomTestStringConvertible {
  /// As in `Formats/errors.md`.
  let number: Int
  let input: String
  let code: Int
  let exit: Int32
  /// Makes the input and runs the command on it.
  let run: @Sendable (Sandbox) throws -> Sandbox.Outcome

  init(
    _ number: Int, _ input: String, _ code: Int, _ exit: Int32,
    _ run: @escaping @Sendable (Sandbox) throws -> Sandbox.Outcome
  ) {
    self.number = number
    self.input = input
    self.code = code
    self.exit = exit
    self.run = run
  }

  /// A file of these bytes, and a verb that reads it.
  init(
    _ number: Int, _ input: String, _ code: Int, _ exit: Int32, _ bytes: [UInt8],
    _ arguments: String...
  ) {
    self.init(number, input, code, exit) { box in
      let name = arguments.first { $0.hasPrefix("bad-") } ?? "bad-input.bin"
      try box.write(bytes, name)
      return box.run(arguments)
    }
  }

  var testDescription: String { "row \(number): \(input)" }
}

/// A row that a test of one reader shows, where no command line can: by the test's own words.
struct ShownElsewhere: Sendable {
  let number: Int
  let input: String
  let code: Int
  let exit: String
  let file: String
  let test: String
}

private func text(_ string: String) -> [UInt8] { Array(string.utf8) }

private func safetensors(_ header: String, _ data: [UInt8] = []) -> [UInt8] {
  let length = UInt64(header.utf8.count)
  return (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + text(header) + data
}

private func npz(_ x: NumericArray, _ y: NumericArray? = nil) throws -> [UInt8] {
  var members = [("x.npy", try NumpyArray.encoded(x))]
  if let y { members.append(("y.npy", try NumpyArray.encoded(y))) }
  return ZipArchive.stored(members)
}

private func bytes(_ count: Int) -> NumericArray.Storage {
  .uint8((0..<count).map { UInt8($0 % 200) })
}

private let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  .deletingLastPathComponent().appending(path: "ImportersTests/Fixtures/onnx")

private func onnx(_ name: String) throws -> [UInt8] {
  [UInt8](try Data(contentsOf: fixtures.appending(path: "\(name).onnx")))
}

/// `bad-model.onnx` of a fixture, with a change, through a verb.
private func onnx(
  _ number: Int, _ input: String, _ code: Int, _ exit: Int32, _ fixture: String,
  _ change: @escaping @Sendable (inout [UInt8]) -> Void = { _ in }, _ verb: String = "inspect"
) -> BadInput {
  BadInput(number, input, code, exit) { box in
    var bytes = try onnx(fixture)
    change(&bytes)
    try box.write(bytes, "bad-model.onnx")
    return verb == "convert"
      ? box.run("convert", "bad-model.onnx", "-o", "out.tally", "--calibrate", "none")
      : box.run(verb, "bad-model.onnx")
  }
}

/// `eval m.tally` on an archive.
private func data(
  _ number: Int, _ input: String, _ code: Int, _ exit: Int32,
  _ archive: @escaping @Sendable () throws -> [UInt8]
) -> BadInput {
  BadInput(number, input, code, exit) { box in
    try box.write(archive(), "bad-data.npz")
    return box.run("eval", "m.tally", "--data", "bad-data.npz")
  }
}

/// `train` by a recipe of this text.
private func recipe(_ number: Int, _ input: String, _ code: Int, _ json: String) -> BadInput {
  BadInput(number, input, code, 2) { box in
    try box.write(text(json), "r.json")
    return box.train()
  }
}

private func labels(_ values: [UInt8]) -> NumericArray {
  NumericArray(shape: [values.count], storage: .uint8(values))
}

private let goodInputs = NumericArray(shape: [3, 12], storage: bytes(36))

let badInputs: [BadInput] = [
  BadInput(1, "no such file", 101, 5) { $0.run("inspect", "none.npz") },
  BadInput(1, "a folder", 101, 5) { $0.run("inspect", $0.folder) },
  BadInput(2, "empty file", 102, 3, [], "inspect", "bad-empty.bin"),
  BadInput(3, "unknown magic", 103, 3, [1, 2, 3, 4, 5, 6, 7, 8, 9], "inspect", "bad-magic.bin"),
  BadInput(
    5, "Git LFS pointer", 105, 3,
    text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"), "inspect",
    "bad-pointer.onnx"),
  BadInput(
    5, "web page", 105, 3, text("<!DOCTYPE html><html><body>Sign in</body></html>"), "inspect",
    "bad-page.onnx"),
  BadInput(6, "a model cut in half", 106, 3) { box in
    let whole = try box.bytes("m.tally")
    try box.write(Array(whole.prefix(whole.count / 2)), "bad-cut.tally")
    return box.run("eval", "bad-cut.tally", "--data", "d.npz")
  },
  BadInput(7, "bytes behind a model", 107, 3) { box in
    try box.write(box.bytes("m.tally") + [0], "bad-tail.tally")
    return box.run("inspect", "bad-tail.tally")
  },
  BadInput(9, "a pipe", 109, 5) { box in
    mkfifo(box.path("bad-pipe.npz"), 0o644)
    return box.run("inspect", "bad-pipe.npz")
  },
  BadInput(
    10, "safetensors header longer than the file", 201, 3,
    [255, 255, 0, 0, 0, 0, 0, 0] + text("{}"), "inspect", "bad-header.safetensors"),
  BadInput(
    11, "safetensors header that is no JSON", 202, 3, safetensors("{\"a\": nonsense}"), "inspect",
    "bad-json.safetensors"),
  BadInput(
    12, "a tensor named twice", 203, 3,
    safetensors(
      #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"#
        + #""a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, [0]), "inspect",
    "bad-twice.safetensors"),
  BadInput(
    13, "tensors that overlap", 204, 3,
    safetensors(
      #"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"#
        + #""b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#, [0, 0, 0]), "inspect",
    "bad-overlap.safetensors"),
  BadInput(
    14, "a length that is not shape times type", 205, 3,
    safetensors(#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, [0, 0, 0, 0]),
    "inspect", "bad-length.safetensors"),
  BadInput(
    15, "an 8-bit float tensor", 206, 4,
    safetensors(#"{"a":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}"#, [0, 0]),
    "inspect", "bad-type.safetensors"),
  onnx(
    18, "a protobuf message cut short", 301, 3, "mlp-legacy",
    {
      $0.removeLast(40)
    }),
  onnx(19, "external data that is not there", 302, 3, "mlp-legacy-external", { _ in }, "convert"),
  onnx(21, "a recurrent network", 304, 4, "recurrent-legacy", { _ in }, "convert"),
  BadInput(36, "an archive with a wrong checksum", 406, 3) { box in
    var archive = try npz(goodInputs, labels([0, 1, 2]))
    archive[60] ^= 1
    try box.write(archive, "bad-sum.npz")
    return box.run("eval", "m.tally", "--data", "bad-sum.npz")
  },
  BadInput(37, "weights whose names do not match the description", 407, 2) { box in
    try box.write(
      text(#"{"input": [2], "layers": [{"kind": "fullyConnected", "outputs": 1, "name": "a"}]}"#),
      "n.json")
    try box.write(
      safetensors(
        #"{"b.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}"#,
        Array(repeating: 0, count: 8)),
      "w.safetensors")
    return box.run(
      "convert", "w.safetensors", "--network", "n.json", "-o", "out.tally", "--calibrate", "none")
  },
  BadInput(
    38, "weights without a description", 408, 4,
    safetensors(#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, [0]), "convert",
    "bad-weights.safetensors", "-o", "out.tally", "--calibrate", "none"),
  BadInput(43, "a NumPy array of objects", 505, 3) { box in
    let header = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    let padded = header + String(repeating: " ", count: 117 - header.count) + "\n"
    try box.write([0x93] + text("NUMPY") + [1, 0, 118, 0] + text(padded) + [0], "bad-object.npy")
    return box.run("inspect", "bad-object.npy")
  },
  data(44, "data that hold a NaN", 601, 3) {
    var values = [Float](repeating: 0, count: 36)
    values[7] = .nan
    return try npz(
      NumericArray(shape: [3, 12], storage: .float32(values)), labels([0, 1, 2]))
  },
  data(50, "a label beyond the outputs", 701, 3) { try npz(goodInputs, labels([0, 1, 9])) },
  data(51, "samples of another shape", 702, 2) {
    try npz(NumericArray(shape: [3, 11], storage: bytes(33)), labels([0, 1, 2]))
  },
  BadInput(52, "a range beyond the last sample", 703, 2) {
    $0.run("eval", "m.tally", "--data", "d.npz[100..<200]")
  },
  BadInput(
    53, "CSV with ragged rows", 704, 3, text("1,2,0\n1,2,3,1\n"), "inspect", "bad-rows.csv"),
  BadInput(54, "validation data that are also trained on", 705, 0) { box in
    box.train("out.tally", "run.tlj", ["--validate", "d.npz[0..<3]"])
  },
  recipe(55, "an unknown key in a recipe", 801, #"{"epoch": 3}"#),
  BadInput(55, "an unknown option", 801, 2) { $0.run("eval", "m.tally", "--dta", "d.npz") },
  recipe(56, "a number out of range", 802, #"{"momentum": "2"}"#),
  recipe(57, "a layer that is not there", 803, #"{"update": {"layers": {"nose": ["weights"]}}}"#),
  BadInput(58, "a budget that nothing fits", 804, 6) {
    $0.run("plan", "m.tally", "--train", "--budget", "10")
  },
  BadInput(59, "an option without its value", 805, 2) { $0.run("eval", "m.tally", "--data") },
  BadInput(60, "an output that exists", 806, 5) { box in
    try box.write([1], "out.tally")
    return box.train()
  },
  BadInput(60, "an output that is the input", 806, 5) {
    $0.train("m.tally", "run.tlj", ["--force"])
  },
  BadInput(60, "an output in a folder that is not there", 806, 5) {
    $0.train($0.path("none/out.tally"))
  },
  BadInput(60, "a full disk", 806, 5) { box in
    // Every write to this device says that there is no space left.
    try FileManager.default.createSymbolicLink(
      atPath: box.path("full.tlj"), withDestinationPath: "/dev/full")
    return box.train("out.tally", "full.tlj", ["--force"])
  },
  recipe(61, "a micro-batch that makes too many", 807, #"{"batch": 4096, "microBatch": 1}"#),
  BadInput(63, "a name of 4,096 bytes", 101, 5) {
    $0.run("inspect", String(repeating: "n", count: 4096) + ".npz")
  },
  BadInput(64, "a model of a newer version", 901, 4) { box in
    var bytes = try box.bytes("m.tally")
    bytes[8] = 9
    try box.write(bytes, "bad-version.tally")
    return box.run("inspect", "bad-version.tally")
  },
  BadInput(65, "a model with a changed byte", 902, 3) { box in
    var bytes = try box.bytes("m.tally")
    bytes[bytes.count / 2] ^= 1
    try box.write(bytes, "bad-byte.tally")
    return box.run("inspect", "bad-byte.tally")
  },
  BadInput(67, "resuming the journal of another run", 903, 2) { box in
    _ = box.train()
    return box.train("b.tally", "run.tlj", ["--resume", "--set", "seed=9"])
  },
  BadInput(68, "a journal with a changed byte", 904, 1) { box in
    _ = box.train()
    var bytes = try box.bytes("run.tlj")
    bytes[bytes.count / 2] ^= 1
    try box.write(bytes, "run.tlj")
    return box.verify()
  },
  BadInput(70, "verification without data", 906, 4) { box in
    _ = box.train()
    return box.run("verify", "run.tlj", "--model", "m.tally", "--json")
  },
  BadInput(75, "a PyTorch checkpoint", 409, 4) { box in
    try box.write(
      ZipArchive.stored([("archive/data.pkl", [0x80, 2]), ("archive/version", [0x33])]), "bad.pt")
    return box.run("inspect", box.path("bad.pt"))
  },
  BadInput(
    76, "idx whose sizes are not its bytes", 706, 3, [0, 0, 8, 1, 0, 0, 0, 9, 1], "inspect",
    "bad-sizes.idx"),
  BadInput(
    77, "gzip with a wrong checksum", 707, 3,
    [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 1, 0, 0xfe, 0xff, 7, 0, 0, 0, 0, 1, 0, 0, 0],
    "inspect", "bad-sum.gz"),
  BadInput(78, "a CIFAR batch of a wrong size", 708, 3) { box in
    try box.write([1, 2, 3], "bad-batch.bin")
    return box.run("eval", "m.tally", "--data", "cifar:\(box.path("bad-batch.bin"))")
  },
  BadInput(79, "a network description with an unknown layer", 808, 2) { box in
    try box.write(text(#"{"input": [4], "layers": [{"kind": "convolutoin"}]}"#), "n.json")
    return box.run("init", "n.json", "-o", "out.tally")
  },
  recipe(80, "a bare fraction", 809, #"{"learningRate": 0.1}"#),
]

let shownElsewhere: [ShownElsewhere] = [
  ShownElsewhere(
    number: 4, input: "a name that contradicts the content", code: 104, exit: "warning",
    file: "ImportersTests/FileKindTests.swift", test: "a name that promises something else"),
  ShownElsewhere(
    number: 8, input: "a file that changes while it is read", code: 108, exit: "5",
    file: "ImportersTests/FileContentsTests.swift", test: "func changed()"),
  ShownElsewhere(
    number: 17, input: "parts of a checkpoint that are not there", code: 208, exit: "3",
    file: "ImportersTests/SafetensorsTests.swift", test: "an index names its shards once each"),
  ShownElsewhere(
    number: 20, input: "external data outside the folder, behind links, or out of range", code: 303,
    exit: "3", file: "ImportersTests/ONNXExternalDataTests.swift",
    test: "names that leave the folder"),
  ShownElsewhere(
    number: 22, input: "a known operator with an unsupported attribute", code: 305, exit: "4",
    file: "ImportersTests/ONNXBlockerTests.swift", test: "is named, with code 4 and a reason"),
  ShownElsewhere(
    number: 23, input: "operator sets below 7 and above 23", code: 306, exit: "4",
    file: "ImportersTests/ONNXMalformedTests.swift", test: "no operator set, another one"),
  ShownElsewhere(
    number: 24, input: "cycles, dangling names, several outputs", code: 307, exit: "3",
    file: "ImportersTests/ONNXMalformedTests.swift", test: "a cycle, and a node that reads itself"),
  ShownElsewhere(
    number: 25, input: "an open size other than the batch", code: 308, exit: "2",
    file: "ImportersTests/ONNXBlockerTests.swift", test: "dimensions left open"),
  ShownElsewhere(
    number: 26, input: "elements and shape disagree", code: 309, exit: "3",
    file: "ImportersTests/ONNXMalformedTests.swift", test: "elements and shape disagree"),
  ShownElsewhere(
    number: 28, input: "functions and sub-graphs", code: 311, exit: "4",
    file: "ImportersTests/ONNXBlockerTests.swift", test: "functions of the file are named as such"),
  ShownElsewhere(
    number: 29, input: "a quantized graph that int8 cannot hold", code: 312, exit: "4",
    file: "ImportersTests/ONNXQuantizationTests.swift", test: "error.code == 312"),
  ShownElsewhere(
    number: 47, input: "a negative variance", code: 604, exit: "3",
    file: "ImportersTests/NetworkDescriptionBindingTests.swift", test: "604"),
  ShownElsewhere(
    number: 62, input: "Ctrl-C between two steps", code: 0, exit: "130",
    file: "CommandTests/TrainTests.swift", test: "stopAfter"),
  ShownElsewhere(
    number: 66, input: "a journal that ends inside a record", code: 0, exit: "0 with a note",
    file: "CommandTests/VerifyTests.swift", test: "func truncated()"),
]

@Suite("The catalogue of bad input") struct CatalogueTests {
  @Test("gives its error", arguments: badInputs)
  func answer(_ row: BadInput) throws {
    let box = try Sandbox()
    let outcome = try row.run(box)
    let name = InputError.name(ofCode: row.code)
    #expect(outcome.status == row.exit, "\(outcome)")
    #expect((outcome.error + outcome.output).contains(name), "\(outcome)")
    // Nothing half-made is left behind.
    #expect(!box.files.contains { $0.hasSuffix(".tmp") })
    if row.exit != 0 && row.number != 60 { #expect(!box.exists("out.tally") || row.number > 65) }
  }

  @Test("every row tested elsewhere names a test that is there", arguments: shownElsewhere.indices)
  func elsewhere(_ index: Int) throws {
    let row = shownElsewhere[index]
    let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent()
    let source = try String(contentsOf: tests.appending(path: row.file), encoding: .utf8)
    #expect(source.contains(row.test), "row \(row.number)")
  }

  /// `TALLY_WRITE_GOLDEN=1` writes the table anew.
  @Test("Formats/errors.md is this table")
  func page() throws {
    var rows: [(number: Int, line: String)] = badInputs.map {
      (
        $0.number,
        line($0.number, $0.input, $0.code, "\($0.exit)", "CommandTests/CatalogueTests.swift")
      )
    }
    rows += shownElsewhere.map { ($0.number, line($0.number, $0.input, $0.code, $0.exit, $0.file)) }
    // Rows of one number keep their order.
    let sorted = rows.enumerated().sorted {
      ($0.element.number, $0.offset) < ($1.element.number, $1.offset)
    }
    let page = """
      # Bad input and its answers

      What each kind of bad input is answered with: the error code (`tally explain CODE` says more), the exit status, and the test
      that shows it. The tests make this page; they fail where it is not what they do. Files of other tools are the exporter's, and so
      are their rows (`Tools/export`).

      | row | input | code | exit | test |
      |---|---|---|---|---|
      \(sorted.map(\.element.line).joined(separator: "\n"))

      """
    let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Formats/errors.md")
    if ProcessInfo.processInfo.environment["TALLY_WRITE_GOLDEN"] != nil {
      try Data(page.utf8).write(to: url)
    }
    #expect(try String(contentsOf: url, encoding: .utf8) == page)
  }

  private func line(
    _ number: Int, _ input: String, _ code: Int, _ exit: String, _ file: String
  ) -> String {
    let name = code == 0 ? "–" : InputError.name(ofCode: code)
    return "| \(number) | \(input) | \(name) | \(exit) | `Tests/\(file)` |"
  }
}
