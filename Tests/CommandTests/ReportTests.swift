import Foundation
import Importers
import Tally
import TallyTestSupport
import Testing

@testable import TallyCommand
@testable import TallyHost

@Suite("tally report") struct ReportTests {
  private func trained(_ more: [String] = []) throws -> Sandbox {
    let box = try Sandbox()
    let outcome = box.train("out.tally", "run.tlj", ["--validate", "v.npz"] + more)
    #expect(outcome.status == 0, "\(outcome.error)")
    return box
  }

  private func text(_ box: Sandbox, _ name: String) throws -> String {
    String(decoding: try box.bytes(name), as: UTF8.self)
  }

  /// Runs the command, which must succeed, and reads the page that it writes.
  private func page(
    _ box: Sandbox, _ arguments: [String], _ name: String = "page.html"
  ) throws -> String {
    let outcome = box.run(arguments + ["-o", box.path(name)])
    #expect(outcome.status == 0, "\(outcome.error)")
    return try text(box, name)
  }

  /// The event file in a folder, as text: tags are, values are not.
  private func events(_ box: Sandbox, _ folder: String) throws -> String {
    let names = try FileManager.default.contentsOfDirectory(atPath: box.path(folder))
    return try text(box, "\(folder)/\(try #require(names.first))")
  }

  @Test("the page is one file that shows the journal's figures")
  func page() throws {
    let box = try trained()
    let page = try page(
      box,
      ["report", "run.tlj", "--model", "m.tally", "--result", "out.tally", "--data", "v.npz"])
    let outcome = box.run("report", "run.tlj", "-o", box.path("r.html"), "--json")
    #expect(outcome.status == 0 && outcome.json["state"] as? String == "finished", "\(outcome)")
    let journal = try LoadedJournal(box.bytes("run.tlj"))
    #expect(page.hasPrefix("<!DOCTYPE html>") && page.hasSuffix("</body></html>\n"))
    for digest in [journal.chain.head, try #require(journal.result)] {
      #expect(page.contains(digest.hexadecimal))
    }
    for epoch in journal.epochs {
      let percent = DecimalText.percent(epoch.training.correct, of: epoch.training.samples)
      #expect(page.contains("<td>\(percent)</td>"), "\(percent)")
    }
    // Self-contained: no script, nothing fetched.
    for word in ["<script", "http:", "https:", "url(", "<link", "<img"] {
      #expect(!page.contains(word), "\(word)")
    }
    // Tags that open, close.
    for tag in ["section", "figure", "svg", "table", "tbody", "tr", "div", "body", "html"] {
      let opened =
        page.components(separatedBy: "<\(tag)>").count
        + page.components(separatedBy: "<\(tag) ").count
      #expect(opened - 1 == page.components(separatedBy: "</\(tag)>").count, "\(tag)")
    }
    // Each sample of the confusion matrix is counted once.
    #expect(page.contains("Answers on"))
    #expect(page.contains("Saturation by layer") && page.contains("<th>before</th>"))
    let model = try LoadedModel(box.bytes("m.tally"))
    let recipe = try RecipeMemory(recipeBytes(journal), model)
    let memory = try withExtendedLifetime(recipe) {
      try PlannedMemory(
        model, SessionRequest(samples: 2, isCompact: true, training: recipe.recipe.needs))
    }
    #expect(page.contains(DecimalText.grouped(memory.byteCount)))
  }

  private func recipeBytes(_ journal: LoadedJournal) -> [UInt8] {
    guard let recipe = journal.inputs?.recipe else { return [] }
    return (0..<recipe.count).map { recipe[$0] }
  }

