import Platform
import Importers
import Tally
import TallyHost

extension Verb {
  static let train = Verb(
    name: "train", summary: "train a model by a recipe; writes the model and the run's journal",
    positionals: [
      Positional(
        name: "MODEL", isRequired: false, help: "a .tally model, initialised or converted")
    ],
    options: [
      .value("--data", "-d", "DATA", "samples to train on (tally eval --help says how)"),
      .value("--recipe", "-r", "FILE", "what to do, as JSON (default: all defaults)"),
      .value("--set", nil, "KEY=VALUE", isRepeatable: true, "put a value over the recipe's"),
      .value("--output", "-o", "FILE", "the trained model"),
      .value("--journal", nil, "FILE", "the run's journal"),
      .value("--validate", nil, "DATA", "samples to evaluate after every epoch"),
      .value("--log", nil, "FILE", "steps and epochs as JSON lines, while the run goes"),
      .value("--tensorboard", nil, "FOLDER", "the same as an event file for TensorBoard"),
      .flag("--resume", nil, "go on where the journal ends; same bytes as a run in one piece"),
      .value(
        "--checkpoint", nil, "N", "keep a checkpoint about every N steps, for verify --sample"),
      .value("--note", nil, "TEXT", "a remark in the journal: not chained, not verified"),
      .flag("--compact", nil, "in the memory of a board, to the byte of plan: slower, same bytes"),
      .threads,
      .flag("--force", nil, "replace existing outputs"),
      .value("--replay", nil, "JOURNAL", "rebuild the model of a zeroth-order run, without data"),
      .value("--model", "-m", "FILE", "with --replay: the model the run began with"),
      .value("--to", nil, "STEP", "with --replay: only the first STEP steps"),
      .flag("--dry-run", nil, "print the resolved recipe and its digest, train nothing"),
    ],
    details: """
      Ctrl-C ends the run between two steps with a valid journal. --resume goes on from the newest
      checkpoint in JOURNAL.checkpoints, or from the start, repeats and compares what the journal
      holds beyond it, and appends. Without --checkpoint one checkpoint is kept while the run lasts.
      An output that is there already is left if it is this run's model, and not replaced if not.

      --replay needs the journal and the model the run began with, and no data: the journal of a
      zeroth-order run of weights and gains (head frozen, or in a group of weights) holds the
      measured differences, and every step follows from them (SPEC 8.19).

      JSON: steps, epochs (samples, loss, with labels correct and accuracy; the same under
      validation), modelDigest, journalHead, dataDigest, recipeDigest; plannedBytes and usedBytes of the
      session's memory, as planned and as touched: with --compact what plan says, else what
      plan --fast says, and more with --threads.
      """
  ) { arguments, console in
    if let journal = arguments["--replay"] {
      return try ReplayCommand(arguments: arguments, console: console).run(journal)
    }
    for option in ["--to", "--model"] where arguments.has(option) {
      throw arguments.usage("\(option) goes with --replay")
    }
    return try TrainCommand(arguments, console, threads: arguments.useThreads()).run()
  }
}

private struct TrainCommand {
  let arguments: ArgumentList
  let console: Console
  let modelPath: String
  let document: RecipeDocument
  let threads: Int

  init(_ arguments: ArgumentList, _ console: Console, threads: Int) throws {
    self.arguments = arguments
    self.threads = threads
    self.console = console
    guard let model = arguments.positionals.first else { throw arguments.usage("MODEL is missing") }
    modelPath = model
    document = try Inputs.recipe(arguments["--recipe"], arguments.all("--set"))
  }

