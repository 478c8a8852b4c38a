public import Importers
import Kernels
import Layers
import Tally
import Training

/// How many outputs of each layer stand at the upper bound 127, over a set of samples.
///
/// The same count as a step record's *saturated* (Formats/journal.md), but by layer: a journal has only
/// the sum, so this runs the samples through a model.
public struct LayerSaturation: Equatable, Sendable {
  public struct Layer: Equatable, Sendable {
    public let name: String
    public let saturated: Int
    public let count: Int

    /// In a million.
    public var partsPerMillion: Int { count == 0 ? 0 : saturated * 1_000_000 / count }
  }

  /// Layers whose upper bound is 127, in order; heads with accumulators have none.
  public let layers: [Layer]

  /// - Throws: TLY0804 if the memory cannot be planned.
  public init(_ model: LoadedModel, _ prepared: PreparedSamples) throws(InputError) {
    let samples = prepared.samples
    let network = model.network
    let host = try ModelEvaluation.session(model, samples: samples.count)
    let session = host.session
    var saturated = [Int](repeating: 0, count: network.nodeCount)
    let size = network.inputShape.count
    var first = 0
    while first < samples.count {
      let count = min(session.request.samples, samples.count - first)
      for slot in 0..<count {
        session.input.slice(slot * size, size).copy(
          from: samples.values.slice((first + slot) * size, size))
      }
      for index in 0..<network.nodeCount {
        // At once: a tensor that nobody reads again gives its memory to later ones.
        session.run(index, samples: count)
        let node = network.node(index)
        guard node.isWatched else { continue }
        let values = session.activation(index + 1).slice(0, count * node.output.count)
        saturated[index] += Int(Kernels.count(of: 127...127, in: values))
      }
      first += count
    }
    layers = (0..<network.nodeCount).filter { network.node($0).isWatched }.map { index in
      Layer(
        name: model.name(ofNode: index), saturated: saturated[index],
        count: samples.count * network.node(index).output.count)
    }
    withExtendedLifetime(host) {}
  }
}

extension Node {
  /// Whether 127 is an upper bound that its outputs meet.
  var isWatched: Bool { !hasAccumulators && quantization.high == 127 }
}
