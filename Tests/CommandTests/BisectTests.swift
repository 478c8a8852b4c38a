import Foundation
import Importers
import Layers
import Tally
import TallyHost
import TallyTestSupport
import Tensors
import Testing
import Training

@testable import TallyCommand

/// A machine that computes one thing wrongly: the same engine, whose memory is changed behind its back
/// at one moment of a step.
final class FaultyMachine {
  /// What it changes, and what it changed first.
  struct Fault {
    var step: UInt32
    var query: UInt32
    var element: Int
    var right: Int
    var wrong: Int
  }

  private(set) var first: Fault?
  /// Returns the elements it has changed.
  private let spoil: (Observation) -> [(element: Int, right: Int, wrong: Int)]

  init(_ spoil: @escaping (Observation) -> [(element: Int, right: Int, wrong: Int)]) {
    self.spoil = spoil
  }

  private func observe(_ seen: Observation) {
    guard let change = spoil(seen).first, first == nil else { return }
    first = Fault(
      step: seen.step, query: seen.query, element: change.element, right: change.right,
      wrong: change.wrong)
  }

  private func run(_ box: Sandbox) throws -> TrainingRun {
    let model = try LoadedModel(box.bytes("m.tally"))
    let recipe = try RecipeDocument(box.bytes("r.json")[...], file: "r.json")
      .resolved(for: model, hasLabels: true)
    let data = try DataSet(parsing: box.path("d.npz"), inflate: Inflate.raw)
    return try TrainingRun(
      model, recipe: recipe.bytes, samples: try PreparedSamples(data, for: model))
  }

  /// The journal it writes.
  func journal(_ box: Sandbox) throws -> [UInt8] {
    let run = try run(box)
    var writer = JournalWriter(MemorySink())
    run.begin(&writer)
    while !run.run.isDone { run.takeStep(&writer) { self.observe($0) } }
    run.end(&writer)
    return writer.sink.bytes
  }

  /// What it writes down of some steps.
  func trace(_ box: Sandbox, _ steps: Range<UInt32>) throws -> [UInt8] {
    let run = try run(box)
    var writer = JournalWriter(MemorySink())
    run.begin(&writer)
    let begin = JournalParts(writer.sink.bytes).parts[0].payload
    while run.run.trainer.step < steps.lowerBound {
      run.takeStep(&writer) { self.observe($0) }
    }
    var trace = TraceWriter(begin: begin, steps: steps, head: writer.chain.head)
    for _ in steps {
      run.takeStep(&writer) { seen in
        self.observe(seen)
        seen.trace(into: &trace)
      }
    }
    return trace.finish()
  }
}

@Suite("tally bisect") struct BisectTests {
  /// A sandbox with the right journal `a.tlj` and a faulty machine's `b.tlj`.
  func parted(_ machine: FaultyMachine) throws -> Sandbox {
    let box = try Sandbox()
    try #require(box.train("a.tally", "a.tlj").status == 0)
    try box.write(machine.journal(box), "b.tlj")
    return box
  }

  /// Follows the advice of `bisect` from the journals to the element.
  func found(_ box: Sandbox, _ machine: FaultyMachine) throws -> [String: Any] {
    let journals = box.run("bisect", "a.tlj", "b.tlj", "--json")
    try #require(journals.status == 1, "\(journals)")
    #expect(journals.json["verdict"] as? String == "parted")
    var steps = try #require(journals.json["trace"] as? String)
    for _ in 0..<2 {
      let range = try Bisection.steps(steps)
      let recorded = box.run(
        "bisect", "a.tlj", "--trace", steps, "--model", "m.tally", "--data", "d.npz", "-o",
        "a.tlt", "--force", "--json")
      try #require(recorded.status == 0, "\(recorded)")
      #expect(recorded.json["repeatsJournal"] as? Bool == true)
      try box.write(machine.trace(box, range), "b.tlt")
      let traces = box.run(["bisect", "a.tlt", "b.tlt", "--model", "m.tally", "--json"])
      try #require(traces.status == 1, "\(traces)")
      if range.count == 1 { return traces.json }
      // Digests name the step, whose trace has values.
      steps = "\(traces.json["step"] as? Int ?? -1)"
    }
    return [:]
  }