  func run() throws -> Int32 {
    if arguments.has("--dry-run") { return try dryRun() }
    let data = try arguments.require("--data")
    let outputPath = try arguments.require("--output")
    let journalPath = try arguments.require("--journal")
    let output = try outputFile(outputPath, data)
    let old = try oldJournal(journalPath, output, data)
    let model = try Inputs.model(modelPath)
    let samples = try Inputs.samples(data, for: model, console)
    let validation = try arguments["--validate"].map { try Inputs.samples($0, for: model, console) }
    if let validation { warn(ofOverlap: samples, validation) }
    let fields = try document.resolved(for: model, hasLabels: samples.samples.labels != nil)
    let period = try checkpointPeriod()
    func makeRun() throws(InputError) -> TrainingRun {
      try TrainingRun(
        model, recipe: fields.bytes, samples: samples, validation: validation,
        isCompact: arguments.has("--compact"), threads: threads)
    }
    var run = try makeRun()
    var start: LoadedJournal.Place?
    let folder = CheckpointFolder(besides: journalPath)
    if let old {
      try TrainCommand.check(old, journalPath, model, fields, samples, validation)
      (run, start) = try resumed(run, old, folder, makeRun)
    }
    let live = try liveLog(run, model, samples, resuming: old)
    let file = try JournalFile(journalPath, keeping: old?.goodByteCount ?? 0)
    let checkpoints = CheckpointWriter(folder, period: period, resumingAt: start?.stepCount)
    var loop = TrainingLoop(
      run, file, checkpoints, resuming: old, at: start, note: arguments["--note"], live: live,
      console)
    let signal = try loop.finish()
    if signal == 0 {
      try output.write(run.modelBytes)
      loop.removeCheckpoints()
    }
    report(loop, run, fields, samples, signal)
    return signal == 0 ? 0 : 128 + signal
  }

  // MARK: - Before

  private func outputFile(_ path: String, _ data: String) throws(InputError) -> OutputFile {
    try OutputFile(
      path, force: arguments.has("--force"), resumes: arguments.has("--resume"),
      inputs: try inputs(data))
  }

  private func liveLog(
    _ run: TrainingRun, _ model: LoadedModel, _ samples: PreparedSamples,
    resuming journal: LoadedJournal?
  ) throws(InputError) -> LiveLog? {
    guard arguments.has("--log") || arguments.has("--tensorboard") else { return nil }
    let name = Path.stem(of: try arguments.require("--journal"))
    var live = try LiveLog(
      log: arguments["--log"], tensorboard: arguments["--tensorboard"],
      name: name, hasLabels: run.hasLabels,
      force: arguments.has("--force") || journal != nil,
      inputs: try inputs(arguments.require("--data")))
    live.begin(run, model, samples, resuming: journal)
    return live
  }

  private func inputs(_ data: String) throws(InputError) -> [String] {
    var paths = [modelPath] + (try DataSource(parsing: data).paths)
    if let validation = arguments["--validate"] {
      paths += try DataSource(parsing: validation).paths
    }
    if let recipe = arguments["--recipe"] { paths.append(recipe) }
    return paths
  }

  /// The journal to go on with, or nil to start one.
  private func oldJournal(
    _ path: String, _ output: OutputFile, _ data: String
  ) throws(InputError) -> LoadedJournal? {
    guard path != output.path else {
      throw arguments.usage("--output and --journal name the same file")
    }
    let resumes = arguments.has("--resume") && FileContents.exists(path)
    _ = try OutputFile(
      path, force: arguments.has("--force") || resumes, inputs: try inputs(data))
    guard resumes else { return nil }
    return try TrainCommand.loadedJournal(path, console)
  }

  private func checkpointPeriod() throws(InputError) -> UInt32? {
    guard let text = arguments["--checkpoint"] else { return nil }
    guard let period = UInt32(text), period >= 1 else {
      throw InputError(
        802, "\u{2018}\(text)\u{2019} is not a number of steps", place: "--checkpoint", exit: 2)
    }
    return period
  }

  /// A run that stands at the newest checkpoint that fits the journal, and where that is; the run as it
  /// was if there is none.
  private func resumed(
    _ run: TrainingRun, _ journal: LoadedJournal, _ folder: CheckpointFolder,
    _ makeRun: () throws(InputError) -> TrainingRun
  ) throws(InputError) -> (TrainingRun, LoadedJournal.Place?) {
    for entry in folder.entries.reversed() where entry.step <= journal.stepCount {
      let checkpoint: LoadedCheckpoint
      do throws(InputError) {
        checkpoint = try CheckpointFolder.load(entry)
      } catch {
        console.note("\(entry.path) is thrown away: \(error.message)")
        unlink(entry.path)
        continue
      }
      guard let place = journal.place(of: checkpoint.checkpoint) else { continue }
      let run = try makeRun()
      if run.resume(checkpoint, at: place) { return (run, place) }
      console.note("\(entry.path) is not used: its state is none of this run")
    }
    return (run, nil)
  }

