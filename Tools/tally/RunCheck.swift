import Importers
import Tally
import TallyHost

/// A journal held against its model and data: first what the files say of themselves, then the run.
struct RunCheck {
  /// How much of the run is done again.
  enum Extent {
    /// Nothing: order, chain and sums alone.
    case structure
    case whole
    /// Some of the segments between checkpoints.
    case segments(Int, nonce: String)
  }

  enum Answer {
    case reproduced(steps: UInt32, words: String)
    case wellFormed(steps: UInt32, words: String)
    case diverged(step: UInt32, reason: String, offset: Int?, code: Int)
    /// `step` is the number of steps that came out the same.
    case cannotCheck(step: UInt32?, reason: String, help: String?)
    case interrupted(step: UInt32, signal: Int32)
  }

  let path: String
  let console: Console
  var extent = Extent.whole
  /// Whether the run is done under other conditions too.
  var varies = false
  private(set) var head: Digest?
  private(set) var result: Digest?
  /// Conditions under which the run was done.
  private(set) var conditions: [RunCondition] = []
  /// Segments that were done again, first step and the step behind the last.
  private(set) var segments: [Range<UInt32>] = []

  init(path: String, console: Console) {
    self.path = path
    self.console = console
  }

  /// - Throws: what is wrong with a file that is no journal, no model or no data at all.
  mutating func answer(model modelPath: String?, data: String?, validation: String?) throws
    -> Answer
  {
    let journal: LoadedJournal
    let bytes = try Inputs.journalBytes(path)
    do throws(JournalError) {
      journal = try LoadedJournal(bytes)
    } catch {
      guard error.code == .torn else { throw InputError(error, file: path) }
      return .cannotCheck(step: 0, reason: "the journal ends inside its header", help: nil)
    }
    head = journal.chain.head
    result = journal.result
    guard let inputs = journal.inputs else { return RunCheck.withoutBegin(journal) }
    guard let modelPath else { return RunCheck.structure(journal, nil) }
    let model: LoadedModel
    let modelBytes = try Inputs.modelBytes(modelPath)
    do throws(ModelError) {
      model = try LoadedModel(modelBytes)
    } catch {
      return .diverged(
        step: 0, reason: "the model file is damaged: \(error.summary) (offset \(error.offset))",
        offset: nil, code: 902)
    }
    guard model.digest == inputs.modelDigest else {
      return .diverged(
        step: 0,
        reason:
          "the model is not the one of the run, which began with \(inputs.modelDigest.hexadecimal)",
        offset: nil, code: 903)
    }
    let recipe = (0..<inputs.recipe.count).map { inputs.recipe[$0] }
    guard let memory = try? RecipeMemory(recipe, model) else {
      return .diverged(
        step: 0, reason: "the journal's recipe does not fit the model", offset: nil, code: 904)
    }
    if case .structure = extent { return RunCheck.structure(journal, memory.recipe) }
    guard let data else { return RunCheck.withoutData(journal, model) }
    let samples = try Inputs.samples(data, for: model, console)
    let held = try validationSamples(validation, inputs, model)
    let experiment = Experiment(
      journal: journal, inputs: inputs, model: model, recipe: recipe, samples: samples,
      validation: held)
    return try again(experiment, memory.recipe)
  }

  private func validationSamples(
    _ text: String?, _ inputs: JournalInputs, _ model: LoadedModel
  ) throws -> PreparedSamples? {
    guard let text else { return nil }
    guard inputs.validationCount > 0 else {
      console.note("the run had no validation data; --validate is not used")
      return nil
    }
    return try Inputs.samples(text, for: model, console)
  }

  // MARK: - Without doing it again

  private static func withoutBegin(_ journal: LoadedJournal) -> Answer {
    guard let fault = journal.fault, fault.code != .torn else {
      return .cannotCheck(step: 0, reason: "the journal ends before its first record", help: nil)
    }
    return broken(fault)
  }

  private static func withoutData(_ journal: LoadedJournal, _ model: LoadedModel) -> Answer {
    if let fault = journal.fault, fault.code != .torn { return broken(fault) }
    if let answer = replayed(journal, model) { return answer }
    let state =
      journal.isFinished ? "the chain of \(journal.stepCount) steps is whole" : unfinished(journal)
    return .cannotCheck(
      step: nil, reason: "the data is not given; \(state)",
      help: "--data DATA does the run again; --structure is content with the chain")
  }

