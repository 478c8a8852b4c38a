import Foundation
import Importers
import Tally
import TallyHost
import TallyTestSupport
import Testing

@testable import TallyCommand

@Suite("tally verify --structure, --sample, --vary") struct VerifyModeTests {
  /// A sandbox with a run of ten steps and checkpoints behind steps 2, 4, 6 and 8.
  func trained(_ more: [String] = ["--checkpoint", "2"]) throws -> Sandbox {
    let box = try Sandbox()
    let outcome = box.train("out.tally", "run.tlj", more)
    try #require(outcome.status == 0, "\(outcome.error)")
    return box
  }

  // MARK: - Structure

  @Test("--structure is content with chain, order and sums, and says so")
  func structure() throws {
    let box = try trained(["--validate", "v.npz"])
    for model in [[], ["--model", "m.tally"]] {
      let outcome = box.run(["verify", "run.tlj", "--structure", "--json"] + model)
      #expect(outcome.status == 0, "\(outcome)")
      #expect(outcome.json["verdict"] as? String == "well-formed")
      #expect(outcome.json["step"] as? Int == 10)
    }
    let whole = try box.bytes("run.tlj")
    try box.write(Array(whole.dropLast(3)), "torn.tlj")
    let torn = box.run("verify", "torn.tlj", "--structure", "--json")
    #expect(torn.status == 4 && torn.json["code"] as? String == "TLY0906", "\(torn)")
    for index in stride(from: 16, to: whole.count, by: 7) {
      var bytes = whole
      bytes[index] ^= 0x04
      try box.write(bytes, "bad.tlj")
      #expect(box.run("verify", "bad.tlj", "--structure").status == 1, "byte \(index)")
    }
  }

  @Test("--structure finds what no arithmetic could make, though the chain was made anew")
  func structureOfForgeries() throws {
    let box = try trained()
    let whole = JournalParts(try box.bytes("run.tlj"))
    func first(_ type: UInt8) -> Int { whole.parts.firstIndex { $0.type == type }! }
    func expect(
      _ words: String, needsModel: Bool, line: Int = #line,
      _ change: (inout JournalParts) -> Void
    ) throws {
      var journal = whole
      change(&journal)
      journal.rechain()
      try box.write(journal.bytes, "bad.tlj")
      let blind = box.run("verify", "bad.tlj", "--structure", "--json")
      #expect(blind.status == (needsModel ? 0 : 1), "line \(line): \(blind)")
      let outcome = box.run("verify", "bad.tlj", "--structure", "--model", "m.tally", "--json")
      #expect(outcome.status == 1, "line \(line): \(outcome)")
      #expect(outcome.json["code"] as? String == "TLY0905", "line \(line): \(outcome)")
      #expect((outcome.json["reason"] as? String ?? "").contains(words), "line \(line): \(outcome)")
    }
    for byte in [4, 8, 16] {
      try expect("sums of the epoch", needsModel: false) { $0.parts[first(5)].payload[byte] ^= 1 }
    }
    try expect("planned steps", needsModel: true) { $0.parts[0].payload[104] ^= 1 }
    try expect("order", needsModel: true) { $0.parts.remove(at: first(4)) }
    try expect("order", needsModel: true) {
      $0.parts.remove(at: $0.parts.lastIndex { $0.type == 5 }!)
    }
    try expect("order", needsModel: true) { journal in
      // A root that is not due.
      var root = journal.parts[first(4)]
      root.payload.replaceSubrange(0..<4, with: [0, 0, 0, 0])
      journal.parts.insert(root, at: first(2) + 1)
    }
    try expect("number of samples", needsModel: true) { journal in
      // The first step says three samples and the epoch agrees.
      journal.parts[first(2)].payload[4] = 3
      journal.parts[first(5)].payload[4] = 17
    }
    try expect("number of samples", needsModel: false) { journal in
      for index in 96..<100 { journal.parts[0].payload[index] = 0 }
    }
  }

  // MARK: - Samples

