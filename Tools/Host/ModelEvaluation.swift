public import Importers
public import Tally

/// What a model answers on a set of samples.
public struct ModelEvaluation: Equatable, Sendable {
  /// Sums over the samples (SPEC 7.3).
  public let sums: Trainer.Evaluation
  /// Samples by label and predicted class; nil where the samples have targets in place of labels.
  public let confusion: [[Int]]?
  /// The predicted class of every sample; with targets, the index of the largest output.
  public let answers: [Int32]

  /// Runs every sample through the model as it stands in its file.
  ///
  /// - Parameter threads: how many share a pass (`Threads`).
  /// - Throws: TLY0804 if the memory cannot be planned.
  public init(
    _ model: LoadedModel, _ prepared: PreparedSamples, threads: Int = 1
  ) throws(InputError) {
    let samples = prepared.samples
    let host = try ModelEvaluation.session(model, samples: samples.count, threads: threads)
    let classes = model.network.outputCount
    var counts = [Int](repeating: 0, count: classes * classes)
    var answers = [Int32](repeating: 0, count: samples.count)
    sums = Trainer.evaluate(
      host.session, samples.labels == nil ? .meanSquaredError : .crossEntropy, samples
    ) { sample, predicted in
      answers[sample] = Int32(predicted)
      if let labels = samples.labels { counts[Int(labels[sample]) * classes + predicted] += 1 }
    }
    self.answers = answers
    confusion =
      samples.labels == nil
      ? nil : (0..<classes).map { Array(counts[$0 * classes..<($0 + 1) * classes]) }
  }

  /// With the nearest prototype in the place of the last layer.
  public init(_ prototypes: PrototypeEvaluation) {
    sums = prototypes.sums
    confusion = prototypes.confusion
    answers = prototypes.answers
  }

  /// Many samples at once where memory allows; the answers do not depend on it.
  static func session(
    _ model: LoadedModel, samples: Int, threads: Int = 1
  ) throws(InputError) -> HostSession {
    let most = 1 << 28 / max(1, model.network.largestTensorCount)
    var request = SessionRequest(samples: max(1, min(64, samples, most)))
    request.threads = threads
    do throws(MemoryPlanError) {
      return try HostSession(model, request)
    } catch {
      throw InputError(error, model)
    }
  }
}

extension Network {
  /// Elements of the largest tensor of a sample.
  fileprivate var largestTensorCount: Int {
    (0..<tensorCount).map { shape(ofTensor: $0).count }.max() ?? 1
  }
}
