import Importers
public import Tally

extension RecipeFields {
  /// The recipe with nothing left to a default, in the words of a recipe file: read again for the same
  /// model it gives the same bytes. Decimals are the shortest that round to what is stored.
  ///
  /// - Parameter name: a node's name by index.
  public func json(name: (Int) -> String) -> JSONOutput {
    var members: [(key: String, value: JSONOutput)] = [("epochs", JSONOutput(epochs))]
    if largestStepCount > 0 { members.append(("steps", JSONOutput(largestStepCount))) }
    members += [
      ("batch", JSONOutput(batch)),
      ("microBatch", JSONOutput(microBatch)),
      ("seed", .unsigned(seed)),
      ("learningRate", .string(rates.weights.decimalText)),
    ]
    let groups: [(key: String, value: JSONOutput)] = [
      ("biases", rates.biases), ("head", rates.head), ("scales", rates.scales),
    ].filter { $0.1 != rates.weights || zerothOrder != nil }
      .map { ($0.0, .string($0.1.decimalText)) }
    if !groups.isEmpty { members.append(("learningRates", .object(groups))) }
    members += [
      ("schedule", scheduleJSON),
      ("momentum", .string(momentumText)),
      ("weightDecay", .string(weightDecay.decimalText)),
      ("trustRatio", .string(trustRatio.decimalText)),
      ("normClip", .string(normClip.decimalText)),
      ("clip", JSONOutput(clip)),
      ("weights", weights == .masters ? "masters" : "int8"),
      ("loss", loss == .crossEntropy ? "crossEntropy" : "meanSquaredError"),
      ("ranges", tracksRanges ? "track" : "frozen"),
      ("rangePeriod", JSONOutput(rangePeriod)),
      ("rootEvery", JSONOutput(rootPeriod)),
      ("update", updateJSON(name: name)),
    ]
    if let zerothOrder {
      members.append(("method", method == .hybrid ? "hybrid" : "zerothOrder"))
      members.append(("zerothOrder", zerothOrder.json(name: name)))
    }
    if let sparseGradients { members.append(("sparseGradients", sparseGradients.json)) }
    return .object(members)
  }

  private var scheduleJSON: JSONOutput {
    var members: [(key: String, value: JSONOutput)] = []
    switch schedule {
    case .constant: members.append(("kind", "constant"))
    case .cosine: members.append(("kind", "cosine"))
    case .step:
      members.append(("kind", "step"))
      members.append(("factors", .array(factors.map { .string(RecipeFields.factorText($0)) })))
    }
    members.append(("warmup", JSONOutput(warmup)))
    return .object(members)
  }

  private var momentumText: String {
    shortestDecimal(UInt64(momentum), shift: 15) { $0.rounded(fractionBits: 15) == momentum }
      ?? "\(momentum)/32768"
  }

  private static func factorText(_ factor: UInt32) -> String {
    shortestDecimal(UInt64(factor), shift: 30) { $0.rounded(fractionBits: 30) == factor }
      ?? "\(factor)/1073741824"
  }

  private func updateJSON(name: (Int) -> String) -> JSONOutput {
    let layers = updates.indices.filter { !updates[$0].isEmpty }.map { index in
      (key: name(index), value: layerJSON(index))
    }
    return ["layers": .object(layers)]
  }

  /// Words, or an object where only some channels' weights change.
  private func layerJSON(_ index: Int) -> JSONOutput {
    let update = updates[index]
    guard let selection = selections[index] else {
      return .array(update.words.map { .string($0) })
    }
    let others = update.subtracting(.weights).words.map { (key: $0, value: JSONOutput.bool(true)) }
    return .object(selection.json + others)
  }
}

extension UpdateSet {
  /// `weights`, `biases`, `scales`.
  public var words: [String] {
    UpdateSet.named.filter { contains($0.set) }.map(\.word)
  }

  static var named: [(word: String, set: UpdateSet)] {
    [("weights", .weights), ("biases", .biases), ("scales", .scales)]
  }
}
