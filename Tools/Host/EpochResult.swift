public import Tally

/// What an epoch record says (Formats/journal.md).
public struct EpochResult: Equatable, Sendable {
  /// Counted from 0.
  public let index: UInt32
  public let training: Trainer.Evaluation
  public let validation: Trainer.Evaluation?

  public init(index: UInt32, training: Trainer.Evaluation, validation: Trainer.Evaluation?) {
    self.index = index
    self.training = training
    self.validation = validation
  }

  /// The epoch that a run has just ended.
  public init(_ epoch: Run.Epoch) {
    self.init(index: epoch.index, training: epoch.training, validation: epoch.validation)
  }

  /// An epoch record's (Formats/journal.md).
  init(_ record: JournalReader.Record, in reader: JournalReader) {
    func sums(samples: Int, loss: Int, correct: Int) -> Trainer.Evaluation {
      var sums = Trainer.Evaluation()
      sums.samples = reader.u32(record.payload + samples)
      sums.loss = reader.i64(record.payload + loss)
      sums.correct = reader.u32(record.payload + correct)
      return sums
    }
    let validation = sums(samples: 20, loss: 24, correct: 32)
    self.init(
      index: reader.u32(record.payload), training: sums(samples: 4, loss: 8, correct: 16),
      validation: validation.samples == 0 ? nil : validation)
  }

  /// Counts and decimals; epochs from 1, as people count them.
  public func json(hasLabels: Bool) -> JSONOutput {
    var members: [(key: String, value: JSONOutput)] = [("epoch", JSONOutput(index + 1))]
    if case .object(let sums) = training.json(hasLabels: hasLabels) { members += sums }
    if let validation { members.append(("validation", validation.json(hasLabels: hasLabels))) }
    return .object(members)
  }
}

extension Trainer.Evaluation {
  /// `loss 0.4120 acc 87.10 %`; with targets there is nothing to be right.
  public func summary(hasLabels: Bool = true) -> String {
    let text = "loss \(DecimalText.meanLoss(loss, count: samples))"
    return hasLabels ? "\(text) acc \(DecimalText.percent(correct, of: samples))" : text
  }

  /// The same: with targets neither `correct` nor `accuracy`.
  public func json(hasLabels: Bool) -> JSONOutput {
    var members: [(key: String, value: JSONOutput)] = [("samples", JSONOutput(samples))]
    if hasLabels {
      members += [
        ("correct", JSONOutput(correct)),
        ("accuracy", .string(DecimalText.share(correct, of: samples))),
      ]
    }
    members.append(("loss", .string(DecimalText.meanLoss(loss, count: samples))))
    return .object(members)
  }
}
