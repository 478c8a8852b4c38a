import Importers
import Tally
import TallyHost
import Training

/// A network at work for `tally bench`: made-up samples, a session, and what one call does.
final class BenchRun {
  /// Of what a fixed number of calls gave, on every machine and at every SIMD level.
  let digest: String
  private let model: LoadedModel
  private let data: PreparedSamples
  private let host: HostSession
  private let recipe: RecipeMemory?
  private var trainer: Trainer?
  private let batch: Int

  /// Inference on `batch` samples at a time.
  init(inferring network: BenchNetwork, batch: Int, threads: Int = 1) throws {
    model = try network.model()
    data = BenchRun.samples(model, count: batch)
    var request = SessionRequest(samples: batch)
    request.threads = threads
    host = try HostSession(model, request)
    recipe = nil
    self.batch = batch
    host.session.input.copy(from: data.samples.values)
    host.session.forward(samples: batch)
    var hash = SHA256()
    for sample in 0..<batch {
      host.session.logits(sample: sample).withRawSpan { hash.update($0) }
    }
    digest = hash.finalize().hexadecimal
  }

  /// Training steps of `batch` samples each; the recipe's other keys are defaults but for `keys`.
  init(
    training network: BenchNetwork, batch: Int, samples: Int? = nil, keys: [String] = [],
    threads: Int = 1
  ) throws {
    model = try network.model()
    data = BenchRun.samples(model, count: samples ?? 4 * batch)
    var document = RecipeDocument()
    for key in ["epochs=1000000", "batch=\(batch)", "learningRate=0.0001"] + keys {
      try document.set(key)
    }
    let memory = try RecipeMemory(try document.resolved(for: model, hasLabels: true), model)
    recipe = memory
    var request = SessionRequest(
      samples: Int(memory.recipe.microBatch), training: memory.recipe.needs)
    request.threads = threads
    host = try HostSession(model, request)
    self.batch = batch
    var trainer = Trainer(host.session, memory.recipe, data.samples)
    if memory.recipe.tracksRanges { trainer.calibrate { _ in } }
    for _ in 0..<10 { trainer.takeStep { _ in } }
    digest = trainer.root.hexadecimal
    self.trainer = trainer
  }

  /// The recipe's key for gradients of which the top `ratio` is kept, and at least two of a head.
  static func keeping(_ ratio: String) -> String {
    #"sparseGradients={"kind": "topk", "ratio": "\#(ratio)", "headMinimum": 2}"#
  }

  /// One forward pass of a batch whose samples are new in memory.
  func infer() {
    host.session.input.copy(from: data.samples.values.slice(0, host.session.input.count))
    host.session.forward(samples: batch)
  }

  /// One training step.
  func step() { trainer?.takeStep { _ in } }

  /// The microseconds of one step's backward pass and update: all behind the loss.
  func backward() -> Double {
    var (start, end) = (0.0, 0.0)
    let last = model.nodes.count
    trainer?.takeStep(
      observing: { seen in
        if seen.moment == .backward(last) { start = BenchTiming.now() }
        if seen.moment == .applied { end = BenchTiming.now() }
      }, onEvent: { _ in })
    return end - start
  }

  /// As many steps as an epoch has.
  func epoch() {
    guard let count = trainer?.stepsPerEpoch else { return }
    for _ in 0..<count { step() }
  }

  /// The state after the steps so far.
  var root: String { trainer?.root.hexadecimal ?? "" }

  /// Every class in turn, values by rule.
  private static func samples(_ model: LoadedModel, count: Int) -> PreparedSamples {
    let stream = RandomKey(seed: 2).stream(.initialization, tensor: 0, step: 0, query: 0)
    let values = (0..<count * model.network.inputShape.count).map {
      Int8(truncatingIfNeeded: stream.bits16(UInt32($0)))
    }
    return PreparedSamples(
      values: values, labels: (0..<count).map { Int32($0 % model.network.outputCount) },
      targets: nil, count: count)
  }
}