  @Test("saturation by layer is what a step record counts, apart")
  func saturation() throws {
    let box = try Sandbox()
    let model = try LoadedModel(box.bytes("m.tally"))
    let data = try DataSet(parsing: box.path("d.npz"), inflate: Inflate.raw)
    let samples = try PreparedSamples(data, for: model)
    let found = try LayerSaturation(model, samples)
    #expect(found.layers.map(\.count) == [18 * 8])
    // A step of rate 0 on all samples: its record has the sum over the layers.
    let recipe = try RecipeDocument(
      Array(#"{"batch": 18, "steps": 1, "learningRate": "0"}"#.utf8)[...], file: "r")
    let fields = try recipe.resolved(for: model, hasLabels: true)
    let run = try TrainingRun(model, recipe: fields.bytes, samples: samples)
    var sink = JournalWriter(MemorySink())
    run.finish(&sink)
    let step = try #require(run.run.lastStep)
    #expect(found.layers.map(\.saturated).reduce(0, +) == Int(step.saturated))
    withExtendedLifetime((model, samples, run)) {}
  }

  @Test("with targets nothing is right or wrong: neither the run, its logs nor its page says so")
  func targets() throws {
    let box = try Sandbox()
    let x = NumericArray(shape: [6, 12], storage: .uint8((0..<72).map { UInt8($0) }))
    let y = NumericArray(shape: [6, 3], storage: .float32((0..<18).map { Float($0) / 18 }))
    try box.write(
      ZipArchive.stored([
        ("x.npy", try NumpyArray.encoded(x)), ("y.npy", try NumpyArray.encoded(y)),
      ]), "t.npz")
    let run = box.run(
      "train", "m.tally", "--data", "t.npz", "--recipe", "r.json", "-o", "out.tally", "--journal",
      "run.tlj", "--validate", "t.npz", "--json", "--log", "live.json", "--tensorboard",
      box.path("live"))
    #expect(run.status == 0 && run.error.contains("loss") && !run.error.contains("acc"), "\(run)")
    let epochs = try #require(run.json["epochs"] as? [[String: Any]])
    #expect(Set(epochs[0].keys) == ["epoch", "samples", "loss", "validation"])
    let later = box.run(
      "report", "run.tlj", "--log", "later.json", "--tensorboard", box.path("later"))
    #expect(later.status == 0, "\(later.error)")
    #expect(try text(box, "later.json") == text(box, "live.json"))
    let inspected = box.run("inspect", "run.tlj")
    let events = try ["live", "later"].map { try self.events(box, $0) }
    for shown in [run.output, try text(box, "live.json"), inspected.output] + events {
      #expect(shown.contains("loss") && !shown.contains("accuracy") && !shown.contains("correct"))
    }
    let found = try page(
      box,
      ["report", "run.tlj", "-m", "m.tally", "--result", "out.tally", "--data", "t.npz"])
    #expect(found.contains("loss on test data") && found.contains("<th>validation loss</th>"))
    #expect(!found.contains("right while") && !found.contains("<th>right</th>"))
    #expect(!found.contains("nats"))
    // Labels: they do.
    let labelled = try trained()
    let other = try page(labelled, ["report", "run.tlj", "-m", "m.tally"])
    #expect(other.contains("right while") && other.contains("<th>right</th>"))
    #expect(labelled.run("inspect", "run.tlj").output.contains("accuracy"))
    #expect(other.contains("loss of each step, nats"))
  }

  /// With k = 3 of 10 channels of which 2 are not 0, all that there is has been kept, not 150 %.
  @Test("a kept share is of the channels that are not 0")
  func keptShare() {
    let kept = LoadedJournal.Kept(selected: 3, touched: 2, active: 2)
    var file = EventFile(wallTime: 0)
    let start = file.bytes.count
    file.add(.kept(RunHistory.KeptStep(step: 0, nodes: [kept])))
    let record = Array(file.bytes[(start + 12)..<(file.bytes.count - 4)])
    let value = scalar(record)
    #expect(value?.0 == "kept/0" && value?.1 == 1)
  }

  @Test("the scheme names what zeroth order trains")
  func zerothOrderScheme() throws {
    let box = try Sandbox()
    try box.write(Array(ReplayTests.recipe.utf8), "r.json")
    #expect(box.train().status == 0)
    let page = try page(box, ["report", "run.tlj", "-m", "m.tally"])
    #expect(page.contains("by zeroth order (weights, gain)") && page.contains("loss and update"))
    #expect(page.contains("Loss differences of the perturbations"))
  }

  @Test("loss differences of many groups become one chart with a point for every step")
  func manyGroups() throws {
    let box = try Sandbox()
    try box.write(Array(ReplayTests.recipe.utf8), "r.json")
    #expect(box.train().status == 0)
    var journal = JournalParts(try box.bytes("run.tlj"))
    // A step visits one group (SPEC 8.18): eight in turn, in place of two.
    for (step, index) in journal.parts.indices.filter({ journal.parts[$0].type == 9 }).enumerated()
    {
      journal.parts[index].payload[4] = UInt8(step % 8)
    }
    journal.rechain()
    try box.write(journal.bytes, "many.tlj")
    let page = try page(box, ["report", "many.tlj"])
    let section = try #require(page.components(separatedBy: "Loss differences of the").last)
    #expect(section.contains("group 7"))
    let points = try #require(
      section.components(separatedBy: "<polyline class=\"series c0\" points=\"").dropFirst().first?
        .prefix { $0 != "\"" })
    #expect(points.split(separator: " ").count == 10, "\(points)")
  }

  @Test("a run that keeps nothing has no section of kept channels")
  func keptNothing() throws {
    let box = try trained()
    var journal = JournalParts(try box.bytes("run.tlj"))
    journal.parts = journal.parts.flatMap { part -> [JournalParts.Part] in
      guard part.type == 2 else { return [part] }
      var kept = part
      kept.type = 8
      kept.payload = Array(part.payload.prefix(4)) + [0, 0, 0, 0]
      return [part, kept]
    }
    journal.rechain()
    try box.write(journal.bytes, "kept.tlj")
    #expect(RunHistory(try LoadedJournal(box.bytes("kept.tlj"))).kept.count == 10)
    #expect(!(try page(box, ["report", "kept.tlj"])).contains("Kept gradient channels"))
  }

  @Test("more curves than colors become a chart of the whole and a table by layer")
  func manyCurves() {
    func curves(_ count: Int) -> LayerCurves {
      LayerCurves(
        title: "share",
        curves: (0..<count).map {
          LineChart.Curve(name: "layer \($0)", points: [(0, 100 * $0), (1, 200 * $0)])
        }, whole: LineChart.Curve(name: "all layers", points: [(0, 300), (1, 600)]), scale: 100,
        isPercent: true)
    }
    let few = curves(6).html
    #expect(few.components(separatedBy: "<polyline").count == 7 && !few.contains("<table"))
    let many = curves(7).html
    #expect(many.components(separatedBy: "<polyline").count == 2 && many.contains("all layers"))
    #expect(many.contains(">layer 6</td><td>6.00 %</td><td>9.00 %</td><td>12.00 %</td>"))
  }

  @Test("names from outside are escaped")
  func escaping() {
    #expect(
      HTMLText.escaped("<a href=\"x\">&</a>") == "&lt;a href=&quot;x&quot;&gt;&amp;&lt;/a&gt;")
    let table = HTMLText.table(["<b>"], [["<i>"]])
    #expect(table.contains("&lt;b&gt;") && table.contains("&lt;i&gt;") && !table.contains("<i>"))
  }

