import Foundation
import Importers
import Tally
import TallyHost
import TallyTestSupport
import Testing

@testable import TallyCommand

@Suite("tally train --resume") struct ResumeTests {
  @Test(
    "killed at fifty moments, with and without losing the journal's end, it makes the same bytes",
    .enabled(if: BuiltCommand.path != nil, "the command is not built beside the tests"))
  func killed() throws {
    let seed = SeededGenerator.freshSeed()
    var random = SeededGenerator(seed: seed, number: 0)
    let box = try Sandbox()
    let line = [
      "train", "m.tally", "--data", "d.npz", "--recipe", "r.json", "--set", "epochs=50",
      "--checkpoint", "40", "-o", "out.tally", "--journal", "run.tlj",
    ]
    let start = ContinuousClock.now
    #expect(try BuiltCommand(line, in: box.folder).wait() == 0)
    let duration = Int((ContinuousClock.now - start) / .microseconds(1))
    let whole = (journal: try box.bytes("run.tlj"), model: try box.bytes("out.tally"))
    let checkpoints = try contents(box)
    #expect(checkpoints.count > 3)
    try removeRun(box)

    var kills = 0
    while true {
      let command = try BuiltCommand(line + ["--resume"], in: box.folder)
      if kills < 50 {
        usleep(UInt32(random.below(duration)))
        if command.kill() {
          kills += 1
          var journal = box.exists("run.tlj") ? try box.bytes("run.tlj") : []
          let isPrefix = whole.journal.starts(with: journal)
          #expect(isPrefix, "seed \(seed), kill \(kills): no byte is wrong")
          // What a power cut takes beyond what a kill takes.
          if random.once(in: 2), !journal.isEmpty {
            journal.removeLast(random.below(min(400, journal.count)))
            try box.write(journal, "run.tlj")
          }
          continue
        }
      }
      #expect(command.wait() == 0, "seed \(seed), kill \(kills)")
      let isSame = try box.bytes("run.tlj") == whole.journal
      #expect(isSame, "seed \(seed), kill \(kills): the journal")
      #expect(try box.bytes("out.tally") == whole.model, "seed \(seed), kill \(kills)")
      let areSame = try contents(box) == checkpoints
      #expect(areSame, "seed \(seed), kill \(kills): the checkpoints")
      if kills == 50 { break }
      try removeRun(box)
    }
  }

  private func removeRun(_ box: Sandbox) throws {
    for name in box.files where name.hasPrefix("run.tlj") || name.hasPrefix("out.tally") {
      try FileManager.default.removeItem(atPath: box.path(name))
    }
  }

  /// The checkpoints beside `run.tlj`.
  private func contents(_ box: Sandbox) throws -> [String: [UInt8]] {
    let names = try FileManager.default.contentsOfDirectory(
      atPath: box.path("run.tlj.checkpoints"))
    return try Dictionary(
      uniqueKeysWithValues: names.map { ($0, try box.bytes("run.tlj.checkpoints/\($0)")) })
  }

  @Test("cut at any byte, it makes the same journal, model and checkpoints")
  func cut() throws {
    let seed = SeededGenerator.freshSeed()
    var random = SeededGenerator(seed: seed, number: 1)
    let box = try Sandbox()
    let more = ["--checkpoint", "3", "--validate", "v.npz"]
    #expect(box.train("whole.tally", "whole.tlj", more).status == 0)
    let whole = try box.bytes("whole.tlj")
    let kept = try FileManager.default.contentsOfDirectory(
      atPath: box.path("whole.tlj.checkpoints")
    ).sorted()
    // Roots stand behind every second step of ten.
    #expect(kept == ["0000000004.tlc", "0000000006.tlc"])
    for _ in 0..<25 {
      let count = random.below(whole.count)
      try? FileManager.default.removeItem(atPath: box.path("run.tlj.checkpoints"))
      try FileManager.default.copyItem(
        atPath: box.path("whole.tlj.checkpoints"), toPath: box.path("run.tlj.checkpoints"))
      let damaged = random.once(in: 4) ? random.of(kept) : nil
      if let damaged { try box.write([1, 2, 3], "run.tlj.checkpoints/\(damaged)") }
      try box.write([9], "run.tlj.checkpoints/0000000006.tlc.77.tmp")
      try box.write(Array(whole.prefix(count)), "run.tlj")
      let outcome = box.train("out.tally", "run.tlj", more + ["--resume", "--force", "--json"])
      #expect(outcome.status == 0, "seed \(seed), cut at \(count): \(outcome.error)")
      #expect(try box.bytes("run.tlj") == whole, "seed \(seed), cut at \(count)")
      #expect(try box.bytes("out.tally") == box.bytes("whole.tally"), "seed \(seed), \(count)")
      #expect(outcome.json["steps"] as? Int == 10)
      #expect((outcome.json["epochs"] as? [Any])?.count == 2, "also those before the checkpoint")
      let now = try FileManager.default.contentsOfDirectory(
        atPath: box.path("run.tlj.checkpoints")
      ).sorted()
      // One that is damaged is made again if the run passes its place.
      let intact = kept.filter { $0 != damaged }
      #expect(Set(intact).isSubset(of: now), "seed \(seed), cut at \(count): \(now)")
      for name in intact {
        let isSame =
          try box.bytes("run.tlj.checkpoints/\(name)")
          == box.bytes("whole.tlj.checkpoints/\(name)")
        #expect(isSame, "seed \(seed), cut at \(count)")
      }
      #expect(!now.contains { $0.hasSuffix(".tmp") }, "what a killed process left is gone")
    }
  }

