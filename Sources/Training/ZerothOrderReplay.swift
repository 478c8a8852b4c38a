import CounterRandom
public import Layers
import Tensors

/// Rebuilds parameters from the differences of a journal, without data (SPEC 8.19).
public struct ZerothOrderReplay {
  public let session: Session
  public let recipe: Recipe
  private let zerothOrder: ZerothOrderRecipe
  private let planned: UInt32
  private let samples: UInt32
  /// The next step, t.
  public private(set) var step: UInt32 = 0

  /// Whether the differences of a recipe's runs say everything: no back-propagation, and no gradients of
  /// tensors, which need their values.
  public static func isPossible(_ recipe: Recipe) -> Bool {
    guard let zerothOrder = recipe.zerothOrder else { return false }
    for index in 0..<zerothOrder.groupCount where zerothOrder.group(index).isOfTensor {
      return false
    }
    for index in 0..<recipe.nodeCount where !recipe.update(ofNode: index).isEmpty { return false }
    return true
  }

  /// - Parameters:
  ///   - session: of the model the run began with, planned with the recipe's needs, one sample is enough.
  ///   - samples: n of the run.
  ///   - planned: T of the run.
  /// - Returns: `nil` if the recipe's runs cannot be replayed.
  public init?(_ session: Session, _ recipe: Recipe, samples: UInt32, planned: UInt32) {
    guard let zerothOrder = recipe.zerothOrder, ZerothOrderReplay.isPossible(recipe), samples >= 1
    else { return nil }
    self.session = session
    self.recipe = recipe
    self.zerothOrder = zerothOrder
    self.planned = planned
    self.samples = samples
  }

  /// Takes the next step.
  ///
  /// - Parameters:
  ///   - group, batch, count: as the record says them.
  ///   - difference: D number k, 0..<count.
  /// - Returns: false, with nothing changed, if the step is not of this recipe.
  public mutating func apply(
    group: UInt32, batch: UInt32, count: Int, difference: (_ k: Int) -> Int32
  ) -> Bool {
    guard step < planned, group == UInt32(zerothOrder.groupIndex(step: step)) else { return false }
    let perEpoch = recipe.stepsPerEpoch(samples: samples)
    guard batch == min(recipe.batch, samples - step % perEpoch * recipe.batch) else { return false }
    let part = ZerothOrderStep(
      session, recipe, zerothOrder, key: RandomKey(seed: recipe.seed), step: step,
      batch: Int(batch))
    guard part.differences.count == count else { return false }
    for k in 0..<count { part.differences[k] = difference(k) }
    let factor = recipe.rateFactor(step: step, of: planned, epoch: step / perEpoch)
    part.update(Backward.Rates(recipe, factor: factor, microBatches: 1)).apply()
    step += 1
    return true
  }

  /// Takes in a change of σ, as the record after a step says it.
  ///
  /// - Returns: false, with nothing changed, if the recipe does not allow it.
  public func changeSigma(group: UInt32, by octaves: Int8) -> Bool {
    guard zerothOrder.adaptsSigma, group < zerothOrder.groupCount, abs(octaves) == 1 else {
      return false
    }
    return PerturbationSize(session, zerothOrder, group: Int(group)).change(by: Int64(octaves))
  }
}
