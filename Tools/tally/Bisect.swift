import Platform
import Importers
import Tally
import TallyHost

extension Verb {
  static let bisect = Verb(
    name: "bisect", summary: "find where two runs that should be one part",
    positionals: [
      Positional(name: "A", help: "a journal, or a trace"),
      Positional(
        name: "B", isRequired: false, help: "the other machine's; left out with --trace"),
    ],
    options: [
      .value("--model", "-m", "FILE", "the model the runs began with"),
      .value("--data", "-d", "DATA", "the samples they trained on"),
      .value(
        "--trace", nil, "STEPS", "write down what this machine does in A's steps: 41, 40..<42"),
      .value("--output", "-o", "FILE", "the trace"),
      .flag("--force", nil, "replace an existing trace"),
    ],
    details: """
      Two journals: the first record that differs, by binary search on their chains. With --model
      and --data this machine does the run again up to there and says whose side it takes.

      Two traces of one step: the first operation with equal inputs and different results, its
      first element, and how that comes about in integers (with --model). Each machine makes its
      own: tally bisect RUN.tlj --trace STEP --model M --data D -o RUN.tlt.

      Exit status: 0 no difference; 1 they part, and where; 2 they are different experiments; 4 it
      cannot be told: a journal ends before they part.

      JSON: verdict (equal, parted, cannot-tell), step, reason, and what is known of the place.
      """
  ) { arguments, console in
    try Bisection(arguments, console).run()
  }
}

/// The verb's three uses: compare journals, record a trace, compare traces.
struct Bisection {
  let arguments: ArgumentList
  let console: Console
  var paths: [String] { arguments.positionals }

  init(_ arguments: ArgumentList, _ console: Console) {
    self.arguments = arguments
    self.console = console
  }

  func run() throws -> Int32 {
    if let text = arguments["--trace"] {
      guard paths.count == 1 else { throw arguments.usage("--trace is for one journal") }
      return try record(try Bisection.steps(text))
    }
    for name in ["--output", "--force"] where arguments.has(name) {
      throw arguments.usage("\(name) is for --trace")
    }
    guard paths.count == 2 else { throw arguments.usage("B is missing") }
    let contents = try paths.map { path throws(InputError) in
      try FileContents(path: path).bytes
    }
    let areTraces = contents.map { $0.starts(with: TraceFormat.magic) }
    if areTraces == [true, true] { return try compareTraces(contents) }
    if let index = areTraces.firstIndex(of: true) {
      throw arguments.usage("\(paths[index]) is a trace, the other file is none")
    }
    return try compareJournals()
  }

  /// `41`, or `40..<42`.
  static func steps(_ text: String) throws(InputError) -> Range<UInt32> {
    let parts = text.split(separator: "..<", omittingEmptySubsequences: false)
    let numbers = parts.compactMap { UInt32($0) }
    if numbers.count == parts.count {
      if numbers.count == 1, numbers[0] < .max { return numbers[0]..<numbers[0] + 1 }
      if numbers.count == 2, numbers[0] < numbers[1] { return numbers[0]..<numbers[1] }
    }
    throw InputError(
      802, "\u{2018}\(text)\u{2019} is no step (41) and no range of steps (40..<42)",
      place: "--trace", exit: 2)
  }

  /// - Throws: for a journal that is not good as far as it goes.
  func journal(_ path: String) throws(InputError) -> LoadedJournal {
    let bytes = try Inputs.journalBytes(path)
    let journal: LoadedJournal
    do throws(JournalError) {
      journal = try LoadedJournal(bytes)
    } catch {
      throw InputError(error, file: path)
    }
    if let fault = journal.fault, fault.code != .torn || journal.inputs == nil {
      throw InputError(fault, file: path)
    }
    return journal
  }

  /// The run that a journal is of, on this machine.
  func experiment(
    _ inputs: JournalInputs, _ path: String
  ) throws(InputError) -> TracedExperiment {
    try TracedExperiment(
      inputs, path, model: try arguments.require("--model"), data: try arguments.require("--data"),
      console)
  }
}
