import Importers
import Tally

/// What of a network a run changes: the key `update`.
struct UpdateScheme {
  /// One per node.
  var updates: [UpdateSet]
  /// By node, where only some channels' weights change.
  var selections: [Int: ChannelFields] = [:]
}

/// What a recipe without the key means.
enum DefaultUpdate { case full, last }

extension LayeredObject {
  mutating func updates(
    _ model: LoadedModel, byDefault: DefaultUpdate
  ) throws(InputError) -> UpdateScheme {
    let nodes = model.nodes
    let weighted = nodes.map { $0.operation.weighted != nil }
    let all: UpdateSet = [.weights, .biases]
    let last = weighted.lastIndex(of: true)
    func each(_ choose: (Int) -> UpdateSet) -> UpdateScheme {
      UpdateScheme(updates: weighted.indices.map { weighted[$0] ? choose($0) : [] })
    }
    func scales(_ index: Int) -> UpdateSet { nodes[index].hasAccumulators ? [] : .scales }
    guard let element = take("update") else {
      return each { byDefault == .full || $0 == last ? all : [] }
    }
    if element.isObject {
      guard var object = try object("update") else { preconditionFailure("just taken") }
      let layers = object.take("layers")
      let biases = object.take("biases")
      try object.finish()
      if let biases, layers == nil {
        let most = weighted.filter { $0 }.count
        let count = Int(try biases.integer(in: 1...Int64(max(1, most))))
        let first = weighted.indices.filter { weighted[$0] }.suffix(count).first ?? 0
        return each { $0 >= first ? .biases : [] }
      }
      guard let layers, biases == nil else {
        throw InputError(
          805, biases == nil ? "update says no layers" : "update says layers and biases",
          place: element.place, help: "{\"layers\": {\"head\": [\"weights\", \"biases\"]}}",
          exit: 2)
      }
      return try UpdateNames(model).scheme(layers)
    }
    switch try element.string() {
    case "full": return each { _ in all }
    case "last": return each { $0 == last ? all : [] }
    case "biases": return each { _ in .biases }
    case "bias+last": return each { $0 == last ? all : .biases }
    case "scales":
      let scheme = each(scales)
      if !scheme.updates.contains(.scales) {
        throw InputError(
          802, "no layer has a Scale that could change", place: element.place,
          help: "--set update=last", exit: 2)
      }
      return scheme
    case "scales+biases+last":
      return each { scales($0).union($0 == last ? all : .biases) }
    case "lite+biases+last":
      let lite = nodes.indices.map {
        model.name(ofNode: $0).hasSuffix(ModelBuilder.liteSuffix)
      }
      if !lite.contains(true) {
        throw InputError(
          803, "no layer is a lite residual module", place: element.place,
          help: "tally convert --lite-residual", exit: 2)
      }
      return each { lite[$0] || $0 == last ? all : .biases }
    case let text:
      throw element.unknownWord(
        text,
        known: [
          "full", "last", "biases", "bias+last", "scales", "scales+biases+last", "lite+biases+last",
        ])
    }
  }
}

/// Layers by name, as `{"layers": {"conv1": ["weights"]}}` means them.
private struct UpdateNames {
  let names: [String]
  let nodes: [Node]

  init(_ model: LoadedModel) {
    nodes = model.nodes
    names = nodes.indices.map { model.name(ofNode: $0) }
  }

  func scheme(_ layers: JSONElement) throws(InputError) -> UpdateScheme {
    var scheme = UpdateScheme(updates: [UpdateSet](repeating: [], count: names.count))
    var object = try layers.object()
    for name in object.keys {
      guard let element = object.take(name) else { continue }
      let index = try index(of: name, at: element)
      if element.isObject {
        try read(try element.object(), at: element, node: index, into: &scheme)
        continue
      }
      for word in try element.array() {
        let text = try word.string()
        guard let found = UpdateSet.named.first(where: { $0.word == text }) else {
          throw word.unknownWord(text, known: UpdateSet.named.map(\.word))
        }
        scheme.updates[index].insert(found.set)
        if found.set == .scales { try checkScales(index, word) }
      }
    }
    return scheme
  }

