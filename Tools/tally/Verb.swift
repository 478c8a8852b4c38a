/// One of the command's verbs: its words for help, and what it does.
struct Verb: Sendable {
  let name: String
  /// One line for the list of verbs.
  let summary: String
  var positionals: [Positional] = []
  var options: [Option] = []
  /// What help adds below the options.
  var details = ""
  /// Does it; returns the exit status. Throws what the user should read.
  let run: @Sendable (ArgumentList, Console) throws -> Int32

  /// Options that every verb takes.
  static let globalOptions: [Option] = [
    .flag("--json", nil, "print exactly one JSON object on standard output"),
    .flag("--quiet", "-q", "no progress and no notes"),
    .flag("--verbose", "-v", "say more"),
    .value("--color", nil, "WHEN", "auto (default), always or never"),
    .flag("--help", "-h", "print this text"),
  ]

  var allOptions: [Option] { options + Verb.globalOptions }

  func names(option argument: String) -> Bool {
    let name = argument.split(separator: "=", maxSplits: 1).first.map(String.init) ?? argument
    return allOptions.contains { $0.name == name || $0.short == name }
  }

  /// The whole help text.
  var help: String {
    var usage = "tally \(name)"
    for positional in positionals {
      usage += positional.isRequired ? " \(positional.name)" : " [\(positional.name)]"
    }
    if !options.isEmpty { usage += " [OPTIONS]" }
    var text = "\(summary.prefix(1).uppercased())\(summary.dropFirst()).\n\nUsage: \(usage)\n"
    if !positionals.isEmpty {
      text += "\n" + Verb.columns(positionals.map { ($0.name, $0.help) })
    }
    text += "\nOptions:\n" + Verb.columns(allOptions.map { ($0.usage, $0.help) })
    return details.isEmpty ? String(text.dropLast()) : "\(text)\n\(details)"
  }

  /// Two columns; a left part that is too long stands on a line of its own.
  static func columns(_ rows: [(String, String)]) -> String {
    let width = 26
    return rows.map { left, right in
      let isLong = left.count > width - 2
      let padding = String(repeating: " ", count: isLong ? width + 2 : width - left.count)
      return "  \(left)" + (isLong ? "\n" : "") + padding + right + "\n"
    }.joined()
  }
}

extension Option {
  /// `-o, --output FILE`.
  var usage: String {
    (short.map { "\($0), " } ?? "") + name + (value.map { " \($0)" } ?? "")
  }
}