  @Test("a torn journal is shown as far as it is good; a broken one too")
  func unfinished() throws {
    let box = try trained()
    let bytes = try box.bytes("run.tlj")
    try box.write(Array(bytes.prefix(bytes.count * 2 / 3)), "torn.tlj")
    #expect(box.run("report", "torn.tlj", "-o", box.path("torn.html")).status == 0)
    #expect(try text(box, "torn.html").contains("unfinished: "))
    let missing = box.run("report", "run.tlj")
    #expect(missing.status == 2 && missing.error.contains("TLY0805"))
    let other = box.run(
      "report", "run.tlj", "-o", box.path("x.html"), "--model", "out.tally")
    #expect(other.status == 2 && other.error.contains("TLY0903"))
    #expect(!box.exists("x.html"))
  }

  @Test("the log is the same live, after a resume, and from the journal")
  func log() throws {
    let box = try trained(["--log", "live.json"])
    #expect(box.run("report", "run.tlj", "--log", "later.json").status == 0)
    let live = try text(box, "live.json")
    #expect(try text(box, "later.json") == live)
    let lines = live.split(separator: "\n").map { line in
      (try? JSONSerialization.jsonObject(with: Data(line.utf8))) as? [String: Any] ?? [:]
    }
    #expect(
      lines.map { $0["event"] as? String } == ["start"] + Array(repeating: "step", count: 5)
        + ["epoch"] + Array(repeating: "step", count: 5) + ["epoch", "result"])
    #expect(
      lines.filter { $0["event"] as? String == "step" }.map { $0["step"] as? Int }
        == (0..<10).map { $0 })
    let journal = try LoadedJournal(box.bytes("run.tlj"))
    #expect(lines.last?["model"] as? String == journal.result?.hexadecimal)

    #expect(
      box.train("b.tally", "b.tlj", ["--validate", "v.npz", "--log", "b.json"], stopAfter: 6)
        .status == 130)
    #expect(
      box.train("b.tally", "b.tlj", ["--validate", "v.npz", "--log", "b.json", "--resume"]).status
        == 0)
    #expect(try text(box, "b.json") == live)
  }

  @Test("TensorBoard's records: lengths, checks and values")
  func events() throws {
    let box = try trained()
    let folder = box.path("board")
    #expect(box.run("report", "run.tlj", "--tensorboard", folder).status == 0)
    let name = try #require(
      try FileManager.default.contentsOfDirectory(atPath: folder).first)
    #expect(name.contains("tfevents"))
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)")))
    var offset = 0
    var values: [String: [Float]] = [:]
    var count = 0
    while offset < bytes.count {
      let length = Int(little(bytes, offset, 8))
      #expect(little(bytes, offset + 8, 4) == UInt64(masked(bytes[offset..<offset + 8])))
      let event = Array(bytes[offset + 12..<offset + 12 + length])
      #expect(little(bytes, offset + 12 + length, 4) == UInt64(masked(event[...])))
      offset += 16 + length
      count += 1
      if let (tag, value) = scalar(event) { values[tag, default: []].append(value) }
    }
    #expect(offset == bytes.count)
    let history = RunHistory(try LoadedJournal(box.bytes("run.tlj")))
    #expect(history.steps.count == 10)
    #expect(
      values["loss"] == history.steps.map { Float($0.loss) / 65536 / Float($0.samples) })
    #expect(values["epoch/validation accuracy"]?.count == 2)
    #expect(count == 1 + 4 * 10 + 4 * 2)
  }

  /// A CRC by its definition, bit by bit, masked as TensorBoard has it.
  private func masked(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    var crc: UInt32 = ~0
    for byte in bytes {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
    }
    crc = ~crc
    return (crc >> 15 | crc << 17) &+ 0xA282_EAD8
  }

  private func little(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> UInt64 {
    (0..<count).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) }
  }

  /// The tag and value of an event with a summary: field 5, in it field 1, in it fields 1 and 2.
  private func scalar(_ event: [UInt8]) -> (String, Float)? {
    guard let start = event.firstIndex(of: 0x2A), start >= 9 else { return nil }
    let value = Array(event[(start + 4)...])
    guard value.count > 2, value[0] == 0x0A else { return nil }
    let length = Int(value[1])
    let tag = String(decoding: value[2..<2 + length], as: UTF8.self)
    guard value[2 + length] == 0x15 else { return nil }
    return (tag, Float(bitPattern: UInt32(little(value, 3 + length, 4))))
  }
}

