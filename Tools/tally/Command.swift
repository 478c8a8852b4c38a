import Platform
import Importers
import TallyHost

/// The `tally` command: finds the verb, runs it, turns what went wrong into words and a status.
///
/// Statuses: 0 done or verified, 1 the check says no, 2 usage or recipe, 3 malformed file, 4 valid but
/// unsupported, or verification impossible, 5 input or output, 6 over budget, 101 internal error,
/// 130 and 143 interrupted.
enum Command {
  static let version = "0.1.0"

  static let verbs: [Verb] = [
    .demo, .inspect, .initialize, .convert, .eval, .plan, .train, .verify, .bisect, .export,
    .report, .bench, .explain, .completions,
  ]

  /// - Parameter arguments: without the program's name.
  static func run(_ arguments: [String], _ console: Console) -> Int32 {
    do {
      return try dispatch(arguments, console)
    } catch let error as InputError {
      console.report(error)
      return error.exit
    } catch {
      console.report(
        InputError(
          999, "internal error: \(error)", help: "please report it with the command line",
          exit: 101))
      return 101
    }
  }

  private static func dispatch(_ arguments: [String], _ console: Console) throws -> Int32 {
    // Before anything can be wrong: an error must know whether JSON was asked for.
    console.expectJSON(arguments.contains("--json"))
    guard let name = arguments.first else {
      console.print(help)
      return 0
    }
    switch name {
    case "--version":
      console.expectJSON(false)
      console.print("tally \(version)")
      return 0
    case "--help", "-h", "help":
      let topic = name == "help" ? arguments.dropFirst().first { !$0.hasPrefix("-") } : nil
      let text = try topic.map { try helpText($0) } ?? help
      console.expectJSON(false)
      console.print(text)
      return 0
    default: break
    }
    let verb = try find(name)
    let list = try ArgumentList(Array(arguments.dropFirst()), for: verb)
    try console.configure(list)
    if list.has("--help") {
      console.expectJSON(false)
      console.print(verb.help)
      return 0
    }
    return try verb.run(list, console)
  }

  /// Of a verb or a topic.
  private static func helpText(_ name: String) throws(InputError) -> String {
    if let topic = HelpTopic.all.first(where: { $0.name == name }) { return topic.text }
    return try find(name).help
  }

  private static func find(_ name: String) throws(InputError) -> Verb {
    if let verb = verbs.first(where: { $0.name == name }) { return verb }
    let near = nearestNames(to: name, among: verbs.map(\.name) + HelpTopic.all.map(\.name))
    throw InputError(
      801, "there is no verb \u{2018}\(name)\u{2019}", place: "tally",
      help: near.isEmpty ? "tally --help" : "did you mean tally \(near[0])?", exit: 2)
  }

  static var help: String {
    """
    Tally trains neural networks in integers: the same bytes on every machine.

    Usage: tally VERB [ARGUMENTS]

    Verbs:
    \(Verb.columns(verbs.map { ($0.name, $0.summary) }))
    Topics of tally help:
    \(Verb.columns(HelpTopic.all.map { ($0.name, $0.summary) }))
    tally VERB --help says more. Options of all verbs: --json, -q, -v, --color, --help.
    Exit status: 0 done, 1 the check says no, 2 usage, 3 malformed file, 4 unsupported or
    cannot check, 5 input or output, 6 over budget, 101 internal, 130/143 interrupted.
    """
  }
}
