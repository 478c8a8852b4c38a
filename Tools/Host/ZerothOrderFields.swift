import Importers
public import Tally

/// The zeroth-order block of a recipe, field by field (Formats/recipe.md, block 2).
public struct ZerothOrderFields: Equatable, Sendable {
  public var queries: UInt16 = 1
  public var directions = ZerothOrderRecipe.Directions.perSample
  public var difference = ZerothOrderRecipe.Difference.antithetic
  public var usesSign = false
  public var adaptsSigma = false
  /// In LSB.
  public var weightSigma: UInt8 = 4
  public var nodeSigma: UInt8 = 8
  /// Relative.
  public var gainSigma = Scale(rounding: ExactRatio(1, 20)!)
  /// In units of the logits' real value.
  public var logitSigma = Scale(rounding: ExactRatio(1, 16)!)
  public var groups: [CoordinateGroup] = []

  public init() {}

  init(_ block: ZerothOrderRecipe) {
    queries = UInt16(block.queries)
    directions = block.directions
    difference = block.difference
    usesSign = block.usesSign
    adaptsSigma = block.adaptsSigma
    weightSigma = UInt8(block.weightSigma)
    nodeSigma = UInt8(block.nodeSigma)
    gainSigma = block.gainSigma
    logitSigma = block.logitSigma
    groups = (0..<block.groupCount).map { block.group($0) }
  }

  var bytes: [UInt8] {
    var bytes: [UInt8] = []
    func put(_ value: some FixedWidthInteger) {
      withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
    put(queries)
    for byte in [directions.rawValue, difference.rawValue, usesSign ? 1 : 0] { put(byte) }
    put(UInt8(adaptsSigma ? 1 : 0))
    put(weightSigma)
    put(nodeSigma)
    for scale in [gainSigma, logitSigma] {
      put(scale.mantissa)
      put(scale.exponent)
    }
    put(UInt16(groups.count))
    put(UInt16(0))
    for group in groups {
      put(UInt32(group.node))
      put(group.kind.rawValue)
      put(UInt8(group.steps))
      put(UInt16(group.span))
    }
    return bytes
  }
}

extension CoordinateGroup.Kind {
  static var words: [(String, CoordinateGroup.Kind)] {
    [
      ("weights", .weights), ("nodes", .nodes), ("inputs", .inputs), ("gain", .gain),
      ("channelGains", .channelGains),
    ]
  }

  public var word: String {
    switch self {
    case .weights: "weights"
    case .nodes: "nodes"
    case .inputs: "inputs"
    case .gain: "gain"
    case .channelGains: "channelGains"
    }
  }
}

extension ZerothOrderFields {
  /// The words of a recipe file.
  func json(name: (Int) -> String) -> JSONOutput {
    [
      "queries": JSONOutput(queries),
      "directions": directions == .perSample ? "sample" : "shared",
      "difference": difference == .antithetic ? "antithetic" : "forward",
      "sign": .bool(usesSign), "adaptSigma": .bool(adaptsSigma),
      "sigma": [
        "weights": JSONOutput(weightSigma), "nodes": JSONOutput(nodeSigma),
        "gains": .string(gainSigma.decimalText), "logits": .string(logitSigma.decimalText),
      ],
      "groups": .array(
        groups.map { group in
          [
            "layer": .string(name(group.node)), "coordinates": .string(group.kind.word),
            "steps": JSONOutput(group.steps), "span": JSONOutput(group.span),
          ]
        }),
    ]
  }

  /// For each weighted node that may be trained, the coordinates with the fewest dimensions.
  static func automaticGroups(
    _ network: Network, updates: [UpdateSet], includingHead: Bool
  ) -> [CoordinateGroup] {
    let weighted = (0..<network.nodeCount).filter { network.node($0).operation.weighted != nil }
    let firstBackPropagated = updates.firstIndex { !$0.isEmpty } ?? network.nodeCount
    var groups: [CoordinateGroup] = []
    for node in weighted where updates[node].isEmpty && (includingHead || node != weighted.last) {
      let choices = [CoordinateGroup.Kind.weights, .nodes, .inputs]
        .map { CoordinateGroup(node: node, kind: $0) }
        .filter { !$0.isOfTensor || network.perturbedTensor($0) <= firstBackPropagated }
      // The first of equals: weights need no backward pass, nodes no routing.
      let best = choices.min { network.dimension($0) < network.dimension($1) }
      if let best { groups.append(best) }
    }
    return groups
  }
}
