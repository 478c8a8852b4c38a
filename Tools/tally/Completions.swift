import Importers
import TallyHost

extension Verb {
  static let completions = Verb(
    name: "completions", summary: "print completions for a shell",
    positionals: [Positional(name: "SHELL", help: "bash, zsh or fish")],
    details: """
      bash:  source <(tally completions bash)
      zsh:   tally completions zsh > "${fpath[1]}/_tally"
      fish:  tally completions fish > ~/.config/fish/completions/tally.fish
      """
  ) { arguments, console in
    let script: String
    switch arguments.positionals[0] {
    case "bash": script = Completions.bash
    case "zsh": script = Completions.zsh
    case "fish": script = Completions.fish
    case let shell:
      throw InputError(
        802, "\u{2018}\(shell)\u{2019} is not bash, zsh or fish", place: "tally completions",
        exit: 2)
    }
    console.print(script)
    console.result(["script": .string(script)])
    return 0
  }
}

/// Completion scripts, made from the verbs, so that they cannot fall behind.
private enum Completions {
  private static func words(_ verb: Verb) -> String {
    verb.allOptions.map(\.name).joined(separator: " ")
  }

  static var bash: String {
    let cases = Command.verbs.map { "    \($0.name)) words=\"\(words($0))\" ;;" }
    return """
      _tally() {
        local current="${COMP_WORDS[COMP_CWORD]}" words=""
        if [ "$COMP_CWORD" = 1 ]; then
          COMPREPLY=($(compgen -W "\(Command.verbs.map(\.name).joined(separator: " ")) help" -- "$current"))
          return
        fi
        case "${COMP_WORDS[1]}" in
      \(cases.joined(separator: "\n"))
        esac
        case "$current" in
          -*) COMPREPLY=($(compgen -W "$words" -- "$current")) ;;
          *) COMPREPLY=($(compgen -f -- "$current")) ;;
        esac
      }
      complete -o filenames -F _tally tally
      """
  }

  static var zsh: String {
    let verbs = Command.verbs.map { "    '\($0.name):\(quoted($0.summary))'" }
    let cases = Command.verbs.map { verb in
      let options = verb.allOptions.map { option in
        let value = option.value.map { ":\($0):_files" } ?? ""
        let text = quoted(option.help)
          .replacingOccurrences("[", with: "\\[").replacingOccurrences("]", with: "\\]")
        return "'\(option.isRepeatable ? "*" : "")\(option.name)[\(text)]\(value)'"
      }
      return "    \(verb.name)) _arguments \(options.joined(separator: " ")) '*:file:_files' ;;"
    }
    return """
      #compdef tally
      _tally() {
        local -a verbs
        verbs=(
      \(verbs.joined(separator: "\n"))
        )
        if (( CURRENT == 2 )); then
          _describe verb verbs
          return
        fi
        local verb="${words[2]}"
        shift words
        (( CURRENT-- ))
        case "$verb" in
      \(cases.joined(separator: "\n"))
        esac
      }
      _tally "$@"
      """
  }

  static var fish: String {
    var lines = Command.verbs.map {
      "complete -c tally -n __fish_use_subcommand -a \($0.name) -d '\(quoted($0.summary))'"
    }
    for verb in Command.verbs {
      for option in verb.allOptions {
        let short = option.short.map { " -s \($0.dropFirst())" } ?? ""
        lines.append(
          "complete -c tally -n '__fish_seen_subcommand_from \(verb.name)' -l "
            + "\(option.name.dropFirst(2))\(short)\(option.value == nil ? "" : " -r") "
            + "-d '\(quoted(option.help))'")
      }
    }
    return lines.joined(separator: "\n")
  }

  /// Inside single quotes.
  private static func quoted(_ text: String) -> String {
    text.replacingOccurrences("'", with: "\u{2019}").replacingOccurrences(":", with: "\\:")
  }
}

extension String {
  fileprivate func replacingOccurrences(_ part: Character, with replacement: String) -> String {
    map { $0 == part ? replacement : String($0) }.joined()
  }
}
