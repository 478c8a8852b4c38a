import Importers
import Tally
import TallyHost

/// A journal held against its model and data: first what the files say of themselves, then the run.
struct RunCheck {
  enum Answer {
    case reproduced(steps: UInt32, isValidated: Bool)
    case diverged(step: UInt32, reason: String, offset: Int?, code: Int)
    /// `step` is the number of steps that came out the same.
    case cannotCheck(step: UInt32?, reason: String, help: String?)
    case interrupted(step: UInt32, signal: Int32)
  }

  let path: String
  let modelPath: String
  let console: Console
  private(set) var head: Digest?
  private(set) var result: Digest?

  init(path: String, modelPath: String, console: Console) {
    self.path = path
    self.modelPath = modelPath
    self.console = console
  }

  /// - Throws: what is wrong with a file that is no journal, no model or no data at all.
  mutating func answer(data: String?, validation: String?) throws -> Answer {
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
    guard let data else { return RunCheck.withoutData(journal, model) }
    return try again(journal, inputs, model, data, validation)
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
      help: "--data DATA does the run again")
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
  private static func broken(_ fault: JournalError) -> Answer {
    .diverged(step: fault.step ?? 0, reason: fault.words, offset: fault.offset, code: 904)
  }

  private static func unfinished(_ journal: LoadedJournal) -> String {
    journal.isTorn
      ? "the journal is torn at offset \(journal.goodByteCount), after \(journal.stepCount) steps"
      : "the journal ends after \(journal.stepCount) steps, without its end record"
  }

  // MARK: - Doing it again

  private func again(
    _ journal: LoadedJournal, _ inputs: JournalInputs, _ model: LoadedModel, _ data: String,
    _ validation: String?
  ) throws -> Answer {
    let samples = try Inputs.samples(data, for: model, console)
    var held: PreparedSamples?
    if let validation {
      if inputs.validationCount == 0 {
        console.note("the run had no validation data; --validate is not used")
      } else {
        held = try Inputs.samples(validation, for: model, console)
      }
    }
    let recipe = (0..<inputs.recipe.count).map { inputs.recipe[$0] }
    let run: TrainingRun
    do throws(InputError) {
      run = try TrainingRun(model, recipe: recipe, samples: samples, validation: held)
    } catch {
      guard error.code == 802 else { throw error }
      return .diverged(
        step: 0, reason: "the journal's recipe does not fit the model", offset: nil, code: 904)
    }
    let isValidated = inputs.validationCount == 0 || held != nil
    var comparison = Comparison(journal.reader, checkingValidation: isValidated)
    if let signal = follow(run, &comparison) {
      return .interrupted(step: run.run.trainer.step, signal: signal)
    }
    switch comparison.verdict {
    case .diverged(let step, let difference):
      let isData = inputs.dataDigest == samples.digest
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
      guard inputs.dataDigest == samples.digest else {
        return .diverged(
          step: 0, reason: "the data is not the run's, though no batch shows it",
          offset: nil, code: 903)
      }
      return .reproduced(steps: steps, isValidated: isValidated)
    case nil: preconditionFailure("a run that is over has a verdict")
    }
  }

  /// Runs until the comparison stops; the signal that ended it early, or nil.
  private func follow(_ run: TrainingRun, _ comparison: inout Comparison) -> Int32? {
    var progress = Progress(console, run)
    defer { progress.clear() }
    run.begin(&comparison)
    while !run.run.isDone && !comparison.isStopped {
      let signal = console.world.interruption()
      if signal != 0 { return signal }
      run.takeStep(&comparison)
      progress.update(run.run)
    }
    if !comparison.isStopped { run.end(&comparison) }
    return nil
  }
}

extension RunCheck.Answer {
  var word: String {
    switch self {
    case .reproduced: "reproduced"
    case .diverged: "diverged"
    case .cannotCheck: "cannot-check"
    case .interrupted: "interrupted"
    }
  }

  var step: UInt32? {
    switch self {
    case .reproduced(let steps, _): steps
    case .diverged(let step, _, _, _), .interrupted(let step, _): step
    case .cannotCheck(let step, _, _): step
    }
  }

  var reason: String {
    switch self {
    case .reproduced(let steps, true): "\(steps) steps, every record the same"
    case .reproduced(let steps, false):
      "\(steps) steps, every record the same; validation figures not recomputed (--validate)"
    case .diverged(_, let reason, _, _): reason
    case .cannotCheck(_, let reason, _): reason
    case .interrupted(let step, _): "interrupted after \(step) steps, all the same"
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
    case .reproduced, .interrupted: nil
    }
  }

  var exit: Int32 {
    switch self {
    case .reproduced: 0
    case .diverged: 1
    case .cannotCheck: 4
    case .interrupted(_, let signal): 128 + signal
    }
  }
}
