import Kernels
import Tally
import TallyTestSupport
import Testing

@testable import TallyHost

@Suite("Golden vectors of prototypes and of the choice of a scheme (SPEC 7.4, 8.13)")
struct AdviceVectors {
  @Test("a file", arguments: VectorFolder.files("advice"))
  func file(path: String) throws { try Golden.run(path) }
}

extension Golden {
  static let adviceChecks: [String: Check] = [
    "advice/prototypes.txt": { file in
      for block in file.blocks { try checkPrototypes(block) }
    },
    "advice/potentials.txt": { file in
      for block in file.blocks { try checkPotentials(block) }
    },
    "advice/search.txt": { file in
      for block in file.blocks { try checkSearch(block) }
    },
  ]

  private static func checkPrototypes(_ block: VectorBlock) throws {
    let labels: [Int] = try block.numbers("labels")
    let count: Int = try block.number("count")
    let classes: Int = try block.number("classes")
    let features: [Int8] = try block.elements("features", labels.count * count)
    let scratch = Scratch()
    let prototypes = NearestPrototype(
      sums: scratch.view(classes * count), counts: scratch.view(classes))
    for (sample, label) in labels.enumerated() {
      prototypes.add(
        scratch.view(Array(features[sample * count..<(sample + 1) * count])), label: label)
    }
    prototypes.finish()
    let query = features.prefix(count).map { $0 < 127 ? $0 + 1 : -128 }
    let logits: View<Int32> = scratch.view(classes)
    prototypes.logits(scratch.view(Array(query)), into: logits)
    for c in 0..<classes where labels.contains(c) {
      try block.expect("prototype \(c)", prototypes.sums.slice(c * count, count).array)
      expectEqual(logits[c], try block.number("expect logit \(c)"), "\(block), logit \(c)")
    }
    expectEqual(argmax(logits), try block.number("expect class"), "\(block), class")
    let gradient: View<Int32> = scratch.view(count)
    prototypes.gradient(
      scratch.view(try block.numbers("gradient")), zeroPoint: try block.number("zero"),
      into: gradient)
    try block.expect("feature gradient", gradient.array)
  }

  private static func checkPotentials(_ block: VectorBlock) throws {
    let model = try LoadedModel(VectorFolder.bytes(try block.text("model")))
    let labels: [Int32] = try block.numbers("labels")
    let samples = PreparedSamples(
      values: try block.elements("values", labels.count * model.network.inputShape.count),
      labels: labels, targets: nil, count: labels.count)
    var recipe = RecipeFields(rates: .init(all: .zero), updates: [])
    recipe.seed = try block.number("seed")
    let found = try MeasuredPotentials(model, recipe, samples, count: labels.count)
    for node in model.nodes.indices where model.nodes[node].operation.weighted != nil {
      try block.expect("outputs of \(node)", found.values.outputs(ofNode: node).array)
      let channels = found.values.channels(ofNode: node)
      try block.expect("channels of \(node)", channels.array)
      let score = found.values.score(ofNode: node)
      #expect((score != nil) == block.has("expect score of \(node)"))
      guard let score else { continue }
      expectEqual(score, try block.number("expect score of \(node)"), "\(block), node \(node)")
      expectEqual(
        found.values.potential(ofNode: node), try block.number("expect potential of \(node)"),
        "\(block), node \(node)")
      guard channels.count > 0 else { continue }
      let half = max(1, (channels.count + 1) / 2)
      expectEqual(
        found.values.score(ofNode: node, selecting: half),
        try block.number("expect score of \(node) for \(half)"), "\(block), node \(node)")
    }
  }

  private static func checkSearch(_ block: VectorBlock) throws {
    let budget: Int = try block.number("budget")
    let costs: [Int] = try block.numbers("costs")
    let layers = block.lines.count { $0.key.hasPrefix("costs of ") }
    let shares: [[Int]] = try (0..<layers).map { try block.numbers("costs of \($0)") }
    var search = SchemeSearch(
      seed: try block.number("seed"), biasesAndGains: try block.numbers("gains"),
      weights: try (0..<layers).map { try block.numbers("gains of \($0)", Int.self) }
    ) { genome in
      let chosen = zip(shares, genome.dropFirst()).compactMap { $1 > 0 ? $0[4 - $1] : nil }
      return !chosen.contains(-1) && costs[genome[0]] + chosen.reduce(0, +) <= budget
    }
    let found = search.run()
    expectEqual(found, try block.numbers("expect genome"), "\(block), genome")
    expectEqual(search.fitness(found), try block.number("expect value"), "\(block), value")
  }
}