@Suite("Line charts") struct LineChartTests {
  @Test("ticks are round, ascending, and enclose the range")
  func ticks() {
    let seed = SeededGenerator.freshSeed()
    var random = SeededGenerator(seed: seed, number: 0)
    for _ in 0..<200 {
      let low = -random.below(100_000)
      let high = low + 1 + random.below(1_000_000)
      let ticks = LineChart.ticks(low, high)
      #expect(ticks.count >= 2 && ticks.count <= 7, "seed \(seed), \(low)...\(high): \(ticks)")
      #expect(
        ticks[0] <= low && ticks[ticks.count - 1] >= high,
        "seed \(seed), \(low)...\(high): \(ticks)")
      let steps = Set(zip(ticks, ticks.dropFirst()).map { $1 - $0 })
      #expect(steps.count == 1, "\(ticks)")
    }
  }

  @Test("an axis says where its points begin and end, however they are averaged")
  func ends() {
    let points = (0..<4000).map { (x: $0, y: 1) }
    let chart = LineChart(
      title: "t", curves: [LineChart.Curve(name: "c", points: points)], scale: 1)
    #expect(chart.svg.contains(">step 0</text>") && chart.svg.contains(">3,999</text>"))
  }

  @Test("many points are averaged, few are kept")
  func thinning() {
    let few = (0..<10).map { (x: $0, y: $0 * $0) }
    #expect(LineChart.thinned(few).map(\.y) == few.map(\.y))
    let many = (0..<4000).map { (x: $0, y: $0 % 10) }
    let thin = LineChart.thinned(many)
    #expect(thin.count == 400 && thin.allSatisfy { $0.y == 4 })
  }
}
