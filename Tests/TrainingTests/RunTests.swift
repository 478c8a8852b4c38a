import Importers
import Tally
import TallyHost
import TallyTestSupport
import Testing

@testable import Layers
@testable import Training

@Suite("A training run") struct RunTests {
  func run(
    _ builder: ModelBuilder, _ recipe: RecipeBytes, count: Int = 18, isCompact: Bool = false
  ) throws -> (journal: [UInt8], model: [UInt8], loss: [Int64]) {
    let model = try LoadedModel(builder.bytes())
    let pinned = AlignedMemory(recipe.bytes)
    let recipe = try Recipe(validating: pinned.view(of: UInt8.self), for: model.network)
    let host = try HostSession(
      model,
      SessionRequest(samples: Int(recipe.microBatch), isCompact: isCompact, training: recipe.needs))
    let data = TestRun.samples(model.network, count: count)
    var run = Run(
      Trainer(host.session, recipe, data.samples), dataDigest: data.digest)
    var writer = JournalWriter(MemorySink())
    var losses: [Int64] = []
    run.begin(&writer)
    while !run.isDone {
      run.takeStep(&writer)
      losses.append(run.lastStep!.loss)
    }
    run.end(&writer)
    return (writer.sink.bytes, host.modelBytes(), losses)
  }

  @Test("learns a separable task, dense and convolutional, with and without masters")
  func learns() throws {
    for builder in [
      SmallNetworks.dense(), SmallNetworks.convolutional(),
      SmallNetworks.convolutional(residual: true),
    ] {
      for weights in [Recipe.Weights.masters, .int8] {
        var recipe = RecipeBytes(
          updates: builder.nodes.map { $0.weights.isEmpty ? 0 : 3 })
        recipe.epochs = 12
        recipe.rate = .powerOfTwo(-2)
        recipe.weights = weights
        let result = try run(builder, recipe)
        let first: Int64 = result.loss.prefix(4).reduce(0, +)
        let last: Int64 = result.loss.suffix(4).reduce(0, +)
        #expect(last * 3 < first, "\(result.loss)")
      }
    }
  }

  @Test("weights that are refreshed as masters change are those of a step that is looked into")
  func refreshesAtOnce() throws {
    var unclamped = 0
    for builder in [SmallNetworks.dense(), SmallNetworks.convolutional()] {
      for (microBatch, isCompact) in [(UInt32(1), false), (6, false), (6, true), (2, false)] {
        var recipe = RecipeBytes(updates: builder.nodes.map { $0.weights.isEmpty ? 0 : 3 })
        recipe.epochs = 12
        recipe.batch = microBatch == 2 ? 6 : microBatch
        recipe.microBatch = microBatch
        // Steps so large that masters leave their bounds.
        recipe.rate = .powerOfTwo(6)
        recipe.tracks = false
        let (alone, observed) = (
          try TestRun(builder, recipe, count: 18, isCompact: isCompact),
          try TestRun(builder, recipe, count: 18, isCompact: isCompact)
        )
        var refreshes = 0
        while !alone.trainer.isDone {
          alone.trainer.takeStep { _ in }
          observed.trainer.takeStep(
            observing: { seen in
              guard case .contributed(let index) = seen.moment, let pass = seen.pass,
                let masters = seen.session.masters(index)
              else { return }
              // As it would be, were nobody looking.
              var rates = pass.rates
              rates.isUnobserved = true
              let node = seen.session.network.node(index)
              guard rates.refreshAtOnce(seen.session, seen.recipe, index, node) else { return }
              refreshes += 1
              if masters.array.contains(where: { abs($0) > 127 << 16 }) { unclamped += 1 }
            }, onEvent: { _ in })
          #expect(alone.trainer.root == observed.trainer.root, "behind step \(alone.trainer.step)")
        }
        #expect((refreshes > 0) == (microBatch != 2))
      }
    }
    #expect(unclamped > 0, "the bounds were never reached")
  }

  @Test("compact and fast sessions give the same journal")
  func compact() throws {
    let builder = SmallNetworks.convolutional(residual: true)
    var recipe = RecipeBytes(updates: builder.nodes.map { $0.weights.isEmpty ? 0 : 3 })
    recipe.epochs = 2
    recipe.microBatch = 3
    recipe.momentum = 16_384
    recipe.trustRatio = .powerOfTwo(-6)
    recipe.normClip = .powerOfTwo(0)
    let fast = try run(builder, recipe)
    let compact = try run(builder, recipe, isCompact: true)
    #expect(fast.journal == compact.journal)
    #expect(fast.model == compact.model)
  }
}
