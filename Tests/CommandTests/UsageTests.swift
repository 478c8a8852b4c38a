import Foundation
import Testing

@testable import TallyCommand

@Suite("Usage") struct UsageTests {
  /// Compares with a file of `Golden`. `TALLY_WRITE_GOLDEN=1` writes it anew.
  func golden(_ name: String, _ text: String) throws {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("Golden/\(name).txt")
    if ProcessInfo.processInfo.environment["TALLY_WRITE_GOLDEN"] != nil {
      try Data(text.utf8).write(to: file)
    }
    let expected = try String(contentsOf: file, encoding: .utf8)
    #expect(text == expected, "Golden/\(name).txt")
  }

  @Test("help of the command and of every verb")
  func help() throws {
    let box = try Sandbox()
    for arguments in [["--help"], ["-h"], ["help"], []] {
      let outcome = box.run(arguments)
      #expect(outcome.status == 0 && outcome.error == "")
      try golden("help", outcome.output)
    }
    for verb in Command.verbs {
      for arguments in [
        [verb.name, "--help"], [verb.name, "-h"], ["help", verb.name],
        [verb.name, "--json", "--help"],
      ] {
        let outcome = box.run(arguments)
        #expect(outcome.status == 0 && outcome.error == "")
        try golden("help-\(verb.name)", outcome.output)
      }
      for line in verb.help.split(separator: "\n") { #expect(line.count <= 100, "\(line)") }
    }
    #expect(box.run("--version").output == "tally \(Command.version)\n")
  }

  /// `key: type` per line, objects and the first element of arrays inward.
  func shape(_ value: Any, _ path: String) -> [String] {
    switch value {
    case let object as [String: Any]:
      object.keys.sorted().flatMap { shape(object[$0]!, path.isEmpty ? $0 : "\(path).\($0)") }
    case let array as [Any]:
      array.isEmpty ? ["\(path)[]"] : shape(array[0], "\(path)[]")
    case is String: ["\(path): string"]
    case is NSNull: ["\(path): null"]
    case let number as NSNumber:
      // A Boolean is an NSNumber too, of the C type char.
      ["\(path): \(String(cString: number.objCType) == "c" ? "boolean" : "integer")"]
    default: ["\(path): ?"]
    }
  }

  @Test("the JSON of every verb has the shape of its golden file")
  func shapes() throws {
    let box = try Sandbox()
    let network = #"{"input": [12], "layers": [{"kind": "fullyConnected", "outputs": 3}]}"#
    try box.write(Array(network.utf8), "n.json")
    let train = [
      "train", "m.tally", "--data", "d.npz", "--recipe", "r.json", "-o", "out.tally", "--journal",
      "run.tlj", "--validate", "v.npz",
    ]
    let lines: [(String, [String])] = [
      ("init", ["init", "n.json", "-o", "i.tally"]),
      ("eval", ["eval", "m.tally", "--data", "d.npz", "-v"]),
      ("plan", ["plan", "m.tally", "--train", "--budget", "1MiB"]),
      ("train", train), ("train-dry-run", train + ["--dry-run"]),
      ("verify", ["verify", "run.tlj", "--model", "m.tally", "--data", "d.npz"]),
      ("verify-without-data", ["verify", "run.tlj", "--model", "m.tally"]),
      ("inspect-model", ["inspect", "m.tally"]),
      ("inspect-journal", ["inspect", "run.tlj", "--model", "m.tally"]),
      ("inspect-archive", ["inspect", "d.npz"]), ("inspect-data", ["inspect", "d.npz[0..<9]"]),
      ("error", ["eval", "none.tally", "--data", "d.npz"]),
    ]
    for (name, arguments) in lines {
      let outcome = box.run(arguments + ["--json"])
      #expect(outcome.output.hasSuffix("\n"))
      #expect(outcome.output.split(separator: "\n").count == 1, "\(name): one object")
      try golden("json-\(name)", shape(outcome.json, "").joined(separator: "\n") + "\n")
    }
  }

  @Test(
    "a wrong command line is refused with what would be right",
    arguments: [
      (["evil"], 801, "did you mean tally eval?"), (["frobnicate"], 801, "tally --help"),
      (["help", "trian"], 801, "did you mean tally train?"),
      (["eval", "m.tally", "--dta", "d.npz"], 801, "did you mean --data?"),
      (["eval", "m.tally", "--frobnicate"], 801, "tally eval --help"),
      (["eval", "--data", "d.npz"], 805, "MODEL is missing"),
      (["eval", "m.tally"], 805, "-d, --data DATA is missing"),
      (["eval", "m.tally", "--data"], 805, "--data needs a value: DATA"),
      (["eval", "m.tally", "--data", "-v"], 805, "--data needs a value"),
      (["eval", "m.tally", "x", "--data", "d.npz"], 805, "one argument too many"),
      (["eval", "m.tally", "-d", "d.npz", "--data", "d.npz"], 805, "stands here twice"),
      (["eval", "m.tally", "--data", "d.npz", "--json=1"], 805, "--json takes no value"),
      (["eval", "m.tally", "--data", "d.npz", "--color", "red"], 802, "auto, always or never"),
      (["plan", "m.tally", "--samples", "0"], 802, "1 to 65536"),
      (["plan", "m.tally", "--budget", "lots"], 802, "256KiB"),
      (["init", "n.json", "-o", "x.tally", "--seed", "-1"], 802, "18446744073709551615"),
      (["convert", "n.onnx", "-o", "x.tally", "--scales", "both"], 802, "per-channel"),
      (["convert", "n.onnx", "-o", "x.tally", "--input-scale", "1/0"], 802, "64 bits"),
      (["convert", "n.onnx", "-o", "x.tally", "--layout", "chw"], 802, "nhwc or nchw"),
      (["convert", "n.onnx", "-o", "x.tally", "--method", "best"], 802, "min-max"),
      (["convert", "n.onnx", "-o", "x.tally", "--shape", "x"], 802, "1,3,32,32"),
    ] as [([String], Int, String)])
  func refused(_ arguments: [String], _ code: Int, _ words: String) throws {
    let box = try Sandbox()
    let outcome = box.run(arguments)
    #expect(outcome.status == 2, "\(arguments): \(outcome)")
    #expect(outcome.error.hasPrefix("error[TLY0\(code)]: "), "\(outcome.error)")
    #expect(outcome.error.contains(words), "\(outcome.error)")
    #expect(outcome.output == "", "nothing but errors")
    #expect(box.files == ["d.npz", "m.tally", "r.json", "v.npz"])
    let json = box.run(arguments + ["--json"]).json
    let error = try #require(json["error"] as? [String: Any], "\(arguments): \(json)")
    #expect(error["code"] as? String == "TLY0\(code)")
    #expect(json["exit"] as? Int == 2)
  }

  @Test("color is for terminals, or where it is asked for")
  func color() throws {
    let box = try Sandbox()
    let line = ["eval", "none.tally", "--data", "d.npz"]
    func isColored(_ more: [String], _ environment: [String: String], _ isTerminal: Bool) -> Bool {
      box.run(line + more, environment: environment, isTerminal: isTerminal).error
        .contains("\u{1B}[1;31merror[TLY0101]\u{1B}[0m: ")
    }
    #expect(isColored([], [:], true))
    #expect(!isColored([], [:], false))
    #expect(!isColored([], ["NO_COLOR": "1"], true))
    #expect(!isColored([], ["TERM": "dumb"], true))
    #expect(isColored(["--color", "always"], ["NO_COLOR": "1"], false))
    #expect(!isColored(["--color=never"], [:], true))
  }

  @Test("options end at two dashes")
  func dashes() throws {
    let box = try Sandbox()
    let list = try ArgumentList(["--data=x", "--", "-m.tally"], for: .eval)
    #expect(list.positionals == ["-m.tally"] && list["--data"] == "x")
    #expect(box.run("inspect", "--", "m.tally").status == 0)
  }
}

@Suite("Progress") struct ProgressTests {
  private let parts = [
    ("step 120/900", 0), ("loss 0.412", 1), ("acc 91.5%", 3), ("sat 140 ppm", 5),
    ("2100 steps/s", 4), ("eta 3 s", 2),
  ]

  @Test("a line is narrower than its terminal, keeps its order, and loses the least first")
  func widths() {
    let whole = Progress.line(parts, width: nil)
    #expect(whole == "step 120/900  loss 0.412  acc 91.5%  sat 140 ppm  2100 steps/s  eta 3 s")
    for width in 1...100 {
      let line = Progress.line(parts, width: width)
      #expect(line.count < max(2, width), "\(width): \(line)")
      // What is left stands in the order of the whole.
      var rest = whole[...]
      for word in line.split(separator: "  ") where width > 13 {
        let place = rest.range(of: word)
        #expect(place != nil, "\(width): \(line)")
        if let place { rest = rest[place.upperBound...] }
      }
    }
    #expect(Progress.line(parts, width: 80) == whole)
    #expect(Progress.line(parts, width: 40) == "step 120/900  loss 0.412  eta 3 s")
    #expect(Progress.line(parts, width: 5) == "step")
  }
}