  /// Holds what was found against what the machine did.
  func expect(
    _ json: [String: Any], _ machine: FaultyMachine, operation: String
  ) throws {
    let fault = try #require(machine.first)
    #expect(json["step"] as? Int == Int(fault.step), "\(json)")
    #expect(json["operation"] as? String == operation, "\(json)")
    if fault.query != Observation.wholeStep {
      #expect(json["microBatch"] as? Int == Int(fault.query), "\(json)")
    }
    #expect(json["element"] as? Int == fault.element, "\(json)")
    #expect(json["values"] as? [Int] == [fault.right, fault.wrong], "\(json)")
    #expect(json["expected"] as? Int == fault.right, "\(json)")
    #expect((json["confirmed"] as? String ?? "").hasSuffix("a.tlt"), "\(json)")
  }

  // MARK: - A wrong rounding, found to the element

  /// A machine that rounds the first layer's outputs down from step 5 on, not half up.
  static func roundingDown() -> FaultyMachine {
    FaultyMachine { seen in
      guard case .forward(0) = seen.moment, seen.step >= 5 else { return [] }
      let session = seen.session
      let node = session.network.node(0)
      let shape = node.operation.weighted!
      let weights = session.weights(0, node)
      let biases = session.biases(0, node)
      let multiplier = session.multipliers(0, node)[0]
      let quantization = session.quantization(1)
      let zero = Int(session.quantization(0).zeroPoint)
      var changes: [(element: Int, right: Int, wrong: Int)] = []
      for sample in 0..<seen.samples {
        let x = session.activation(0, sample: sample)
        let y = session.activation(1, sample: sample)
        for o in 0..<shape.output.channels {
          var sum = Int(biases[o])
          for k in 0..<shape.depth {
            sum += Int(weights[o * shape.depth + k]) * (Int(x[k]) - zero)
          }
          let down = sum * Int(multiplier.mantissa) >> Int(multiplier.shift)
          let placed = min(
            max(down + Int(quantization.zeroPoint), Int(quantization.low)), Int(quantization.high))
          guard placed != Int(y[o]) else { continue }
          changes.append((sample * shape.output.channels + o, Int(y[o]), placed))
          y[o] = Int8(placed)
        }
      }
      return changes
    }
  }

  @Test("a machine that rounds down where half up is due is found to the element")
  func rounding() throws {
    let machine = Self.roundingDown()
    let box = try parted(machine)
    let json = try found(box, machine)
    try expect(json, machine, operation: "the output of fc1 (node 0)")
    let lines = json["derivation"] as? [String] ?? []
    for stage in ["accumulator", "multiplier", "rounded", "clamped"] {
      #expect(lines.contains { $0.hasPrefix(stage) }, "\(lines)")
    }
    let text = box.run("bisect", "a.tlt", "b.tlt", "--model", "m.tally").output
    #expect(text.contains("all before it is the same") && text.contains("half up"), "\(text)")
    #expect(text.contains("[sample ") && text.contains("as a.tlt"), "\(text)")
  }

  @Test("a wrong master is found in the micro-batch that spoiled it")
  func master() throws {
    let machine = FaultyMachine { seen in
      guard seen.moment == .contributed(0), seen.step == 3, seen.query == 1 else { return [] }
      let masters = seen.session.masters(0)!
      masters[17] += 1 << 14
      return [(17, Int(masters[17]) - 1 << 14, Int(masters[17]))]
    }
    let box = try parted(machine)
    let json = try found(box, machine)
    try expect(json, machine, operation: "masters of fc1 (node 0)")
    #expect((json["derivation"] as? [String] ?? []).contains { $0.contains("random bits") })
  }

  @Test("a wrong weight is found, though masters are right")
  func weight() throws {
    let machine = FaultyMachine { seen in
      guard seen.moment == .applied, seen.step == 6 else { return [] }
      let weights = seen.session.weights(1, seen.session.network.node(1))
      let right = weights[5]
      weights[5] = right > 0 ? right - 1 : right + 1
      return [(5, Int(right), Int(weights[5]))]
    }
    let box = try parted(machine)
    let json = try found(box, machine)
    try expect(json, machine, operation: "weights of head (node 1) after the step")
  }

