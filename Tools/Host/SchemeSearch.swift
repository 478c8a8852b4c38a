public import Importers
import Tally

/// What training a part of a network gains, part by part, and the best combination within a budget
/// (SPEC 8.13).
///
/// Gains are right answers on validation samples, above those of training the last layer alone: each is
/// one run by the recipe.
public struct ContributionAnalysis {
  /// By the number of last layers whose biases and gains are trained; 0 at 0.
  public private(set) var biasesAndGains: [Int] = [0]
  /// By node, then by share (`SchemeBudget.shares`); `nil` for shares that a node cannot have.
  public private(set) var weights: [Int: [Int?]] = [:]
  /// Right answers of training the last layer alone.
  public let base: Int

  /// - Parameters:
  ///   - onlyWhole: whether whole layers alone are measured.
  ///   - progress: told what is about to run.
  public init(
    _ budget: SchemeBudget, training: PreparedSamples, validation: PreparedSamples,
    onlyWhole: Bool = false, progress: (String) -> Void = { _ in }
  ) throws(InputError) {
    func correct(_ fields: RecipeFields) throws(InputError) -> Int {
      let run = try TrainingRun(
        budget.model, recipe: fields.bytes, samples: training, validation: validation)
      var sink = RecordCounter()
      run.finish(&sink)
      return Int(run.run.lastEpoch?.validation?.correct ?? 0)
    }
    let last = budget.base(biasesAndGains: 0)
    base = try correct(last)
    if !onlyWhole {
      for count in 1...budget.weighted.count {
        progress("biases and gains of the last \(count)")
        biasesAndGains.append(try correct(budget.base(biasesAndGains: count)) - base)
      }
    }
    for node in budget.weighted.dropLast() {
      progress(budget.model.name(ofNode: node))
      var gains: [Int?] = []
      for share in onlyWhole ? [SchemeBudget.shares[0]] : SchemeBudget.shares {
        guard let fields = budget.adding(share, of: node, nil, to: last) else {
          gains.append(nil)
          continue
        }
        gains.append(try correct(fields) - base)
      }
      weights[node] = gains
    }
  }

  /// For tests: gains as they are given.
  public init(biasesAndGains: [Int], weights: [Int: [Int?]], base: Int = 0) {
    self.biasesAndGains = biasesAndGains
    self.weights = weights
    self.base = base
  }
}

/// A sink for runs of which only the result counts.
private struct RecordCounter: RecordSink {
  var isStopped: Bool { false }
  mutating func record(_ type: RecordType, _ payload: Payload, rest: RawSpan) {}
}

extension SchemeBudget {
  /// Whole layers by what each gains alone, with the channels of the rule `magnitude`.
  public func contribution(_ analysis: ContributionAnalysis) throws(InputError) -> SchemeAdvice {
    try greedy(
      analysis.weights.compactMapValues { gains in
        gains.first.flatMap { $0 }.map { Ranking(score: $0, channels: nil) }
      })
  }

  /// The combination that an evolutionary search finds.
  public func search(_ analysis: ContributionAnalysis) throws(InputError) -> SchemeAdvice {
    let base = self.base(biasesAndGains: 0)
    guard fits(base) else {
      // The same words as for a budget that is too small in any other way.
      _ = try largestBase()
      preconditionFailure("the largest base holds at least the last layer")
    }
    var search = SchemeSearch(self, analysis)
    return SchemeAdvice(
      self, fields(search.run()), base: base,
      scores: analysis.weights.compactMapValues { gains in gains.first.flatMap { $0 } })
  }

  /// What a genome of the search trains.
  func fields(_ genome: SchemeSearch.Genome) -> RecipeFields {
    var fields = base(biasesAndGains: genome[0])
    for (node, gene) in zip(weighted, genome.dropFirst()) where gene > 0 {
      fields = adding(SchemeSearch.share(gene), of: node, nil, to: fields) ?? fields
    }
    return fields
  }

  /// Whether a genome fits, and has only shares that its nodes can have.
  func fits(_ genome: SchemeSearch.Genome) -> Bool {
    zip(weighted, genome.dropFirst()).allSatisfy { node, gene in
      gene == 0 || adding(SchemeSearch.share(gene), of: node, nil, to: recipe) != nil
    } && fits(fields(genome))
  }
}

/// The evolutionary search of SPEC 8.13.
struct SchemeSearch {
  /// Gene 0: the number of last layers whose biases and gains are trained. Then for each layer but the
  /// last: 0 for none of its weights, else a share, 1 the smallest.
  typealias Genome = [Int]

