public import Importers
import Kernels
import Layers
public import Tally

/// A model whose last layer is replaced by the nearest prototype of a few samples (SPEC 7.4).
///
/// The features are what the last layer with weights reads.
public struct PrototypeEvaluation {
  public let sums: Trainer.Evaluation
  /// Samples by label and predicted class.
  public let confusion: [[Int]]
  /// The predicted class of every sample.
  public let answers: [Int32]
  public let featureCount: Int

  /// - Parameter threads: how many share a pass (`Threads`).
  /// - Throws: TLY0802 for samples without labels or features that are too many, TLY0804 if the memory
  ///   cannot be planned.
  public init(
    _ model: LoadedModel, support: PreparedSamples, _ prepared: PreparedSamples, threads: Int = 1
  ) throws(InputError) {
    guard let supportLabels = support.samples.labels, let labels = prepared.samples.labels else {
      throw InputError(802, "prototypes need samples with labels", place: "--prototypes", exit: 2)
    }
    let network = model.network
    let head = network.lastWeightedNode
    guard head >= 0 else {
      throw InputError(605, "the model has no layer with weights", exit: 4)
    }
    let tensor = network.node(head).firstInput
    featureCount = network.shape(ofTensor: tensor).count
    guard featureCount <= NearestPrototype.largestFeatureCount else {
      throw InputError(
        802, "\(featureCount) features are too many for prototypes",
        place: model.name(ofNode: head),
        note: "at most \(NearestPrototype.largestFeatureCount) (SPEC 7.4)", exit: 2)
    }
    let classes = network.outputCount
    var request = SessionRequest(samples: 1)
    request.threads = threads
    let host: HostSession
    do throws(MemoryPlanError) {
      host = try HostSession(model, request)
    } catch {
      throw InputError(error, model)
    }
    let memory = AlignedMemory(byteCount: 4 * classes * (featureCount + 2))
    let words = memory.view(of: Int32.self)
    let prototypes = NearestPrototype(
      sums: words.slice(0, classes * featureCount),
      counts: words.slice(classes * featureCount, classes))
    let logits = words.slice(classes * (featureCount + 1), classes)
    let size = network.inputShape.count
    /// What the last layer reads of a sample.
    func features(_ samples: Samples, _ sample: Int) -> View<Int8> {
      host.session.input.slice(0, size).copy(from: samples.values.slice(sample * size, size))
      for index in 0..<head { host.session.run(index, samples: 1) }
      return host.session.activation(tensor, sample: 0)
    }
    for sample in 0..<support.samples.count {
      prototypes.add(features(support.samples, sample), label: Int(supportLabels[sample]))
    }
    prototypes.finish()
    let scale = host.session.quantization(tensor).scale
    let loss = SoftmaxCrossEntropy(logitScale: scale * scale)
    var sums = Trainer.Evaluation()
    var answers: [Int32] = []
    var confusion = [[Int]](repeating: [Int](repeating: 0, count: classes), count: classes)
    for sample in 0..<prepared.samples.count {
      prototypes.logits(features(prepared.samples, sample), into: logits)
      let label = Int(labels[sample])
      let predicted = argmax(logits)
      sums.loss = saturatingSum(sums.loss, loss.loss(logits, label: label, gradient: nil))
      sums.correct += predicted == label ? 1 : 0
      sums.samples += 1
      confusion[label][predicted] += 1
      answers.append(Int32(predicted))
    }
    self.answers = answers
    self.sums = sums
    self.confusion = confusion
  }
}