  @Test("a wrong gradient of the loss is found to the element")
  func gradient() throws {
    let machine = FaultyMachine { seen in
      // The loss's gradient as the logits' rows hold it, before it is rounded.
      guard seen.moment == .backward(2), seen.step == 2, seen.query == 0 else { return [] }
      let gradient = seen.session.logitGradient
      gradient[1] += 4096
      return [(1, Int(gradient[1]) - 4096, Int(gradient[1]))]
    }
    let box = try parted(machine)
    let json = try found(box, machine)
    try expect(json, machine, operation: "the gradient of the loss")
    #expect((json["derivation"] as? [String] ?? []).contains { $0.contains("exp2neg") })
  }

  @Test("a wrong gradient of a layer is found in the layer that it goes back to")
  func inputGradient() throws {
    let machine = FaultyMachine { seen in
      guard seen.moment == .backward(0), seen.step == 3, seen.query == 1 else { return [] }
      let gradient = seen.session.arena.view(
        seen.session.table.offset(1, .gradient), 8, of: Int8.self)
      let right = gradient[3]
      gradient[3] = right > 0 ? right - 1 : right + 1
      return [(3, Int(right), Int(gradient[3]))]
    }
    let box = try parted(machine)
    let json = try found(box, machine)
    try expect(json, machine, operation: "the gradient of the output of fc1 (node 0)")
    let lines = json["derivation"] as? [String] ?? []
    for stage in ["accumulator", "mask", "shift", "rounded", "clamped"] {
      #expect(lines.contains { $0.hasPrefix(stage) }, "\(lines)")
    }
  }

  // MARK: - Every kind of result

  /// A trace of one step of a golden run, as a machine that computes rightly writes it.
  private func goldenTrace(_ name: String, step: Int) throws -> Sandbox {
    let box = try Sandbox()
    for suffix in ["tally", "tlj", "npz"] {
      try box.write(VectorFolder.bytes("runs/\(name).\(suffix)"), "g.\(suffix)")
    }
    let outcome = box.run(
      "bisect", "g.tlj", "--trace", "\(step)", "--model", "g.tally", "--data", "g.npz", "-o",
      "a.tlt", "--json")
    try #require(outcome.status == 0, "\(outcome)")
    try #require(outcome.json["repeatsJournal"] as? Bool == true)
    return box
  }

  /// Plants a wrong element into one entry, and looks for it.
  private func plant(
    _ box: Sandbox, _ right: TraceParts, _ entry: Int, _ element: Int
  ) throws -> (wrong: Int, json: [String: Any]) {
    var trace = right
    let value = right.parts[entry][element]
    trace.parts[entry][element] = value > 0 ? value - 1 : value + 1
    try box.write(trace.bytes, "b.tlt")
    let outcome = box.run("bisect", "a.tlt", "b.tlt", "--model", "g.tally", "--json")
    #expect(outcome.status == 1, "\(outcome)")
    return (trace.parts[entry][element], outcome.json)
  }

  @Test(
    "a wrong element of every kind of result is found, and shown by hand",
    arguments: ["every-kind", "merges", "cnn-per-channel", "tiny-prop-residual", "regression"])
  func everyKind(name: String) throws {
    let seed = SeededGenerator.freshSeed()
    var random = SeededGenerator(seed: seed, number: 5)
    let box = try goldenTrace(name, step: 1)
    let right = TraceParts(try box.bytes("a.tlt"))
    #expect(try right.bytes == box.bytes("a.tlt"), "the editor keeps what it does not change")
    // Output, gradients of the loss, of tensors and of parameters.
    let kinds: Set<UInt8> = [17, 18, 19, 20, 21]
    for (entry, part) in right.parts.enumerated() where kinds.contains(part.kind) {
      let element = random.below(part.count)
      let (wrong, json) = try plant(box, right, entry, element)
      let place = "seed \(seed): \(name), entry \(entry) of kind \(part.kind): \(json)"
      #expect(json["element"] as? Int == element, "\(place)")
      #expect(json["values"] as? [Int] == [part[element], wrong], "\(place)")
      #expect(json["expected"] as? Int == part[element], "\(place)")
      #expect((json["confirmed"] as? String ?? "").hasSuffix("a.tlt"), "\(place)")
      #expect(json["microBatch"] as? Int == part.query, "\(place)")
      #expect((json["derivation"] as? [String] ?? []).count >= 1, "\(place)")
    }
  }

