import Importers
import Tally
import TallyHost
import TallyTestSupport
import Testing

@testable import Layers
@testable import Training

@Suite("Golden vectors of the optimiser (SPEC 8.2, 8.6, 8.7)") struct OptimizerVectors {
  @Test("a file", arguments: VectorFolder.files("optimizer"))
  func file(path: String) throws { try Golden.run(path) }
}

extension Golden {
  static let optimizerChecks: [String: Check] = [
    "optimizer/masters.txt", "optimizer/int8.txt", "optimizer/biases.txt",
  ].reduce(into: [:]) { checks, path in
    checks[path] = { file in
      for block in file.blocks {
        for isCompact in [false, true] {
          try OptimizerCheck(block, isCompact: isCompact).run()
        }
      }
    }
  }
}

/// One step of one fully connected node, through the engine's own backward pass.
///
/// A block gives dw and db; the engine computes them from values and gradients. So the check makes up
/// samples whose products are the dw and db that the block wants.
private struct OptimizerCheck {
  private let block: VectorBlock
  private let isCompact: Bool
  private let node: Int
  private let outputs: Int
  private let fanIn: Int
  private let hasWeights: Bool
  /// Per micro-batch: values [sample][input] and gradients [sample][output].
  private let microBatches: [MicroBatch]

  private struct MicroBatch {
    var x: [[Int8]] = []
    var g: [[Int8]] = []
  }

  init(_ block: VectorBlock, isCompact: Bool) throws {
    self.block = block
    self.isCompact = isCompact
    node = try block.number("node")
    outputs = try block.number("outputs")
    fanIn = try block.number("fan-in")
    hasWeights = try block.number("update", UInt8.self) & 1 != 0
    let (outputs, fanIn) = (self.outputs, self.fanIn)
    microBatches = try (0..<(try block.number("micro-batches", Int.self))).map { m in
      OptimizerCheck.samples(
        dw: try block.elements("weight gradient", outputs * fanIn, from: m * outputs * fanIn),
        db: try block.elements("bias gradient", outputs, from: m * outputs), fanIn: fanIn)
    }
  }

  /// Samples with Σ x·g = dw and Σ g = db; x̂ = x, since the input's zero point is 0.
  private static func samples(dw: [Int], db: [Int], fanIn: Int) -> MicroBatch {
    var batch = MicroBatch()
    var rest = db
    /// A sample in which only input k is not zero.
    func add(_ k: Int?, _ x: Int8, _ g: [Int]) {
      var values = [Int8](repeating: 0, count: fanIn)
      if let k { values[k] = x }
      batch.x.append(values)
      batch.g.append(g.map { Int8($0) })
      for o in g.indices { rest[o] -= g[o] }
    }
    func addAll(_ k: Int?, _ x: Int8, _ wanted: [Int]) {
      var wanted = wanted
      while wanted.contains(where: { $0 != 0 }) {
        let g = wanted.map { min(max($0, -127), 127) }
        add(k, x, g)
        for o in g.indices { wanted[o] -= g[o] }
      }
    }
    for k in 0..<fanIn {
      let wanted = db.indices.map { dw[$0 * fanIn + k] }
      addAll(k, 127, wanted.map { $0 / 127 })
      addAll(k, 1, wanted.map { $0 % 127 })
    }
    addAll(nil, 0, rest)
    return batch
  }

  // MARK: - The run

  func run() throws {
    let model = try LoadedModel(try builder().bytes())
    let samples = max(1, microBatches.map(\.x.count).max() ?? 1)
    let memory = AlignedMemory(try recipe(nodes: model.network.nodeCount, samples: samples).bytes)
    let recipe = try Recipe(validating: memory.view(of: UInt8.self), for: model.network)
    let host = try HostSession(
      model, SessionRequest(samples: samples, isCompact: isCompact, training: recipe.needs))
    let session = host.session
    try setState(session)

    let data = PreparedSamples(
      values: [Int8](repeating: 0, count: fanIn), labels: [0], targets: nil, count: 1)
    var trainer = Trainer(session, recipe, data.samples)
    trainer.step = try block.number("step")
    let factor: UInt64 = try block.number("factor")
    let rates = Backward.Rates(
      weights: recipe.rate(.weights, factor: factor), biases: recipe.rate(.biases, factor: factor),
      head: recipe.rate(.head, factor: factor), scales: recipe.rate(.scales, factor: factor),
      microBatches: UInt32(microBatches.count))
    trainer.prepareUpdates(rates)
    for (m, batch) in microBatches.enumerated() {
      let backward = Backward(
        session: session, recipe: recipe, key: RandomKey(seed: recipe.seed), step: trainer.step,
        query: UInt32(m), samples: samples, rates: rates)
      try fill(backward, batch, samples: samples)
      session.table.reset(.clipped)
      backward.parameterGradients(node, model.network.node(node))
      expectEqual(
        session.table.counter(.clipped), try block.number("expect micro-batch \(m) clipped"),
        "\(block), clipped in micro-batch \(m)")
      try expectState(session, "micro-batch \(m) ", as: Int64.self)
    }
    trainer.applyUpdates(rates)
    let record = model.network.node(node)
    try block.expect("weights", session.weights(node, record).array)
    try block.expect("biases", session.biases(node, record).array)
    try expectState(session, "", as: Int32.self)
  }

