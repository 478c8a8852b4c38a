import FixedPoint
import Layers
import Tensors

/// How large a group's perturbations are, and the counts that decide it (SPEC 8.18).
///
/// Without adaption the recipe's σ stand, and nothing is kept.
struct PerturbationSize {
  private let counts: View<Int64>?
  private let zerothOrder: ZerothOrderRecipe
  private let kind: CoordinateGroup.Kind
  private let isOfLogits: Bool

  /// What `counts` holds of a group.
  private enum Word: Int {
    /// e: σ is the recipe's times 2^e.
    case exponent
    /// Steps that visited the group.
    case visits
    /// n: differences of samples that have a loss; z: those that are 0.
    case differences, zeros
    /// m: coordinates that a perturbation of one could move; c: those that σ cannot.
    case movable, unmoved
    /// Σ L⁰ of the step's samples, where directions are shared.
    case baseLoss
  }

  /// A loss below this says nothing about σ: 2⁻¹⁰ nats in Q16.
  private static var smallestLoss: Int64 { 1 << 6 }
  static var largestExponent: Int64 { 5 }
  private static var largestSigma: Int32 { 32 }

  init(_ session: Session, _ zerothOrder: ZerothOrderRecipe, group index: Int) {
    counts = session.perturbationCounts(group: index)
    self.zerothOrder = zerothOrder
    let group = zerothOrder.group(index)
    kind = group.kind
    let network = session.network
    isOfLogits =
      group.isOfTensor && network.node(network.perturbedTensor(group) - 1).hasAccumulators
  }

  private subscript(word: Word) -> Int64 {
    get { counts?[word.rawValue] ?? 0 }
    nonmutating set { counts?[word.rawValue] = newValue }
  }

  var isAdapted: Bool { counts != nil }
  var exponent: Int32 { Int32(truncatingIfNeeded: self[.exponent]) }

  // MARK: σ

  /// σ_w and σ_y, in LSB: 1…63.
  func scaled(_ sigma: Int32) -> Int32 { scaled(sigma, exponent) }

  /// σ_γ and σ_z.
  func scaled(_ sigma: Scale) -> Scale { sigma.multiplied(byPowerOfTwo: exponent) }

  private func scaled(_ sigma: Int32, _ exponent: Int32) -> Int32 {
    guard exponent < 0 else { return min(sigma &<< exponent, 63) }
    return max((sigma &+ 1 &<< (-exponent &- 1)) &>> -exponent, 1)
  }

  // MARK: Counts

  /// Takes in a measured difference of a sample, or of all where directions are shared.
  func count(difference: Int32, baseLoss: Int64, samples: Int) {
    guard baseLoss > PerturbationSize.smallestLoss &* Int64(truncatingIfNeeded: samples) else {
      return
    }
    self[.differences] &+= 1
    if difference == 0 { self[.zeros] &+= 1 }
  }

  /// Σ L⁰ over the samples so far of a step.
  var baseLoss: Int64 {
    get { self[.baseLoss] }
    nonmutating set { self[.baseLoss] = newValue }
  }

  /// Takes in coordinates that one step of 1 can move, and those among them that σ moves.
  func count(movable: Int, moved: Int) {
    self[.movable] &+= Int64(movable)
    self[.unmoved] &+= Int64(movable - moved)
  }

  // MARK: Decisions

  /// Counts a step of the group; whether a decision is due.
  func visit(period: UInt32) -> Bool {
    guard isAdapted else { return false }
    self[.visits] &+= 1
    return self[.visits] % Int64(period) == 0
  }

  /// Grows or shrinks σ by an octave, or leaves it, and starts counting again.
  ///
  /// - Returns: what changed: k, and the count and the total that decided.
  func decide() -> (octaves: Int8, tail: Int64, count: Int64)? {
    let (differences, zeros) = (self[.differences], self[.zeros])
    let (movable, unmoved) = (self[.movable], self[.unmoved])
    self[.differences] = 0
    self[.zeros] = 0
    self[.movable] = 0
    self[.unmoved] = 0
    if 2 &* zeros > differences {
      return change(by: 1) ? (1, zeros, differences) : nil
    }
    guard 20 &* unmoved > movable && 4 &* zeros < differences else { return nil }
    return change(by: -1) ? (-1, unmoved, movable) : nil
  }

  /// - Returns: false, with nothing changed, where σ would leave its range.
  func change(by octaves: Int64) -> Bool {
    let next = self[.exponent] &+ octaves
    guard abs(next) <= PerturbationSize.largestExponent else { return false }
    let exponent = Int32(truncatingIfNeeded: next)
    switch kind {
    case .weights, .nodes, .inputs:
      if isOfLogits { break }
      let sigma = kind == .weights ? zerothOrder.weightSigma : zerothOrder.nodeSigma
      if octaves > 0 && 2 &* scaled(sigma) > PerturbationSize.largestSigma { return false }
      if octaves < 0 && scaled(sigma) < 2 { return false }
    case .gain, .channelGains:
      let sigma = zerothOrder.gainSigma.multiplied(byPowerOfTwo: exponent)
      if octaves > 0 && !(sigma < .powerOfTwo(-2)) { return false }
    }
    self[.exponent] = next
    return true
  }
}
