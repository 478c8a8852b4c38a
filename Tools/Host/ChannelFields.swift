public import Tally

/// Which channels' weights of a node change, as a recipe says it (SPEC 8.11).
public struct ChannelFields: Equatable, Sendable {
  public var rule: ChannelSelection.Rule
  /// m.
  public var count: Int
  /// Ascending; for the rule `listed` only.
  public var channels: [UInt16] = []

  /// The channels that a rule finds.
  public init(_ rule: ChannelSelection.Rule, count: Int) {
    self.rule = rule
    self.count = count
  }

  /// - Parameter channels: ascending.
  public init(channels: [UInt16]) {
    rule = .listed
    count = channels.count
    self.channels = channels
  }

  /// What a validated recipe says of a node; `nil` for all channels.
  init?(_ recipe: Recipe, node index: Int) {
    guard let selection = recipe.selection(ofNode: index) else { return nil }
    self.init(selection.rule, count: selection.count)
    guard rule == .listed else { return }
    let list = recipe.needs.channelList(ofNode: index)
    channels = (0..<count).map { UInt16(list[2 * $0]) | UInt16(list[2 * $0 + 1]) << 8 }
  }
}

extension ChannelSelection.Rule {
  /// As recipes write it.
  public var word: String {
    switch self {
    case .magnitude: "magnitude"
    case .first: "first"
    case .random: "random"
    case .listed: "listed"
    }
  }
}

extension ChannelFields {
  /// Members of a layer's object in a recipe.
  var json: [(key: String, value: JSONOutput)] {
    if rule == .listed { return [("channels", .array(channels.map { JSONOutput($0) }))] }
    return [("weights", JSONOutput(count)), ("rule", .string(rule.word))]
  }
}