  @Test(
    "a wrong loss of a zeroth-order step is found in its query",
    arguments: ["zeroth-weights", "zeroth-nodes", "zeroth-gains"])
  func zerothOrder(name: String) throws {
    let box = try goldenTrace(name, step: 1)
    let right = TraceParts(try box.bytes("a.tlt"))
    let measured = right.parts.indices.filter { right.parts[$0].kind == 22 }
    #expect(measured.count >= 2)
    for entry in measured {
      let part = right.parts[entry]
      let (wrong, json) = try plant(box, right, entry, part.count - 1)
      #expect(json["step"] as? Int == 1)
      #expect(json["query"] as? Int == part.index / 2, "\(json)")
      #expect(json["sign"] as? Int == (part.index % 2 == 0 ? 1 : -1), "\(json)")
      #expect(json["values"] as? [Int] == [part[part.count - 1], wrong], "\(json)")
      #expect(json["expected"] as? Int == part[part.count - 1], "\(json)")
    }
    // The logits that a loss comes from have entries of their own.
    let logits = try #require(right.parts.firstIndex { $0.kind == 23 })
    let (_, json) = try plant(box, right, logits, 0)
    #expect((json["operation"] as? String ?? "").contains("the logits of query"), "\(json)")
    #expect(json["query"] as? Int == right.parts[logits].index / 2)
  }

  // MARK: - Journals

  @Test("the first record that differs is found on the chain, and whose side this machine takes")
  func journals() throws {
    let box = try parted(Self.roundingDown())
    let a = JournalParts(try box.bytes("a.tlj")).parts
    let b = JournalParts(try box.bytes("b.tlj")).parts
    // The first tags that differ, by walking.
    let index = try #require(a.indices.first { a[$0].tag != b[$0].tag })
    let step = a[...index].filter { $0.type == 2 }.count - 1
    for (first, second) in [("a.tlj", "b.tlj"), ("b.tlj", "a.tlj")] {
      let outcome = box.run(
        "bisect", first, second, "--model", "m.tally", "--data", "d.npz", "--json")
      #expect(outcome.status == 1, "\(outcome)")
      #expect(outcome.json["step"] as? Int == step)
      #expect(outcome.json["offsets"] as? [Int] == [a[index].offset, b[index].offset])
      #expect((outcome.json["confirmed"] as? String ?? "").hasSuffix("a.tlj"), "\(outcome)")
    }
    let text = box.run("bisect", "a.tlj", "b.tlj").output
    #expect(text.contains("parted at step \(step)") && text.contains("--trace"), "\(text)")
  }

