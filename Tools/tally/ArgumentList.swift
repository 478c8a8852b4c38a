import Importers
import TallyHost

/// An option of a verb, as its help shows it.
struct Option: Sendable {
  /// With its dashes: `--output`.
  let name: String
  /// `-o`, or nil.
  var short: String?
  /// The word help shows for the value; nil for a flag.
  var value: String?
  var isRepeatable = false
  let help: String

  static func flag(_ name: String, _ short: String? = nil, _ help: String) -> Option {
    Option(name: name, short: short, help: help)
  }

  static func value(
    _ name: String, _ short: String? = nil, _ value: String, isRepeatable: Bool = false,
    _ help: String
  ) -> Option {
    Option(name: name, short: short, value: value, isRepeatable: isRepeatable, help: help)
  }

  /// See `useThreads`.
  static let threads = value(
    "--threads", nil, "N", "threads that share the work (default: 1); any number, same bytes")
}

/// What stands on a command line without dashes.
struct Positional: Sendable {
  let name: String
  var isRequired = true
  let help: String
}

/// A command line, told apart into options and the rest.
struct ArgumentList {
  private(set) var positionals: [String] = []
  private var values: [String: [String]] = [:]
  private let verb: Verb

  /// - Throws: TLY0801 for an unknown option, TLY0805 for a missing value, a repeated option, or
  ///   one argument too many or too few; exit 2.
  init(_ arguments: [String], for verb: Verb) throws(InputError) {
    self.verb = verb
    var rest = arguments[...]
    var onlyPositionals = false
    while let argument = rest.popFirst() {
      if argument == "--", !onlyPositionals {
        onlyPositionals = true
      } else if onlyPositionals || !argument.hasPrefix("-") || argument == "-" {
        positionals.append(argument)
      } else {
        try takeOption(argument, &rest)
      }
    }
    // Help is for those who do not know yet what is due.
    if has("--help") { return }
    let most = verb.positionals.count
    if positionals.count > most {
      throw usage(
        "\u{2018}\(positionals[most])\u{2019} is one argument too many")
    }
    if let missing = verb.positionals.dropFirst(positionals.count).first(where: \.isRequired) {
      throw usage("\(missing.name) is missing")
    }
  }

  private mutating func takeOption(
    _ argument: String, _ rest: inout ArraySlice<String>
  ) throws(InputError) {
    let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    let name = String(parts[0])
    guard let option = verb.allOptions.first(where: { $0.name == name || $0.short == name }) else {
      throw unknown(name)
    }
    var value = ""
    if option.value == nil {
      guard parts.count == 1 else {
        throw usage("\(option.name) takes no value")
      }
    } else if parts.count == 2 {
      value = String(parts[1])
    } else {
      // A value may start with a dash; another option may not be one.
      guard let next = rest.first, !verb.names(option: next) else {
        throw usage("\(option.name) needs a value: \(option.value ?? "")")
      }
      value = rest.removeFirst()
    }
    guard values[option.name] == nil || option.isRepeatable || option.value == nil else {
      throw usage("\(option.name) stands here twice")
    }
    values[option.name, default: []].append(value)
  }

  func has(_ option: String) -> Bool { values[option] != nil }

  subscript(option: String) -> String? { values[option]?.last }

  func all(_ option: String) -> [String] { values[option] ?? [] }

  /// - Throws: TLY0805 if the option is not given.
  func require(_ option: String) throws(InputError) -> String {
    guard let value = self[option] else {
      let short = verb.allOptions.first { $0.name == option }.map(\.usage) ?? option
      throw usage("\(short) is missing")
    }
    return value
  }

  /// An integer option.
  func integer(_ option: String, in range: ClosedRange<UInt64>) throws(InputError) -> UInt64? {
    guard let text = self[option] else { return nil }
    guard let number = UInt64(text), range.contains(number) else {
      throw InputError(
        802, "\u{2018}\(text)\u{2019} is not an integer in range", place: option,
        note: "allowed are \(range.lowerBound) to \(range.upperBound)", exit: 2)
    }
    return number
  }

  /// Uses as many threads as `--threads` says.
  ///
  /// - Returns: how many there are, to plan for.
  func useThreads() throws(InputError) -> Int {
    let count = try integer("--threads", in: 1...UInt64(Threads.most)) ?? 1
    return Threads.use(Int(count))
  }

  func usage(_ what: String) -> InputError {
    InputError(
      805, what, place: "tally \(verb.name)", help: "tally \(verb.name) --help", exit: 2)
  }

  private func unknown(_ name: String) -> InputError {
    let near = nearestNames(to: name, among: verb.allOptions.map(\.name))
    return InputError(
      801, "unknown option \u{2018}\(name)\u{2019}", place: "tally \(verb.name)",
      help: near.isEmpty
        ? "tally \(verb.name) --help" : "did you mean \(near.joined(separator: ", "))?", exit: 2)
  }
}
