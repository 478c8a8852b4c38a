import Importers
import Tally
import TallyHost

/// A finished model at work, for tests: answers, logits and single tensors.
final class ConvertedModel {
  let loaded: LoadedModel
  private let host: HostSession
  private let batch: Int

  init(_ bytes: [UInt8], batch: Int = 16) throws {
    loaded = try LoadedModel(bytes)
    host = try HostSession(loaded, SessionRequest(samples: batch))
    self.batch = batch
  }

  var network: Network { loaded.network }

  /// int32 logits, one row per sample.
  func logits(_ values: [Int8]) -> [[Int32]] {
    let size = network.inputShape.count
    var result: [[Int32]] = []
    for first in stride(from: 0, to: values.count / size, by: batch) {
      let count = min(batch, values.count / size - first)
      for index in 0..<count * size { host.session.input[index] = values[first * size + index] }
      host.session.forward(samples: count)
      for sample in 0..<count {
        let logits = host.session.logits(sample: sample)
        result.append((0..<logits.count).map { logits[$0] })
      }
    }
    return result
  }

  /// Logits as real numbers.
  func real(_ values: [Int8]) -> [[Double]] {
    let scale = host.session.logitScale
    let unit = Double(scale.mantissa) * exp2(Double(scale.exponent) - 31)
    return logits(values).map { $0.map { Double($0) * unit } }
  }

  func answers(_ data: DataSet) throws -> [Int] {
    logits(try PreparedData(data, for: network).values).map { row in
      row.indices.reduce(0) { row[$1] > row[$0] ? $1 : $0 }
    }
  }

  /// Right answers in percent.
  func accuracy(_ data: DataSet) throws -> Double {
    let answers = try answers(data)
    let right = zip(answers, data.labels ?? []).count { $0 == Int($1) }
    return 100 * Double(right) / Double(data.count)
  }
}

private func exp2(_ x: Double) -> Double {
  Double(sign: .plus, exponent: Int(x), significand: 1)
}

extension FloatNetwork {
  /// Answers of the float network, prepared as stated.
  func answers(_ data: DataSet, _ preparation: InputPreparation) -> [Int] {
    let executor = FloatExecutor(self)
    var answers: [Int] = []
    for first in stride(from: 0, to: data.count, by: 20) {
      let range = first..<min(first + 20, data.count)
      let output = executor.run(preparation.real(data.samples.rows(range)), count: range.count)
      let classes = output.count / range.count
      for sample in 0..<range.count {
        let row = output[sample * classes..<(sample + 1) * classes]
        answers.append(
          row.indices.reduce(row.startIndex) { row[$1] > row[$0] ? $1 : $0 } - row.startIndex)
      }
    }
    return answers
  }
}
