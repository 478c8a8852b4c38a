public import Importers
public import Tally

/// A run as one self-contained HTML page: no script, no second file, nothing from a network.
///
/// The journal alone gives curves and digests. With the model that the run began with, layers have names
/// and the memory map is drawn; with an evaluation of its result, the confusion matrix follows.
public struct RunReport {
  private let journal: LoadedJournal
  let history: RunHistory
  let start: Start?
  private let answers: Answers?
  private let name: String

  /// The model the run began with, and its recipe.
  struct Start {
    let model: LoadedModel
    let recipe: RecipeMemory

    /// nil without a model, or where the journal ends before it says what the run began with.
    init?(_ journal: LoadedJournal, _ model: LoadedModel?) throws(RecipeError) {
      guard let model, let inputs = journal.inputs else { return nil }
      recipe = try RecipeMemory((0..<inputs.recipe.count).map { inputs.recipe[$0] }, model)
      self.model = model
    }
  }

  /// What the trained model says of test samples.
  public struct Answers {
    let result: ModelEvaluation
    let data: String
    let classNames: [String]
    /// By layer, of the model before and after the run.
    let before: LayerSaturation?
    let after: LayerSaturation

    public init(
      _ result: ModelEvaluation, data: String, classNames: [String], before: LayerSaturation?,
      after: LayerSaturation
    ) {
      self.result = result
      self.data = data
      self.classNames = classNames
      self.before = before
      self.after = after
    }
  }

  /// - Parameters:
  ///   - name: of the journal's file, for the title.
  ///   - model: the one whose digest the journal binds.
  ///   - answers: of the trained model.
  /// - Throws: `RecipeError` if the journal's recipe does not belong to the model.
  public init(
    _ journal: LoadedJournal, name: String, model: LoadedModel? = nil, answers: Answers? = nil
  ) throws(RecipeError) {
    start = try Start(journal, model)
    self.journal = journal
    self.name = name
    self.answers = answers
    history = RunHistory(journal)
  }

  /// The whole page.
  ///
  /// - Throws: TLY0804 or 0807 if the recipe's memory cannot be planned.
  public func page() throws(InputError) -> String {
    let memory = try plannedMemory()
    let title = HTMLText.escaped(name)
    var text = """
      <!DOCTYPE html>
      <html lang="en"><head><meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <title>\(title) · Tally</title>
      <style>
      \(ReportStyle.css)
      </style></head><body>
      <header><h1>\(title)</h1><p>\(HTMLText.escaped(state))</p></header>
      <div class="tiles">\(tiles(memory))</div>

      """
    text += [
      curves, epochTable, keptSection(memory), differencesSection, rangeSection, confusionSection,
      saturationSection, schemeSection,
    ].joined()
    if let memory { text += memorySection(memory) }
    return text + digestSection + "</body></html>\n"
  }

  // MARK: - Figures

  private var state: String {
    let steps =
      "\(DecimalText.grouped(journal.stepCount)) of "
      + "\(DecimalText.grouped(journal.inputs?.plannedSteps ?? 0)) steps"
    if journal.isFinished { return "finished: \(steps)" }
    return journal.fault == nil || journal.isTorn
      ? "unfinished: \(steps)" : "broken after \(steps); only its good part is shown"
  }

  private func tiles(_ memory: PlannedMemory?) -> String {
    var tiles: [(String, String)] = []
    func add(_ sums: Trainer.Evaluation?, _ place: String) {
      guard let sums else { return }
      tiles.append(
        history.hasLabels
          ? (DecimalText.percent(sums.correct, of: sums.samples), "right \(place)")
          : (DecimalText.meanLoss(sums.loss, count: sums.samples), "loss \(place)"))
    }
    let last = journal.epochs.last
    add(last?.training, "while training, last epoch")
    add(last?.validation, "on validation data")
    if let sums = last?.training, history.hasLabels {
      tiles.append((DecimalText.meanLoss(sums.loss, count: sums.samples), "loss, last epoch"))
    }
    add(answers?.result.sums, "on test data")
    if let memory {
      tiles.append((DecimalText.bytes(memory.byteCount), "RAM, planned for a board"))
    }
    if let inputs = journal.inputs {
      tiles.append((DecimalText.grouped(inputs.sampleCount), "training samples"))
    }
    return tiles.map {
      "<div class=\"tile\"><b>\(HTMLText.escaped($0.0))</b><span>\(HTMLText.escaped($0.1))</span>"
        + "</div>"
    }.joined()
  }

  private var curves: String {
    let steps = history.steps
    guard !steps.isEmpty else { return "" }
    func points(_ value: (RunHistory.Step) -> Int) -> [(x: Int, y: Int)] {
      steps.map { (Int($0.index), value($0)) }
    }
    var text = LineChart(
      title: "loss of each step" + (start?.recipe.recipe.loss == .crossEntropy ? ", nats" : ""),
      curves: [
        LineChart.Curve(
          name: "loss",
          points: points { Int($0.loss) * 10_000 / (65_536 * Int(max(1, $0.samples))) })
      ], scale: 10_000
    ).svg
    var shares = [
      LineChart.Curve(
        name: "training", points: epochPoints { (Int($0.training.correct), $0.training.samples) })
    ]
    if history.epochs.contains(where: { $0.validation != nil }) {
      shares.append(
        LineChart.Curve(
          name: "validation",
          points: epochPoints {
            (
              $0.validation.map { Int($0.correct) } ?? 0,
              $0.validation?.samples ?? 0
            )
          }))
    }
    // One epoch is no curve; the table says it.
    if history.hasLabels, history.epochs.count > 1 {
      text +=
        LineChart(
          title: "right answers by epoch", curves: shares, scale: 100, isPercent: true,
          xName: "epoch"
        ).svg
    }
    text +=
      LineChart(
        title: "saturated activations and clipped updates of each step",
        curves: [
          LineChart.Curve(name: "saturated", points: points { Int($0.saturated) }),
          LineChart.Curve(name: "clipped", points: points { Int($0.clipped) }),
        ], scale: 1
      ).svg
    text += HTMLText.paragraph(
      "A journal counts saturation over all layers together"
        + (answers.map { "; by layer, on \($0.data), it stands further down." }
          ?? "; tally report with --model, --result and --data counts it by layer."))
    return HTMLText.section("Course", text)
  }

