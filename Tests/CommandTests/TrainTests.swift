import Foundation
import Importers
import Tally
import TallyHost
import Testing

@testable import TallyCommand

@Suite("tally train") struct TrainTests {
  @Test("two runs give the same bytes, another seed gives others")
  func deterministic() throws {
    let box = try Sandbox()
    #expect(box.train("a.tally", "a.tlj").status == 0)
    #expect(box.train("b.tally", "b.tlj").status == 0)
    #expect(box.train("c.tally", "c.tlj", ["--set", "seed=8"]).status == 0)
    #expect(try box.bytes("a.tally") == box.bytes("b.tally"))
    #expect(try box.bytes("a.tlj") == box.bytes("b.tlj"))
    #expect(try box.bytes("a.tally") != box.bytes("c.tally"))
    #expect(try box.bytes("a.tlj") != box.bytes("c.tlj"))
    #expect(
      box.files == [
        "a.tally", "a.tlj", "b.tally", "b.tlj", "c.tally", "c.tlj", "d.npz",
        "m.tally", "r.json", "v.npz",
      ], "no temporary file is left")
  }

  @Test("the result says what the files say")
  func result() throws {
    let box = try Sandbox()
    let outcome = box.train("out.tally", "run.tlj", ["--validate", "v.npz", "--json"])
    #expect(outcome.status == 0, "\(outcome.error)")
    let json = outcome.json
    #expect(json["steps"] as? Int == 10)
    let model = try LoadedModel(box.bytes("out.tally"))
    let journal = try LoadedJournal(box.bytes("run.tlj"))
    #expect(json["modelDigest"] as? String == model.digest.hexadecimal)
    #expect(json["journalHead"] as? String == journal.chain.head.hexadecimal)
    #expect(journal.result == model.digest)
    #expect(json["usedBytes"] as? Int == json["plannedBytes"] as? Int, "every planned byte is used")
    #expect(journal.isFinished && journal.stepCount == 10 && journal.epochs.count == 2)
    let epochs = try #require(json["epochs"] as? [[String: Any]])
    #expect(epochs.map { $0["epoch"] as? Int } == [1, 2])
    #expect(epochs.map { $0["samples"] as? Int } == [18, 18])
    for (shown, recorded) in zip(epochs, journal.epochs) {
      #expect(shown["correct"] as? Int == Int(recorded.training.correct))
      let validation = try #require(shown["validation"] as? [String: Any])
      #expect(validation["samples"] as? Int == 6)
      #expect(validation["correct"] as? Int == recorded.validation.map { Int($0.correct) })
    }
    // The last validation is what eval says of the trained model.
    let evaluated = box.run("eval", "out.tally", "--data", "v.npz", "--json").json
    let last = try #require(epochs.last?["validation"] as? [String: Any])
    for key in ["correct", "accuracy", "loss"] {
      #expect("\(evaluated[key] ?? "-")" == "\(last[key] ?? "+")", "\(key)")
    }
  }

  @Test("a note says who went on with a run, and changes nothing that is verified")
  func note() throws {
    let box = try Sandbox()
    #expect(box.train("whole.tally", "whole.tlj").status == 0)
    #expect(
      box.train("out.tally", "run.tlj", ["--note", "Monday, box 1"], stopAfter: 4).status == 130)
    #expect(
      box.train("out.tally", "run.tlj", ["--resume", "--note", "Tuesday, box 2"]).status == 0)
    let journal = try LoadedJournal(box.bytes("run.tlj"))
    #expect(journal.notes == ["Monday, box 1", "Tuesday, box 2"])
    #expect(journal.chain.head == (try LoadedJournal(box.bytes("whole.tlj"))).chain.head)
    #expect(try box.bytes("out.tally") == box.bytes("whole.tally"))
    #expect(box.verify().status == 0)
    #expect(box.run("bisect", "run.tlj", "whole.tlj").status == 0)
  }

  @Test("no step at all still makes a model and a journal")
  func nothing() throws {
    let box = try Sandbox()
    #expect(box.train("out.tally", "run.tlj", ["--set", "epochs=0"]).status == 0)
    #expect(try box.bytes("out.tally") == box.bytes("m.tally"))
    #expect(box.verify().status == 0)
  }

  @Test("existing files, folders and inputs are not overwritten")
  func outputs() throws {
    let box = try Sandbox()
    try box.write([1, 2, 3], "old.tally")
    try box.write([4, 5, 6], "old.tlj")
    func refused(_ outcome: Sandbox.Outcome, _ words: String, line: Int = #line) {
      #expect(outcome.status == 5 && outcome.error.contains("TLY0806"), "line \(line): \(outcome)")
      #expect(outcome.error.contains(words), "line \(line): \(outcome.error)")
    }
    refused(box.train("old.tally", "run.tlj"), "--force")
    refused(box.train("out.tally", "old.tlj"), "--force")
    #expect(try box.bytes("old.tally") == [1, 2, 3])
    #expect(try box.bytes("old.tlj") == [4, 5, 6])
    refused(box.train("m.tally", "run.tlj", ["--force"]), "also an input")
    refused(box.train("out.tally", "r.json", ["--force"]), "also an input")
    refused(box.train("\(box.folder)/none/out.tally", "run.tlj"), "mkdir -p")
    refused(box.train("\(box.folder)", "run.tlj"), "it is a folder")
    let same = box.train("x.tally", "x.tally")
    #expect(same.status == 2 && same.error.contains("TLY0805"))
    #expect(box.files == ["d.npz", "m.tally", "old.tally", "old.tlj", "r.json", "v.npz"])
    #expect(box.train("old.tally", "old.tlj", ["--force"]).status == 0)
    let old = try LoadedModel(box.bytes("old.tally"))
    defer { withExtendedLifetime(old) {} }
    #expect(old.network.nodeCount == 2)
  }

  @Test("a bad recipe or bad data leaves an old journal alone")
  func oldJournalSurvives() throws {
    let box = try Sandbox()
    try box.write([4, 5, 6], "run.tlj")
    #expect(box.train("out.tally", "run.tlj", ["--force", "--set", "batch=0"]).status == 2)
    #expect(
      box.run(
        "train", "m.tally", "--data", "r.json", "-o", "out.tally", "--journal", "run.tlj", "--force"
      ).status == 2)
    #expect(try box.bytes("run.tlj") == [4, 5, 6])
    #expect(!box.exists("out.tally"))
  }

  @Test("Ctrl-C between any two steps leaves a journal that --resume turns into the whole one")
  func interrupted() throws {
    let box = try Sandbox()
    #expect(box.train("whole.tally", "whole.tlj").status == 0)
    for polls in [0, 1, 2, 5, 9] {
      let stopped = box.train("out.tally", "run.tlj", ["--json"], stopAfter: polls)
      #expect(stopped.status == 130)
      #expect(stopped.json["interrupted"] as? Bool == true)
      #expect(stopped.json["steps"] as? Int == polls)
      #expect(!box.exists("out.tally"))
      let journal = try LoadedJournal(box.bytes("run.tlj"))
      #expect(journal.fault == nil && journal.stepCount == UInt32(polls) && journal.result == nil)
      let check = box.verify()
      #expect(check.status == 4 && check.json["step"] as? Int == polls, "\(check)")
      #expect(box.train("out.tally", "run.tlj").status == 5, "neither --resume nor --force")
      #expect(box.train("out.tally", "run.tlj", ["--resume"]).status == 0)
      #expect(try box.bytes("run.tlj") == box.bytes("whole.tlj"))
      #expect(try box.bytes("out.tally") == box.bytes("whole.tally"))
      for name in ["run.tlj", "out.tally"] {
        try FileManager.default.removeItem(atPath: box.path(name))
      }
    }
  }

  @Test("a journal cut at any record, or inside one, resumes to the same bytes")
  func resumed() throws {
    let box = try Sandbox()
    #expect(box.train("whole.tally", "whole.tlj").status == 0)
    let whole = try box.bytes("whole.tlj")
    let parts = JournalParts(whole).parts
    let cuts = [0, 1, 15, 16] + parts.flatMap { [$0.offset + 1, $0.offset + $0.byteCount] }
    for cut in cuts {
      try box.write(Array(whole.prefix(cut)), "run.tlj")
      let outcome = box.train("out.tally", "run.tlj", ["--resume", "--force"])
      #expect(outcome.status == 0, "cut at \(cut): \(outcome.error)")
      #expect(try box.bytes("run.tlj") == whole, "cut at \(cut)")
      #expect(try box.bytes("out.tally") == box.bytes("whole.tally"), "cut at \(cut)")
    }
  }

  @Test("--resume refuses a journal of another run, and one that was changed")
  func foreignJournal() throws {
    let box = try Sandbox()
    #expect(box.train().status == 0)
    let whole = try box.bytes("run.tlj")
    for (more, what) in [
      (["--set", "seed=8"], "recipe"), (["--validate", "v.npz"], "validation data"),
    ] {
      let outcome = box.train("new.tally", "run.tlj", more + ["--resume"])
      #expect(outcome.status == 2 && outcome.error.contains("TLY0903"), "\(outcome)")
      #expect(outcome.error.contains("its \(what) is"), "\(outcome.error)")
    }
    var journal = JournalParts(whole)
    journal.parts[5].payload[8] ^= 1
    journal.rechain()
    try box.write(journal.bytes, "run.tlj")
    let outcome = box.train("new.tally", "run.tlj", ["--resume"])
    #expect(outcome.status == 1 && outcome.error.contains("TLY0904"), "\(outcome)")
    #expect(try box.bytes("run.tlj") == journal.bytes, "it is left as it was")
    #expect(!box.exists("new.tally"))
  }

  @Test("progress: a redrawn line on a terminal, none with -q, plain notes otherwise")
  func progress() throws {
    let box = try Sandbox()
    let arguments = [
      "train", "m.tally", "--data", "d.npz", "--recipe", "r.json", "-o", "o.tally", "--journal",
      "o.tlj", "--force",
    ]
    let plain = box.run(arguments)
    #expect(plain.error.split(separator: "\n").map { $0.prefix(9) } == ["epoch 1/2", "epoch 2/2"])
    #expect(!plain.error.contains("\u{1B}"))
    #expect(box.run(arguments + ["-q"]).error == "")
    // Ten steps are over before the first redraw is due, so only the shape of the line is tested.
    let run = try TrainingRun(
      LoadedModel(box.bytes("m.tally")),
      recipe: try RecipeDocument(Array(Sandbox.recipe.utf8)[...], file: "r")
        .resolved(for: LoadedModel(box.bytes("m.tally")), hasLabels: true).bytes,
      samples: PreparedSamples(
        try DataSet(parsing: box.path("d.npz"), inflate: Inflate.raw),
        for: LoadedModel(box.bytes("m.tally"))))
    var lines = ""
    let console = Console(
      .init(writeOutput: { _ in }, writeError: { lines += $0 }, errorIsTerminal: true))
    var progress = Progress(console, run)
    var sink = JournalWriter(MemorySink())
    run.begin(&sink)
    for _ in 0..<3 {
      run.takeStep(&sink)
      Thread.sleep(forTimeInterval: 0.11)
      progress.update(run.run)
    }
    progress.clear()
    let pattern =
      #"^\r\x1B\[Kstep 3/10  loss \d\.\d{3}  acc \d+\.\d%  sat \d+ ppm  \d+(\.\d)? steps/s  eta \d+ s$"#
    let last = try #require(lines.components(separatedBy: "\r").dropLast().last)
    #expect("\r\(last)".range(of: pattern, options: .regularExpression) != nil, "\(lines)")
    #expect(lines.hasSuffix("\r\u{1B}[K"))
  }
}
