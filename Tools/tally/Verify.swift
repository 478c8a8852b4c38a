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
      .flag("--structure", nil, "do nothing again: check chain, order and sums"),
      .value("--sample", nil, "N", "do N segments between checkpoints again, chosen at random"),
      .value("--nonce", nil, "TEXT", "what the choice depends on beside the journal"),
      .flag("--vary", nil, "do it again under every condition that must not matter"),
    ],
    details: """
      Exit status: 0 every record came out the same; 1 one did not, and which; 4 it cannot be
      checked: the data is not given, or the journal ends before the run does. Without --validate
      the validation figures are taken from the journal.

      --sample needs checkpoints in JOURNAL.checkpoints (tally train --checkpoint). --vary does the
      run with every kind of microkernel this processor has, with small tiles, and with the
      micro-batches of a step in reverse; another machine or build is another tally verify.

      JSON: verdict (reproduced, diverged, cannot-check; well-formed with --structure), step,
      reason; with --sample segments and nonce, with --vary conditions.
      """
  ) { arguments, console in
    let path = arguments.positionals[0]
    var check = RunCheck(path: path, console: console)
    check.varies = arguments.has("--vary")
    let isStructure = arguments.has("--structure")
    let nonce = try setExtent(of: &check, arguments)
    let model = isStructure ? arguments["--model"] : try arguments.require("--model")
    let answer = try check.answer(
      model: model, data: arguments["--data"], validation: arguments["--validate"])
    return report(answer, path, check, nonce, console)
  }

  /// - Returns: the nonce of a sampled check.
  private static func setExtent(
    of check: inout RunCheck, _ arguments: ArgumentList
  ) throws(InputError) -> String? {
    let isStructure = arguments.has("--structure")
    if isStructure {
      for name in ["--data", "--validate", "--sample", "--vary"] where arguments.has(name) {
        throw arguments.usage("--structure does nothing again, so \(name) does not go with it")
      }
      check.extent = .structure
    }
    guard let text = arguments["--sample"] else {
      guard arguments["--nonce"] == nil else { throw arguments.usage("--nonce is for --sample") }
      return nil
    }
    guard let count = Int(text), count >= 1 else {
      throw InputError(
        802, "\u{2018}\(text)\u{2019} is not a number of segments", place: "--sample", exit: 2)
    }
    var generator = SystemRandomNumberGenerator()
    let nonce = arguments["--nonce"] ?? String(generator.next(), radix: 16)
    check.extent = .segments(count, nonce: nonce)
    return nonce
  }

  private static func report(
    _ answer: RunCheck.Answer, _ path: String, _ check: RunCheck, _ nonce: String?,
    _ console: Console
  ) -> Int32 {
    var members: [(key: String, value: JSONOutput)] = [
      ("verdict", .string(answer.word)), ("step", answer.step.map { JSONOutput($0) } ?? .null),
      ("reason", .string(answer.reason)),
    ]
    if let code = answer.code { members.append(("code", .string(InputError.name(ofCode: code)))) }
    if let head = check.head { members.append(("journalHead", .string(head.hexadecimal))) }
    if let nonce {
      members.append(("nonce", .string(nonce)))
      let segments = check.segments.map { segment -> JSONOutput in
        ["first": JSONOutput(segment.lowerBound), "behind": JSONOutput(segment.upperBound)]
      }
      members.append(("segments", .array(segments)))
    }
    if check.varies {
      members.append(("conditions", .array(check.conditions.map { .string($0.name) })))
    }
    switch answer {
    case .reproduced, .wellFormed:
      console.print("\(answer.word): \(answer.reason)")
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
    if let nonce { console.print("nonce    \(nonce)") }
    if let help = answer.help { console.print("  help: \(help)") }
    console.result(.object(members))
    return answer.exit
  }
}
