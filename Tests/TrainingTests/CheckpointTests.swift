import Importers
import Tally
import TallyHost
import TallyTestSupport
import Testing

@Suite("Checkpoints (SPEC 9.7)") struct CheckpointTests {
  /// A network and a recipe that keeps some kind of state.
  struct Case: CustomTestStringConvertible, Sendable {
    let name: String
    let isResidual: Bool
    let change: @Sendable (inout RecipeBytes) -> Void
    var testDescription: String { name }
  }

  static let cases: [Case] = [
    Case(name: "masters", isResidual: false) { _ in },
    Case(name: "masters and momentum, tracking", isResidual: true) { $0.momentum = 20_000 },
    Case(name: "int8", isResidual: true) { $0.weights = .int8 },
    Case(name: "int8 and momentum, not tracking", isResidual: true) {
      $0.weights = .int8
      $0.momentum = 16_384
      $0.tracks = false
    },
    Case(name: "biases alone, tracking", isResidual: true) { recipe in
      recipe.updates = recipe.updates.map { $0 & 2 }
    },
    Case(name: "scales with momentum", isResidual: false) { recipe in
      recipe.updates = recipe.updates.map { $0 == 0 ? 0 : 7 }
      recipe.updates[recipe.updates.count - 1] = 3
      recipe.momentum = 16_384
    },
    Case(name: "selected channels, decay, limits", isResidual: true) { recipe in
      recipe.selections = [1: (rule: 1, count: 2)]
      recipe.weightDecay = .powerOfTwo(-8)
      recipe.trustRatio = .powerOfTwo(-6)
      recipe.normClip = .powerOfTwo(0)
    },
    Case(name: "sparse gradients", isResidual: true) { recipe in
      recipe.blocks = [(1, [0, 16, 0, 64, 0, 96, 2, 0, 5, 0, 0, 0])]
    },
  ]

  /// A model with its recipe and samples, for as many runs as are asked for.
  struct Experiment {
    let model: LoadedModel
    let recipe: [UInt8]
    let samples: PreparedSamples

    init(_ test: Case) throws {
      let builder = SmallNetworks.convolutional(residual: test.isResidual)
      var recipe = RecipeBytes(updates: builder.nodes.map { $0.weights.isEmpty ? 0 : 3 })
      recipe.epochs = 3
      recipe.microBatch = 3
      recipe.rootPeriod = 3
      recipe.rangePeriod = 4
      test.change(&recipe)
      model = try LoadedModel(builder.bytes())
      self.recipe = recipe.bytes
      samples = TestRun.samples(model.network, count: 18)
    }

    /// A network that zeroth-order groups of one kind train.
    init(_ kind: CoordinateGroup.Kind, weights: Recipe.Weights) throws {
      let tests = ZerothOrderTests()
      let builder = tests.network(perChannel: true)
      let group = CoordinateGroup(node: 0, kind: kind)
      var fields = tests.fields(builder, [group], head: true)
      fields.weights = weights
      model = try LoadedModel(builder.bytes())
      recipe = fields.bytes
      samples = TestRun.samples(model.network, count: 18)
    }

    func run() throws -> TrainingRun {
      try TrainingRun(model, recipe: recipe, samples: samples)
    }

    /// The whole run with a checkpoint behind every step.
    func whole() throws -> (journal: [UInt8], model: [UInt8], checkpoints: [[UInt8]]) {
      let run = try run()
      var writer = JournalWriter(MemorySink())
      run.begin(&writer)
      var checkpoints = [run.checkpointBytes(writer.chain)]
      while !run.run.isDone {
        run.takeStep(&writer)
        checkpoints.append(run.checkpointBytes(writer.chain))
      }
      run.end(&writer)
      return (writer.sink.bytes, run.modelBytes, checkpoints)
    }
  }

  @Test("a run goes on from any of its checkpoints to the same bytes", arguments: cases)
  func everyStep(test: Case) throws {
    try expectSameBytes(try Experiment(test))
  }

  @Test("the same with zeroth-order steps", arguments: ZerothOrderTests.kinds)
  func zerothOrder(kind: CoordinateGroup.Kind) throws {
    for weights in [Recipe.Weights.masters, .int8] {
      try expectSameBytes(try Experiment(kind, weights: weights))
    }
  }

  private func expectSameBytes(_ experiment: Experiment) throws {
    let whole = try experiment.whole()
    let journal = try LoadedJournal(whole.journal)
    for (step, bytes) in whole.checkpoints.enumerated() {
      let checkpoint = try LoadedCheckpoint(bytes)
      #expect(checkpoint.step == UInt32(step))
      let place = try #require(journal.place(of: checkpoint.checkpoint), "step \(step)")
      #expect(place.stepCount == UInt32(step))
      let run = try experiment.run()
      try #require(run.resume(checkpoint, at: place), "step \(step)")
      #expect(run.checkpointBytes(place.reader.chain) == bytes, "step \(step): written as read")
      var comparison = Comparison(place.reader, checkingValidation: true)
      while !run.run.isDone && !comparison.isStopped { run.takeStep(&comparison) }
      run.end(&comparison)
      #expect(comparison.verdict == .reproduced(steps: journal.stepCount), "from step \(step)")
      #expect(run.modelBytes == whole.model, "from step \(step)")
    }
  }

  @Test("micro-batches last to first, and small tiles, make the same bytes", arguments: cases)
  func conditions(test: Case) throws {
    let experiment = try Experiment(test)
    let whole = try experiment.whole()
    for (isCompact, isReversed) in [(false, true), (true, false), (true, true)] {
      let run = try TrainingRun(
        experiment.model, recipe: experiment.recipe, samples: experiment.samples,
        isCompact: isCompact, reversingMicroBatches: isReversed)
      var writer = JournalWriter(MemorySink())
      run.finish(&writer)
      #expect(writer.sink.bytes == whole.journal, "compact \(isCompact), reversed \(isReversed)")
    }
  }

  @Test("no changed byte is taken for a checkpoint")
  func damaged() throws {
    let bytes = try Experiment(Self.cases[1]).whole().checkpoints[5]
    for index in bytes.indices {
      var changed = bytes
      changed[index] ^= 0x40
      #expect(throws: CheckpointError.self, "byte \(index)") { try LoadedCheckpoint(changed) }
    }
    for count in [0, 1, 7, 8, 55, 56, 87, 88, bytes.count - 1] {
      #expect(throws: CheckpointError.self, "\(count) bytes") {
        try LoadedCheckpoint(Array(bytes.prefix(count)))
      }
    }
    #expect(throws: CheckpointError.wrongLength) { try LoadedCheckpoint(bytes + [0]) }
  }

  @Test("a forged state is refused, or is one that a run can have", arguments: [1, 5, 7])
  func forged(index: Int) throws {
    let seed = SeededGenerator.freshSeed()
    var random = SeededGenerator(seed: seed, number: index)
    let experiment = try Experiment(Self.cases[index])
    let whole = try experiment.whole()
    let journal = try LoadedJournal(whole.journal)
    let bytes = whole.checkpoints[6]
    let place = try #require(journal.place(of: LoadedCheckpoint(bytes).checkpoint))
    var refused = 0
    for _ in 0..<60 {
      var forged = Array(bytes.dropLast(32))
      for _ in 0..<random.between(1, 4) {
        forged[random.between(56, forged.count - 1)] = UInt8(random.below(256))
      }
      let checkpoint = try resigned(forged[...])
      let run = try experiment.run()
      guard run.resume(checkpoint, at: place) else {
        refused += 1
        continue
      }
      // What is accepted must be trainable: no trap, whatever comes out.
      var writer = JournalWriter(MemorySink())
      while !run.run.isDone { run.takeStep(&writer) }
    }
    #expect(refused > 0, "seed \(seed)")
  }

  private func resigned(_ bytes: ArraySlice<UInt8>) throws -> LoadedCheckpoint {
    var hash = SHA256()
    hash.update(Array(bytes).span.bytes)
    let digest = hash.finalize()
    return try LoadedCheckpoint(Array(bytes) + (0..<32).map { digest[$0] })
  }

  @Test("weights that are not what their masters show are refused")
  func masters() throws {
    let experiment = try Experiment(Self.cases[0])
    let whole = try experiment.whole()
    var bytes = whole.checkpoints[4].dropLast(32)
    let place = try #require(
      try LoadedJournal(whole.journal).place(of: LoadedCheckpoint(whole.checkpoints[4]).checkpoint))
    #expect(try experiment.run().resume(resigned(bytes), at: place))
    // The state begins with the first node's weights.
    bytes[56] ^= 1
    #expect(try !experiment.run().resume(resigned(bytes), at: place))
  }

  @Test("a checkpoint of another recipe is refused, and one of another run has no place")
  func foreign() throws {
    let first = try Experiment(Self.cases[0])
    let whole = try first.whole()
    let other = try Experiment(Self.cases[1])
    let journal = try LoadedJournal(whole.journal)
    let stranger = try LoadedCheckpoint(other.whole().checkpoints[4])
    #expect(journal.place(of: stranger.checkpoint) == nil)
    let place = try #require(journal.place(of: LoadedCheckpoint(whole.checkpoints[4]).checkpoint))
    #expect(!(try first.run().resume(stranger, at: place)))
  }
}
