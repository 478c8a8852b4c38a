import Foundation
import Importers
import Tally
import TallyHost
import TallyTestSupport
import Testing

@testable import TallyCommand

/// Outputs as the system sees them: by processes, for what a function cannot show.
///
/// In every case a named output is the old file or the new one, no temporary file stays, and a journal
/// that was cut goes on to the same bytes.
@Suite(
  "Outputs of processes",
  .enabled(if: BuiltCommand.path != nil, "the command is not built beside the tests"))
struct OutputProcessTests {
  private static let train =
    "train m.tally --data d.npz --recipe r.json --set epochs=40 -o out.tally --journal run.tlj"

  private func words(_ line: String) -> [String] { line.split(separator: " ").map(String.init) }

  /// The journal and model of the run in one piece.
  private func whole(_ box: Sandbox) throws -> (journal: [UInt8], model: [UInt8]) {
    let run = try BuiltCommand.shell("$TALLY \(Self.train)", in: box.folder)
    #expect(run.status == 0, "\(run.error)")
    let result = (try box.bytes("run.tlj"), try box.bytes("out.tally"))
    for name in ["run.tlj", "out.tally"] {
      try FileManager.default.removeItem(atPath: box.path(name))
    }
    return result
  }

  private func temporaries(_ box: Sandbox) -> [String] {
    (FileManager.default.subpaths(atPath: box.folder) ?? []).filter { $0.hasSuffix(".tmp") }
  }

  /// Goes on with the run and compares.
  private func expectResumes(
    _ box: Sandbox, _ whole: (journal: [UInt8], model: [UInt8]), _ what: String
  ) throws {
    let again = try BuiltCommand.shell("$TALLY \(Self.train) --resume --force", in: box.folder)
    #expect(again.status == 0, "\(what): \(again.error)")
    let isSame = try box.bytes("run.tlj") == whole.journal
    #expect(isSame, "\(what): the journal")
    #expect(try box.bytes("out.tally") == whole.model, "\(what): the model")
    #expect(temporaries(box) == [], "\(what)")
  }

  @Test("Ctrl-C and SIGTERM at any moment", arguments: [SIGINT, SIGTERM])
  func signals(_ signal: Int32) throws {
    let seed = SeededGenerator.freshSeed()
    var random = SeededGenerator(seed: seed, number: Int(signal))
    let box = try Sandbox()
    let start = ContinuousClock.now
    let whole = try whole(box)
    let duration = Int((ContinuousClock.now - start) / .microseconds(1))
    let old: [UInt8] = [1, 2, 3]
    for turn in 0..<8 {
      let what = "seed \(seed), turn \(turn)"
      try? FileManager.default.removeItem(atPath: box.path("run.tlj"))
      try box.write(old, "out.tally")
      let command = try BuiltCommand(words(Self.train) + ["--force"], in: box.folder)
      usleep(UInt32(random.below(duration)))
      let status = command.end(by: signal)
      #expect([0, 128 + signal].contains(status), "\(what): \(status)")
      #expect(temporaries(box) == [], "\(what)")
      let model = try box.bytes("out.tally")
      #expect(status == 0 ? model == whole.model : model == old, "\(what)")
      if box.exists("run.tlj") {
        let isPrefix = whole.journal.starts(with: try box.bytes("run.tlj"))
        #expect(isPrefix, "\(what)")
      }
      try expectResumes(box, whole, what)
    }
  }

