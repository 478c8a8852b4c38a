import Importers
import Tally
import TallyHost

extension Verb {
  static let verify = Verb(
    name: "verify", summary: "do a run again and hold it against its journal",
    positionals: [Positional(name: "JOURNAL", help: "the .tlj file of the run")],
    options: [
      .value("--model", "-m", "FILE", "the model the run began with"),
      .value("--data", "-d", "DATA", "the samples it trained on"),
      .value("--validate", nil, "DATA", "the samples it evaluated after every epoch"),
    ],
    details: """
      Exit status: 0 every record came out the same; 1 one did not, and which; 4 it cannot be
      checked: the data is not given, or the journal ends before the run does. Without --validate
      the validation figures are taken from the journal.

      JSON: verdict (reproduced, diverged, cannot-check), step, reason.
      """
  ) { arguments, console in
    let modelPath = try arguments.require("--model")
    let path = arguments.positionals[0]
    var check = RunCheck(path: path, modelPath: modelPath, console: console)
    let answer = try check.answer(data: arguments["--data"], validation: arguments["--validate"])
    return report(answer, path, check, console)
  }

  private static func report(
    _ answer: RunCheck.Answer, _ path: String, _ check: RunCheck, _ console: Console
  ) -> Int32 {
    var members: [(key: String, value: JSONOutput)] = [
      ("verdict", .string(answer.word)), ("step", answer.step.map { JSONOutput($0) } ?? .null),
      ("reason", .string(answer.reason)),
    ]
    if let code = answer.code { members.append(("code", .string(InputError.name(ofCode: code)))) }
    if let head = check.head { members.append(("journalHead", .string(head.hexadecimal))) }
    switch answer {
    case .reproduced:
      console.print("reproduced: \(answer.reason)")
      if let result = check.result {
        console.print("model    \(result.hexadecimal)")
        members.append(("modelDigest", .string(result.hexadecimal)))
      }
      if let head = check.head { console.print("journal  \(head.hexadecimal)") }
    case .diverged(let step, _, let offset, _):
      console.print("diverged at step \(step): \(answer.reason)")
      if let offset { console.print("  --> \(path), offset \(offset)") }
    case .interrupted: console.note(answer.reason)
    case .cannotCheck:
      console.print("cannot check: \(answer.reason)")
    }
    if let help = answer.help { console.print("  help: \(help)") }
    console.result(.object(members))
    return answer.exit
  }
}
