import Importers
import Tally
import TallyHost
import TallyTestSupport

/// A random network with a recipe and data for it: twenty steps of training.
struct RandomRun {
  static let steps = 20

  let name: String
  let model: LoadedModel
  let recipe: RecipeFields
  let data: RandomData
  let validation: RandomData?

  init(seed: UInt64, number: Int) throws {
    var random = SeededGenerator(seed: seed, number: number)
    name = "run-\(seed)-\(number)"
    // Ten runs have all of these in all combinations that matter; chance adds the rest.
    let network = RandomNetwork(
      &random,
      .init(
        isConvolutional: number % 3 != 0, isInitialized: number % 2 == 0,
        isResidual: number % 5 < 2, isPerChannel: number % 4 == 1,
        isExtreme: number % 10 == 8 || random.once(in: 8)))
    model = try LoadedModel(network.builder.bytes())
    let usesLabels = random.below(4) > 0
    recipe = RandomRun.recipe(
      &random, network, usesLabels: usesLabels, number: number)
    data = RandomData(&random, model, usesLabels: usesLabels)
    validation = random.once(in: 3) ? RandomData(&random, model, usesLabels: usesLabels) : nil
  }

  private static func recipe(
    _ random: inout SeededGenerator, _ network: RandomNetwork, usesLabels: Bool, number: Int
  ) -> RecipeFields {
    let weighted = Set(network.weightedNodes)
    let updatesAll = random.below(3) > 0
    var updates = network.builder.nodes.indices.map { node -> UpdateSet in
      guard weighted.contains(node) else { return [] }
      return updatesAll ? [.weights, .biases] : UpdateSet(rawValue: UInt8(random.below(4)))
    }
    if updates.allSatisfy(\.isEmpty) { updates[network.weightedNodes[0]] = [.weights, .biases] }
    let isWild = random.once(in: 4)
    var rates = RecipeFields.Rates(all: isWild ? random.scale(-3, 9) : random.scale(-5, -1))
    rates.biases = isWild ? random.scale(-3, 9) : random.scale(-5, -1)
    rates.head = isWild ? random.scale(-6, 4) : random.scale(-6, -2)
    var recipe = RecipeFields(rates: rates, updates: updates)
    recipe.seed = random.word()
    recipe.epochs = 1000
    recipe.largestStepCount = UInt32(steps)
    recipe.batch = UInt32(random.between(1, 12))
    recipe.microBatch = UInt32(random.between(1, Int(recipe.batch)))
    recipe.weights = number % 3 == 1 ? .int8 : .masters
    recipe.loss = usesLabels && random.below(4) > 0 ? .crossEntropy : .meanSquaredError
    recipe.tracksRanges = network.builder.isInitialized && random.below(5) > 0
    recipe.momentum = number % 2 == 0 ? 0 : UInt16(random.of([1, 16_384, 29_491, 32_440]))
    // A rate times the decay is at most 1 (SPEC 8.6).
    if random.once(in: 3) {
      recipe.weightDecay = isWild ? random.scale(-20, -12) : random.scale(-12, -8)
    }
    if random.once(in: 2) { recipe.trustRatio = random.scale(-9, -3) }
    if random.once(in: 2) { recipe.normClip = random.scale(-4, 3) }
    recipe.clip = UInt32(random.of([1, 16, 128]))
    recipe.schedule = random.of([.constant, .cosine, .step])
    recipe.warmup = random.once(in: 2) ? UInt32(random.below(30)) : 0
    if recipe.schedule == .step {
      recipe.factors = (0..<random.between(1, 4)).map { _ in UInt32(random.below(1 << 16)) << 15 }
    }
    recipe.rangePeriod = UInt32(random.between(2, 7))
    recipe.rootPeriod = UInt32(random.between(1, 6))
    addScheme(&random, network, to: &recipe)
    return recipe
  }

  /// Scales, selected channels and sparse gradients (SPEC 8.11, 8.12), each in some of the runs.
  private static func addScheme(
    _ random: inout SeededGenerator, _ network: RandomNetwork, to recipe: inout RecipeFields
  ) {
    let (hasScales, hasSelections) = (random.once(in: 3), random.once(in: 3))
    recipe.rates.scales = random.scale(-7, 3)
    for node in network.weightedNodes {
      let layer = network.builder.nodes[node]
      if hasScales && !layer.hasAccumulators && random.once(in: 2) {
        recipe.updates[node].insert(.scales)
      }
      guard hasSelections, recipe.updates[node].contains(.weights),
        let channels = layer.operation.weighted?.selectableChannelCount, random.below(3) > 0
      else { continue }
      let count = random.between(1, channels)
      switch random.below(4) {
      case 0: recipe.selections[node] = ChannelFields(.first, count: count)
      case 1: recipe.selections[node] = ChannelFields(.random, count: count)
      case 2: recipe.selections[node] = ChannelFields(.magnitude, count: count)
      default:
        var list = (0..<channels).filter { _ in random.once(in: 2) }
        if list.isEmpty { list = [random.below(channels)] }
        recipe.selections[node] = ChannelFields(channels: list.map { UInt16($0) })
      }
    }
    if random.once(in: 3) {
      let ends = [random.below(1 << 15 + 1), random.below(1 << 15 + 1)].sorted()
      recipe.sparseGradients = SparseGradients(
        minimum: Int32(ends[0]), maximum: Int32(ends[1]),
        damping: Int32(random.of([1 << 15, random.below(1 << 15)])),
        headMinimum: Int32(random.between(2, 5)), decayShift: Int32(random.of([0, 1, 5, 30])))
    }
  }

