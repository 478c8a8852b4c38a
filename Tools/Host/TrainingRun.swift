public import Importers
public import Tally
package import Training

/// A run and everything it lives in: model, recipe, samples, session memory.
public final class TrainingRun {
  public let model: LoadedModel
  /// Works in this object's memory, so this object must outlive it (`AlignedMemory`).
  public internal(set) var run: Run
  private let recipeMemory: RecipeMemory
  private let samples: PreparedSamples
  private let validation: PreparedSamples?
  private let host: HostSession

  /// - Parameters:
  ///   - recipe: canonical bytes.
  ///   - samples: prepared for `model`: labels within its outputs.
  ///   - validation: evaluated after every epoch.
  ///   - isCompact, reversingMicroBatches, threads: how it is done; results do not depend on them (SPEC 11).
  /// - Throws: TLY0802 for bytes that are no recipe of this model, TLY0804 or 0807 if the run cannot
  ///   be planned.
  public convenience init(
    _ model: LoadedModel, recipe: [UInt8], samples: PreparedSamples,
    validation: PreparedSamples? = nil, isCompact: Bool = false,
    reversingMicroBatches: Bool = false, threads: Int = 1
  ) throws(InputError) {
    try self.init(
      model, recipe: recipe, samples: samples, validation: validation, isCompact: isCompact,
      reversingMicroBatches: reversingMicroBatches, threads: threads, leastPartWork: nil)
  }

  /// - Parameter leastPartWork: what a part must have to do; nil for what repays itself.
  package init(
    _ model: LoadedModel, recipe bytes: [UInt8], samples: PreparedSamples,
    validation: PreparedSamples?, isCompact: Bool, reversingMicroBatches: Bool, threads: Int,
    leastPartWork: Int?
  ) throws(InputError) {
    self.model = model
    self.samples = samples
    self.validation = validation
    do throws(RecipeError) {
      recipeMemory = try RecipeMemory(bytes, model)
    } catch {
      throw InputError(
        802, "the recipe does not fit the model", place: "canonical recipe, byte \(error.offset)",
        exit: 2)
    }
    let recipe = recipeMemory.recipe
    var request = SessionRequest(
      samples: Int(recipe.microBatch), isCompact: isCompact, training: recipe.needs)
    request.threads = threads
    if let leastPartWork { request.leastPartWork = leastPartWork }
    do throws(MemoryPlanError) {
      host = try HostSession(model, request)
    } catch {
      throw InputError(error, model)
    }
    var trainer = Trainer(host.session, recipe, samples.samples)
    trainer.reversesMicroBatches = reversingMicroBatches
    run = Run(
      trainer, dataDigest: samples.digest,
      validation: validation?.samples, validationDigest: validation?.digest)
  }

  /// A view: this object must outlive it (`AlignedMemory`).
  public var recipe: Recipe { recipeMemory.recipe }
  /// Whether answers are right or wrong; targets are only near or far.
  public var hasLabels: Bool { samples.samples.labels != nil }
  public var plannedSteps: UInt32 { run.trainer.plannedSteps }
  /// Bytes of the arena.
  public var arenaByteCount: Int { host.plannedByteCount }
  /// Bytes of it that have been written to, up to the last one.
  public var usedByteCount: Int { host.usedByteCount }

  public func begin(_ sink: inout some RecordSink) { run.begin(&sink) }
  public func takeStep(_ sink: inout some RecordSink) { run.takeStep(&sink) }
  package func takeStep(_ sink: inout some RecordSink, observing: (Observation) -> Void) {
    run.takeStep(&sink, observing: observing)
  }
  public func end(_ sink: inout some RecordSink) { run.end(&sink) }

  /// All of it, for tests and short runs.
  public func finish(_ sink: inout some RecordSink) {
    begin(&sink)
    while !run.isDone && !sink.isStopped { takeStep(&sink) }
    if !sink.isStopped { end(&sink) }
  }

  /// The model file with the parameters as they are now.
  public var modelBytes: [UInt8] { host.modelBytes() }

  /// Elements per sample that the step record's *saturated* looks at (Formats/journal.md).
  public var watchedElementCount: Int {
    let network = model.network
    return (0..<network.nodeCount).map { network.node($0) }
      .filter { $0.isWatched }
      .reduce(0) { $0 + $1.output.count }
  }
}

extension InputError {
  /// Why a session cannot be planned, in the words of the catalogue.
  public init(_ error: MemoryPlanError, _ model: LoadedModel) {
    switch error {
    case .microBatchTooLarge(let node, let largest):
      self.init(
        807, "the micro-batch is too large for the weight gradient of a layer",
        place: model.name(ofNode: node),
        note: "32-bit sums hold micro-batches of at most \(largest) here (SPEC 8.3)",
        help: "--set microBatch=\(largest)", exit: 2)
    case .inputGradientTooDeep(let node):
      self.init(
        605, "the input gradient of a layer sums too many products for 32 bits",
        place: model.name(ofNode: node), note: "at most 133140 (SPEC 8.3)",
        help: "--set update=last", exit: 4)
    case .arenaTooLarge:
      self.init(
        804, "the session needs 2 GiB or more", note: "arenas are below 2 GiB",
        help: "--set microBatch=1", exit: 6)
    }
  }
}