  private func expectState<T: FixedWidthInteger>(
    _ session: Session, _ prefix: String, as type: T.Type
  ) throws {
    let state = [
      ("masters", session.masters(node)), ("velocity", session.weightVelocities(node)),
      ("bias velocity", session.biasVelocities(node)),
    ]
    for (name, words) in state {
      expectEqual(
        words != nil, block.has("expect \(prefix)\(name) sha256"), "\(block): has \(name)")
      if let words { try block.expect(prefix + name, words.array.map { T($0) }) }
    }
  }

  private func setState(_ session: Session) throws {
    let count = outputs * fanIn
    let offsets: [Int32] = try block.elements("masters offset", count)
    let velocities: [Int32] = try block.elements("velocity", count)
    let biasVelocities: [Int32] = try block.elements("bias velocity", outputs)
    if let masters = session.masters(node) {
      for index in 0..<count { masters[index] += offsets[index] }
    }
    if let words = session.weightVelocities(node) {
      for index in 0..<count { words[index] = velocities[index] }
    }
    if let words = session.biasVelocities(node) {
      for index in 0..<outputs { words[index] = biasVelocities[index] }
    }
  }

  /// Puts a micro-batch where forward and the layers above would have left it.
  private func fill(_ backward: Backward, _ batch: MicroBatch, samples: Int) throws {
    let session = backward.session
    for sample in 0..<samples {
      let g = backward.gradient(node + 1, sample: sample)
      g.fill(0)
      if sample < batch.g.count { for o in 0..<outputs { g[o] = batch.g[sample][o] } }
      // Where biases alone change nobody reads the values, and their memory may serve others.
      guard hasWeights else { continue }
      let x = session.activation(0, sample: sample)
      x.fill(0)
      if sample < batch.x.count { for k in 0..<fanIn { x[k] = batch.x[sample][k] } }
    }
    session.table.setGradientScale(node + 1, try block.scale("gradient scale"))
  }

  // MARK: - Model and recipe

  private func builder() throws -> ModelBuilder {
    var builder = ModelBuilder(
      inputShape: Shape(vector: fanIn),
      inputQuantization: Quantization(scale: try block.scale("input scale"), zeroPoint: 0),
      inputMaps: [.init(scale: .powerOfTwo(0), offset: 0)])
    let isHead = try block.flag("last weighted")
    let scales = try block.scales("weight scales")
    expectEqual(try block.flag("per channel"), scales.count > 1, "\(block), per channel")
    func plain(from tensor: Int, inputs: Int) -> ModelBuilder.Node {
      .init(
        name: "", operation: dense(inputs, 1), inputs: [tensor], output: Shape(vector: 1),
        quantization: Quantization(scale: .powerOfTwo(0), zeroPoint: 0),
        weights: [Int8](repeating: 1, count: inputs), biases: [0], weightScales: [.powerOfTwo(-6)])
    }
    for _ in 0..<node { builder.nodes.append(plain(from: 0, inputs: fanIn)) }
    builder.nodes.append(
      .init(
        name: "", operation: dense(fanIn, outputs), inputs: [0], output: Shape(vector: outputs),
        quantization: Quantization(scale: try block.scale("output scale"), zeroPoint: 0),
        hasAccumulators: try block.flag("accumulators"),
        weights: try block.elements("weights", outputs * fanIn),
        biases: try block.elements("biases", outputs), weightScales: scales))
    if !isHead { builder.nodes.append(plain(from: node + 1, inputs: outputs)) }
    return builder
  }

  private func dense(_ inputs: Int, _ outputs: Int) -> Tally.Operation {
    .fullyConnected(
      Convolution(
        input: Shape(vector: inputs), output: Shape(vector: outputs),
        geometry: .init(kernelHeight: 1, kernelWidth: 1), groups: 1))
  }

  private func recipe(nodes: Int, samples: Int) throws -> RecipeFields {
    var rates = RecipeFields.Rates(all: .zero)
    rates.weights = try block.scale("rate weights")
    rates.biases = try block.scale("rate biases")
    rates.head = try block.scale("rate head")
    let update = UpdateSet(rawValue: try block.number("update"))
    var recipe = RecipeFields(rates: rates, updates: (0..<nodes).map { $0 == node ? update : [] })
    recipe.seed = try block.number("seed")
    recipe.microBatch = UInt32(samples)
    recipe.batch = UInt32(samples) * (try block.number("planned micro-batches"))
    recipe.weights = try block.text("mode") == "int8" ? .int8 : .masters
    recipe.weightDecay = try block.scale("decay")
    recipe.trustRatio = try block.scale("trust ratio")
    recipe.normClip = try block.scale("norm clip")
    recipe.clip = try block.number("clip")
    recipe.momentum = try block.number("momentum")
    return recipe
  }
}
