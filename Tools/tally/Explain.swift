import Importers
import TallyHost

extension Verb {
  static let explain = Verb(
    name: "explain", summary: "say what an error code means and what to do about it",
    positionals: [
      Positional(name: "CODE", isRequired: false, help: "such as TLY0307; without it, all codes")
    ],
    details: "JSON: code, title, meaning, remedy, exit; without CODE a list of these."
  ) { arguments, console in
    guard let text = arguments.positionals.first else {
      for entry in ErrorEntry.all { console.print("\(entry.name)  \(entry.title)") }
      console.result(["codes": .array(ErrorEntry.all.map(\.json))])
      return 0
    }
    guard let entry = ErrorEntry.named(text) else {
      let near = nearestNames(to: text.uppercased(), among: ErrorEntry.all.map(\.name))
      throw InputError(
        801, "there is no error code \u{2018}\(text)\u{2019}", place: "tally explain",
        help: near.isEmpty ? "tally explain" : "did you mean \(near[0])?", exit: 2)
    }
    console.print("\(entry.name): \(entry.title)")
    console.print()
    console.print(entry.meaning.folded(at: 80))
    console.print()
    console.print("What to do: \(entry.remedy)".folded(at: 80))
    console.print("Exit status: \(entry.exit).")
    console.result(entry.json)
    return 0
  }
}

extension ErrorEntry {
  /// The code as messages print it.
  var name: String { InputError.name(ofCode: code) }

  /// Takes `TLY0307`, `tly307` and `307`.
  static func named(_ text: String) -> ErrorEntry? {
    let upper = text.uppercased()
    return Int(upper.hasPrefix("TLY") ? String(upper.dropFirst(3)) : upper).flatMap(find)
  }

  fileprivate var json: JSONOutput {
    [
      "code": .string(name), "title": .string(title), "meaning": .string(meaning),
      "remedy": .string(remedy), "exit": .string(exit),
    ]
  }
}

extension String {
  /// Lines of at most `width` characters, broken at spaces.
  fileprivate func folded(at width: Int) -> String {
    var lines = [""]
    for word in split(separator: " ") {
      if lines[lines.count - 1].count + 1 + word.count > width { lines.append("") }
      lines[lines.count - 1] += (lines[lines.count - 1].isEmpty ? "" : " ") + word
    }
    return lines.joined(separator: "\n")
  }
}
