import Importers
public import Tally

/// Which parameters to train within a number of bytes (SPEC 8.13): what every way to choose shares.
///
/// Bytes are those of the arena in its compact layout, as `plan` gives them. The last layer's weights
/// are always among what is trained.
public struct SchemeBudget {
  public let model: LoadedModel
  /// The recipe that the scheme is for; its own update set does not count.
  public let recipe: RecipeFields
  public let byteCount: Int
  /// Nodes with weights, in order; the last one is the head.
  let weighted: [Int]

  public init(_ model: LoadedModel, _ recipe: RecipeFields, byteCount: Int) {
    self.model = model
    self.recipe = recipe
    self.byteCount = byteCount
    weighted = model.nodes.indices.filter { model.nodes[$0].operation.weighted != nil }
  }

  /// Shares of a layer's channels that are tried, largest first.
  static let shares: [(above: Int, below: Int)] = [(1, 1), (1, 2), (1, 4), (1, 8)]

  /// max(1, ⌊share·n + ½⌋) of n channels.
  static func count(_ share: (above: Int, below: Int), of channels: Int) -> Int {
    max(1, (2 * share.above * channels + share.below) / (2 * share.below))
  }

  /// Bytes of the arena for a recipe; `nil` where there is no plan.
  func plannedBytes(_ fields: RecipeFields) -> Int? {
    guard let memory = try? RecipeMemory(fields, model) else { return nil }
    let request = SessionRequest(
      samples: Int(memory.recipe.microBatch), isCompact: true, training: memory.recipe.needs)
    return withExtendedLifetime(memory) { try? PlannedMemory(model, request).byteCount }
  }

  func fits(_ fields: RecipeFields) -> Bool {
    plannedBytes(fields).map { $0 <= byteCount } ?? false
  }

  /// The last layer, and biases and gains of the last `count` layers.
  func base(biasesAndGains count: Int) -> RecipeFields {
    var fields = recipe
    fields.selections = [:]
    fields.updates = model.nodes.map { _ in [] }
    for index in weighted.suffix(count) {
      fields.updates[index] = model.nodes[index].hasAccumulators ? .biases : [.biases, .scales]
    }
    if let head = weighted.last { fields.updates[head].formUnion([.weights, .biases]) }
    return fields
  }

  /// The largest base that fits.
  ///
  /// - Throws: TLY0804 if not even the last layer does.
  func largestBase() throws(InputError) -> RecipeFields {
    for count in stride(from: weighted.count, through: 0, by: -1) {
      let fields = base(biasesAndGains: count)
      if fits(fields) { return fields }
    }
    let least = plannedBytes(base(biasesAndGains: 0)).map { "\($0) bytes" } ?? "no plan"
    throw InputError(
      804, "not even the last layer can be trained in \(byteCount) bytes",
      note: "training it alone takes \(least)", help: "--set microBatch=1", exit: 6)
  }

  /// A share of a layer's weights beside what is trained already; `nil` where groups allow no share.
  ///
  /// - Parameter channels: numbers of the layer's channels, the most important first; `nil` for the rule
  ///   `magnitude`.
  func adding(
    _ share: (above: Int, below: Int), of node: Int, _ channels: [Int]?, to fields: RecipeFields
  ) -> RecipeFields? {
    guard let shape = model.nodes[node].operation.weighted else { return nil }
    var fields = fields
    fields.updates[node].insert(.weights)
    if share == (1, 1) { return fields }
    guard let most = shape.selectableChannelCount, most <= 65_535 else { return nil }
    let count = SchemeBudget.count(share, of: most)
    fields.selections[node] =
      channels.map { ChannelFields(channels: $0.prefix(count).sorted().map { UInt16($0) }) }
      ?? ChannelFields(.magnitude, count: count)
    return fields
  }

  /// One sample's multiply-accumulates for the gradient of the weights that a recipe changes in a node.
  func multiplies(_ node: Int, _ fields: RecipeFields) -> Int {
    guard fields.updates[node].contains(.weights),
      let shape = model.nodes[node].operation.weighted
    else { return 0 }
    let trained = fields.selections[node].map { shape.selecting($0.count) } ?? shape
    return trained.weightCount * trained.output.positions
  }
}

/// What was chosen, and why: one row for each layer with weights.
public struct SchemeAdvice {
  public struct Layer {
    public let node: Int
    /// In the unit of the way it was chosen; `nil` for none.
    public let score: Int?
    /// What training all of its weights adds to the arena of the base.
    public let byteCount: Int
    /// One sample's multiply-accumulates for all of its weights' gradients.
    public let multiplies: Int
    /// Weights that are trained; 0 for none.
    public let chosenWeights: Int
    public let weights: Int
    public let update: UpdateSet
  }

  /// With the scheme that was chosen.
  public let recipe: RecipeFields
  public let layers: [Layer]
  /// Of the arena.
  public let byteCount: Int
  /// One sample's multiply-accumulates for the weights' gradients.
  public let multiplies: Int

  init(_ budget: SchemeBudget, _ recipe: RecipeFields, base: RecipeFields, scores: [Int: Int]) {
    self.recipe = recipe
    byteCount = budget.plannedBytes(recipe) ?? 0
    let baseBytes = budget.plannedBytes(base) ?? 0
    layers = budget.weighted.map { node in
      let shape = budget.model.nodes[node].operation.weighted
      let all = budget.adding((1, 1), of: node, nil, to: base)
      let bytes = all.flatMap { budget.plannedBytes($0) } ?? baseBytes
      let weights = shape?.weightCount ?? 0
      let trained = shape.map { shape in
        recipe.selections[node].map { shape.selecting($0.count).weightCount } ?? weights
      }
      return Layer(
        node: node, score: scores[node], byteCount: bytes - baseBytes,
        multiplies: all.map { budget.multiplies(node, $0) } ?? 0,
        chosenWeights: recipe.updates[node].contains(.weights) ? trained ?? 0 : 0,
        weights: weights, update: recipe.updates[node])
    }
    multiplies = budget.weighted.reduce(0) { $0 + budget.multiplies($1, recipe) }
  }
}
