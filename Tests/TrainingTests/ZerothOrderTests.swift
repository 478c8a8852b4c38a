import Importers
import Tally
import TallyHost
import TallyTestSupport
import Testing

@testable import Training

@Suite("Zeroth-order training") struct ZerothOrderTests {
  struct Result {
    let journal: [UInt8]
    let model: [UInt8]
    let loss: [Int64]
  }

  func fields(
    _ builder: ModelBuilder, _ groups: [CoordinateGroup], head: Bool = false, epochs: UInt32 = 2
  ) -> RecipeFields {
    let last = builder.nodes.lastIndex { !$0.weights.isEmpty }
    var fields = RecipeFields(
      rates: .init(all: .powerOfTwo(-2)),
      updates: builder.nodes.indices.map { head && $0 == last ? [.weights, .biases] : [] })
    fields.rates.scales = .powerOfTwo(-5)
    fields.method = .zerothOrder
    fields.epochs = epochs
    fields.batch = 6
    fields.microBatch = 6
    fields.rootPeriod = 4
    var block = ZerothOrderFields()
    block.groups = groups
    fields.zerothOrder = block
    return fields
  }

  func run(
    _ builder: ModelBuilder, _ fields: RecipeFields, count: Int = 18, isCompact: Bool = false,
    planned: Bool = false
  ) throws -> Result {
    let model = try LoadedModel(builder.bytes())
    let pinned = AlignedMemory(fields.bytes)
    let recipe = try Recipe(validating: pinned.view(of: UInt8.self), for: model.network)
    let host = try HostSession(
      model,
      SessionRequest(samples: Int(recipe.microBatch), isCompact: isCompact, training: recipe.needs))
    let data = TestRun.samples(model.network, count: count)
    var run = Run(Trainer(host.session, recipe, data.samples), dataDigest: data.digest)
    var writer = JournalWriter(MemorySink())
    var losses: [Int64] = []
    run.begin(&writer)
    while !run.isDone {
      run.takeStep(&writer)
      losses.append(run.lastStep!.loss)
    }
    run.end(&writer)
    return Result(journal: writer.sink.bytes, model: host.modelBytes(), loss: losses)
  }

  /// Every kind on the first layers of a small network: node 0 is conv1, the last the head.
  static let kinds: [CoordinateGroup.Kind] = [.weights, .nodes, .inputs, .gain, .channelGains]

  func network(perChannel: Bool) -> ModelBuilder {
    var builder = SmallNetworks.convolutional(residual: true)
    guard perChannel else { return builder }
    for index in builder.nodes.indices.dropLast() where !builder.nodes[index].weights.isEmpty {
      let scale = builder.nodes[index].weightScales[0]
      builder.nodes[index].weightScales = builder.nodes[index].biases.indices.map {
        (scale * Scale(UInt64(8 + $0))).multiplied(byPowerOfTwo: -3)
      }
    }
    return builder
  }

  @Test("compact and fast sessions give the same journal, for every kind", arguments: kinds)
  func compact(_ kind: CoordinateGroup.Kind) throws {
    for perChannel in [false, true] where perChannel || kind != .channelGains {
      let builder = network(perChannel: perChannel)
      for (directions, difference) in [
        (ZerothOrderRecipe.Directions.perSample, ZerothOrderRecipe.Difference.antithetic),
        (.shared, .forward),
      ] {
        for weights in [Recipe.Weights.masters, .int8] {
          var fields = fields(
            builder,
            [CoordinateGroup(node: 0, kind: kind), CoordinateGroup(node: 1, kind: kind, steps: 2)],
            head: true)
          fields.zerothOrder?.directions = directions
          fields.zerothOrder?.difference = difference
          fields.zerothOrder?.queries = 2
          fields.weights = weights
          fields.microBatch = 4
          fields.normClip = .powerOfTwo(0)
          fields.trustRatio = .powerOfTwo(-6)
          let fast = try run(builder, fields)
          let compact = try run(builder, fields, isCompact: true)
          #expect(fast.journal == compact.journal, "\(kind) \(perChannel) \(directions) \(weights)")
          #expect(fast.model == compact.model)
          let original = try builder.bytes()
          #expect(fast.model != original)
        }
      }
    }
  }

  @Test("weights and gains learn the same whatever the micro-batch", arguments: kinds)
  func microBatches(_ kind: CoordinateGroup.Kind) throws {
    let builder = network(perChannel: true)
    var fields = fields(builder, [CoordinateGroup(node: 0, kind: kind)])
    let whole = try run(builder, fields)
    fields.microBatch = 2
    let parts = try run(builder, fields)
    // Tensor gradients round once for each micro-batch (SPEC 8.16).
    #expect((whole.model == parts.model) == (kind != .nodes && kind != .inputs))
  }

