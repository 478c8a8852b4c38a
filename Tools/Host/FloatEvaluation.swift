public import Importers

/// What a float network answers on a set of samples: the reference beside the integers.
public struct FloatEvaluation: Equatable, Sendable {
  public let correct: Int
  public let total: Int

  /// - Throws: TLY0701 for labels that are missing or beyond the network's outputs.
  public init(
    _ network: FloatNetwork, _ data: DataSet, _ preparation: InputPreparation
  ) throws(InputError) {
    let classes = network.outputShape.count
    let labels = try data.labels(classCount: classes)
    let executor = FloatExecutor(network)
    var correct = 0
    // In parts, so that the intermediate tensors stay small.
    for first in stride(from: 0, to: data.count, by: 64) {
      let range = first..<min(first + 64, data.count)
      let logits = executor.run(preparation.real(data.samples.rows(range)), count: range.count)
      for sample in 0..<range.count {
        let row = Array(logits[sample * classes..<(sample + 1) * classes])
        // The lowest index of the largest, as in SPEC 5.7.
        let answer = row.indices.reduce(0) { row[$1] > row[$0] ? $1 : $0 }
        if answer == Int(labels[first + sample]) { correct += 1 }
      }
    }
    self.correct = correct
    total = data.count
  }
}
