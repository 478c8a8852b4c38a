import CounterRandom
import Foundation
import Importers
import Tally
import TallyTestSupport
import Testing

@testable import TallyHost

@Suite("Choosing a scheme within a budget (SPEC 8.13)") struct SchemeChoiceTests {
  let model: LoadedModel
  let fields: RecipeFields

  init() throws {
    model = try LoadedModel(SmallNetworks.convolutional(filters: 8, residual: true).bytes())
    let document = try RecipeDocument(
      Array(#"{"batch": 4, "microBatch": 1, "ranges": "frozen", "epochs": 2}"#.utf8)[...],
      file: "r.json")
    fields = try document.resolved(for: model, hasLabels: true)
  }

  func budget(_ byteCount: Int) -> SchemeBudget {
    SchemeBudget(model, fields, byteCount: byteCount)
  }

  static func samples(_ model: LoadedModel, first: Int = 0, count: Int = 12) -> PreparedSamples {
    let size = model.network.inputShape.count
    let values = (first..<first + count).flatMap { sample in
      (0..<size).map { index in
        Int8(clamping: (index % 3 == sample % 3 ? 60 : -100) + (sample * 31 + index * 17) % 41)
      }
    }
    return PreparedSamples(
      values: values, labels: (first..<first + count).map { Int32($0 % 3) }, targets: nil,
      count: count)
  }

  @Test("every budget is kept, and a larger one never trains fewer weights of the best layer")
  func budgets() throws {
    let samples = SchemeChoiceTests.samples(model)
    let none = budget(0)
    let least = none.plannedBytes(none.base(biasesAndGains: 0))!
    let most = none.plannedBytes(
      none.adding(
        (1, 1), of: 1, nil, to: none.adding((1, 1), of: 0, nil, to: none.base(biasesAndGains: 3))!)!
    )!
    var chosen: [Int] = []
    for byteCount in Array(stride(from: least, to: most, by: 128)) + [most] {
      let advice = try budget(byteCount).fisher(samples, count: 6)
      #expect(advice.byteCount <= byteCount)
      let recipe = try RecipeMemory(advice.recipe, model)
      withExtendedLifetime(recipe) {
        #expect(recipe.recipe.nodeCount == model.network.nodeCount)
      }
      chosen.append(advice.layers.map(\.chosenWeights).reduce(0, +))
    }
    // The head alone at first, everything at last.
    #expect(chosen.first == model.nodes[4].operation.weighted?.weightCount)
    #expect(
      chosen.last == model.nodes.compactMap { $0.operation.weighted?.weightCount }.reduce(0, +))
    #expect(Set(chosen).count > 3)
    #expect(throws: InputError.self) { try budget(least - 1).fisher(samples, count: 6) }
    #expect(throws: InputError.self) { try budget(least - 1).magnitude() }
  }

  @Test("channels are those with the largest potentials")
  func channels() throws {
    let samples = SchemeChoiceTests.samples(model)
    let potentials = try MeasuredPotentials(model, fields, samples, count: 6)
    var listed = 0
    var byteCount = 0
    let none = budget(0)
    byteCount = none.plannedBytes(none.base(biasesAndGains: 3))!
    for _ in 0..<16 {
      for (node, selection) in try budget(byteCount).fisher(samples, count: 6).recipe.selections {
        let values = potentials.values.channels(ofNode: node)
        let chosen = Set(selection.channels.map { Int($0) })
        let least = chosen.map { values[$0] }.min()!
        for other in 0..<values.count where !chosen.contains(other) {
          #expect(values[other] <= least)
        }
        listed += 1
      }
      byteCount += 96
    }
    #expect(listed > 0)
  }

  @Test("the search finds what trying every combination finds, and twice the same")
  func search() throws {
    let random = RandomKey(seed: 7).stream(.initialization, tensor: 0, step: 0, query: 0)
    for round in 0..<6 {
      func gain(_ word: Int) -> Int {
        Int(random.uniform(UInt32(32 * round + word), below: 60)) - 10
      }
      let analysis = ContributionAnalysis(
        biasesAndGains: [0] + (0..<3).map { gain($0) },
        weights: [
          0: [gain(4), gain(5), gain(6), gain(7)], 1: [gain(8), gain(9), gain(10), gain(11)],
        ])
      let none = budget(0)
      let base = none.plannedBytes(none.base(biasesAndGains: 0))!
      let budget = budget(base + 700 * round)
      let search = SchemeSearch(budget, analysis)
      var best = Int.min
      for biases in 0...3 {
        for first in 0...4 {
          for second in 0...4 {
            let genome = [biases, first, second]
            guard budget.fits(genome) else { continue }
            best = max(best, search.fitness(genome))
          }
        }
      }
      var (one, two) = (search, search)
      let found = one.run()
      #expect(search.fitness(found) == best, "round \(round)")
      #expect(two.run() == found)
      #expect(try budget.search(analysis).byteCount <= budget.byteCount)
    }
  }

  @Test("contributions are right answers above those of the last layer alone")
  func contributions() throws {
    let training = SchemeChoiceTests.samples(model)
    let validation = SchemeChoiceTests.samples(model, first: 100, count: 9)
    let budget = budget(1 << 20)
    let analysis = try ContributionAnalysis(budget, training: training, validation: validation)
    #expect(analysis.biasesAndGains.count == 4 && analysis.biasesAndGains[0] == 0)
    #expect(analysis.weights.keys.sorted() == [0, 1])
    // conv1 reads one channel: every share is all of it, but for how it is written.
    #expect(analysis.weights[0]?.count == 4)
    for gains in analysis.weights.values {
      for gain in gains { #expect((0...9).contains(analysis.base + (gain ?? 0))) }
    }
    let whole = try ContributionAnalysis(
      budget, training: training, validation: validation, onlyWhole: true)
    #expect(whole.weights.mapValues { $0[0] } == analysis.weights.mapValues { $0[0] })
  }

  @Test("the command writes a recipe that it then trains by")
  func command() throws {
    let sandbox = try Sandbox()
    defer { withExtendedLifetime(sandbox) {} }
    for way in ["fisher", "potential", "contribution", "search", "magnitude", "random"] {
      let outcome = sandbox.run(
        "plan", "m.tally", "--budget", "64KiB", "--select", way, "--data", "d.npz", "--validate",
        "d.npz", "--set", "batch=8", "--set", "epochs=1", "-o", "\(way).json", "--json")
      #expect(outcome.status == 0, "\(way): \(outcome.error)")
      let first = try sandbox.bytes("\(way).json")
      let again = sandbox.run(
        "plan", "m.tally", "--budget", "64KiB", "--select", way, "--data", "d.npz", "--validate",
        "d.npz", "--set", "batch=8", "--set", "epochs=1", "-o", "\(way).json", "--force")
      #expect(again.status == 0)
      #expect(try sandbox.bytes("\(way).json") == first)
      let planned = sandbox.run(
        "plan", "m.tally", "--recipe", "\(way).json", "--budget", "64KiB", "--json")
      #expect(planned.status == 0)
      let trained = sandbox.run(
        "train", "m.tally", "--data", "d.npz", "--recipe", "\(way).json", "-o", "t.tally",
        "--journal", "t.tlj", "--force")
      #expect(trained.status == 0, "\(way): \(trained.error)")
    }
    #expect(sandbox.run("plan", "m.tally", "--select", "fisher").status == 2)
    #expect(
      sandbox.run("plan", "m.tally", "--budget", "64KiB", "--select", "best").status == 2)
    #expect(
      sandbox.run(
        "plan", "m.tally", "--budget", "100", "--select", "magnitude"
      ).status == 6)
    #expect(
      sandbox.run("plan", "m.tally", "--budget", "64KiB", "--select", "fisher").status == 2)
  }

  @Test("a compact run takes the bytes that plan says, and gives what a fast one gives")
  func compactRuns() throws {
    let sandbox = try Sandbox()
    defer { withExtendedLifetime(sandbox) {} }
    for scheme in ["update=full", "update=last", "update=scales+biases+last", "sparseGradients={}"]
    {
      let set = ["--set", scheme, "--json"]
      let planned = sandbox.run(["plan", "m.tally", "--recipe", "r.json"] + set)
      let fast = sandbox.train("f.tally", "f.tlj", set + ["--force"])
      let compact = sandbox.train("c.tally", "c.tlj", set + ["--compact", "--force"])
      #expect(planned.status == 0 && fast.status == 0 && compact.status == 0)
      let byteCount = try #require(planned.json["ramBytes"] as? Int)
      #expect(compact.json["plannedBytes"] as? Int == byteCount)
      #expect(compact.json["usedBytes"] as? Int == byteCount, "every planned byte is used")
      #expect(byteCount <= fast.json["plannedBytes"] as? Int ?? 0)
      #expect(compact.json["journalHead"] as? String == fast.json["journalHead"] as? String)
      // Of every record but the first, the calibration's and the last, the most that a step adds.
      let journal = try LoadedJournal(sandbox.bytes("c.tlj"))
      let most = try #require(planned.json["journalBytes"] as? Int)
      let begin = 16 + 4 + 112 + journal.inputs!.recipe.count + 8
      let rest = try sandbox.bytes("c.tlj").count - begin - (4 + 40 + 8)
      #expect(rest <= most * (Int(journal.stepCount) + 1))
      let fixed = 52 + (scheme.hasPrefix("sparse") ? 4 + 8 + 8 + 2 * 12 : 0)
      #expect(rest >= fixed * Int(journal.stepCount))
      #expect(most >= fixed + 48 + 52)
    }
  }

  @Test("the planner needs no more than first fit and no less than the lower bound")
  func planner() throws {
    for builder in [
      SmallNetworks.convolutional(), SmallNetworks.convolutional(filters: 8, residual: true),
      SmallNetworks.dense(),
    ] {
      let model = try LoadedModel(builder.bytes())
      for (update, microBatch) in [("full", 1), ("full", 4), ("last", 4), ("biases", 2), ("", 1)] {
        var request = SessionRequest(samples: microBatch)
        var memory: RecipeMemory?
        if !update.isEmpty {
          var document = RecipeDocument()
          try document.set("update=\(update)")
          try document.set("batch=4")
          try document.set("microBatch=\(microBatch)")
          memory = try RecipeMemory(document.resolved(for: model, hasLabels: true), model)
          request.training = memory!.recipe.needs
        }
        for isCompact in [false, true] {
          request.isCompact = isCompact
          let plan = try PlannedMemory(model, request)
          #expect(plan.byteCount >= plan.lowerBound)
          #expect(plan.byteCount <= plan.firstFitByteCount, "\(update) \(microBatch)")
          #expect(plan.peak.byteCount == plan.lowerBound)
          #expect(plan.peak.byPurpose.reduce(0) { $0 + $1.byteCount } == plan.lowerBound)
        }
        withExtendedLifetime(memory) {}
      }
    }
  }
}
