import Importers
import Tally

/// The key `update`: which parameters a run changes.
extension LayeredObject {
  mutating func updates(
    _ model: LoadedModel, byDefault: String
  ) throws(InputError) -> [UpdateSet] {
    let weighted = (0..<model.network.nodeCount).map {
      model.network.node($0).operation.weighted != nil
    }
    let all: UpdateSet = [.weights, .biases]
    let last = weighted.lastIndex(of: true)
    func each(_ choose: (Int) -> UpdateSet) -> [UpdateSet] {
      weighted.indices.map { weighted[$0] ? choose($0) : [] }
    }
    guard let element = take("update") else {
      return each { byDefault == "full" || $0 == last ? all : [] }
    }
    if element.isObject {
      guard var object = try object("update") else { preconditionFailure("just taken") }
      let layers = object.take("layers")
      try object.finish()
      guard let layers else {
        throw InputError(
          805, "update says no layers", place: element.place,
          help: "{\"layers\": {\"head\": [\"weights\", \"biases\"]}}", exit: 2)
      }
      return try UpdateNames(model, weighted).updates(layers)
    }
    switch try element.string() {
    case "full": return each { _ in all }
    case "last": return each { $0 == last ? all : [] }
    case "biases": return each { _ in .biases }
    case "bias+last": return each { $0 == last ? all : .biases }
    case let text:
      throw element.unknownWord(text, known: ["full", "last", "biases", "bias+last"])
    }
  }
}

/// Layers by name, as `{"layers": {"conv1": ["weights"]}}` means them.
private struct UpdateNames {
  let names: [String]
  let isWeighted: [Bool]

  init(_ model: LoadedModel, _ weighted: [Bool]) {
    names = weighted.indices.map { model.name(ofNode: $0) }
    isWeighted = weighted
  }

  func updates(_ layers: JSONElement) throws(InputError) -> [UpdateSet] {
    var updates = [UpdateSet](repeating: [], count: names.count)
    var object = try layers.object()
    for name in object.keys {
      guard let element = object.take(name) else { continue }
      let index = try index(of: name, at: element)
      for word in try element.array() {
        switch try word.string() {
        case "weights": updates[index].insert(.weights)
        case "biases": updates[index].insert(.biases)
        case let text: throw word.unknownWord(text, known: ["weights", "biases"])
        }
      }
    }
    return updates
  }

  private func index(of name: String, at element: JSONElement) throws(InputError) -> Int {
    let found = names.indices.filter { names[$0] == name }
    let known = names.indices.filter { isWeighted[$0] }.map { names[$0] }
    if found.count == 1, isWeighted[found[0]] { return found[0] }
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

  private func listing(_ names: [String]) -> String {
    names.prefix(12).joined(separator: ", ")
      + (names.count > 12 ? " and \(names.count - 12) more" : "")
  }
}