  /// Order, chain, sums; and with the recipe that all is there that it asks for.
  private static func structure(_ journal: LoadedJournal, _ recipe: Recipe?) -> Answer {
    if let fault = journal.fault, fault.code != .torn { return broken(fault) }
    if let (step, difference) = journal.firstMisfit(recipe) {
      return .diverged(
        step: step, reason: "no run makes this record: \(difference.field.words)",
        offset: difference.offset, code: 905)
    }
    guard journal.isFinished else {
      return .cannotCheck(
        step: journal.stepCount, reason: unfinished(journal), help: "tally train … --resume")
    }
    return .wellFormed(
      steps: journal.stepCount,
      words: "\(journal.stepCount) steps: the chain and the sums of the epochs are right"
        + (recipe == nil ? "" : ", and every record is there that the recipe asks for"))
  }

  /// What a journal that holds all of its run shows without data: whether its differences lead to its
  /// roots and its model (SPEC 8.19). `nil` for other journals.
  private static func replayed(_ journal: LoadedJournal, _ model: LoadedModel) -> Answer? {
    let replay: ReplayedRun
    do throws(InputError) {
      replay = try ReplayedRun(model, journal)
    } catch {
      return nil
    }
    let roots = "\(replay.checkedRoots) state roots"
    switch replay.verdict {
    case .diverged(let step, let difference):
      return .diverged(
        step: step, reason: "\(difference.field.words), replayed without data",
        offset: difference.offset, code: 904)
    case .reproduced(let steps):
      return .cannotCheck(
        step: steps,
        reason: "the data is not given; \(steps) steps replayed from their differences: "
          + "\(roots) and the model are the same, the differences themselves are not checked",
        help: "--data DATA does the run again")
    case .unfinished(let steps, _):
      return .cannotCheck(
        step: steps,
        reason: "\(unfinished(journal)); replayed from their differences: \(roots) are the same",
        help: "--data DATA does the run again")
    }
  }

  /// A record that nobody could have written here.
  static func broken(_ fault: JournalError) -> Answer {
    .diverged(step: fault.step ?? 0, reason: fault.words, offset: fault.offset, code: 904)
  }

  static func unfinished(_ journal: LoadedJournal) -> String {
    journal.isTorn
      ? "the journal is torn at offset \(journal.goodByteCount), after \(journal.stepCount) steps"
      : "the journal ends after \(journal.stepCount) steps, without its end record"
  }

  // MARK: - Doing it again

  /// All that a run is made of.
  struct Experiment {
    let journal: LoadedJournal
    let inputs: JournalInputs
    let model: LoadedModel
    let recipe: [UInt8]
    let samples: PreparedSamples
    let validation: PreparedSamples?

    var isValidated: Bool { inputs.validationCount == 0 || validation != nil }

    func run(_ condition: RunCondition) throws(InputError) -> TrainingRun {
      try TrainingRun(
        model, recipe: recipe, samples: samples, validation: validation,
        isCompact: condition.isCompact, reversingMicroBatches: condition.reversesMicroBatches,
        threads: condition.threads, leastPartWork: condition.leastPartWork)
    }
  }

  private mutating func again(_ experiment: Experiment, _ recipe: Recipe) throws -> Answer {
    var last: Answer?
    for condition in varies ? RunCondition.all(for: recipe) : [.asIs] {
      condition.apply()
      defer { RunCondition.asIs.apply() }
      let answer: Answer
      switch extent {
      case .structure, .whole: answer = try whole(experiment, condition)
      case .segments(let count, let nonce):
        answer = try sampled(experiment, condition, count, nonce)
      }
      conditions.append(condition)
      guard case .reproduced(let steps, let words) = answer else {
        return condition == .asIs ? answer : answer.adding("with \(condition.name): ")
      }
      if varies { console.note("\(condition.name): \(steps) steps, every record the same") }
      last = last ?? .reproduced(steps: steps, words: words)
    }
    guard let last, varies else { return last ?? .cannotCheck(step: 0, reason: "", help: nil) }
    return last.adding("", " under \(conditions.count) conditions")
  }