  /// nil for a journal that was cut inside its header, or before it.
  private static func loadedJournal(
    _ path: String, _ console: Console
  ) throws(InputError) -> LoadedJournal? {
    if OutputFile.isEmpty(path) { return nil }
    let journal: LoadedJournal
    let bytes = try Inputs.journalBytes(path)
    do throws(JournalError) {
      journal = try LoadedJournal(bytes)
    } catch {
      if error.code == .torn { return nil }
      throw InputError(error, file: path)
    }
    if let fault = journal.fault {
      guard fault.code == .torn else { throw InputError(fault, file: path) }
      console.note("\(path): cut a torn record at offset \(journal.goodByteCount)")
    }
    return journal
  }

  /// An old journal must be of this very run.
  private static func check(
    _ journal: LoadedJournal, _ path: String, _ model: LoadedModel, _ fields: RecipeFields,
    _ samples: PreparedSamples, _ validation: PreparedSamples?
  ) throws(InputError) {
    guard let inputs = journal.inputs else { return }
    let recipe = (0..<inputs.recipe.count).map { inputs.recipe[$0] }
    let none = Digest(words: InlineArray(repeating: 0))
    let differing =
      [
        ("model", inputs.modelDigest == model.digest),
        ("recipe", recipe == fields.bytes),
        ("data", inputs.dataDigest == samples.digest),
        ("validation data", inputs.validationDigest == validation?.digest ?? none),
      ].first { !$0.1 }
    if let differing {
      throw InputError(
        903, "the journal is of another run: its \(differing.0) is not this one", place: path,
        help: "tally inspect \(path)", exit: 2)
    }
  }

  /// Figures on samples that were trained on say too much.
  private func warn(ofOverlap samples: PreparedSamples, _ validation: PreparedSamples) {
    let trained = Set((0..<samples.samples.count).map { samples.samples.leaf($0).hexadecimal })
    let count = (0..<validation.samples.count).count {
      trained.contains(validation.samples.leaf($0).hexadecimal)
    }
    guard count > 0 else { return }
    console.warn(
      InputWarning(
        code: 705,
        message: "\(count) of \(validation.samples.count) validation samples are trained on",
        place: arguments["--validate"], help: "give ranges that do not overlap: DATA[0..<N]"))
  }

  // MARK: - After

  private func dryRun() throws -> Int32 {
    let model = try Inputs.model(modelPath)
    // Without data the default loss is the one for labels.
    let samples = try arguments["--data"].map { try Inputs.samples($0, for: model, console) }
    let fields = try document.resolved(
      for: model, hasLabels: samples == nil || samples?.samples.labels != nil)
    if let samples {
      _ = try TrainingRun(model, recipe: fields.bytes, samples: samples, threads: threads)
    }
    let recipe = fields.json { model.name(ofNode: $0) }
    console.print(recipe.indentedText)
    console.note("recipe digest \(fields.digest.hexadecimal)")
    console.result(["recipe": recipe, "recipeDigest": .string(fields.digest.hexadecimal)])
    return 0
  }

  private func report(
    _ loop: TrainingLoop, _ run: TrainingRun, _ fields: RecipeFields, _ samples: PreparedSamples,
    _ signal: Int32
  ) {
    let steps = run.run.trainer.step
    let digest = run.run.trainer.session.modelDigest.hexadecimal
    let head = loop.head.hexadecimal
    var members: [(key: String, value: JSONOutput)] = [
      ("steps", JSONOutput(steps)),
      ("epochs", .array(loop.epochs.map { $0.json(hasLabels: run.hasLabels) })),
      ("modelDigest", .string(digest)), ("journalHead", .string(head)),
      ("dataDigest", .string(samples.digest.hexadecimal)),
      ("recipeDigest", .string(fields.digest.hexadecimal)),
      ("plannedBytes", JSONOutput(run.arenaByteCount)),
      ("usedBytes", JSONOutput(run.usedByteCount)),
    ]
    if signal == 0 {
      console.print("trained  \(steps) steps")
      console.print("model    \(digest)")
      console.print("journal  \(head)")
    } else {
      members.append(("interrupted", true))
      console.note(
        "interrupted after step \(steps) of \(run.plannedSteps); the journal is whole.\n"
          + "Give the same command with --resume to go on.")
    }
    console.result(.object(members))
  }
}