  @Test("after Ctrl-C it goes on from a checkpoint, which is gone once the run is over")
  func interrupted() throws {
    let box = try Sandbox()
    #expect(box.train("whole.tally", "whole.tlj").status == 0)
    #expect(!box.exists("whole.tlj.checkpoints"))
    #expect(box.train("out.tally", "run.tlj", stopAfter: 5).status == 130)
    #expect(box.exists("run.tlj.checkpoints/0000000005.tlc"))
    let again = box.train("out.tally", "run.tlj", ["--resume"], stopAfter: 2)
    #expect(again.status == 130 && again.error.contains("from the checkpoint behind step 5"))
    #expect(!box.exists("run.tlj.checkpoints/0000000005.tlc"))
    let last = box.train("out.tally", "run.tlj", ["--resume"])
    #expect(last.status == 0 && last.error.contains("from the checkpoint behind step 7"))
    #expect(last.error.contains("repeating 0 steps"))
    #expect(try box.bytes("run.tlj") == box.bytes("whole.tlj"))
    #expect(try box.bytes("out.tally") == box.bytes("whole.tally"))
    #expect(!box.exists("run.tlj.checkpoints"))
  }

  @Test("cut after its model was written, it ends well; another model is not replaced")
  func modelIsThere() throws {
    let box = try Sandbox()
    #expect(box.train().status == 0)
    let model = try box.bytes("out.tally")
    let journal = try box.bytes("run.tlj")
    for count in [journal.count, journal.count - 300] {
      try box.write(Array(journal.prefix(count)), "run.tlj")
      let again = box.train("out.tally", "run.tlj", ["--resume"])
      #expect(again.status == 0, "\(again.error)")
      #expect(try box.bytes("run.tlj") == journal)
      #expect(try box.bytes("out.tally") == model)
    }
    try box.write([1, 2, 3], "out.tally")
    let other = box.train("out.tally", "run.tlj", ["--resume"])
    #expect(other.status == 5)
    #expect(other.error.contains("cannot write the file: it exists, and is another"))
    #expect(other.error.contains("--force replaces it"))
    #expect(try box.bytes("out.tally") == [1, 2, 3])
    #expect(try box.bytes("run.tlj") == journal)
    #expect(box.train("out.tally", "run.tlj", ["--resume", "--force"]).status == 0)
    #expect(try box.bytes("out.tally") == model)
  }

  @Test("checkpoints of another run are not used")
  func foreign() throws {
    let box = try Sandbox()
    #expect(box.train("a.tally", "run.tlj", ["--set", "seed=8"], stopAfter: 5).status == 130)
    #expect(box.train("a.tally", "run.tlj", ["--force"], stopAfter: 3).status == 130)
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: box.path("run.tlj.checkpoints"))
        == ["0000000003.tlc"])
    #expect(box.train("whole.tally", "whole.tlj", ["--set", "seed=8"], stopAfter: 2).status == 130)
    try FileManager.default.copyItem(
      atPath: box.path("whole.tlj.checkpoints/0000000002.tlc"),
      toPath: box.path("run.tlj.checkpoints/0000000002.tlc"))
    try FileManager.default.removeItem(atPath: box.path("run.tlj.checkpoints/0000000003.tlc"))
    let outcome = box.train("a.tally", "run.tlj", ["--resume"])
    #expect(outcome.status == 0 && !outcome.error.contains("checkpoint"), "\(outcome.error)")
    #expect(box.train("b.tally", "b.tlj").status == 0)
    #expect(try box.bytes("run.tlj") == box.bytes("b.tlj"))
  }

  @Test("a period is a number of steps", arguments: ["0", "-1", "often"])
  func period(text: String) throws {
    let box = try Sandbox()
    let outcome = box.train("out.tally", "run.tlj", ["--checkpoint", text])
    #expect(outcome.status == 2 && outcome.error.contains("TLY0802"), "\(outcome)")
    #expect(!box.exists("run.tlj"))
  }
}
