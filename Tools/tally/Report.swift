import Platform
import Importers
import Tally
import TallyHost

extension Verb {
  static let report = Verb(
    name: "report", summary: "show a run's journal as a page, a log or TensorBoard events",
    positionals: [Positional(name: "JOURNAL", help: "the .tlj file of the run")],
    options: [
      .value("--output", "-o", "FILE", "the page, one self-contained HTML file"),
      .value("--model", "-m", "FILE", "the model the run began with: names, scheme, memory map"),
      .value("--result", nil, "FILE", "the trained model, to be evaluated on --data"),
      .value("--data", "-d", "DATA", "samples for the confusion matrix and saturation by layer"),
      .value("--log", nil, "FILE", "the same as JSON lines"),
      .value("--tensorboard", nil, "FOLDER", "the same as an event file for TensorBoard"),
      .flag("--force", nil, "replace existing outputs"),
    ],
    details: """
      Everything shown is read from the journal; an unfinished or torn one is shown as far as it is
      good. At least one of --output, --log and --tensorboard is needed.

      JSON: outputs, steps, state.
      """
  ) { arguments, console in
    try ReportCommand(arguments, console).run()
  }
}

private struct ReportCommand {
  let arguments: ArgumentList
  let console: Console
  let path: String

  init(_ arguments: ArgumentList, _ console: Console) {
    self.arguments = arguments
    self.console = console
    path = arguments.positionals[0]
  }

  func run() throws -> Int32 {
    guard ["--output", "--log", "--tensorboard"].contains(where: arguments.has) else {
      throw arguments.usage("-o FILE, --log FILE or --tensorboard FOLDER is missing")
    }
    guard arguments.has("--result") == arguments.has("--data") else {
      throw arguments.usage("--result and --data belong together")
    }
    let page = try arguments["--output"].map(outputFile)
    let log = try arguments["--log"].map(outputFile)
    let journal = try loadedJournal()
    let history = RunHistory(journal)
    var written: [String] = []
    if let page {
      try page.write(Array(pageText(journal).utf8))
      written.append(page.path)
    }
    if let log {
      try log.write(RunLog.lines(journal, history))
      written.append(log.path)
    }
    if let folder = arguments["--tensorboard"] {
      written.append(try writeEvents(history, in: folder))
    }
    for path in written { console.print("wrote \(path)") }
    console.result([
      "outputs": .array(written.map { .string($0) }), "steps": JSONOutput(journal.stepCount),
      "state": .string(journal.isFinished ? "finished" : "unfinished"),
    ])
    return 0
  }

  private func outputFile(_ output: String) throws(InputError) -> OutputFile {
    var inputs = [path]
    for option in ["--model", "--result"] {
      if let input = arguments[option] { inputs.append(input) }
    }
    return try OutputFile(output, force: arguments.has("--force"), inputs: inputs)
  }

  private func loadedJournal() throws(InputError) -> LoadedJournal {
    let bytes = try Inputs.journalBytes(path)
    do throws(JournalError) {
      return try LoadedJournal(bytes)
    } catch {
      throw InputError(error, file: path)
    }
  }

  private func pageText(_ journal: LoadedJournal) throws -> String {
    var model: LoadedModel?
    if let path = arguments["--model"] {
      let loaded = try Inputs.model(path)
      guard loaded.digest == journal.inputs?.modelDigest else {
        throw InputError(
          903, "the model is not the one the run began with", place: path,
          help: "tally inspect \(self.path)", exit: 2)
      }
      model = loaded
    }
    var answers: RunReport.Answers?
    if let path = arguments["--result"], let data = arguments["--data"] {
      let trained = try Inputs.model(path)
      guard journal.result == nil || journal.result == trained.digest else {
        throw InputError(
          903, "the model is not the one the run ended with", place: path,
          help: "tally inspect \(self.path)", exit: 2)
      }
      let samples = try Inputs.samples(data, for: trained, console)
      answers = RunReport.Answers(
        try ModelEvaluation(trained, samples), data: data, classNames: trained.classNames,
        before: try model.map { model throws(InputError) in
          try LayerSaturation(model, try Inputs.samples(data, for: model, console))
        }, after: try LayerSaturation(trained, samples))
    }
    let report: RunReport
    do throws(RecipeError) {
      report = try RunReport(
        journal, name: Path.name(of: path), model: model, answers: answers)
    } catch {
      throw InputError(
        903, "the journal's recipe is not for this model", place: path,
        note: "canonical recipe, byte \(error.offset)", exit: 2)
    }
    return try report.page()
  }

  /// - Returns: the file's path. TensorBoard finds files by their `tfevents` in the name.
  private func writeEvents(
    _ history: RunHistory, in folder: String
  ) throws(InputError) -> String {
    let name = Path.stem(of: path)
    var file = EventFile(wallTime: 0, hasLabels: history.hasLabels)
    for event in history.events { file.add(event) }
    try OutputFile.makeFolder(folder)
    let output = try outputFile("\(folder)/events.out.tfevents.0.\(name)")
    try output.write(file.bytes)
    return output.path
  }
}