  /// The whole run in Swift.
  ///
  /// - Parameter threads: parts of the samples that a session is planned for, however little work they have.
  func train(isCompact: Bool, threads: Int = 1) throws -> (journal: [UInt8], trained: [UInt8]) {
    let memory = AlignedMemory(recipe.bytes)
    let recipe = try Recipe(validating: memory.view(of: UInt8.self), for: model.network)
    var request = SessionRequest(
      samples: Int(recipe.microBatch), isCompact: isCompact, training: recipe.needs)
    request.threads = threads
    request.leastPartWork = 0
    let host = try HostSession(model, request)
    let samples = data.prepared(for: model.network)
    let validation = validation?.prepared(for: model.network)
    var run = Run(
      Trainer(host.session, recipe, samples.samples), dataDigest: samples.digest,
      validation: validation?.samples, validationDigest: validation?.digest)
    var writer = JournalWriter(MemorySink())
    run.begin(&writer)
    while !run.isDone { run.takeStep(&writer) }
    run.end(&writer)
    return (writer.sink.bytes, host.modelBytes())
  }

  /// int32 logits of up to four samples in one pass of the untrained network.
  ///
  /// - Parameter threads: as of `train`.
  func logits(threads: Int = 1) throws -> [Int32] {
    let samples = data.prepared(for: model.network)
    let count = min(4, samples.samples.count)
    var request = SessionRequest(samples: count)
    request.threads = threads
    request.leastPartWork = 0
    let host = try HostSession(model, request)
    host.session.input.copy(
      from: samples.samples.values.slice(0, count * model.network.inputShape.count))
    host.session.forward(samples: count)
    return (0..<count).flatMap { sample in
      let logits = host.session.logits(sample: sample)
      return (0..<logits.count).map { logits[$0] }
    }
  }

  /// What it is, in one line, for a report.
  var summary: String {
    let kinds = (0..<model.network.nodeCount).map { index -> String in
      let node = model.network.node(index)
      let name = "\(node.operation)".prefix { $0 != "(" }
      return node.scalesPerChannel ? "\(name)/channel" : "\(name)"
    }
    return "\(name): \(kinds.joined(separator: ", ")); B \(recipe.batch), β \(recipe.microBatch), "
      + "\(recipe.weights), μ \(recipe.momentum), \(recipe.loss), "
      + (recipe.tracksRanges ? "tracked" : "frozen") + ", \(data.count) samples"
  }
}

/// Random samples as a file holds them, before the network's input maps.
struct RandomData {
  let count: Int
  /// [count, …] in the order in which the model reads data.
  let x: [Dyadic]
  let shape: [Int]
  let isInteger: Bool
  let labels: [Int]?
  /// [count, outputs].
  let targets: [Dyadic]?

  init(_ random: inout SeededGenerator, _ model: LoadedModel, usesLabels: Bool) {
    let network = model.network
    let size = network.inputShape
    shape =
      network.readsChannelsFirst
      ? [size.channels, size.height, size.width] : [size.height, size.width, size.channels]
    count = random.between(3, 20)
    isInteger = random.below(3) > 0
    let classes = network.outputCount
    var (x, labels, targets): ([Dyadic], [Int], [Dyadic]) = ([], [], [])
    for _ in 0..<count {
      let label = random.below(classes)
      labels.append(label)
      for index in 0..<size.count {
        // Enough structure that gradients have a direction.
        let value = (index % classes == label ? 150 : 20) + random.below(100)
        x.append(
          isInteger ? Dyadic(Int64(value)) : Dyadic(Int64(value * 16 + random.below(16)), -4))
      }
      for j in 0..<classes {
        targets.append(Dyadic(Int64((j == label ? 64 : -8) + random.below(9)), -6))
      }
    }
    self.x = x
    self.labels = usesLabels ? labels : nil
    self.targets = usesLabels ? nil : targets
  }

  func prepared(for network: Network) -> PreparedSamples {
    let size = network.inputShape.count
    let order = network.inputOrder
    let values = (0..<count).flatMap { sample in order.map { x[sample * size + $0] } }
    return PreparedSamples(
      values: ExactPreparation.quantize(values, for: network), labels: labels?.map { Int32($0) },
      targets: targets?.map { ExactPreparation.target($0) }, count: count)
  }

  /// A .npz file with the arrays x and y.
  var archive: [UInt8] {
    let samples =
      isInteger
      ? npy("|u1", [count] + shape, x.map { UInt8($0.n) }) : npy("<f4", [count] + shape, floats(x))
    let answers =
      labels.map { npy("<i4", [count], $0.map { Int32($0) }) }
      ?? npy("<f8", [count, (targets?.count ?? 0) / count], doubles(targets ?? []))
    return ZipArchive.stored([("x.npy", samples), ("y.npy", answers)])
  }

  private func doubles(_ values: [Dyadic]) -> [UInt64] {
    values.map { (Double($0.n) * (0..<(-$0.k)).reduce(1) { power, _ in power / 2 }).bitPattern }
  }

  private func floats(_ values: [Dyadic]) -> [UInt32] {
    doubles(values).map { Float(Double(bitPattern: $0)).bitPattern }
  }

  /// A .npy file, version 1.0.
  private func npy<T: FixedWidthInteger>(_ type: String, _ shape: [Int], _ values: [T]) -> [UInt8] {
    let extents = shape.map { "\($0)" }.joined(separator: ", ") + (shape.count == 1 ? "," : "")
    var header = "{'descr': '\(type)', 'fortran_order': False, 'shape': (\(extents)), }"
    header += String(repeating: " ", count: 63 - (10 + header.utf8.count) % 64) + "\n"
    let count = header.utf8.count
    return [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(count % 256), UInt8(count / 256)]
      + Array(header.utf8) + values.withUnsafeBytes { Array($0) }
  }
}