  @Test("an output that is replaced again and again is always one of the two, whatever ends it")
  func replaced() throws {
    let seed = SeededGenerator.freshSeed()
    var random = SeededGenerator(seed: seed, number: 3)
    let box = try Sandbox()
    try box.write(
      Array(#"{"input": [64], "layers": [{"kind": "fullyConnected", "outputs": 900}]}"#.utf8),
      "n.json")
    func line(_ seed: Int) -> [String] {
      words("init n.json --seed \(seed) --force -o out.tally")
    }
    var versions: [[UInt8]] = []
    var duration = 0
    for seed in [1, 2] {
      let start = ContinuousClock.now
      #expect(try BuiltCommand(line(seed), in: box.folder).wait() == 0)
      duration = Int((ContinuousClock.now - start) / .microseconds(1))
      versions.append(try box.bytes("out.tally"))
    }
    #expect(versions[0] != versions[1])
    for turn in 0..<16 {
      let command = try BuiltCommand(line(1 + turn % 2), in: box.folder)
      usleep(UInt32(random.below(duration)))
      let signal = random.of([SIGINT, SIGTERM, SIGKILL])
      let status = command.end(by: signal)
      let found = try box.bytes("out.tally")
      let isOne = status == 0 ? found == versions[turn % 2] : versions.contains(found)
      #expect(isOne, "seed \(seed), turn \(turn), signal \(signal), status \(status)")
      if signal != SIGKILL { #expect(temporaries(box) == [], "seed \(seed), turn \(turn)") }
      for name in temporaries(box) { try FileManager.default.removeItem(atPath: box.path(name)) }
    }
  }

  @Test("a limit of file size, anywhere")
  func fileLimit() throws {
    let box = try Sandbox()
    let whole = try whole(box)
    let blocks = (whole.journal.count + 511) / 512
    var failures = 0
    for limit in [0, 1, 2, blocks / 2, blocks - 1] {
      let what = "\(limit) blocks"
      let run = try BuiltCommand.shell(
        "set -o posix; (ulimit -f \(limit); exec $TALLY \(Self.train)) 2>&1 | cat", in: box.folder)
      #expect(run.output.contains("error[TLY0806]"), "\(what): \(run.output)")
      failures += 1
      #expect(!box.exists("out.tally") && temporaries(box) == [], "\(what)")
      let journal = try box.bytes("run.tlj")
      let isPrefix = whole.journal.starts(with: journal) && journal.count < whole.journal.count
      #expect(isPrefix, "\(what)")
      if !journal.isEmpty, let loaded = try? LoadedJournal(journal) {
        #expect(loaded.goodByteCount == journal.count, "\(what): whole records only")
      }
      try expectResumes(box, whole, what)
      for name in ["run.tlj", "out.tally"] {
        try FileManager.default.removeItem(atPath: box.path(name))
      }
    }
    #expect(failures == 5)
  }

  private static let mountsFileSystems: Bool =
    (try? BuiltCommand.shell(
      "d=$(mktemp -d); unshare -m mount -t tmpfs -o size=16k none $d; s=$?; rmdir $d; exit $s",
      in: "/tmp"))?.status == 0

  @Test("a disk that fills up", .enabled(if: mountsFileSystems, "no rights to mount a small disk"))
  func fullDisk() throws {
    let box = try Sandbox()
    let whole = try whole(box)
    #expect(whole.journal.count > 8 << 10)
    try FileManager.default.createDirectory(
      atPath: box.path("disk"), withIntermediateDirectories: true)
    // Two pages for the journal, none for a model beside it; what is left is brought out.
    let line = Self.train.replacingOccurrences(of: "run.tlj", with: "disk/run.tlj")
      .replacingOccurrences(of: "out.tally", with: "disk/out.tally")
    let run = try BuiltCommand.shell(
      """
      unshare -m bash -c 'mount -t tmpfs -o size=8k none disk && $TALLY \(line); echo status $?
      ls -A disk; cp disk/run.tlj run.tlj'
      """, in: box.folder)
    #expect(run.output == "status 5\nrun.tlj\n", "\(run)")
    #expect(run.error.contains("error[TLY0806]: cannot write the file: No space left"), "\(run)")
    try expectResumes(box, whole, "full disk")
  }

  @Test(
    "a folder that may not be written to: the old file stays",
    .enabled(if: BuiltCommand.runsUnprivileged, "everything is allowed to this user"))
  func readOnlyFolder() throws {
    let box = try Sandbox()
    #expect(try BuiltCommand.shell("$TALLY \(Self.train)", in: box.folder).status == 0)
    try FileManager.default.createDirectory(
      atPath: box.path("locked"), withIntermediateDirectories: true)
    let old: [UInt8] = [4, 5, 6]
    try box.write(old, "locked/old.tally")
    let network = #"{"input": [4], "layers": [{"kind": "fullyConnected", "outputs": 2}]}"#
    try box.write(Array(network.utf8), "n.json")
    let all = try BuiltCommand.shell(
      "chmod -R a+rX . && chmod 555 locked && chmod 444 locked/old.tally", in: box.folder)
    #expect(all.status == 0)
    for line in [
      "init n.json -o locked/new.tally", "init n.json --force -o locked/old.tally",
      "export out.tally --to npz -o locked/out.npz", "report run.tlj -o locked/page.html",
      "\(Self.train) --force".replacingOccurrences(of: "run.tlj", with: "locked/run.tlj"),
    ] {
      let run = try BuiltCommand.shell("\(BuiltCommand.unprivileged)$TALLY \(line)", in: box.folder)
      #expect(run.status == 5, "\(line): \(run)")
      #expect(run.error.contains("error[TLY0806]"), "\(line): \(run.error)")
    }
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: box.path("locked")) == ["old.tally"])
    #expect(try box.bytes("locked/old.tally") == old)
    _ = try BuiltCommand.shell("chmod 755 locked", in: box.folder)
  }

  @Test(
    "a file that may not be read is an error of its own",
    .enabled(if: BuiltCommand.runsUnprivileged, "everything is allowed to this user"))
  func permission() throws {
    let box = try Sandbox()
    let run = try BuiltCommand.shell(
      "chmod a+rx .; chmod 000 d.npz; \(BuiltCommand.unprivileged)$TALLY inspect d.npz; s=$?; chmod 644 d.npz; exit $s",
      in: box.folder)
    #expect(run.status == 5, "\(run)")
    #expect(run.error.contains("error[TLY0101]: cannot read the file: permission denied"), "\(run)")
  }

  @Test(
    "a reader that goes away changes neither status nor files",
    arguments: [
      "explain", "help recipes", "completions bash", "eval m.tally --data d.npz",
      "inspect m.tally --json", "verify run.tlj --model m.tally --data v.npz",
    ])
  func closedPipe(_ line: String) throws {
    let box = try Sandbox()
    #expect(box.train().status == 0)
    let alone = try BuiltCommand.shell("$TALLY \(line)", in: box.folder)
    for reader in ["head -n 1 >/dev/null", "true", "exec 0<&-"] {
      let piped = try BuiltCommand.shell(
        "$TALLY \(line) | \(reader); exit ${PIPESTATUS[0]}", in: box.folder)
      #expect(piped.status == alone.status, "\(line) | \(reader)")
      #expect(piped.error == alone.error, "\(line) | \(reader)")
    }
  }

  @Test("training goes on when nobody reads its progress")
  func closedError() throws {
    let box = try Sandbox()
    let whole = try whole(box)
    let run = try BuiltCommand.shell(
      "$TALLY \(Self.train) 2>&1 >/dev/null | true; exit ${PIPESTATUS[0]}", in: box.folder)
    #expect(run.status == 0)
    let isSame = try box.bytes("run.tlj") == whole.journal
    #expect(isSame)
    #expect(try box.bytes("out.tally") == whole.model)
  }
}
