import Foundation
import Tally
import TallyHost
import Testing

@testable import TallyCommand

@Suite("tally train --replay") struct ReplayTests {
  /// A zeroth-order run of ten steps whose journal says everything.
  static let recipe = """
    {
      "method": "zerothOrder", "epochs": 2, "batch": 4, "learningRate": "8", "seed": 7, "rootEvery": 2,
      "rangePeriod": 4,
      "zerothOrder": {
        "head": "frozen", "queries": 2, "adaptSigma": true,
        "groups": [
          {"layer": "fc1", "coordinates": "weights"}, {"layer": "fc1", "coordinates": "gain"},
        ],
      },
    }
    """

  func trained(_ recipe: String = ReplayTests.recipe) throws -> Sandbox {
    let box = try Sandbox()
    try box.write(Array(recipe.utf8), "r.json")
    let outcome = box.train()
    try #require(outcome.status == 0, "\(outcome.error)")
    return box
  }

  func replay(_ box: Sandbox, _ more: String...) -> Sandbox.Outcome {
    box.run(
      [
        "train", "--replay", "run.tlj", "--model", "m.tally", "-o", "again.tally", "--force",
        "--json",
      ]
        + more)
  }

  @Test("rebuilds the trained model, byte for byte, from journal and model alone")
  func whole() throws {
    let box = try trained()
    let outcome = replay(box)
    #expect(outcome.status == 0, "\(outcome)")
    #expect(outcome.json["steps"] as? Int == 10)
    #expect(outcome.json["roots"] as? Int == 5)
    #expect(outcome.json["isWhole"] as? Bool == true)
    let (again, trained, first) = (
      try box.bytes("again.tally"), try box.bytes("out.tally"), try box.bytes("m.tally")
    )
    #expect(again == trained)
    #expect(again != first)
  }

  @Test("to a step: the model of a run that ended there")
  func part() throws {
    let box = try trained()
    for steps in [0, 1, 3, 8] {
      let outcome = replay(box, "--to", "\(steps)")
      #expect(outcome.status == 0, "\(outcome)")
      #expect(outcome.json["steps"] as? Int == steps)
      #expect(outcome.json["isWhole"] as? Bool == false)
      let again = try box.bytes("again.tally")
      guard steps > 0 else {
        let first = try box.bytes("m.tally")
        #expect(again == first)
        continue
      }
      // The planned steps shape the schedule, so the comparison is an interrupted run.
      let cut = box.train("cut.tally", "cut.tlj", ["--force"], stopAfter: steps)
      #expect(cut.status == 130)
      let other = box.run(
        "train", "--replay", "cut.tlj", "--model", "m.tally", "-o", "other.tally", "--force")
      #expect(other.status == 0, "\(other)")
      let interrupted = try box.bytes("other.tally")
      #expect(interrupted == again)
    }
    #expect(replay(box, "--to", "11").status == 2)
  }

  @Test("verify without data replays, and says what it has not checked")
  func verify() throws {
    let box = try trained()
    let outcome = box.run("verify", "run.tlj", "--model", "m.tally", "--json")
    #expect(outcome.status == 4, "\(outcome)")
    #expect(outcome.json["verdict"] as? String == "cannot-check")
    #expect(outcome.json["step"] as? Int == 10)
    let reason = outcome.json["reason"] as? String ?? ""
    #expect(reason.contains("10 steps replayed") && reason.contains("5 state roots"), "\(reason)")
    #expect(box.verify().status == 0)
  }

  @Test("a difference that was changed with its chain leads to another root")
  func forged() throws {
    let box = try trained()
    var journal = JournalParts(try box.bytes("run.tlj"))
    let index = try #require(journal.parts.firstIndex { $0.type == 9 })
    journal.parts[index].payload[13] ^= 0x40
    journal.rechain()
    try box.write(journal.bytes, "run.tlj")
    let outcome = replay(box)
    #expect(outcome.status == 1, "\(outcome)")
    #expect(!box.exists("again.tally"))
    #expect(box.run("verify", "run.tlj", "--model", "m.tally").status == 1)
    #expect(box.verify().status == 1)
  }

  @Test("a broken chain is evidence, a cut is none")
  func broken() throws {
    let box = try trained()
    let whole = try box.bytes("run.tlj")
    let journal = JournalParts(whole)
    let model = try LoadedModel(box.bytes("m.tally"))
    func verdict(_ bytes: [UInt8]) throws -> Verdict {
      try ReplayedRun(model, LoadedJournal(bytes)).verdict
    }
    for part in journal.parts.dropFirst() where part.type == 2 || part.type == 9 {
      var bytes = whole
      bytes[part.offset + 8] ^= 0x10
      guard case .diverged(_, let difference) = try verdict(bytes) else {
        Issue.record("type \(part.type) at \(part.offset) is not found")
        continue
      }
      #expect(difference == Difference(.chain, at: part.offset))
      guard case .unfinished = try verdict(Array(whole.prefix(part.offset + 9))) else {
        Issue.record("a cut at \(part.offset) is taken for damage")
        continue
      }
    }
    // Lengths of records whose payload decides them.
    for part in journal.parts where part.type == 9 {
      var bytes = whole
      bytes[part.offset + 3] ^= 0x40
      try box.write(bytes, "bad.tlj")
      #expect(box.verify("bad.tlj").status == 1)
      #expect(box.run("verify", "bad.tlj", "--model", "m.tally").status == 1)
    }
  }

  @Test(
    "refusals: a journal that does not hold its run, another model, options that do not go along")
  func refusals() throws {
    let box = try trained()
    #expect(replay(box, "--data", "d.npz").status == 2)
    #expect(box.run("train", "m.tally", "--to", "3").status == 2)
    #expect(
      box.run("train", "m.tally", "--replay", "run.tlj", "--model", "m.tally", "-o", "x.tally")
        .status
        == 2)
    #expect(
      box.run("train", "--replay", "run.tlj", "--model", "out.tally", "-o", "x.tally").status == 2)
    let closed = try trained(
      ReplayTests.recipe.replacingOccurrences(of: "\"frozen\"", with: "\"closedForm\""))
    let outcome = replay(closed)
    #expect(outcome.status == 4, "\(outcome)")
    #expect(outcome.json.isEmpty || outcome.json["error"] != nil)
  }
}
