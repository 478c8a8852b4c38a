import Importers
import Tally
import TallyHost

extension Inspection {
  /// A run's journal.
  ///
  /// - Parameter model: the path of the run's model; without it the recipe cannot be put in words.
  init(journalAt path: String, model: String?) throws(InputError) {
    let journal: LoadedJournal
    let bytes = try Inputs.journalBytes(path)
    do throws(JournalError) {
      journal = try LoadedJournal(bytes)
    } catch {
      throw InputError(error, file: path)
    }
    self.init(format: "tally journal")
    addState(journal)
    guard let inputs = journal.inputs else { return }
    add("model", inputs.modelDigest.hexadecimal, "modelDigest")
    add("data", inputs.dataDigest.hexadecimal, "dataDigest")
    members.append(("samples", JSONOutput(inputs.sampleCount)))
    facts.append(("samples", DecimalText.grouped(inputs.sampleCount)))
    if inputs.validationCount > 0 {
      add("validation", inputs.validationDigest.hexadecimal, "validationDigest")
    }
    let recipe = (0..<inputs.recipe.count).map { inputs.recipe[$0] }
    var hash = SHA256()
    hash.update(recipe.span.bytes)
    add("recipe", hash.finalize().hexadecimal, "recipeDigest")
    let planned = inputs.plannedSteps
    add("steps", "\(journal.stepCount) of \(planned)", "steps", JSONOutput(journal.stepCount))
    members.append(("plannedSteps", JSONOutput(planned)))
    add("roots", "\(journal.rootCount)", "roots", JSONOutput(journal.rootCount))
    add(
      "range changes", "\(journal.rangeChangeCount)", "rangeChanges",
      JSONOutput(journal.rangeChangeCount))
    add("head", journal.chain.head.hexadecimal, "journalHead")
    if let result = journal.result { add("trained model", result.hexadecimal, "resultDigest") }
    for note in journal.notes { add("note, not verified", note, "note") }
    addEpochs(journal.epochs, hasLabels: journal.hasLabels)
    if let model { try addRecipe(recipe, model, path) }
  }

  private mutating func addState(_ journal: LoadedJournal) {
    let state: String
    switch journal.fault {
    case nil: state = journal.result == nil ? "unfinished" : "finished"
    case let fault? where fault.code == .torn: state = "torn"
    case _?: state = "broken"
    }
    members.append(("state", .string(state)))
    var text = state
    if let fault = journal.fault {
      text += ": \(fault.words), offset \(fault.offset)"
      members.append(("faultOffset", JSONOutput(fault.offset)))
      members.append(("fault", .string(fault.words)))
    }
    facts.append(("state", text))
  }

  private mutating func addEpochs(_ epochs: [EpochResult], hasLabels: Bool) {
    guard !epochs.isEmpty else { return }
    let accuracy = hasLabels ? ["accuracy"] : []
    var table = TextTable(
      ["epoch", "samples", "loss"] + accuracy + ["validation loss"] + accuracy)
    var list: [JSONOutput] = []
    for epoch in epochs {
      func cells(_ sums: Trainer.Evaluation?) -> [String] {
        guard let sums else { return ["-"] + accuracy.map { _ in "-" } }
        return [DecimalText.meanLoss(sums.loss, count: sums.samples)]
          + accuracy.map { _ in DecimalText.percent(sums.correct, of: sums.samples) }
      }
      table.add(
        ["\(epoch.index + 1)", "\(epoch.training.samples)"] + cells(epoch.training)
          + cells(epoch.validation))
      list.append(epoch.json(hasLabels: hasLabels))
    }
    tables.append(table)
    members.append(("epochs", .array(list)))
  }

  private mutating func addRecipe(
    _ bytes: [UInt8], _ modelPath: String, _ path: String
  ) throws(InputError) {
    let model = try Inputs.model(modelPath)
    let memory: RecipeMemory
    do throws(RecipeError) {
      memory = try RecipeMemory(bytes, model)
    } catch {
      throw InputError(
        903, "the journal's recipe is not for this model", place: "\(path) and \(modelPath)",
        exit: 2)
    }
    let recipe = RecipeFields(memory.recipe).json { model.name(ofNode: $0) }
    members.append(("recipe", recipe))
    var table = TextTable(["recipe"])
    for line in recipe.indentedText.split(separator: "\n") { table.add([String(line)]) }
    tables.append(table)
  }
}
