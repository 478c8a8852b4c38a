import Importers
import Tally
import TallyHost

/// `train --replay`: rebuilds a trained model from its journal, without data (SPEC 8.19).
struct ReplayCommand {
  let arguments: ArgumentList
  let console: Console

  /// Options that belong to training by data.
  private static let foreign = [
    "--data", "--recipe", "--set", "--journal", "--validate", "--resume", "--dry-run",
  ]

  func run(_ journalPath: String) throws -> Int32 {
    if let option = ReplayCommand.foreign.first(where: { arguments.has($0) }) {
      throw arguments.usage("\(option) does not go with --replay: the journal says it all")
    }
    let modelPath = try modelPath()
    let last = try arguments.integer("--to", in: 0...UInt64(UInt32.max))
    let output = try OutputFile(
      try arguments.require("--output"), force: arguments.has("--force"),
      inputs: [modelPath, journalPath])
    let model = try Inputs.model(modelPath)
    let journal = try journal(journalPath)
    let replay = try ReplayedRun(model, journal, before: last.map { UInt32($0) } ?? .max)
    if case .diverged(let step, let difference) = replay.verdict {
      throw InputError(
        904, "the journal does not lead to what it says: \(difference.field.words)",
        place: "\(journalPath), step \(step), offset \(difference.offset)",
        note: "the journal was changed, or another version of the arithmetic wrote it", exit: 1)
    }
    if let last, replay.steps < last {
      throw InputError(
        802, "the journal has \(replay.steps) steps, --to asks for \(last)", place: journalPath,
        help: "--to \(replay.steps)", exit: 2)
    }
    try output.write(replay.modelBytes)
    report(replay, journal)
    return 0
  }

  /// `--model`, or the positional.
  private func modelPath() throws(InputError) -> String {
    switch (arguments["--model"], arguments.positionals.first) {
    case (let path?, nil), (nil, let path?): return path
    case (nil, nil): throw arguments.usage("the model the run began with is missing: --model FILE")
    case (_?, _?): throw arguments.usage("the model stands here twice")
    }
  }

  private func journal(_ path: String) throws(InputError) -> LoadedJournal {
    let bytes = try Inputs.journalBytes(path)
    let journal: LoadedJournal
    do throws(JournalError) {
      journal = try LoadedJournal(bytes)
    } catch {
      throw InputError(error, file: path)
    }
    if let fault = journal.fault {
      guard fault.code == .torn else { throw InputError(fault, file: path) }
      console.note("\(path): a torn record at offset \(journal.goodByteCount) is left out")
    }
    return journal
  }

  private func report(_ replay: ReplayedRun, _ journal: LoadedJournal) {
    let digest = replay.modelDigest.hexadecimal
    var isWhole = false
    if case .reproduced = replay.verdict { isWhole = true }
    console.print("replayed \(replay.steps) steps, \(replay.checkedRoots) state roots the same")
    console.print("model    \(digest)")
    if !isWhole && journal.isFinished {
      console.note("the run went on to step \(journal.stepCount)")
    }
    console.result([
      "steps": JSONOutput(replay.steps), "roots": JSONOutput(replay.checkedRoots),
      "isWhole": .bool(isWhole), "modelDigest": .string(digest),
      "journalHead": .string(journal.chain.head.hexadecimal),
    ])
  }
}
