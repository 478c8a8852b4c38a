import Importers
import Tally

/// The keys `method` and `zerothOrder` (Formats/recipe.md).
extension LayeredObject {
  mutating func method() throws(InputError) -> Recipe.Method {
    try word(
      "method",
      [("backPropagation", .backPropagation), ("zerothOrder", .zerothOrder), ("hybrid", .hybrid)])
      ?? .backPropagation
  }

  /// The block of a zeroth-order recipe; its head says whether the last weighted node is updated.
  mutating func zerothOrder(
    _ model: LoadedModel, into fields: inout RecipeFields
  ) throws(InputError) {
    let written = try object("zerothOrder")
    guard fields.method != .backPropagation else {
      if written != nil {
        throw InputError(
          805, "zerothOrder belongs to another method", place: "$.zerothOrder",
          help: "--set method=zerothOrder", exit: 2)
      }
      return
    }
    var object = written ?? LayeredObject([])
    let network = model.network
    let last = (0..<network.nodeCount).last { network.node($0).operation.weighted != nil }
    let head = try object.word(
      "head", [("closedForm", 1), ("zerothOrder", 2), ("frozen", 3)])
    if let last, let head { fields.updates[last] = head == 1 ? [.weights, .biases] : [] }
    var block = ZerothOrderFields()
    block.queries = UInt16(try object.count("queries", in: 1...65_535) ?? 1)
    block.directions =
      try object.word("directions", [("sample", .perSample), ("shared", .shared)]) ?? .perSample
    block.difference =
      try object.word("difference", [("antithetic", .antithetic), ("forward", .forward)])
      ?? .antithetic
    block.usesSign = try object.take("sign")?.bool() ?? false
    block.adaptsSigma = try object.take("adaptSigma")?.bool() ?? false
    if var sigma = try object.object("sigma") {
      block.weightSigma = UInt8(try sigma.count("weights", in: 1...63) ?? 4)
      block.nodeSigma = UInt8(try sigma.count("nodes", in: 1...63) ?? 8)
      block.gainSigma = try sigma.scale("gains") ?? block.gainSigma
      block.logitSigma = try sigma.scale("logits") ?? block.logitSigma
      try sigma.finish()
    }
    let groups = object.take("groups")
    try object.finish()
    if let groups, case .array = groups.value.content {
      for element in try groups.array() {
        var group = LayeredObject([.init(object: try element.object(), pathDepth: 0)])
        block.groups.append(try group.group(model, at: element))
      }
    } else {
      _ = try groups.map { (element) throws(InputError) in
        let text = try element.string()
        if text != "auto" { throw element.unknownWord(text, known: ["auto"]) }
      }
      block.groups = ZerothOrderFields.automaticGroups(
        network, updates: fields.updates, includingHead: false)
    }
    if let last, head == 2, !block.groups.contains(where: { $0.node == last }) {
      block.groups.append(CoordinateGroup(node: last, kind: .nodes))
    }
    fields.zerothOrder = block
  }

  private mutating func group(
    _ model: LoadedModel, at place: JSONElement
  ) throws(InputError) -> CoordinateGroup {
    guard let layer = take("layer"), let kind = try word("coordinates", CoordinateGroup.Kind.words)
    else {
      throw InputError(
        805, "a group says a layer and its coordinates", place: place.place,
        help: "{\"layer\": \"conv1\", \"coordinates\": \"weights\"}", exit: 2)
    }
    let name = try layer.string()
    let steps = try count("steps", in: 1...255) ?? 1
    let span = try count("span", in: 1...4096) ?? 1
    try finish()
    let names = (0..<model.network.nodeCount).map { model.name(ofNode: $0) }
    let found = names.indices.filter { names[$0] == name }
    guard found.count == 1, model.network.node(found[0]).operation.weighted != nil else {
      let known = names.indices.filter { model.network.node($0).operation.weighted != nil }
        .map { names[$0] }
      throw layer.unknownWord(name, known: known)
    }
    return CoordinateGroup(node: found[0], kind: kind, steps: steps, span: Int(span))
  }
}
