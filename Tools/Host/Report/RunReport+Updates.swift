import Tally

/// What the run changed: kept gradients, loss differences, ranges, the scheme.
extension RunReport {
  /// - Parameter memory: of the run; has a buffer for each sparse node, with the layer's name.
  func keptSection(_ memory: PlannedMemory?) -> String {
    guard let first = history.kept.first, !first.nodes.isEmpty else { return "" }
    let layers = memory?.layers(with: .keptChannels) ?? []
    /// Hundredths of a percent. Not k: it may exceed the channels that are not 0 (SPEC 8.12).
    func share(_ kept: LoadedJournal.Kept) -> Int {
      Int(kept.touched * 10_000 / max(1, kept.active))
    }
    let curves = first.nodes.indices.map { node in
      LineChart.Curve(
        name: layers.count == first.nodes.count ? layers[node] : "sparse layer \(node + 1)",
        points: history.kept.compactMap { step in
          step.nodes[node].active == 0 ? nil : (Int(step.step), share(step.nodes[node]))
        })
    }
    let whole = history.kept.map { step in
      var sum = LoadedJournal.Kept()
      for node in step.nodes {
        sum.touched += node.touched
        sum.active += node.active
      }
      return (x: Int(step.step), y: share(sum))
    }
    return HTMLText.section(
      "Kept gradient channels",
      LayerCurves(
        title: "share kept of the channels that are not 0", curves: curves,
        whole: LineChart.Curve(name: "all layers", points: whole), scale: 100, isPercent: true
      ).html)
  }

  var differencesSection: String {
    let steps = history.differences
    guard !steps.isEmpty else { return "" }
    /// Ten-thousandths.
    func mean(_ step: RunHistory.Differences) -> (x: Int, y: Int) {
      (Int(step.step), Int(step.magnitude * 10_000 / 65_536) / max(1, step.count))
    }
    let block = start?.recipe.recipe.zerothOrder
    let curves = Set(steps.map(\.group)).sorted().map { index in
      let group = block.flatMap { index < $0.groupCount ? $0.group(index) : nil }
      return LineChart.Curve(
        name: group.map { "\(nodeName($0.node)), \($0.kind.word)" } ?? "group \(index)",
        points: steps.filter { $0.group == index }.map(mean))
    }
    return HTMLText.section(
      "Loss differences of the perturbations",
      LayerCurves(
        title: "mean absolute difference of each step", curves: curves,
        whole: LineChart.Curve(name: "all groups", points: steps.map(mean)), scale: 10_000
      ).html)
  }

  var rangeSection: String {
    let changes = history.rangeChanges.filter { $0.step != nil }
    guard !changes.isEmpty else { return "" }
    let rows = changes.prefix(200).map { change in
      [
        change.isOfWeights ? "weights of \(nodeName(change.number))" : tensorName(change.number),
        "\(change.step ?? 0)",
        change.octaves > 0 ? "×\(1 << Int(change.octaves))" : "÷\(1 << -Int(change.octaves))",
      ]
    }
    var text = HTMLText.table(["range of", "step", "change"], Array(rows))
    if changes.count > 200 { text += HTMLText.paragraph("… and \(changes.count - 200) more") }
    return HTMLText.section("Range changes", text)
  }

  var schemeSection: String {
    guard let start else { return "" }
    let recipe = start.recipe.recipe
    let perturbed = perturbedNodes(start.model, recipe)
    var rows = start.model.nodes.indices.compactMap { index -> [String]? in
      guard let shape = start.model.nodes[index].operation.weighted else { return nil }
      let words =
        recipe.update(ofNode: index).words
        + (perturbed[index].map { ["by zeroth order (\($0.joined(separator: ", ")))"] } ?? [])
      return [
        nodeName(index), start.model.nodes[index].operation.words,
        DecimalText.grouped(shape.weightCount), words.isEmpty ? "–" : words.joined(separator: ", "),
        recipe.selection(ofNode: index).map { "\($0.count) input channels" } ?? "",
      ]
    }
    var head = ["layer", "operation", "weights", "updated", "selection"]
    if rows.allSatisfy({ $0[4].isEmpty }) {
      head.removeLast()
      rows = rows.map { $0.dropLast() }
    }
    let json = RecipeFields(recipe).json { nodeName($0) }.indentedText
    return HTMLText.section("Update scheme", HTMLText.table(head, rows, words: [0, 1, 3, 4]))
      + HTMLText.section("Recipe", "<pre>\(HTMLText.escaped(json))</pre>\n")
  }

  /// Nodes that zeroth order trains, and in which coordinates; a group spans weighted nodes.
  private func perturbedNodes(_ model: LoadedModel, _ recipe: Recipe) -> [Int: [String]] {
    guard let block = recipe.zerothOrder else { return [:] }
    let weighted = model.nodes.indices.filter { model.nodes[$0].operation.weighted != nil }
    var words: [Int: [String]] = [:]
    for group in (0..<block.groupCount).map({ block.group($0) }) {
      for node in weighted.filter({ $0 >= group.node }).prefix(group.span)
      where words[node]?.contains(group.kind.word) != true {
        words[node, default: []].append(group.kind.word)
      }
    }
    return words
  }

  private func nodeName(_ index: Int) -> String {
    guard let model = start?.model, index < model.network.nodeCount else { return "node \(index)" }
    return model.name(ofNode: index)
  }

  private func tensorName(_ number: Int) -> String {
    number == 0 ? "input" : "output of \(nodeName(number - 1))"
  }
}
