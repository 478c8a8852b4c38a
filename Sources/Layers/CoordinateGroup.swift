import Kernels
public import Tensors

/// What one zeroth-order step perturbs (SPEC 8.14): eight bytes of a recipe's block.
public struct CoordinateGroup: Equatable, Sendable {
  public enum Kind: UInt8, Sendable {
    /// Weights and biases of the nodes.
    case weights = 1
    /// The node's output.
    case nodes
    /// The smallest tensor between the node's output and the next weighted node.
    case inputs
    /// One factor on a node's weight Scales.
    case gain
    /// One factor on each of a node's weight Scales.
    case channelGains
  }

  public static var byteCount: Int { 8 }

  public let node: Int
  public let kind: Kind
  /// How many consecutive steps the schedule stays here.
  public let steps: UInt32
  /// How many weighted nodes, from `node` on, are perturbed together.
  public let span: Int

  public init(node: Int, kind: Kind, steps: UInt32 = 1, span: Int = 1) {
    self.node = node
    self.kind = kind
    self.steps = steps
    self.span = span
  }

  /// Group `index` of a block's group bytes; `nil` for an unknown kind.
  public init?(_ bytes: View<UInt8>, _ index: Int) {
    let start = index &* CoordinateGroup.byteCount
    func u16(_ offset: Int) -> Int {
      Int(bytes[start &+ offset]) | Int(bytes[start &+ offset &+ 1]) << 8
    }
    guard let kind = Kind(rawValue: bytes[start &+ 4]) else { return nil }
    self.init(
      node: u16(0) | u16(2) << 16, kind: kind, steps: UInt32(bytes[start &+ 5]), span: u16(6))
  }

  /// Whether the estimate is a gradient of a tensor, carried on to the node's weights (SPEC 8.16).
  public var isOfTensor: Bool { kind == .nodes || kind == .inputs }
  public var isOfScales: Bool { kind == .gain || kind == .channelGains }
}

extension Network {
  /// Whether a group's perturbation touches node `index`.
  public func contains(_ group: CoordinateGroup, _ index: Int) -> Bool {
    guard index >= group.node, record(index).isWeighted else { return false }
    var rank = 0
    for before in group.node..<index where record(before).isWeighted { rank += 1 }
    return rank < group.span
  }

  /// The tensor that a group of kind nodes or inputs perturbs (SPEC 8.14).
  public func perturbedTensor(_ group: CoordinateGroup) -> Int {
    var best = group.node + 1
    guard group.kind == .inputs else { return best }
    var tensor = best
    while true {
      let readers = consumers(ofTensor: tensor)
      guard readers.count == 1 else { return best }
      let reader = node(readers.first)
      guard reader.operation.weighted == nil, reader.secondInput == nil else { return best }
      tensor = readers.first + 1
      if shape(ofTensor: tensor).count < shape(ofTensor: best).count { best = tensor }
    }
  }

  /// The first node that runs differently when the group is perturbed.
  public func firstPerturbedNode(_ group: CoordinateGroup) -> Int {
    group.isOfTensor ? perturbedTensor(group) - 1 : group.node
  }

  /// d: how many numbers the group perturbs.
  public func dimension(_ group: CoordinateGroup) -> Int {
    if group.isOfTensor { return shape(ofTensor: perturbedTensor(group)).count }
    var count = 0
    for index in group.node..<nodeCount where contains(group, index) {
      let node = node(index)
      switch group.kind {
      case .weights: count += (node.operation.weighted?.weightCount ?? 0) + node.output.channels
      case .gain: count += 1
      case .channelGains: count += node.scaleCount
      case .nodes, .inputs: break
      }
    }
    return count
  }
}

extension SessionRequest.TrainingNeeds {
  package var groupCount: Int { (groups?.count ?? 0) / CoordinateGroup.byteCount }

  package func group(_ index: Int) -> CoordinateGroup {
    guard let groups, let group = CoordinateGroup(groups, index) else {
      preconditionFailure("a validated recipe holds known kinds")
    }
    return group
  }

  private func anyGroup(_ isWanted: (CoordinateGroup) -> Bool) -> Bool {
    for index in 0..<groupCount where isWanted(group(index)) { return true }
    return false
  }

  /// What gradients of the node's output change: back-propagated, or estimated at a tensor (SPEC 8.16).
  package func gradientUpdate(ofNode index: Int) -> UpdateSet {
    anyGroup { $0.isOfTensor && $0.node == index }
      ? update(ofNode: index).union([.weights, .biases]) : update(ofNode: index)
  }

  package func perturbsWeights(_ network: Network, ofNode index: Int) -> Bool {
    anyGroup { $0.kind == .weights && network.contains($0, index) }
  }

  package func perturbsScales(_ network: Network, ofNode index: Int) -> Bool {
    anyGroup { $0.isOfScales && network.contains($0, index) }
  }

  /// Whether a step starts again behind a tensor: it must last until every query has run.
  package func restarts(_ network: Network, from tensor: Int, lastReader: Int) -> Bool {
    anyGroup {
      let first = network.firstPerturbedNode($0)
      return tensor <= first && lastReader >= first
    }
  }

  /// Whether an estimate is formed at a tensor, from its values.
  package func perturbs(_ network: Network, tensor: Int) -> Bool {
    anyGroup { $0.isOfTensor && network.perturbedTensor($0) == tensor }
  }
}