  /// What biases and gains of the last layers gain, by their number.
  private let biasesAndGains: [Int]
  /// By layer, then by share, the largest first.
  private let weights: [[Int?]]
  private let key: RandomKey
  private let isWithinBudget: (Genome) -> Bool
  private var known: [Genome: Bool] = [:]

  static let population = 32
  static let parents = 8
  static let generations = 40
  private static let shareCount = SchemeBudget.shares.count

  /// - Parameter fits: whether a genome is a scheme within the budget; that of all zeros must be.
  init(
    seed: UInt64, biasesAndGains: [Int], weights: [[Int?]], fits: @escaping (Genome) -> Bool
  ) {
    self.biasesAndGains = biasesAndGains
    self.weights = weights
    key = RandomKey(seed: seed)
    isWithinBudget = fits
  }

  init(_ budget: SchemeBudget, _ analysis: ContributionAnalysis) {
    self.init(
      seed: budget.recipe.seed, biasesAndGains: analysis.biasesAndGains,
      weights: budget.weighted.dropLast().map { analysis.weights[$0] ?? [] }
    ) { budget.fits($0) }
  }

  /// The share that a gene stands for.
  static func share(_ gene: Int) -> (above: Int, below: Int) {
    SchemeBudget.shares[shareCount - gene]
  }

  func fitness(_ genome: Genome) -> Int {
    zip(weights, genome.dropFirst()).reduce(biasesAndGains[genome[0]]) { sum, next in
      let (gains, gene) = next
      guard gene > 0, gains.count == SchemeSearch.shareCount else { return sum }
      return sum + (gains[SchemeSearch.shareCount - gene] ?? 0)
    }
  }

  mutating func run() -> Genome {
    var members = (0..<SchemeSearch.population).map { first($0) }
    for generation in 1..<SchemeSearch.generations {
      let parents = best(members)
      members =
        parents
        + (parents.count..<SchemeSearch.population).map { child(generation, $0, of: parents) }
    }
    return best(members)[0]
  }

  /// The fittest that are different, ties to the earlier member: copies of one genome have no other children
  /// than its own.
  private func best(_ members: [Genome]) -> [Genome] {
    let values = members.map { fitness($0) }
    var best: [Genome] = []
    for index in members.indices.sorted(by: { (values[$0], -$0) > (values[$1], -$1) })
    where best.count < SchemeSearch.parents && !best.contains(members[index]) {
      best.append(members[index])
    }
    return best
  }

  private func draws(_ generation: Int, _ member: Int) -> RandomStream {
    key.stream(.evolution, tensor: 0, step: UInt32(generation), query: UInt32(member))
  }

  /// A value of gene `gene` from a word of a stream.
  private func value(_ gene: Int, _ stream: RandomStream, _ word: Int) -> Int {
    let options = gene == 0 ? biasesAndGains.count : SchemeSearch.shareCount + 1
    return Int(stream.uniform(UInt32(word), below: UInt32(options)))
  }

  private mutating func first(_ member: Int) -> Genome {
    let stream = draws(0, member)
    return repaired((0...weights.count).map { value($0, stream, $0) })
  }

  /// Each gene from one of two parents, one time in eight a new one.
  private mutating func child(
    _ generation: Int, _ member: Int, of members: [Genome]
  ) -> Genome {
    let stream = draws(generation, member)
    let parents = (0..<2).map {
      members[Int(stream.uniform(UInt32($0), below: UInt32(members.count)))]
    }
    let genes = (0...weights.count).map { gene in
      let lot = stream.uniform(UInt32(2 + 2 * gene), below: 8)
      return lot == 7 ? value(gene, stream, 3 + 2 * gene) : parents[Int(lot & 1)][gene]
    }
    return repaired(genes)
  }

  /// Lowers the largest share, the lower layer's among equals, until the scheme fits; when none is left,
  /// the number of layers with biases.
  private mutating func repaired(_ genome: Genome) -> Genome {
    var genome = genome
    while !fits(genome) {
      if let largest = genome.dropFirst().max(), largest > 0,
        let gene = genome.indices.dropFirst().first(where: { genome[$0] == largest })
      {
        genome[gene] -= 1
      } else {
        genome[0] -= 1
      }
    }
    return genome
  }

  private mutating func fits(_ genome: Genome) -> Bool {
    if let known = known[genome] { return known }
    let result = isWithinBudget(genome)
    known[genome] = result
    return result
  }
}
