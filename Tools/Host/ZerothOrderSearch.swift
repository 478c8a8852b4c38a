public import Importers
public import Tally

/// Chooses what a zeroth-order recipe perturbs by short trial runs on the user's data.
///
/// Every candidate trains from the same model for the same number of forward passes, with what the recipe
/// back-propagates; the sum of the losses on validation samples decides. Rounds share the passes: each
/// keeps the better half, and the last also tries its two best together.
public struct ZerothOrderSearch {
  public struct Trial: Sendable {
    /// Empty: only what the recipe back-propagates.
    public let groups: [CoordinateGroup]
    /// d, of all groups.
    public let dimension: Int
    /// Of the arena, in its compact layout.
    public let byteCount: Int
    /// The round it got to, from 1.
    public internal(set) var round = 0
    public internal(set) var steps = 0
    /// On validation samples.
    public internal(set) var correct = 0
    public internal(set) var loss: Int64 = .max
  }

  private let budget: SchemeBudget
  private let recipe: RecipeFields
  private let training: PreparedSamples
  private let validation: PreparedSamples
  private let passes: Int
  private let onTrial: (Trial) -> Void

  /// - Parameters:
  ///   - budget: of bytes; its recipe has a method with groups.
  ///   - passes: forward passes of all trials together, evaluations too.
  public init(
    _ budget: SchemeBudget, training: PreparedSamples, validation: PreparedSamples, passes: Int,
    onTrial: @escaping (Trial) -> Void = { _ in }
  ) {
    self.budget = budget
    recipe = budget.recipe
    self.training = training
    self.validation = validation
    self.passes = passes
    self.onTrial = onTrial
  }

  private var network: Network { budget.model.network }

  // MARK: Candidates

  /// What may be perturbed: each kind of coordinates of each layer, and of all layers together.
  public var candidates: [Trial] {
    let free = budget.weighted.filter { recipe.updates[$0].isEmpty && $0 != budget.weighted.last }
    var groups = free.flatMap { node in
      [CoordinateGroup.Kind.weights, .nodes, .inputs, .gain, .channelGains].map {
        CoordinateGroup(node: node, kind: $0)
      }
    }
    // A span must be of layers in a row.
    let row = free.isEmpty ? 0 : budget.weighted.prefix { $0 <= free[free.count - 1] }.count
    if free.count > 1 && row == free.count {
      groups += [CoordinateGroup.Kind.weights, .gain, .channelGains].map {
        CoordinateGroup(node: free[0], kind: $0, span: free.count)
      }
    }
    let alone = groups.filter { group in
      // The smallest tensor of the chain may be the output itself.
      group.kind != .inputs || network.perturbedTensor(group) != group.node + 1
    }
    return (alone.map { [$0] } + [[]]).compactMap { trial($0) }
  }

  /// `nil` where the recipe is not legal or does not fit.
  private func trial(_ groups: [CoordinateGroup]) -> Trial? {
    guard let fields = fields(groups, steps: 1), let bytes = budget.plannedBytes(fields),
      bytes <= budget.byteCount
    else { return nil }
    return Trial(
      groups: groups, dimension: groups.reduce(0) { $0 + network.dimension($1) }, byteCount: bytes)
  }

  /// The recipe with these groups; without any it is one of back-propagation.
  private func fields(_ groups: [CoordinateGroup], steps: Int) -> RecipeFields? {
    var fields = recipe
    if groups.isEmpty {
      guard recipe.updates.contains(where: { !$0.isEmpty }) else { return nil }
      fields.method = .backPropagation
      fields.zerothOrder = nil
    } else {
      fields.zerothOrder?.groups = groups
    }
    let batch = Int(fields.batch)
    let perEpoch = (training.samples.count + batch - 1) / batch
    fields.epochs = UInt32(steps / perEpoch + 1)
    fields.largestStepCount = UInt32(steps)
    return fields
  }

  // MARK: Trials

  /// The trials in order, the best first, each with the figures of its last round.
  ///
  /// - Throws: TLY0804 if no candidate fits, TLY0802 if the passes do not suffice.
  public func search() throws(InputError) -> [Trial] {
    var alive = candidates
    guard alive.contains(where: { !$0.groups.isEmpty }) else {
      throw InputError(
        804, "no group of coordinates can be trained in \(budget.byteCount) bytes",
        help: "--set weights=int8 --set microBatch=1", exit: 6)
    }
    var rounds = 1
    while alive.count >> rounds > 1 { rounds += 1 }
    var lost: [Trial] = []
    for round in 1...rounds {
      if round == rounds, let pair = pair(alive) { alive.append(pair) }
      let share = passes / rounds / alive.count
      for index in alive.indices {
        try run(&alive[index], passes: share)
        alive[index].round = round
        onTrial(alive[index])
      }
      alive.sort { ($0.loss, $0.dimension) < ($1.loss, $1.dimension) }
      guard round < rounds else { break }
      let kept = (alive.count + 1) / 2
      lost = Array(alive[kept...]) + lost
      alive = Array(alive[..<kept])
    }
    return alive + lost
  }

  /// The two best so far, by turns.
  private func pair(_ trials: [Trial]) -> Trial? {
    let best = trials.filter { !$0.groups.isEmpty && $0.loss < .max }.prefix(2)
    guard best.count == 2 else { return nil }
    return trial(best.flatMap(\.groups))
  }

  private func run(_ trial: inout Trial, passes: Int) throws(InputError) {
    let evaluations: Int
    if let block = recipe.zerothOrder, !trial.groups.isEmpty {
      evaluations = 1 + Int(block.queries) * (block.difference == .antithetic ? 2 : 1)
    } else {
      evaluations = 1
    }
    trial.steps = (passes - validation.samples.count) / (Int(recipe.batch) * evaluations)
    guard trial.steps >= 1, let fields = fields(trial.groups, steps: trial.steps) else {
      throw InputError(
        802, "\(self.passes) passes do not suffice for a step of every candidate",
        place: "--passes",
        note: "an evaluation of the validation samples takes \(validation.samples.count)", exit: 2)
    }
    let run = try TrainingRun(budget.model, recipe: fields.bytes, samples: training)
    var sink = NoRecords()
    run.finish(&sink)
    let trained: LoadedModel
    do {
      trained = try LoadedModel(run.modelBytes)
    } catch {
      preconditionFailure("a session writes a valid model")
    }
    let sums = try ModelEvaluation(trained, validation).sums
    (trial.correct, trial.loss) = (Int(sums.correct), sums.loss)
  }

  /// The recipe with a trial's groups, for the run that it is chosen for.
  public func recipe(_ trial: Trial) -> RecipeFields {
    var fields = fields(trial.groups, steps: 1) ?? recipe
    (fields.epochs, fields.largestStepCount) = (recipe.epochs, recipe.largestStepCount)
    return fields
  }
}

/// Takes records and keeps none.
private struct NoRecords: RecordSink {
  mutating func record(_ type: RecordType, _ payload: Payload, rest: RawSpan) {}
  var isStopped: Bool { false }
}
