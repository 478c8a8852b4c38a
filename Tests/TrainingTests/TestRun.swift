import Importers
import Tally
import TallyHost
import TallyTestSupport

@testable import Layers
@testable import Training

/// A run over made-up samples whose steps a test can look into.
final class TestRun {
  let model: LoadedModel
  let recipe: Recipe
  let host: HostSession
  private let data: PreparedSamples
  private let memory: AlignedMemory
  var trainer: Trainer

  var session: Session { host.session }
  var network: Network { model.network }

  /// - Parameter count: samples; class k lights up the inputs i with i mod classes = k.
  init(
    _ builder: ModelBuilder, _ fields: RecipeBytes, count: Int = 12, isCompact: Bool = false
  ) throws {
    model = try LoadedModel(builder.bytes())
    memory = AlignedMemory(fields.bytes)
    recipe = try Recipe(validating: memory.view(of: UInt8.self), for: model.network)
    host = try HostSession(
      model,
      SessionRequest(
        samples: Int(recipe.microBatch), isCompact: isCompact, training: recipe.needs))
    data = TestRun.samples(model.network, count: count)
    trainer = Trainer(host.session, recipe, data.samples)
  }

  static func samples(_ network: Network, count: Int) -> PreparedSamples {
    let size = network.inputShape.count
    let classes = network.outputCount
    var values: [Int8] = []
    for sample in 0..<count {
      for index in 0..<size {
        let noise = (sample * 31 + index * 17) % 41
        values.append(Int8(clamping: (index % classes == sample % classes ? 60 : -100) + noise))
      }
    }
    return PreparedSamples(
      values: values, labels: (0..<count).map { Int32($0 % classes) }, targets: nil, count: count)
  }

  /// All steps, with the journal they make.
  func finish() -> [UInt8] {
    var run = Run(trainer, dataDigest: data.digest)
    var writer = JournalWriter(MemorySink())
    run.begin(&writer)
    while !run.isDone { run.takeStep(&writer) }
    run.end(&writer)
    trainer = run.trainer
    return writer.sink.bytes
  }
}

extension View {
  /// A copy.
  var array: [Element] { (0..<count).map { self[$0] } }
}