  @Test("runs that part in the calibration: what each has counted, and no advice to trace")
  func calibration() throws {
    let box = try Sandbox()
    for suffix in ["tally", "tlj", "npz"] {
      try box.write(VectorFolder.bytes("runs/calibration.\(suffix)"), "g.\(suffix)")
    }
    var journal = JournalParts(try box.bytes("g.tlj"))
    let index = try #require(journal.parts.firstIndex { $0.type == 3 })
    #expect(journal.parts[index].payload.prefix(4) == [255, 255, 255, 255], "of the calibration")
    let octaves = Int(Int8(bitPattern: journal.parts[index].payload[9]))
    let count = (0..<4).reduce(0) { $0 | Int(journal.parts[index].payload[12 + $1]) << (8 * $1) }
    journal.parts[index].payload[12] ^= 1
    journal.rechain()
    try box.write(journal.bytes, "b.tlj")
    let outcome = box.run(
      "bisect", "b.tlj", "g.tlj", "--model", "g.tally", "--data", "g.npz", "--json")
    #expect(outcome.status == 1, "\(outcome)")
    #expect(outcome.json["step"] is NSNull && outcome.json["trace"] is NSNull)
    #expect((outcome.json["confirmed"] as? String ?? "").hasSuffix("g.tlj"), "\(outcome)")
    let ranges = try #require(outcome.json["ranges"] as? [[String: Any]])
    #expect(ranges.map { $0["octaves"] as? Int } == [octaves, octaves])
    #expect(ranges.map { $0["tail"] as? Int } == [count ^ 1, count])
    let text = box.run("bisect", "b.tlj", "g.tlj").output
    #expect(text.contains("in the calibration before step 0"), "\(text)")
    #expect(text.contains("counts \(count)") && !text.contains("--trace"), "\(text)")
    // The state that step 0 begins with says where it comes from.
    #expect(
      box.run(
        "bisect", "g.tlj", "--trace", "0", "--model", "g.tally", "--data", "g.npz", "-o", "a.tlt"
      ).status == 0)
    var trace = TraceParts(try box.bytes("a.tlt"))
    let scales = try #require(trace.parts.firstIndex { $0.kind == 8 })
    trace.parts[scales][1] += 1
    try box.write(trace.bytes, "b.tlt")
    let earlier = box.run("bisect", "a.tlt", "b.tlt")
    #expect(earlier.status == 1 && earlier.output.contains("the calibration"), "\(earlier)")
  }

  @Test("equal journals, journals that end early, notes")
  func equal() throws {
    let box = try Sandbox()
    #expect(box.train("a.tally", "a.tlj").status == 0)
    let whole = try box.bytes("a.tlj")
    var noted = JournalParts(whole)
    noted.parts.insert(
      .init(type: 0x81, payload: Array("elsewhere".utf8), tag: [], offset: 0, byteCount: 0), at: 2)
    try box.write(noted.bytes, "b.tlj")
    let equal = box.run("bisect", "a.tlj", "b.tlj", "--json")
    #expect(equal.status == 0 && equal.json["verdict"] as? String == "equal", "\(equal)")
    try box.write(Array(whole.prefix(whole.count / 2)), "b.tlj")
    let short = box.run("bisect", "a.tlj", "b.tlj", "--json")
    #expect(short.status == 4 && short.json["verdict"] as? String == "cannot-tell", "\(short)")
  }

  @Test("different experiments are told apart from divergence")
  func experiments() throws {
    let box = try Sandbox()
    #expect(box.train("a.tally", "a.tlj").status == 0)
    #expect(box.train("b.tally", "b.tlj", ["--set", "seed=8"]).status == 0)
    #expect(box.train("c.tally", "c.tlj", ["--validate", "v.npz"]).status == 0)
    try box.write(Sandbox.data(count: 18, changing: (3, 3)), "d.npz")
    #expect(box.train("e.tally", "e.tlj").status == 0)
    for (other, words) in [
      ("b.tlj", "the recipe"), ("c.tlj", "the validation data"), ("e.tlj", "the data"),
    ] {
      let outcome = box.run("bisect", "a.tlj", other)
      #expect(outcome.status == 2 && outcome.error.contains("TLY0907"), "\(outcome)")
      #expect(outcome.error.contains("\(words) differs"), "\(outcome.error)")
    }
    // The data of the second run do not make the first again.
    let foreign = box.run(
      "bisect", "a.tlj", "--trace", "1", "--model", "m.tally", "--data", "d.npz", "-o", "a.tlt")
    #expect(foreign.status == 2 && foreign.error.contains("TLY0903"), "\(foreign)")
    #expect(!box.exists("a.tlt"))
  }

  @Test("a broken journal has no place to part")
  func broken() throws {
    let box = try Sandbox()
    #expect(box.train("a.tally", "a.tlj").status == 0)
    var bytes = try box.bytes("a.tlj")
    bytes[bytes.count / 2] ^= 1
    try box.write(bytes, "b.tlj")
    let outcome = box.run("bisect", "a.tlj", "b.tlj")
    #expect(outcome.status == 1 && outcome.error.contains("TLY0904"), "\(outcome)")
    #expect(box.run("bisect", "a.tlj", "none.tlj").status == 5)
    #expect(box.run("bisect", "a.tlj", "m.tally").status == 3)
  }

  // MARK: - Traces

  @Test("a trace from a checkpoint is the trace from the start; digests and values agree")
  func traces() throws {
    let box = try Sandbox()
    #expect(box.train("a.tally", "a.tlj").status == 0)
    #expect(box.train("b.tally", "b.tlj", ["--checkpoint", "2"]).status == 0)
    func trace(_ journal: String, _ steps: String, _ output: String) -> Sandbox.Outcome {
      box.run(
        "bisect", journal, "--trace", steps, "--model", "m.tally", "--data", "d.npz", "-o", output)
    }
    #expect(trace("a.tlj", "7", "a.tlt").status == 0)
    #expect(trace("b.tlj", "7", "b.tlt").status == 0)
    #expect(try box.bytes("a.tlt") == box.bytes("b.tlt"))
    #expect(box.run("bisect", "a.tlt", "b.tlt", "--model", "m.tally").status == 0)
    #expect(trace("a.tlj", "5..<8", "c.tlt").status == 0)
    let one = try LoadedTrace(box.bytes("a.tlt"), file: "a.tlt")
    let three = try LoadedTrace(box.bytes("c.tlt"), file: "c.tlt")
    #expect(one.hasValues && !three.hasValues)
    let last = three.entries.filter { $0.header.step == 7 }
    #expect(last.map(\.header) == one.entries.map(\.header))
    #expect(last.map(\.digest) == one.entries.map(\.digest))
    let kinds = Set(one.entries.map(\.header.kind))
    #expect(
      kinds.isSuperset(of: [
        .weights, .biases, .masters, .tensorScales, .input, .labels, .output, .lossGradient,
        .gradient,
        .biasGradient, .weightGradient,
      ]))
    let shown = box.run("inspect", "a.tlt", "--model", "m.tally")
    #expect(shown.status == 0 && shown.output.contains("the output of fc1 (node 0)"), "\(shown)")
    #expect(box.run("inspect", "c.tlt", "--json").json["entries"] as? Int == three.entries.count)
    let checkpoint = box.run("inspect", box.path("b.tlj.checkpoints/0000000004.tlc"), "--json")
    #expect(checkpoint.json["steps"] as? Int == 4, "\(checkpoint)")
    #expect(trace("a.tlj", "7", "a.tlt").status == 5, "it exists")
    #expect(trace("a.tlj", "10", "x.tlt").status == 2, "the run has ten steps")
    let other = box.run("bisect", "a.tlt", "c.tlt")
    #expect(other.status == 2 && other.error.contains("TLY0907"), "\(other)")
  }

  @Test("damaged and forged traces are refused or compared, and never trusted")
  func forgedTraces() throws {
    let seed = SeededGenerator.freshSeed()
    var random = SeededGenerator(seed: seed, number: 2)
    let machine = Self.roundingDown()
    let box = try Sandbox()
    #expect(box.train("a.tally", "a.tlj").status == 0)
    #expect(
      box.run(
        "bisect", "a.tlj", "--trace", "5", "--model", "m.tally", "--data", "d.npz", "-o", "a.tlt"
      ).status == 0)
    let good = try box.bytes("a.tlt")
    let wrong = try machine.trace(box, 5..<6)
    for _ in 0..<40 {
      var bytes = good
      bytes[random.below(bytes.count)] ^= 1 << UInt8(random.below(8))
      try box.write(bytes, "b.tlt")
      let outcome = box.run("bisect", "a.tlt", "b.tlt", "--model", "m.tally")
      #expect([2, 3, 4].contains(outcome.status), "seed \(seed): \(outcome)")
    }
    for _ in 0..<60 {
      // With a digest made anew it is another machine's trace, or none.
      var bytes = Array((random.once(in: 2) ? good : wrong).dropLast(32))
      for _ in 0..<random.between(1, 3) {
        bytes[random.below(bytes.count)] = UInt8(random.below(256))
      }
      if random.once(in: 4) { bytes.removeLast(random.below(bytes.count - 32)) }
      var hash = SHA256()
      hash.update(bytes.span.bytes)
      let digest = hash.finalize()
      try box.write(bytes + (0..<32).map { digest[$0] }, "b.tlt")
      for arguments in [["a.tlt", "b.tlt"], ["b.tlt", "a.tlt"]] {
        let outcome = box.run(["bisect"] + arguments + ["--model", "m.tally"])
        #expect([0, 1, 2, 3, 4].contains(outcome.status), "seed \(seed): \(outcome)")
      }
    }
  }

  @Test(
    "a wrong command line",
    arguments: [
      (["a.tlj"], 805), (["a.tlj", "a.tlj", "--trace", "1", "-o", "x.tlt"], 805),
      (["a.tlj", "a.tlj", "--force"], 805), (["a.tlj", "--trace", "soon", "-o", "x.tlt"], 802),
      (["a.tlj", "--trace", "4..<4", "-o", "x.tlt"], 802), (["a.tlj", "--trace", "1"], 805),
    ] as [([String], Int)])
  func usage(arguments: [String], code: Int) throws {
    let box = try Sandbox()
    #expect(box.train("a.tally", "a.tlj").status == 0)
    let outcome = box.run(["bisect"] + arguments)
    #expect(outcome.status == 2 && outcome.error.contains("TLY0\(code)"), "\(outcome)")
  }
}
