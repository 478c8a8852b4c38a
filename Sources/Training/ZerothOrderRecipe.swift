public import FixedPoint
public import Layers
public import Tensors

/// How a zeroth-order recipe measures, and what (Formats/recipe.md, block 2; SPEC 8.14).
public struct ZerothOrderRecipe {
  public enum Directions: UInt8, Sendable {
    /// Each sample has directions of its own.
    case perSample = 0
    /// All samples of a step share a query's direction.
    case shared = 1
  }

  public enum Difference: UInt8, Sendable {
    /// L(θ + σu) − L(θ − σu).
    case antithetic = 0
    /// 2·(L(θ + σu) − L(θ)).
    case forward = 1
  }

  public static var fixedByteCount: Int { 28 }
  /// Most D of one step.
  public static var largestDifferenceCount: Int { 1 << 16 }

  public let bytes: View<UInt8>

  init(_ bytes: View<UInt8>) { self.bytes = bytes }

  /// Q.
  public var queries: Int { Int(bytes[0]) | Int(bytes[1]) << 8 }
  public var directions: Directions { Directions(rawValue: bytes[2]) ?? .perSample }
  public var difference: Difference { Difference(rawValue: bytes[3]) ?? .antithetic }
  /// Whether D is replaced by its sign.
  public var usesSign: Bool { bytes[4] == 1 }
  /// Whether σ follows the share of differences that are 0 (SPEC 8.18).
  public var adaptsSigma: Bool { bytes[5] == 1 }
  /// σ of weights, in LSB.
  public var weightSigma: Int32 { Int32(bytes[6]) }
  /// σ of nodes, in LSB.
  public var nodeSigma: Int32 { Int32(bytes[7]) }
  /// σ of gains, relative.
  public var gainSigma: Scale { storedScale(8) ?? .zero }
  /// σ of int32 logits, in their real unit.
  public var logitSigma: Scale { storedScale(16) ?? .zero }
  public var groupCount: Int { Int(bytes[24]) | Int(bytes[25]) << 8 }
  public var groups: View<UInt8> {
    bytes.slice(ZerothOrderRecipe.fixedByteCount, CoordinateGroup.byteCount * groupCount)
  }

  public func group(_ index: Int) -> CoordinateGroup {
    guard let group = CoordinateGroup(groups, index) else {
      preconditionFailure("a validated recipe holds known kinds")
    }
    return group
  }

  /// The group that step t visits (SPEC 8.18).
  public func groupIndex(step: UInt32) -> Int {
    var period: UInt32 = 0
    for index in 0..<groupCount { period += group(index).steps }
    var left = step % period
    for index in 0..<groupCount {
      let steps = group(index).steps
      if left < steps { return index }
      left -= steps
    }
    return 0
  }

  /// D of a step of `samples` samples whose group is of tensors or not (SPEC 8.15).
  func differenceCount(samples: Int, _ group: CoordinateGroup) -> Int {
    isPerSample(group) ? samples * queries : queries
  }

  /// The place among a step's D of a query of the sample at a position of the step (SPEC 8.15).
  func differenceIndex(_ group: CoordinateGroup, position: Int, query: Int) -> Int {
    isPerSample(group) ? position * queries + query : query
  }

  /// Whether directions differ between samples: tensors' always do.
  package func isPerSample(_ group: CoordinateGroup) -> Bool {
    group.isOfTensor || directions == .perSample
  }

  private func storedScale(_ offset: Int) -> Scale? {
    func i32(_ offset: Int) -> Int32 {
      var value: UInt32 = 0
      for byte in 0..<4 { value |= UInt32(bytes[offset + byte]) << UInt32(8 * byte) }
      return Int32(bitPattern: value)
    }
    return Scale(mantissa: i32(offset), exponent: i32(offset + 4))
  }

  /// The offset into the block of the first field that is not legal, or `nil`.
  func firstFault(_ network: Network, batch: UInt32, update: (Int) -> UpdateSet) -> Int? {
    guard bytes.count >= ZerothOrderRecipe.fixedByteCount else { return 0 }
    guard queries >= 1, UInt64(queries) * UInt64(batch) <= ZerothOrderRecipe.largestDifferenceCount
    else { return 0 }
    for offset in 2..<6 where bytes[offset] > 1 { return offset }
    guard weightSigma >= 1, weightSigma <= 63 else { return 6 }
    guard nodeSigma >= 1, nodeSigma <= 63 else { return 7 }
    // Below one half, so that no gain turns negative.
    guard let gain = storedScale(8), gain != .zero, gain < .powerOfTwo(-1) else { return 8 }
    guard let logit = storedScale(16), logit != .zero, abs(logit.exponent) <= 512 else { return 16 }
    guard groupCount >= 1, bytes[26] == 0, bytes[27] == 0 else { return 24 }
    let groups = CoordinateGroup.byteCount * groupCount
    guard bytes.count == ZerothOrderRecipe.fixedByteCount + groups else { return 24 }
    for index in 0..<groupCount where !isLegal(index, network, update) {
      return ZerothOrderRecipe.fixedByteCount + CoordinateGroup.byteCount * index
    }
    return nil
  }

  private func isLegal(_ index: Int, _ network: Network, _ update: (Int) -> UpdateSet) -> Bool {
    guard let group = CoordinateGroup(groups, index), group.steps >= 1, group.span >= 1,
      group.node < network.nodeCount, network.node(group.node).operation.weighted != nil
    else { return false }
    var found = 0
    for node in group.node..<network.nodeCount where network.contains(group, node) {
      guard update(node).isEmpty else { return false }
      let record = network.node(node)
      // A factor on all logits is not trained (SPEC 8.14).
      if group.isOfScales && record.hasAccumulators { return false }
      if group.kind == .channelGains && !record.scalesPerChannel { return false }
      found += 1
    }
    guard found == group.span else { return false }
    guard group.isOfTensor else { return true }
    // Back-propagation runs first, and must leave what the estimate reads (SPEC 8.16).
    let tensor = network.perturbedTensor(group)
    for node in 0..<tensor where !update(node).isEmpty { return false }
    return group.span == 1
  }
}