  private func whole(_ experiment: Experiment, _ condition: RunCondition) throws -> Answer {
    let run = try experiment.run(condition)
    let journal = experiment.journal
    var comparison = Comparison(journal.reader, checkingValidation: experiment.isValidated)
    run.begin(&comparison)
    if let signal = follow(run, &comparison, until: nil) {
      return .interrupted(step: run.run.trainer.step, signal: signal)
    }
    return verdict(comparison, experiment)
  }

  /// What a comparison has found, in words.
  func verdict(_ comparison: Comparison, _ experiment: Experiment) -> Answer {
    let journal = experiment.journal
    let isData = experiment.inputs.dataDigest == experiment.samples.digest
    switch comparison.verdict {
    case .diverged(let step, let difference):
      return .diverged(
        step: step, reason: difference.field.words + (isData ? "" : "; the data is not the run's"),
        offset: difference.offset, code: 904)
    case .unfinished(let steps, _):
      return .cannotCheck(
        step: steps, reason: "\(RunCheck.unfinished(journal)); all of it came out the same",
        help: "tally train … --resume goes on with it")
    case .reproduced(let steps):
      if let fault = journal.fault { return RunCheck.broken(fault) }
      // A sample that no batch used may differ; then it is another data set all the same.
      guard isData else {
        return .diverged(
          step: 0, reason: "the data is not the run's, though no batch shows it",
          offset: nil, code: 903)
      }
      let note =
        experiment.isValidated ? "" : "; validation figures not recomputed (--validate)"
      return .reproduced(steps: steps, words: "\(steps) steps, every record the same\(note)")
    case nil: preconditionFailure("a run that is over has a verdict")
    }
  }

  /// Runs until the comparison stops, or `last` steps are done; the signal that ended it early, or nil.
  func follow(
    _ run: TrainingRun, _ comparison: inout Comparison, until last: UInt32?
  ) -> Int32? {
    var progress = Progress(console, run)
    defer { progress.clear() }
    while !run.run.isDone && !comparison.isStopped && run.run.trainer.step != last {
      let signal = console.world.interruption()
      if signal != 0 { return signal }
      run.takeStep(&comparison)
      progress.update(run.run)
    }
    if !comparison.isStopped && last == nil { run.end(&comparison) }
    return nil
  }

  mutating func note(segments: [Range<UInt32>]) { self.segments = segments }
}

extension RunCheck.Answer {
  var word: String {
    switch self {
    case .reproduced: "reproduced"
    case .wellFormed: "well-formed"
    case .diverged: "diverged"
    case .cannotCheck: "cannot-check"
    case .interrupted: "interrupted"
    }
  }

  var step: UInt32? {
    switch self {
    case .reproduced(let steps, _), .wellFormed(let steps, _): steps
    case .diverged(let step, _, _, _), .interrupted(let step, _): step
    case .cannotCheck(let step, _, _): step
    }
  }

  var reason: String {
    switch self {
    case .reproduced(_, let words), .wellFormed(_, let words): words
    case .diverged(_, let reason, _, _): reason
    case .cannotCheck(_, let reason, _): reason
    case .interrupted(let step, _): "interrupted after \(step) steps, all the same"
    }
  }

  /// The same answer with words before and behind its reason.
  func adding(_ before: String, _ behind: String = "") -> RunCheck.Answer {
    switch self {
    case .reproduced(let steps, let words):
      .reproduced(steps: steps, words: before + words + behind)
    case .wellFormed(let steps, let words):
      .wellFormed(steps: steps, words: before + words + behind)
    case .diverged(let step, let reason, let offset, let code):
      .diverged(step: step, reason: before + reason + behind, offset: offset, code: code)
    case .cannotCheck(let step, let reason, let help):
      .cannotCheck(step: step, reason: before + reason + behind, help: help)
    case .interrupted: self
    }
  }

  var help: String? {
    if case .cannotCheck(_, _, let help) = self { help } else { nil }
  }

  /// The catalogue's number.
  var code: Int? {
    switch self {
    case .diverged(_, _, _, let code): code
    case .cannotCheck: 906
    case .reproduced, .wellFormed, .interrupted: nil
    }
  }

  var exit: Int32 {
    switch self {
    case .reproduced, .wellFormed: 0
    case .diverged: 1
    case .cannotCheck: 4
    case .interrupted(_, let signal): 128 + signal
    }
  }
}
