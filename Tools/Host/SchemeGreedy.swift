public import Importers
import Tally

/// Layers one by one, the highest score first, each with the largest share that still fits (SPEC 8.13).
extension SchemeBudget {
  /// A layer's score and its channels, the most important first.
  struct Ranking {
    var score: Int
    var channels: [Int]?
  }

  func greedy(_ rankings: [Int: Ranking]) throws(InputError) -> SchemeAdvice {
    let base = try largestBase()
    var chosen = base
    let order = weighted.dropLast().filter { rankings[$0] != nil }
      .sorted { (rankings[$0]!.score, -$0) > (rankings[$1]!.score, -$1) }
    for node in order {
      for share in SchemeBudget.shares {
        guard let next = adding(share, of: node, rankings[node]?.channels, to: chosen), fits(next)
        else { continue }
        chosen = next
        break
      }
    }
    return SchemeAdvice(self, chosen, base: base, scores: rankings.mapValues(\.score))
  }

  /// TinyTrain's choice: Fisher potentials over weights and multiply-accumulates, from one pass.
  ///
  /// - Parameters:
  ///   - count: samples that are looked at.
  ///   - isPerCost: whether a potential is divided by what the layer costs, or counts alone.
  public func fisher(
    _ samples: PreparedSamples, count: Int, isPerCost: Bool = true
  ) throws(InputError) -> SchemeAdvice {
    let potentials = try MeasuredPotentials(model, recipe, samples, count: count)
    var rankings: [Int: Ranking] = [:]
    for node in weighted {
      let values = potentials.values
      guard
        let score = isPerCost ? values.score(ofNode: node) : values.potential(ofNode: node)
      else { continue }
      let channels = potentials.values.channels(ofNode: node)
      let order = (0..<channels.count).sorted { (channels[$0], -$0) > (channels[$1], -$1) }
      rankings[node] = Ranking(score: Int(score), channels: order.isEmpty ? nil : order)
    }
    return try greedy(rankings)
  }

  /// For comparison: the layers with the largest mean squared weight, and in them the channels of the rule
  /// `magnitude`.
  public func magnitude() throws(InputError) -> SchemeAdvice {
    var rankings: [Int: Ranking] = [:]
    for node in weighted {
      let record = model.nodes[node]
      let weights = model.network.weights(of: record)
      let depth = weights.count / record.output.channels
      var sum: Int64 = 0
      for index in 0..<weights.count {
        let scale = model.network.weightScale(
          of: record, record.scalesPerChannel ? index / depth : 0)
        let weight = UInt64(weights[index].magnitude)
        sum += (Scale(weight * weight) * scale * scale).roundedToInteger(fractionBits: 40)
      }
      rankings[node] = Ranking(score: Int(sum) / max(1, weights.count), channels: nil)
    }
    return try greedy(rankings)
  }

  /// For comparison: layers and channels by lot.
  public func random() throws(InputError) -> SchemeAdvice {
    let key = RandomKey(seed: recipe.seed)
    let lots = key.stream(.evolution, tensor: 0, step: 0, query: 0)
    var rankings: [Int: Ranking] = [:]
    for node in weighted {
      let count = model.nodes[node].operation.weighted?.selectableChannelCount ?? 0
      let words = key.stream(.channelChoice, tensor: UInt32(4 * node), step: 0, query: 0)
      let order = (0..<count).sorted {
        (words.word(UInt32($0)), -$0) > (words.word(UInt32($1)), -$1)
      }
      rankings[node] = Ranking(
        score: Int(lots.word(UInt32(node))), channels: order.isEmpty ? nil : order)
    }
    return try greedy(rankings)
  }
}

/// Fisher potentials with the memory they live in.
final class MeasuredPotentials {
  let values: FisherPotentials
  private let memory: AlignedMemory

  init(
    _ model: LoadedModel, _ recipe: RecipeFields, _ samples: PreparedSamples, count: Int
  ) throws(InputError) {
    memory = AlignedMemory(byteCount: 8 * FisherPotentials.wordCount(model.network))
    values = FisherPotentials(model.network, memory: memory.view(of: Int64.self))
    // Scales beside weights, so that the plan keeps the outputs that γ reads as well as the inputs.
    var fields = RecipeFields(
      rates: .init(all: .zero),
      updates: model.nodes.map { node in
        node.operation.weighted == nil
          ? [] : node.hasAccumulators ? .weights : [.weights, .scales]
      })
    (fields.batch, fields.microBatch, fields.seed, fields.loss) = (1, 1, recipe.seed, recipe.loss)
    guard let memory = try? RecipeMemory(fields, model) else {
      throw InputError(605, "the layers' weights cannot be trained", exit: 4)
    }
    let request = SessionRequest(samples: 1, isCompact: false, training: memory.recipe.needs)
    let host: HostSession
    do throws(MemoryPlanError) {
      host = try HostSession(model, request)
    } catch {
      throw InputError(error, model)
    }
    withExtendedLifetime(memory) {
      values.measure(host.session, memory.recipe, samples.samples, count: count)
    }
  }
}
