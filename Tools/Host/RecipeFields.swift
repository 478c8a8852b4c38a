public import Tally

/// A resolved recipe, field by field: what its canonical bytes say (Formats/recipe.md).
public struct RecipeFields: Equatable, Sendable {
  /// A learning rate for each group of parameters.
  public struct Rates: Equatable, Sendable {
    public var weights, biases, head, scales: Scale

    public init(all rate: Scale) {
      weights = rate
      biases = rate
      head = rate
      scales = rate
    }
  }

  public var seed: UInt64 = 1
  public var epochs: UInt32 = 1
  /// 0 for no limit.
  public var largestStepCount: UInt32 = 0
  public var batch: UInt32 = 32
  public var microBatch: UInt32 = 32
  public var method = Recipe.Method.backPropagation
  public var weights = Recipe.Weights.masters
  public var loss = Recipe.Loss.crossEntropy
  public var tracksRanges = false
  public var rates: Rates
  public var weightDecay = Scale.zero
  public var trustRatio = Scale.zero
  public var normClip = Scale.zero
  public var clip: UInt32 = 16
  /// Q15.
  public var momentum: UInt16 = 0
  public var schedule = Recipe.Schedule.cosine
  public var warmup: UInt32 = 0
  public var rangePeriod: UInt32 = 64
  public var rootPeriod: UInt32 = 64
  /// Q30, one per epoch; for the step schedule only.
  public var factors: [UInt32] = []
  /// One per node.
  public var updates: [UpdateSet]
  /// With a method that needs it.
  public var zerothOrder: ZerothOrderFields?
  /// By node; a node that is not here changes all of its weights, or none.
  public var selections: [Int: ChannelFields] = [:]
  /// `nil` for whole gradients.
  public var sparseGradients: SparseGradients?

  public init(rates: Rates, updates: [UpdateSet]) {
    self.rates = rates
    self.updates = updates
  }

  /// What a validated recipe says.
  public init(_ recipe: Recipe) {
    self.init(
      rates: Rates(all: .zero), updates: (0..<recipe.nodeCount).map { recipe.update(ofNode: $0) })
    seed = recipe.seed
    epochs = recipe.epochs
    largestStepCount = recipe.largestStepCount
    batch = recipe.batch
    microBatch = recipe.microBatch
    method = recipe.method
    zerothOrder = recipe.zerothOrder.map { ZerothOrderFields($0) }
    weights = recipe.weights
    loss = recipe.loss
    tracksRanges = recipe.tracksRanges
    rates.weights = recipe.learningRate(.weights)
    rates.biases = recipe.learningRate(.biases)
    rates.head = recipe.learningRate(.head)
    rates.scales = recipe.learningRate(.scales)
    weightDecay = recipe.weightDecay
    trustRatio = recipe.trustRatio
    normClip = recipe.normClip
    clip = UInt32(bitPattern: recipe.clip)
    momentum = UInt16(recipe.momentum)
    schedule = recipe.schedule
    warmup = recipe.warmup
    rangePeriod = recipe.rangePeriod
    rootPeriod = recipe.rootPeriod
    factors = (0..<recipe.factorCount).map { recipe.factor($0) }
    for index in updates.indices { selections[index] = ChannelFields(recipe, node: index) }
    sparseGradients = recipe.sparseGradients
  }

  /// The canonical bytes, which a run binds.
  public var bytes: [UInt8] {
    var bytes: [UInt8] = []
    func put(_ value: some FixedWidthInteger) {
      withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
    func put(_ scale: Scale) {
      put(scale.mantissa)
      put(scale.exponent)
    }
    put(Recipe.magic)
    put(Recipe.version)
    put(ModelFormat.arithmeticVersion)
    put(seed)
    for count in [epochs, batch, microBatch] { put(count) }
    put(method.rawValue)
    put(weights.rawValue)
    put(loss.rawValue)
    put(UInt8(tracksRanges ? 1 : 0))
    for rate in [rates.weights, rates.biases, rates.head, rates.scales] { put(rate) }
    for limit in [weightDecay, trustRatio, normClip] { put(limit) }
    put(clip)
    put(momentum)
    put(schedule.rawValue)
    put(UInt8(0))
    for count in [warmup, rangePeriod, rootPeriod] { put(count) }
    put(UInt32(factors.count))
    put(UInt32(updates.count))
    put(UInt32(blocks.count))
    put(largestStepCount)
    put(UInt32(0))
    for factor in factors { put(factor) }
    for (index, update) in updates.enumerated() {
      put(update.rawValue)
      put(selections[index]?.rule.rawValue ?? 0)
      put(UInt16(selections[index]?.count ?? 0))
      put(UInt32(0))
    }
    for block in blocks {
      put(block.kind.rawValue)
      put(UInt32(block.bytes.count))
      bytes += block.bytes
      bytes += [UInt8](repeating: 0, count: (4 - block.bytes.count % 4) % 4)
    }
    return bytes
  }

  /// Extension blocks in the order of their kinds.
  private var blocks: [(kind: Recipe.Block, bytes: [UInt8])] {
    var blocks: [(kind: Recipe.Block, bytes: [UInt8])] = []
    if let sparseGradients { blocks.append((.sparseGradients, sparseGradients.bytes)) }
    if let zerothOrder { blocks.append((.zerothOrder, zerothOrder.bytes)) }
    let listed = selections.sorted { $0.key < $1.key }.flatMap { $0.value.channels }
    if !listed.isEmpty {
      blocks.append((.channelLists, listed.flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] }))
    }
    return blocks
  }

  /// SHA-256 of the canonical bytes.
  public var digest: Digest {
    let bytes = bytes
    var hash = SHA256()
    hash.update(bytes.span.bytes)
    return hash.finalize()
  }
}