  /// `{"weights": "1/4", "rule": "magnitude", "biases": true}`.
  private func read(
    _ members: JSONObject, at element: JSONElement, node index: Int, into scheme: inout UpdateScheme
  ) throws(InputError) {
    var members = members
    if try members.take("biases")?.bool() == true { scheme.updates[index].insert(.biases) }
    if let scales = members.take("scales"), try scales.bool() {
      try checkScales(index, scales)
      scheme.updates[index].insert(.scales)
    }
    let weights = members.take("weights")
    let (rule, channels) = (members.take("rule"), members.take("channels"))
    try members.finish()
    if let channels {
      if let other = weights ?? rule {
        throw InputError(
          805, "channels are listed, so nothing else says which", place: other.place,
          help: "leave out weights and rule", exit: 2)
      }
      scheme.selections[index] = try listed(channels, node: index)
    } else if let weights {
      scheme.selections[index] = try selection(weights, rule, node: index)
      // `"weights": false` is no update of weights.
      if scheme.selections[index] == nil, try !weights.bool() { return }
    } else if let rule {
      throw InputError(
        805, "a rule needs a number of channels", place: rule.place,
        help: "{\"weights\": \"1/4\", \"rule\": \"magnitude\"}", exit: 2)
    } else {
      return
    }
    scheme.updates[index].insert(.weights)
  }

  /// `nil` for true and false.
  private func selection(
    _ weights: JSONElement, _ rule: JSONElement?, node index: Int
  ) throws(InputError) -> ChannelFields? {
    if case .bool = weights.value.content {
      guard let rule else { return nil }
      throw InputError(
        805, "a rule needs a number of channels", place: rule.place,
        help: "{\"weights\": \"1/4\", \"rule\": \"magnitude\"}", exit: 2)
    }
    let most = try selectableCount(index, weights)
    var count: Int
    if case .number = weights.value.content {
      count = Int(try weights.integer(in: 1...Int64(most)))
    } else {
      let fraction = try weights.ratio()
      guard fraction.numerator > 0, fraction.isAtMost(ExactRatio(1)) else {
        throw weights.outOfRange("fractions above \"0\" and at most \"1\"")
      }
      // max(1, ⌊f·n + ½⌋)
      let (above, below) = (UInt128(fraction.numerator), UInt128(fraction.denominator))
      count = max(1, Int((2 * above * UInt128(most) + below) / (2 * below)))
    }
    guard let rule else { return ChannelFields(.magnitude, count: count) }
    let text = try rule.string()
    let rules: [ChannelSelection.Rule] = [.magnitude, .first, .random]
    guard let found = rules.first(where: { $0.word == text }) else {
      throw rule.unknownWord(text, known: rules.map(\.word))
    }
    return ChannelFields(found, count: count)
  }

  private func listed(
    _ channels: JSONElement, node index: Int
  ) throws(InputError) -> ChannelFields {
    let most = try selectableCount(index, channels)
    var list: [UInt16] = []
    for element in try channels.array() {
      let channel = try element.integer(in: 0...Int64(most) - 1)
      if let last = list.last, channel <= last {
        throw element.outOfRange("channels in ascending order")
      }
      list.append(UInt16(channel))
    }
    guard !list.isEmpty else { throw channels.outOfRange("lists of at least one channel") }
    return ChannelFields(channels: list)
  }

  private func selectableCount(_ index: Int, _ element: JSONElement) throws(InputError) -> Int {
    guard let count = nodes[index].operation.weighted?.selectableChannelCount else {
      throw InputError(
        802, "the channels of a convolution with groups cannot be selected", place: element.place,
        note: "\u{2018}\(names[index])\u{2019} is neither dense nor depthwise (SPEC 8.11)",
        help: "write \"weights\": true", exit: 2)
    }
    // Lists and counts are u16.
    return min(count, 65_535)
  }

  private func checkScales(_ index: Int, _ element: JSONElement) throws(InputError) {
    guard nodes[index].hasAccumulators else { return }
    throw InputError(
      802, "the head \u{2018}\(names[index])\u{2019} gives accumulators: it has no Scale to change",
      place: element.place, note: "SPEC 8.11", exit: 2)
  }

  private func index(of name: String, at element: JSONElement) throws(InputError) -> Int {
    let found = names.indices.filter { names[$0] == name }
    let known = names.indices.filter { isWeighted($0) }.map { names[$0] }
    if found.count == 1, isWeighted(found[0]) { return found[0] }
    let what: String
    switch found.count {
    case 0: what = "no layer is named \u{2018}\(name)\u{2019}"
    case 1: what = "the layer \u{2018}\(name)\u{2019} has no weights"
    default: what = "\(found.count) layers are named \u{2018}\(name)\u{2019}"
    }
    let near = nearestNames(to: name, among: known)
    throw InputError(
      803, what, place: element.place, note: "layers with weights: \(listing(known))",
      help: near.first.map { "did you mean \u{2018}\($0)\u{2019}?" }, exit: 2)
  }

  private func isWeighted(_ index: Int) -> Bool { nodes[index].operation.weighted != nil }

  private func listing(_ names: [String]) -> String {
    names.prefix(12).joined(separator: ", ")
      + (names.count > 12 ? " and \(names.count - 12) more" : "")
  }
}