  @Test("learns a separable task from forward passes", arguments: kinds)
  func learns(_ kind: CoordinateGroup.Kind) throws {
    let builder = network(perChannel: true)
    var fields = fields(
      builder, [CoordinateGroup(node: 0, kind: kind)], head: false, epochs: 30)
    if kind == .weights || kind == .nodes || kind == .inputs {
      fields.rates = .init(all: .powerOfTwo(2))
    }
    let last = builder.nodes.count - 1
    fields.zerothOrder?.groups.append(CoordinateGroup(node: last, kind: .nodes))
    let result = try run(builder, fields)
    let first: Int64 = result.loss.prefix(6).reduce(0, +)
    let final: Int64 = result.loss.suffix(6).reduce(0, +)
    #expect(final * 2 < first, "\(kind): \(result.loss)")
  }

  @Test("measuring changes nothing: with rate 0 the model and every root stay", arguments: kinds)
  func restores(_ kind: CoordinateGroup.Kind) throws {
    for isCompact in [false, true] {
      let builder = network(perChannel: true)
      var fields = fields(builder, [CoordinateGroup(node: 0, kind: kind)])
      fields.rates = .init(all: .zero)
      let result = try run(builder, fields, isCompact: isCompact)
      let original = try builder.bytes()
      #expect(result.model == original)
      let model = try LoadedModel(builder.bytes())
      let data = TestRun.samples(model.network, count: 18)
      let host = try HostSession(model, SessionRequest(samples: 6))
      // The step's own loss is that of an undisturbed forward pass.
      let whole = Trainer.evaluate(host.session, .crossEntropy, data.samples)
      #expect(result.loss.prefix(3).reduce(0, +) == whole.loss)
    }
  }
}

extension ZerothOrderTests {
  @Test(
    "a replay without data gives the model and roots of the run",
    arguments: [CoordinateGroup.Kind.weights, .gain, .channelGains])
  func replays(_ kind: CoordinateGroup.Kind) throws {
    let builder = network(perChannel: true)
    let model = try LoadedModel(builder.bytes())
    for weights in [Recipe.Weights.masters, .int8] {
      for directions in [ZerothOrderRecipe.Directions.perSample, .shared] {
        var fields = fields(builder, [CoordinateGroup(node: 0, kind: kind, span: 2)], epochs: 3)
        fields.weights = weights
        fields.zerothOrder?.directions = directions
        fields.zerothOrder?.queries = 3
        let result = try run(builder, fields, count: 16)
        let replayed = try ReplayedRun(model, LoadedJournal(result.journal))
        #expect(replayed.verdict == .reproduced(steps: 9))
        #expect(replayed.checkedRoots == 3)
        #expect(replayed.modelBytes == result.model)
        let part = try ReplayedRun(model, LoadedJournal(result.journal), before: 4)
        #expect(part.verdict == .unfinished(steps: 4, nil))
        #expect(part.steps == 4)
        #expect(part.modelBytes != result.model)
        let none = try ReplayedRun(model, LoadedJournal(result.journal), before: 0)
        let original = try builder.bytes()
        #expect(none.modelBytes == original)
      }
    }
  }

  @Test("runs whose journal does not say everything are not replayed")
  func refusesReplay() throws {
    let builder = network(perChannel: false)
    let model = try LoadedModel(builder.bytes())
    for (kind, head) in [(CoordinateGroup.Kind.nodes, false), (.weights, true)] {
      let fields = fields(builder, [CoordinateGroup(node: 0, kind: kind)], head: head)
      let result = try run(builder, fields)
      #expect(throws: InputError.self) {
        try ReplayedRun(model, LoadedJournal(result.journal))
      }
    }
  }

  @Test("weights and gains of one layer train in inference memory and a constant for each layer")
  func memory() throws {
    let builder = SmallNetworks.convolutional(height: 16, width: 16, filters: 8, residual: true)
    let model = try LoadedModel(builder.bytes())
    let inference = try HostSession(model, SessionRequest(samples: 1, isCompact: true))
    for kind in [CoordinateGroup.Kind.weights, .gain] {
      var fields = fields(builder, [CoordinateGroup(node: 0, kind: kind)])
      fields.weights = .int8
      fields.batch = 8
      fields.microBatch = 1
      let memory = AlignedMemory(fields.bytes)
      let recipe = try Recipe(validating: memory.view(of: UInt8.self), for: model.network)
      let host = try HostSession(
        model, SessionRequest(samples: 1, isCompact: true, training: recipe.needs))
      #expect(host.session.byteCount == host.plannedByteCount)
      // One constant for sums and differences, a channel's weights and Scales for each layer.
      #expect(
        host.plannedByteCount <= inference.plannedByteCount + 1024 + 256 + 512,
        "\(kind): \(host.plannedByteCount), inference \(inference.plannedByteCount)")
    }
  }
}
