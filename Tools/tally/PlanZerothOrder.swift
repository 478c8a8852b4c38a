import Importers
import Tally
import TallyHost

/// `tally plan --select zeroth-order`: what to perturb, by short trial runs.
struct PlanZerothOrder {
  let arguments: ArgumentList
  let console: Console
  let model: LoadedModel

  func run(budget byteCount: Int) throws(InputError) -> Int32 {
    var output: OutputFile?
    if let path = arguments["--output"] {
      output = try OutputFile(
        path, force: arguments.has("--force"), inputs: [arguments.positionals[0]])
    }
    let recipe = try self.recipe()
    let training = try Inputs.samples(try arguments.require("--data"), for: model, console)
    let validation = try Inputs.samples(try arguments.require("--validate"), for: model, console)
    let passes = Int(try arguments.integer("--passes", in: 1...1 << 40) ?? 100_000)
    let search = ZerothOrderSearch(
      SchemeBudget(model, recipe, byteCount: byteCount), training: training,
      validation: validation, passes: passes
    ) { trial in
      console.note(
        "round \(trial.round), \(words(trial)): "
          + DecimalText.meanLoss(trial.loss, count: UInt32(validation.samples.count)))
    }
    let trials = try search.search()
    let chosen = search.recipe(trials[0]).json { model.name(ofNode: $0) }
    try output?.write(Array("\(chosen.indentedText)\n".utf8))
    report(trials, chosen, samples: UInt32(validation.samples.count), budget: byteCount)
    return 0
  }

  private func recipe() throws(InputError) -> RecipeFields {
    var document = try Inputs.recipe(arguments["--recipe"], arguments.all("--set"))
    let fields = try document.resolved(for: model, hasLabels: true)
    if fields.zerothOrder != nil { return fields }
    try document.set("method=zerothOrder")
    return try document.resolved(for: model, hasLabels: true)
  }

  private func words(_ trial: ZerothOrderSearch.Trial) -> String {
    guard !trial.groups.isEmpty else { return "no group" }
    return trial.groups.map { group in
      let name = "\(model.name(ofNode: group.node)) \(group.kind.word)"
      return group.span > 1 ? "\(name), \(group.span) layers" : name
    }.joined(separator: " + ")
  }

  private func report(
    _ trials: [ZerothOrderSearch.Trial], _ recipe: JSONOutput, samples: UInt32, budget: Int
  ) {
    console.result([
      "select": "zeroth-order", "budgetBytes": JSONOutput(budget),
      "ramBytes": JSONOutput(trials[0].byteCount),
      "trials": .array(
        trials.map { trial in
          [
            "groups": .string(words(trial)), "dimension": JSONOutput(trial.dimension),
            "bytes": JSONOutput(trial.byteCount), "round": JSONOutput(trial.round),
            "steps": JSONOutput(trial.steps), "correct": JSONOutput(trial.correct),
            "loss": .string(DecimalText.meanLoss(trial.loss, count: samples)),
          ]
        }),
      "recipe": recipe,
    ])
    var table = TextTable(
      ["groups", "dimension", "bytes", "round", "steps", "correct", "loss"], words: [0])
    for trial in trials {
      table.add([
        words(trial), DecimalText.grouped(trial.dimension), DecimalText.grouped(trial.byteCount),
        String(trial.round), String(trial.steps), String(trial.correct),
        DecimalText.meanLoss(trial.loss, count: samples),
      ])
    }
    console.print(table.text)
    console.print()
    console.print("chosen  \(words(trials[0]))")
  }
}