  @Test("--sample does some segments again, and which depends on journal and nonce")
  func sample() throws {
    let box = try trained()
    func segments(_ more: String...) -> [[Int]] {
      let outcome = box.verify("run.tlj", more)
      #expect(
        outcome.status == 0 && outcome.json["verdict"] as? String == "reproduced", "\(outcome)")
      return (outcome.json["segments"] as? [[String: Int]] ?? []).map {
        [$0["first"] ?? -1, $0["behind"] ?? -1]
      }
    }
    let all = segments("--sample", "99")
    #expect(all == [[0, 2], [2, 4], [4, 6], [6, 8], [8, 10]])
    let chosen = segments("--sample", "2", "--nonce", "heads")
    #expect(chosen.count == 2 && chosen.allSatisfy(all.contains))
    #expect(segments("--sample", "2", "--nonce", "heads") == chosen, "the nonce repeats it")
    let choices = Set((0..<6).map { segments("--sample", "2", "--nonce", "\($0)") })
    #expect(choices.count > 1)
    let outcome = box.verify("run.tlj", ["--sample", "2"])
    #expect((outcome.json["nonce"] as? String ?? "").count > 8, "one is drawn and shown")
    #expect(outcome.json["step"] as? Int == 4)
  }

  @Test("any segment can be chosen, each once")
  func choice() throws {
    var counts = Array(repeating: 0, count: 7)
    for nonce in 0..<140 {
      let chosen = SegmentChoice.segments(
        3, of: 7, head: JournalFormat.firstHead, nonce: Array("\(nonce)".utf8))
      #expect(chosen.count == 3 && Set(chosen).count == 3 && chosen == chosen.sorted())
      for index in chosen { counts[index] += 1 }
    }
    // 60 expected of each; 30 is five standard deviations off.
    #expect(counts.allSatisfy { $0 > 30 }, "\(counts)")
    let all = SegmentChoice.segments(9, of: 7, head: JournalFormat.firstHead, nonce: [])
    #expect(all == Array(0..<7))
  }

  @Test("a changed record is found in the segment that has it, at its step")
  func sampledTampering() throws {
    let box = try trained()
    let whole = JournalParts(try box.bytes("run.tlj"))
    for index in whole.parts.indices where whole.parts[index].type == 2 {
      var journal = whole
      journal.parts[index].payload[8] ^= 1
      journal.rechain()
      try box.write(journal.bytes, "run.tlj")
      let outcome = box.verify("run.tlj", ["--sample", "99"])
      #expect(outcome.status == 1, "\(outcome)")
      #expect(outcome.json["step"] as? Int == whole.steps(before: index))
    }
  }

  @Test("a forged checkpoint is not the state of the root, nor the one the run has")
  func forgedCheckpoint() throws {
    let box = try trained()
    let name = "run.tlj.checkpoints/0000000004.tlc"
    let good = try box.bytes(name)
    // The first bytes of the state are weights; the last, of the history of ranges, are in no root.
    for place in [56, good.count - 33] {
      var bytes = good
      bytes[place] ^= 1
      var hash = SHA256()
      hash.update(Array(bytes.dropLast(32)).span.bytes)
      let digest = hash.finalize()
      try box.write(bytes.dropLast(32) + (0..<32).map { digest[$0] }, name)
      let outcome = box.verify("run.tlj", ["--sample", "99"])
      #expect(outcome.status == 1 && outcome.json["code"] as? String == "TLY0904", "\(outcome)")
      let reason = outcome.json["reason"] as? String ?? ""
      #expect(reason.contains("checkpoint behind step 4"), "\(reason)")
    }
    try box.write(Array(good.dropLast()), name)
    #expect(box.verify("run.tlj", ["--sample", "99"]).status == 3, "cut")
    try box.write(good, name)
    #expect(box.verify("run.tlj", ["--sample", "99"]).status == 0)
  }

  @Test("what cannot be sampled is said to be so")
  func unsampled() throws {
    let box = try trained([])
    let none = box.verify("run.tlj", ["--sample", "2"])
    #expect(none.status == 0 && none.error.contains("one segment is the whole run"), "\(none)")
    #expect((none.json["segments"] as? [[String: Int]])?.count == 1)
    let other = try trained()
    try other.write(Sandbox.data(count: 18, changing: (3, 3)), "bad.npz")
    let data = other.verify("run.tlj", data: "bad.npz", ["--sample", "2"])
    #expect(data.status == 1 && data.json["code"] as? String == "TLY0903", "\(data)")
    try other.write(Array(try other.bytes("run.tlj").dropLast(60)), "run.tlj")
    let unfinished = other.verify("run.tlj", ["--sample", "99"])
    #expect(unfinished.status == 4, "\(unfinished)")
  }

  // MARK: - Conditions

  @Test("--vary does it again under every condition of this machine")
  func vary() throws {
    let box = try trained()
    for more in [["--vary"], ["--vary", "--sample", "2"]] {
      let outcome = box.verify("run.tlj", more)
      #expect(outcome.status == 0, "\(outcome)")
      let conditions = outcome.json["conditions"] as? [String] ?? []
      #expect(conditions.first == "as it is")
      #expect(conditions.contains("small tiles"))
      #expect(conditions.contains("micro-batches last to first"))
      #expect(Set(conditions).count == conditions.count)
    }
    var journal = JournalParts(try box.bytes("run.tlj"))
    journal.parts[8].payload[4] ^= 1
    try box.write(journal.bytes, "run.tlj")
    #expect(box.verify("run.tlj", ["--vary"]).status == 1)
  }

  /// Goal: `--vary` would be the same run again where nothing repays a part, as in this network.
  @Test("a run with threads is really cut, however small")
  func varyCuts() throws {
    let box = try trained()
    let journal = try LoadedJournal(box.bytes("run.tlj"))
    let model = try LoadedModel(box.bytes("m.tally"))
    let inputs = try #require(journal.inputs)
    let data = try DataSet(parsing: box.path("d.npz"), inflate: Inflate.raw)
    let samples = try PreparedSamples(data, for: model)
    let recipe = (0..<inputs.recipe.count).map { inputs.recipe[$0] }
    let experiment = RunCheck.Experiment(
      journal: journal, inputs: inputs, model: model, recipe: recipe, samples: samples,
      validation: nil)
    func calls(_ run: TrainingRun) -> Int {
      var calls = 0
      var sink = JournalWriter(MemorySink())
      calls += PartCounter.count { run.begin(&sink) }
      // One step shows it, unless another suite takes over who runs parts.
      while calls == 0 && !run.run.isDone { calls += PartCounter.count { run.takeStep(&sink) } }
      return calls
    }
    let memory = try RecipeMemory(recipe, model)
    let conditions = RunCondition.all(for: memory.recipe)
    #expect(conditions.map(\.threads).filter { $0 > 1 } == [2, 3, 7])
    for condition in conditions where condition.threads > 1 {
      #expect(try calls(experiment.run(condition)) > 0, "\(condition.name)")
    }
    // What repays itself only: nothing here.
    #expect(try calls(TrainingRun(model, recipe: recipe, samples: samples, threads: 7)) == 0)
    #expect(try calls(experiment.run(.asIs)) == 0)
    withExtendedLifetime((journal, memory)) {}
  }

  @Test("--vary names every kind of microkernel below the best that this processor has")
  func varyLevels() throws {
    let box = try trained([])
    let conditions = box.verify("run.tlj", ["--vary"]).json["conditions"] as? [String] ?? []
    SIMDLevel.chooseBest()
    let best = SIMDLevel.current
    #expect(best == .plain || conditions.contains("plain microkernels"), "\(conditions)")
    #expect(best != .vnni || conditions.contains("avx2 microkernels"), "\(conditions)")
    #expect(conditions.contains("plain microkernels, small tiles, micro-batches last to first"))
    // Zeroth order measures in order: nothing to reverse.
    let measured = try Sandbox()
    try measured.write(Array(ReplayTests.recipe.utf8), "r.json")
    #expect(measured.train().status == 0)
    let outcome = measured.verify("run.tlj", ["--vary"])
    #expect(outcome.status == 0, "\(outcome)")
    let names = outcome.json["conditions"] as? [String] ?? []
    #expect(names.contains("small tiles") && !names.contains { $0.contains("last to first") })
  }

  @Test("--vary: evidence where a run diverges, and what is missing where it cannot be told")
  func varyAnswers() throws {
    let box = try trained()
    let whole = JournalParts(try box.bytes("run.tlj"))
    var journal = whole
    let index = try #require(whole.parts.lastIndex { $0.type == 2 })
    journal.parts[index].payload[8] ^= 1
    journal.rechain()
    try box.write(journal.bytes, "bad.tlj")
    let diverged = box.verify("bad.tlj", ["--vary"])
    #expect(diverged.status == 1 && diverged.json["code"] as? String == "TLY0904", "\(diverged)")
    #expect(diverged.json["step"] as? Int == whole.steps(before: index))
    #expect((diverged.json["reason"] as? String ?? "").contains("loss"), "\(diverged)")
    try box.write(Array(whole.bytes.dropLast(3)), "torn.tlj")
    let torn = box.verify("torn.tlj", ["--vary"])
    #expect(torn.status == 4 && torn.json["code"] as? String == "TLY0906", "\(torn)")
    #expect((torn.json["reason"] as? String ?? "").contains("torn"), "\(torn)")
    let blind = box.run("verify", "run.tlj", "--model", "m.tally", "--vary", "--json")
    #expect(blind.status == 4 && blind.json["verdict"] as? String == "cannot-check", "\(blind)")
    #expect((blind.json["reason"] as? String ?? "").contains("data is not given"), "\(blind)")
  }

  @Test(
    "options that do not go together",
    arguments: [
      ["--structure", "--data", "d.npz"], ["--structure", "--sample", "2"],
      ["--structure", "--vary"], ["--model", "m.tally", "--data", "d.npz", "--nonce", "x"],
    ])
  func usage(more: [String]) throws {
    let outcome = try trained([]).run(["verify", "run.tlj"] + more)
    #expect(outcome.status == 2 && outcome.error.contains("TLY0805"), "\(outcome)")
  }

  @Test("a sample is a number of segments", arguments: ["0", "-2", "all"])
  func sampleCount(text: String) throws {
    let outcome = try trained([]).verify("run.tlj", ["--sample", text])
    #expect(outcome.status == 2 && outcome.error.contains("TLY0802"), "\(outcome)")
  }
}
