import Foundation
import Importers
import Tally
import TallyHost
import Testing

@testable import TallyCommand

@Suite("tally init, convert, eval, plan, inspect") struct ConvertTests {
  /// A sandbox with the bundled digits, the first 32 of them, and the bundled checkpoint.
  func digits() throws -> Sandbox {
    let box = try Sandbox()
    try box.write(PackageResources.digits_onnx, "digits.onnx")
    let digits = try DemoData.digits().selecting(0..<32)
    let labels = (digits.labels ?? []).map { UInt8($0) }
    try box.write(
      ZipArchive.stored([
        ("x.npy", try NumpyArray.encoded(digits.samples)),
        ("y.npy", try NumpyArray.encoded(NumericArray(shape: [32], storage: .uint8(labels)))),
      ]), "digits.npz")
    return box
  }

  static let network =
    #"{"input": [12], "layers": [{"kind": "fullyConnected", "outputs": 5, "activation": "relu"}, "#
    + #"{"kind": "fullyConnected", "outputs": 3, "name": "head"}]}"#

  @Test("convert writes what its table says; a dry run writes nothing")
  func convert() throws {
    let box = try digits()
    let line = [
      "convert", "digits.onnx", "-o", "c.tally", "--calibrate", "digits.npz", "--input-scale",
      "1/16",
    ]
    let dry = box.run(line + ["--dry-run", "--json"])
    #expect(dry.status == 0 && !box.exists("c.tally"), "\(dry.error)")
    let outcome = box.run(line + ["--json"])
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.output == dry.output)
    let model = try LoadedModel(box.bytes("c.tally"))
    #expect(outcome.json["modelDigest"] as? String == model.digest.hexadecimal)
    #expect(outcome.json["bytes"] as? Int == model.byteCount)
    let layers = try #require(outcome.json["layers"] as? [[String: Any]])
    #expect(layers.count == model.network.nodeCount)
    #expect(layers.compactMap { $0["parameters"] as? Int }.reduce(0, +) == 1898)
    let agreement = try #require(outcome.json["agreement"] as? [String: Any])
    #expect(agreement["samples"] as? Int == 32)
    // The accuracy on the calibration samples is what eval finds.
    let evaluated = box.run("eval", "c.tally", "--data", "digits.npz", "--json").json
    #expect(evaluated["correct"] as? Int == agreement["integerCorrect"] as? Int)
    #expect(evaluated["total"] as? Int == 32)
    #expect(box.run(line).status == 5, "it exists now")
    #expect(box.run(line + ["--force", "--scales", "per-channel"]).status == 0)
    #expect(try LoadedModel(box.bytes("c.tally")).nodes[0].scalesPerChannel)
    let table = box.run(line + ["--dry-run"]).output
    #expect(table.contains("SQNR") && table.contains("convolution"), "\(table)")
  }

  @Test("convert without calibration says what is missing, and random warns")
  func calibration() throws {
    let box = try digits()
    let without = box.run("convert", "digits.onnx", "-o", "c.tally")
    #expect(without.status == 2 && without.error.contains("--calibrate DATA is missing"))
    let random = box.run(
      "convert", "digits.onnx", "-o", "c.tally", "--calibrate", "random", "--input-scale", "1/255")
    #expect(random.status == 0 && random.error.contains("warning[TLY"), "\(random.error)")
    let wrong = box.run("convert", "digits.onnx", "-o", "d.tally", "--calibrate", "d.npz")
    #expect(wrong.status == 2 && wrong.error.contains("TLY0702"), "\(wrong.error)")
    #expect(!box.exists("d.tally"))
  }

  @Test("init: seeds, preparation and class names are in the model")
  func initialize() throws {
    let box = try Sandbox()
    try box.write(Array(ConvertTests.network.utf8), "n.json")
    let line = ["init", "n.json", "--input-scale", "1/255", "--classes", "a,b,c", "-o"]
    #expect(box.run(line + ["a.tally", "--seed", "1"]).status == 0)
    #expect(box.run(line + ["b.tally"]).status == 0)
    #expect(box.run(line + ["c.tally", "--seed", "18446744073709551615", "--json"]).status == 0)
    #expect(try box.bytes("a.tally") == box.bytes("b.tally"), "1 is the default")
    #expect(try box.bytes("a.tally") != box.bytes("c.tally"))
    let model = try LoadedModel(box.bytes("a.tally"))
    #expect(model.classNames == ["a", "b", "c"] && model.network.isInitialized)
    #expect(model.parameterCount == 12 * 5 + 5 + 5 * 3 + 3)
    let names = box.run("init", "n.json", "-o", "d.tally", "--classes", "a,b")
    #expect(names.status == 2 && names.error.contains("2 class names for 3 outputs"))
    try box.write(Array(#"{"input": [12], "layers": [{"kind": "dense"}]}"#.utf8), "bad.json")
    let bad = box.run("init", "bad.json", "-o", "d.tally")
    #expect(bad.status == 2 && !box.exists("d.tally"), "\(bad.error)")
  }

  @Test("weights without a graph need a network description")
  func safetensors() throws {
    let box = try Sandbox()
    try box.write(Array(ConvertTests.network.utf8), "n.json")
    let header = Array(#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#.utf8)
    try box.write(
      [UInt8(header.count), 0, 0, 0, 0, 0, 0, 0] + header + [0, 0, 0, 0], "w.safetensors")
    let alone = box.run("convert", "w.safetensors", "-o", "c.tally", "--calibrate", "none")
    #expect(alone.status == 4 && alone.error.contains("TLY0408"), "\(alone.error)")
    let missing = box.run(
      "convert", "w.safetensors", "--network", "n.json", "-o", "c.tally", "--calibrate", "none")
    #expect(missing.status == 2 && missing.error.contains("TLY0407"), "\(missing.error)")
    #expect(!box.exists("c.tally"))
  }

  @Test("eval: counts add up, ranges select, labels must fit")
  func eval() throws {
    let box = try Sandbox()
    let outcome = box.run("eval", "m.tally", "--data", "d.npz", "--json", "-v")
    let confusion = try #require(outcome.json["confusion"] as? [[Int]])
    #expect(confusion.map { $0.reduce(0, +) } == [6, 6, 6])
    #expect(outcome.json["correct"] as? Int == (0..<3).map { confusion[$0][$0] }.reduce(0, +))
    #expect(
      box.run("eval", "m.tally", "--data", "d.npz[0..<5]", "--json").json["total"] as? Int == 5)
    #expect(box.run("eval", "m.tally", "--data", "d.npz").output.contains("of 18)"))
    let range = box.run("eval", "m.tally", "--data", "d.npz[0..<50]")
    #expect(range.status == 2 && range.error.contains("TLY0703"))
    for (labels, code, status) in [([0, 3], 701, 3), ([0, 1, 2], 702, 3)] as [([UInt8], Int, Int32)]
    {
      try box.write(
        ZipArchive.stored([
          (
            "x.npy",
            try NumpyArray.encoded(
              NumericArray(shape: [2, 12], storage: .uint8([UInt8](repeating: 9, count: 24))))
          ),
          (
            "y.npy",
            try NumpyArray.encoded(
              NumericArray(shape: [labels.count], storage: .uint8(labels)))
          ),
        ]), "l.npz")
      let outcome = box.run("eval", "m.tally", "--data", "l.npz")
      #expect(outcome.status == status && outcome.error.contains("TLY0\(code)"), "\(outcome)")
    }
    try box.write(
      ZipArchive.stored([
        (
          "x.npy",
          try NumpyArray.encoded(
            NumericArray(shape: [2, 12], storage: .uint8([UInt8](repeating: 9, count: 24))))
        )
      ]), "x.npz")
    let unlabelled = box.run("eval", "m.tally", "--data", "x.npz")
    #expect(unlabelled.status == 3 && unlabelled.error.contains("TLY0701"), "\(unlabelled)")
  }

  @Test("numeric targets are evaluated and trained by squared error")
  func targets() throws {
    let box = try Sandbox()
    let x = [Float](repeating: 0, count: 48).indices.map { Float($0 % 7) }
    let y = (0..<12).map { Float($0 % 3) / 2 }
    try box.write(
      ZipArchive.stored([
        ("x.npy", try NumpyArray.encoded(NumericArray(shape: [4, 12], storage: .float32(x)))),
        ("y.npy", try NumpyArray.encoded(NumericArray(shape: [4, 3], storage: .float32(y)))),
      ]), "t.npz")
    let outcome = box.run("eval", "m.tally", "--data", "t.npz", "--json")
    #expect(outcome.status == 0 && outcome.json["correct"] == nil, "\(outcome)")
    #expect(outcome.json["loss"] is String)
    let line = ["train", "m.tally", "--data", "t.npz", "-o", "o.tally", "--journal", "o.tlj"]
    #expect(box.run(line).status == 0)
    let journal = box.run("inspect", "o.tlj", "--model", "m.tally", "--json").json
    #expect((journal["recipe"] as? [String: Any])?["loss"] as? String == "meanSquaredError")
    #expect(box.run("verify", "o.tlj", "--model", "m.tally", "--data", "t.npz").status == 0)
  }

  @Test("plan is what a session takes, and a budget is kept")
  func plan() throws {
    let box = try Sandbox()
    let model = try LoadedModel(box.bytes("m.tally"))
    for fast in [[], ["--fast"]] {
      for samples in [1, 5] {
        let outcome = box.run(
          ["plan", "m.tally", "--json", "--samples", "\(samples)"] + fast)
        let session = try HostSession(
          model, SessionRequest(samples: samples, isCompact: fast.isEmpty))
        #expect(outcome.json["ramBytes"] as? Int == session.plannedByteCount)
        #expect(outcome.json["flashBytes"] as? Int == model.byteCount)
      }
    }
    let training = box.run("plan", "m.tally", "--recipe", "r.json", "--fast", "--json")
    let run = try TrainingRun(
      model,
      recipe: try RecipeDocument(Array(Sandbox.recipe.utf8)[...], file: "r")
        .resolved(for: model, hasLabels: true).bytes,
      samples: PreparedSamples(
        try DataSet(parsing: box.path("d.npz"), inflate: Inflate.raw), for: model))
    let needed = try #require(training.json["ramBytes"] as? Int)
    #expect(needed == run.arenaByteCount)
    for (budget, status) in [(needed, 0), (needed - 1, 6)] as [(Int, Int32)] {
      let outcome = box.run(
        "plan", "m.tally", "--recipe", "r.json", "--fast", "--json", "--budget", "\(budget)")
      #expect(outcome.status == status)
      #expect(outcome.json["fits"] as? Bool == (status == 0))
      #expect(outcome.error.contains("TLY0804") == (status == 6))
    }
  }

  @Test("inspect says what each kind of file is")
  func inspect() throws {
    let box = try digits()
    #expect(box.train().status == 0)
    let journal = try box.bytes("run.tlj")
    try box.write(Array(journal.dropLast(3)), "torn.tlj")
    var broken = journal
    broken[journal.count / 2] ^= 1
    try box.write(broken, "broken.tlj")
    try box.write(Array("a,b,label\n1,2,x\n3,4,y\n5,6,x\n".utf8), "t.csv")
    try box.write([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9], "a.idx")
    try box.write(
      [UInt8](
        try NumpyArray.encoded(NumericArray(shape: [2, 2], storage: .int32([1, -5, 3, 4])))),
      "n.npy")
    try box.write(Array(ConvertTests.network.utf8), "net.json")
    let header = Array(
      #"{"__metadata__":{"by":"me"},"w":{"dtype":"F16","shape":[2,1],"data_offsets":[0,4]}}"#.utf8)
    try box.write(
      [UInt8(header.count), 0, 0, 0, 0, 0, 0, 0] + header + [0, 0, 0, 0], "w.safetensors")
    for (file, format, words) in [
      ("m.tally", "tally model", ["fully connected", "init", "1×1×8", "parameters"]),
      ("run.tlj", "tally journal", ["finished", "10 of 10", "epoch"]),
      ("torn.tlj", "tally journal", ["torn: the file ends inside a record"]),
      ("broken.tlj", "tally journal", ["broken: "]),
      ("digits.onnx", "ONNX", ["Conv", "yes: ", "1,898 parameters", "[batch, 1, 8, 8]"]),
      ("w.safetensors", "safetensors", ["float16", "[2, 1]", "me", "--network"]),
      ("d.npz", "numpy archive", ["uint8", "[18, 12]"]),
      ("n.npy", "numpy array", ["-5", "[2, 2]"]),
      ("a.idx", "idx array", ["uint8", "[3]", "7"]),
      ("t.csv", "CSV", ["a, b, label", "x", "2 classes"]),
      ("r.json", "JSON", ["learningRate", "--dry-run"]),
      ("net.json", "network description", ["layers"]),
      ("d.npz[0..<4]", "data", ["samples  4", "3 classes"]),
    ] {
      let outcome = box.run("inspect", file)
      #expect(outcome.status == 0, "\(file): \(outcome.error)")
      #expect(outcome.output.hasPrefix("\(file): \(format)\n"), "\(outcome.output)")
      for word in words { #expect(outcome.output.contains(word), "\(file): \(outcome.output)") }
      #expect(box.run("inspect", file, "--json").json["format"] as? String == format)
    }
    let recipe = box.run("inspect", "run.tlj", "--model", "m.tally").output
    #expect(recipe.contains("\"learningRate\": \"0.25\""), "\(recipe)")
  }

  @Test("inspect refuses what it does not know with the reader's words")
  func unknown() throws {
    let box = try Sandbox()
    try box.write([0xDE, 0xAD, 0xBE, 0xEF], "x.bin")
    try box.write([0x80, 2, 0x7d, 0x71, 0, 0x2e], "p.bin")
    for (file, status, code) in [
      ("x.bin", 3, "TLY0103"), ("p.bin", 4, "TLY0409"), ("none.tally", 5, "TLY0101"),
    ] as [(String, Int32, String)] {
      let outcome = box.run("inspect", file)
      #expect(outcome.status == status && outcome.error.contains(code), "\(file): \(outcome)")
    }
  }

  @Test("a malformed model is refused by every verb that reads one")
  func malformed() throws {
    let box = try Sandbox()
    let whole = try box.bytes("m.tally")
    var flipped = whole
    flipped[LoadedModelBytes.weights(whole)] ^= 1
    var newer = whole
    newer[8] = 2
    let files: [([UInt8], String, Int32)] = [
      (Array(whole.dropLast()), "TLY0106", 3), (whole + [0], "TLY0107", 3),
      (flipped, "TLY0902", 3), (newer, "TLY0901", 4), (Array(whole.prefix(20)), "TLY0106", 3),
    ]
    for (bytes, code, status) in files {
      try box.write(bytes, "bad.tally")
      for line in [
        ["inspect", "bad.tally"], ["eval", "bad.tally", "--data", "d.npz"], ["plan", "bad.tally"],
        ["train", "bad.tally", "--data", "d.npz", "-o", "o.tally", "--journal", "o.tlj"],
        ["train", "bad.tally", "--dry-run"],
      ] {
        let outcome = box.run(line)
        #expect(outcome.status == status && outcome.error.contains(code), "\(line): \(outcome)")
        #expect(outcome.error.contains("--> bad.tally, offset "), "\(outcome.error)")
        #expect(outcome.output == "" && !box.exists("o.tally") && !box.exists("o.tlj"))
      }
    }
  }
}

@Suite("tally init --data") struct InitialRangeTests {
  private let network = """
    {"input": [12], "layers": [{"kind": "fullyConnected", "outputs": 3}]}
    """

  /// 18 samples of the given largest value, as bytes.
  private func data(_ box: Sandbox, _ largest: UInt8) throws {
    let x = (0..<36).map { UInt8($0 * Int(largest) / 35) }
    try box.write(
      ZipArchive.stored([
        ("x.npy", try NumpyArray.encoded(NumericArray(shape: [3, 12], storage: .uint8(x)))),
        ("y.npy", try NumpyArray.encoded(NumericArray(shape: [3], storage: .uint8([0, 1, 2])))),
      ]), "range.npz")
  }

  /// What the model makes of x.
  private func prepared(_ box: Sandbox, _ x: Int32) throws -> Int8 {
    let model = try LoadedModel(box.bytes("i.tally"))
    let array = NumericArray(shape: [1, 12], storage: .int32(Array(repeating: x, count: 12)))
    let labels = NumericArray(shape: [1], storage: .int32([0]))
    try box.write(
      ZipArchive.stored([
        ("x.npy", try NumpyArray.encoded(array)), ("y.npy", try NumpyArray.encoded(labels)),
      ]), "one.npz")
    let data = try DataSet(parsing: box.path("one.npz"), inflate: Inflate.raw)
    let samples = try PreparedSamples(data, for: model)
    return withExtendedLifetime(samples) { samples.samples.values[0] }
  }

  @Test("small numbers fill the input's range; bytes keep their steps", arguments: [16, 1, 255])
  func range(_ largest: UInt8) throws {
    let box = try Sandbox()
    try box.write(Array(network.utf8), "n.json")
    try data(box, largest)
    let outcome = box.run("init", "n.json", "-o", "i.tally", "--data", "range.npz")
    #expect(outcome.status == 0, "\(outcome)")
    #expect(outcome.error.contains("from 0 to \(largest)"))
    #expect(try prepared(box, 0) == -128)
    #expect(try prepared(box, Int32(largest)) == 127)
  }

  @Test("without data the input is bytes")
  func bytes() throws {
    let box = try Sandbox()
    try box.write(Array(network.utf8), "n.json")
    #expect(box.run("init", "n.json", "-o", "i.tally").status == 0)
    #expect(try prepared(box, 16) == -112)
    let other = box.run("init", "n.json", "-o", "j.tally", "--data", "none.npz")
    #expect(other.status == 5 && !box.exists("j.tally"), "\(other)")
  }
}
