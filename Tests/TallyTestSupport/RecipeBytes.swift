public import Importers
public import Tally
import TallyHost

/// Canonical recipe bytes (Formats/recipe.md), field by field, for tests.
public struct RecipeBytes {
  public var seed: UInt64 = 1
  public var epochs: UInt32 = 1
  public var batch: UInt32 = 4
  public var microBatch: UInt32 = 4
  public var weights = Recipe.Weights.masters
  public var loss = Recipe.Loss.crossEntropy
  public var tracks = true
  public var rate = Scale.powerOfTwo(-4)
  /// Learning rate of Scales; `rate` if `nil`.
  public var scaleRate: Scale?
  public var weightDecay = Scale.zero
  public var trustRatio = Scale.zero
  public var normClip = Scale.zero
  public var clip: UInt32 = 16
  public var momentum: UInt16 = 0
  public var schedule = Recipe.Schedule.cosine
  public var warmup: UInt32 = 0
  public var rangePeriod: UInt32 = 8
  public var rootPeriod: UInt32 = 4
  public var factors: [UInt32] = []
  /// One update set per node.
  public var updates: [UInt8]
  /// Channel selections by node: rule and m (SPEC 8.11).
  public var selections: [Int: (rule: UInt8, count: UInt16)] = [:]
  /// Extension blocks, ascending by kind.
  public var blocks: [(kind: UInt32, bytes: [UInt8])] = []
  public var largestStepCount: UInt32 = 0

  public init(updates: [UInt8]) { self.updates = updates }

  public var bytes: [UInt8] {
    var bytes: [UInt8] = []
    func put<T: FixedWidthInteger>(_ value: T) {
      for index in 0..<T.bitWidth / 8 {
        bytes.append(UInt8(truncatingIfNeeded: value >> T(8 * index)))
      }
    }
    func put(_ scale: Scale) {
      put(scale.mantissa)
      put(scale.exponent)
    }
    put(Recipe.magic)
    put(Recipe.version)
    put(UInt16(1))
    put(seed)
    put(epochs)
    put(batch)
    put(microBatch)
    put(UInt8(1))
    put(weights.rawValue)
    put(loss.rawValue)
    put(UInt8(tracks ? 1 : 0))
    for _ in 0..<3 { put(rate) }
    put(scaleRate ?? rate)
    put(weightDecay)
    put(trustRatio)
    put(normClip)
    put(clip)
    put(momentum)
    put(schedule.rawValue)
    put(UInt8(0))
    put(warmup)
    put(rangePeriod)
    put(rootPeriod)
    put(UInt32(factors.count))
    put(UInt32(updates.count))
    put(UInt32(blocks.count))
    put(largestStepCount)
    put(UInt32(0))
    for factor in factors { put(factor) }
    for (index, update) in updates.enumerated() {
      put(update)
      put(selections[index]?.rule ?? 0)
      put(selections[index]?.count ?? 0)
      put(UInt32(0))
    }
    for block in blocks {
      put(block.kind)
      put(UInt32(block.bytes.count))
      bytes += block.bytes
      while bytes.count % 4 != 0 { bytes.append(0) }
    }
    return bytes
  }
}

/// Calls `body` with the recipe that bytes mean for a network.
public func withRecipe<R>(
  _ bytes: RecipeBytes, for builder: ModelBuilder, _ body: (Recipe) throws -> R
) throws -> R {
  let model = try LoadedModel(builder.bytes())
  let memory = AlignedMemory(bytes.bytes)
  return try withExtendedLifetime((model, memory)) {
    try body(Recipe(validating: memory.view(of: UInt8.self), for: model.network))
  }
}