  /// Hundredths of a percent.
  private func epochPoints(
    _ part: (EpochResult) -> (correct: Int, samples: UInt32)
  ) -> [(x: Int, y: Int)] {
    history.epochs.compactMap { epoch in
      let (correct, samples) = part(epoch)
      return samples == 0 ? nil : (Int(epoch.index) + 1, correct * 10_000 / Int(samples))
    }
  }

  private var epochTable: String {
    guard !journal.epochs.isEmpty else { return "" }
    let hasValidation = journal.epochs.contains { $0.validation != nil }
    func cells(_ loss: String, _ right: String) -> [String] {
      history.hasLabels ? [loss, right] : [loss]
    }
    func cells(_ sums: Trainer.Evaluation?) -> [String] {
      guard let sums else { return cells("–", "–") }
      return cells(
        DecimalText.meanLoss(sums.loss, count: sums.samples),
        DecimalText.percent(sums.correct, of: sums.samples))
    }
    let rows = journal.epochs.map { epoch in
      ["\(epoch.index + 1)"] + cells(epoch.training)
        + (hasValidation ? cells(epoch.validation) : [])
    }
    let head =
      ["epoch"] + cells("loss", "right") + (hasValidation ? cells("validation loss", "right") : [])
    return HTMLText.section("Epochs", HTMLText.table(head, rows, words: []))
  }

  // MARK: - Memory, answers, digests

  private func plannedMemory() throws(InputError) -> PlannedMemory? {
    guard let start else { return nil }
    let recipe = start.recipe.recipe
    return try PlannedMemory(
      start.model,
      SessionRequest(samples: Int(recipe.microBatch), isCompact: true, training: recipe.needs))
  }

  private func memorySection(_ memory: PlannedMemory) -> String {
    let ending =
      start?.recipe.recipe.method == .zerothOrder ? "loss and update" : "backward and update"
    let rows = memory.byPurpose.map { [$0.name, DecimalText.grouped($0.byteCount)] }
    return HTMLText.section(
      "Memory",
      HTMLText.paragraph(
        "\(memory.sized(memory.byteCount)) in the layout for boards; what lives at one time fills "
          + "\(DecimalText.grouped(memory.lowerBound)).")
        + MemoryMap(memory: memory, ending: ending).svg
        + HTMLText.table(["purpose", "bytes, before sharing"], rows))
  }

  private var confusionSection: String {
    guard let answers, let confusion = answers.result.confusion else { return "" }
    let names = confusion.indices.map {
      $0 < answers.classNames.count ? answers.classNames[$0] : "\($0)"
    }
    let head = names.map { "<th>\(HTMLText.escaped($0))</th>" }.joined()
    let rows = confusion.enumerated().map { label, row in
      let total = max(1, row.reduce(0, +))
      let cells = row.map { count in
        // Opacity says the share; the number stays readable in both schemes.
        "<td style=\"background: rgba(var(--heat), 0.\(String(count * 70 / total + 100).dropFirst()))\">"
          + "\(count == 0 ? "" : "\(count)")</td>"
      }
      return "<tr><th class=\"word\">\(HTMLText.escaped(names[label]))</th>\(cells.joined())</tr>\n"
    }
    return HTMLText.section(
      "Answers on \(answers.data)",
      HTMLText.paragraph("Labels down, predictions across.")
        + "<div class=\"scroll\"><table class=\"confusion\"><thead><tr><th></th>\(head)</tr></thead>"
        + "<tbody>\n\(rows.joined())</tbody></table></div>\n")
  }

  private var saturationSection: String {
    guard let answers, !answers.after.layers.isEmpty else { return "" }
    return SaturationTable(before: answers.before, after: answers.after, data: answers.data).html
  }

  private var digestSection: String {
    var rows: [[String]] = []
    if let inputs = journal.inputs {
      rows.append(["model before", inputs.modelDigest.hexadecimal])
      rows.append(["data", inputs.dataDigest.hexadecimal])
      if inputs.validationCount > 0 {
        rows.append(["validation data", inputs.validationDigest.hexadecimal])
      }
      var hash = SHA256()
      inputs.recipe.withRawSpan { hash.update($0) }
      rows.append(["recipe", hash.finalize().hexadecimal])
    }
    if let result = journal.result { rows.append(["model after", result.hexadecimal]) }
    rows.append(["journal", journal.chain.head.hexadecimal])
    let body = rows.map {
      "<tr><td class=\"word\">\($0[0])</td><td class=\"word\"><code>\($0[1])</code></td></tr>\n"
    }
    let notes = journal.notes.map { HTMLText.paragraph("Note, not verified: \($0)") }
    return HTMLText.section(
      "Digests",
      "<div class=\"scroll\"><table><tbody>\n\(body.joined())</tbody></table></div>\n"
        + notes.joined()
        + HTMLText.paragraph("tally verify does the run again and compares every record."))
  }
}
