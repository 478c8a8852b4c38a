import Importers
import Tally
import TallyHost

/// `tally plan --select`: which parameters to train within a budget.
struct PlanSelection {
  private let arguments: ArgumentList
  private let console: Console
  private let model: LoadedModel
  private let fields: RecipeFields
  private let budget: SchemeBudget

  static let ways = [
    "fisher", "potential", "contribution", "search", "magnitude", "random", "zeroth-order",
  ]

  /// - Parameter byteCount: of the budget.
  init(
    _ arguments: ArgumentList, _ console: Console, _ model: LoadedModel, byteCount: Int
  ) throws(InputError) {
    self.arguments = arguments
    self.console = console
    self.model = model
    let document = try Inputs.recipe(arguments["--recipe"], arguments.all("--set"))
    fields = try document.resolved(for: model, hasLabels: true)
    budget = SchemeBudget(model, fields, byteCount: byteCount)
  }

  func run(_ way: String) throws(InputError) -> Int32 {
    let output: OutputFile?
    if let path = arguments["--output"] {
      output = try OutputFile(
        path, force: arguments.has("--force"), inputs: [arguments.positionals[0]])
    } else {
      output = nil
    }
    let advice = try advice(way)
    let recipe = advice.recipe.json { model.name(ofNode: $0) }
    try output?.write(Array("\(recipe.indentedText)\n".utf8))
    report(advice, recipe, way)
    return 0
  }

  private func advice(_ way: String) throws(InputError) -> SchemeAdvice {
    switch way {
    case "fisher", "potential":
      let samples = try samples("--data")
      let count = Int(try arguments.integer("--samples", in: 1...65_536) ?? 256)
      return try budget.fisher(samples, count: count, isPerCost: way == "fisher")
    case "contribution": return try budget.contribution(try analysis(onlyWhole: true))
    case "search": return try budget.search(try analysis(onlyWhole: false))
    case "magnitude": return try budget.magnitude()
    case "random": return try budget.random()
    default:
      throw InputError(
        802, "\u{2018}\(way)\u{2019} is no way to select", place: "--select",
        note: "known are \(PlanSelection.ways.joined(separator: ", "))", exit: 2)
    }
  }

  private func samples(_ option: String) throws(InputError) -> PreparedSamples {
    try Inputs.samples(try arguments.require(option), for: model, console)
  }

  private func analysis(onlyWhole: Bool) throws(InputError) -> ContributionAnalysis {
    try ContributionAnalysis(
      budget, training: try samples("--data"), validation: try samples("--validate"),
      onlyWhole: onlyWhole
    ) { console.note("contribution: \($0)") }
  }

  private func report(_ advice: SchemeAdvice, _ recipe: JSONOutput, _ way: String) {
    let layers = advice.layers.map { layer -> JSONOutput in
      [
        "name": .string(model.name(ofNode: layer.node)),
        "score": layer.score.map { JSONOutput($0) } ?? .null,
        "bytes": JSONOutput(layer.byteCount), "macs": JSONOutput(layer.multiplies),
        "weights": JSONOutput(layer.weights), "chosenWeights": JSONOutput(layer.chosenWeights),
        "update": .array(layer.update.words.map { .string($0) }),
      ]
    }
    console.result([
      "select": .string(way), "budgetBytes": JSONOutput(budget.byteCount),
      "ramBytes": JSONOutput(advice.byteCount), "macs": JSONOutput(advice.multiplies),
      "layers": .array(layers), "recipe": recipe,
    ])
    var table = TextTable(
      ["layer", "score", "bytes", "MACs", "weights", "chosen", "update"], words: [0, 6])
    for layer in advice.layers {
      table.add([
        model.name(ofNode: layer.node), layer.score.map { scoreText($0, way) } ?? "–",
        DecimalText.grouped(layer.byteCount), DecimalText.grouped(layer.multiplies),
        DecimalText.grouped(layer.weights), DecimalText.grouped(layer.chosenWeights),
        layer.update.words.joined(separator: " "),
      ])
    }
    console.print(table.text)
    console.print()
    console.print(
      "RAM    \(DecimalText.grouped(advice.byteCount)) bytes "
        + "(\(DecimalText.bytes(advice.byteCount))) of \(DecimalText.grouped(budget.byteCount))")
    console.print("MACs   \(DecimalText.grouped(advice.multiplies)) for weights, each sample")
  }

  /// Fisher scores are Q16 logarithms; the others are counts.
  private func scoreText(_ score: Int, _ way: String) -> String {
    guard ["fisher", "potential"].contains(way) else { return DecimalText.grouped(score) }
    let hundredths = (score * 100 + (1 << 15)) >> 16
    let magnitude = hundredths.magnitude
    let digits = String(magnitude % 100)
    return (hundredths < 0 ? "−" : "") + "\(magnitude / 100)."
      + (digits.count < 2 ? "0\(digits)" : digits)
  }
}
