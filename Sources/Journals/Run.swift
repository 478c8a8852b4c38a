public import Bytes
import FixedPoint
import Layers
import ModelFormat
import Tensors
public import Training

/// A training run and the records it makes (SPEC 8, 9; Formats/journal.md).
///
/// Training and verification are the same run: one hands its records to a writer, the other to a sink
/// that compares them with a journal.
public struct Run {
  public private(set) var trainer: Trainer
  public let validation: Samples?
  private let dataDigest: Digest
  private let validationDigest: Digest?
  /// Sums over the steps of the current epoch.
  private var epoch = Trainer.Evaluation()
  /// The last epoch's sums, for whoever shows progress.
  public private(set) var lastEpoch: Epoch?
  public private(set) var lastStep: Trainer.StepResult?

  public struct Epoch: Equatable, Sendable {
    public let index: UInt32
    public let training: Trainer.Evaluation
    public let validation: Trainer.Evaluation?
  }

  public init(
    _ trainer: Trainer, dataDigest: Digest, validation: Samples? = nil,
    validationDigest: Digest? = nil
  ) {
    self.trainer = trainer
    self.dataDigest = dataDigest
    self.validation = validation
    self.validationDigest = validationDigest
  }

  public var isDone: Bool { trainer.isDone }

  /// The begin record, and the records of the calibration.
  public mutating func begin(_ sink: inout some RecordSink) {
    var payload = Payload()
    payload.append(trainer.session.network.digest)
    payload.append(dataDigest)
    payload.append(validationDigest ?? Digest(words: InlineArray(repeating: 0)))
    payload.append(UInt32(truncatingIfNeeded: trainer.samples.count))
    payload.append(UInt32(truncatingIfNeeded: validation?.count ?? 0))
    payload.append(trainer.plannedSteps)
    payload.append(UInt32(0))
    trainer.recipe.bytes.withRawSpan { sink.record(.begin, payload, rest: $0) }
    trainer.calibrate { Run.record($0, &sink) }
  }

  /// Goes on from a checkpoint, in place of `begin`.
  ///
  /// - Parameter epoch: sums over the recorded steps of the epoch that the checkpoint stands in.
  /// - Returns: whether its state is one that this run can have; if not, the session is spoiled.
  public mutating func resume(_ checkpoint: Checkpoint, epoch: Trainer.Evaluation) -> Bool {
    guard trainer.restore(checkpoint.state, step: checkpoint.step) else { return false }
    self.epoch = epoch
    return true
  }

  /// Takes a step and makes its records.
  @inline(never)
  public mutating func takeStep(_ sink: inout some RecordSink) {
    takeStep(&sink, isObserved: false) { _ in }
  }

  /// - Parameters:
  ///   - isObserved: whether `observing` does anything.
  ///   - observing: called at each moment of the step: for traces, and for tests that play a machine that
  ///     computes wrongly.
  package mutating func takeStep(
    _ sink: inout some RecordSink, isObserved: Bool = true, observing: (Observation) -> Void
  ) {
    let index = trainer.epoch
    var result = Trainer.StepResult()
    let session = trainer.session
    trainer.takeStep(observing: observing, isObserved: isObserved) { event in
      switch event {
      case .step(let step):
        result = step
        Run.record(step, &sink)
        if let kept = session.keptCounts { Run.record(kept: kept, step: step.step, &sink) }
      case .rangeChange(let change): Run.record(change, &sink)
      case .differences(let differences): Run.record(differences, &sink)
      }
    }
    lastStep = result
    epoch.samples += result.samples
    epoch.loss = saturatingSum(epoch.loss, result.loss)
    epoch.correct += result.correct
    if trainer.rootIsDue { recordRoot(result.step, &sink) }
    if trainer.endsEpoch { endEpoch(index, &sink) }
  }

  @inline(never)
  private func recordRoot(_ step: UInt32, _ sink: inout some RecordSink) {
    var root = Payload()
    root.append(step)
    root.append(trainer.root)
    sink.record(.root, root, rest: RawSpan())
  }

  @inline(never)
  private mutating func endEpoch(_ index: UInt32, _ sink: inout some RecordSink) {
    let result = validation.map {
      Trainer.evaluate(trainer.session, trainer.recipe.loss, $0)
    }
    var payload = Payload()
    payload.append(index)
    payload.append(epoch.samples)
    payload.append(epoch.loss)
    payload.append(epoch.correct)
    payload.append(result?.samples ?? 0)
    payload.append(result?.loss ?? 0)
    payload.append(result?.correct ?? 0)
    payload.append(UInt32(0))
    sink.record(.epoch, payload, rest: RawSpan())
    lastEpoch = Epoch(index: index, training: epoch, validation: result)
    epoch = Trainer.Evaluation()
  }

  /// The end record.
  public mutating func end(_ sink: inout some RecordSink) {
    var payload = Payload()
    payload.append(trainer.step)
    payload.append(UInt32(0))
    payload.append(trainer.session.modelDigest)
    sink.record(.end, payload, rest: RawSpan())
  }

  @inline(never)
  private static func record(_ result: Trainer.StepResult, _ sink: inout some RecordSink) {
    var payload = Payload()
    payload.append(result.step)
    payload.append(result.samples)
    payload.append(result.loss)
    payload.append(result.correct)
    payload.append(result.saturated)
    payload.append(result.clipped)
    payload.append(UInt32(0))
    payload.append(result.batchDigest, count: 8)
    sink.record(.step, payload, rest: RawSpan())
  }

  /// - Parameter kept: three counts of each sparse node, as they lie in memory: every target is
  ///   little-endian.
  @inline(never)
  private static func record(kept: View<UInt32>, step: UInt32, _ sink: inout some RecordSink) {
    var payload = Payload()
    payload.append(step)
    payload.append(UInt32(truncatingIfNeeded: kept.count / 3))
    kept.withRawSpan { sink.record(.kept, payload, rest: $0) }
  }

  @inline(never)
  private static func record(_ record: ZerothOrderRecord, _ sink: inout some RecordSink) {
    var payload = Payload()
    payload.append(record.step)
    payload.append(UInt32(record.group))
    payload.append(record.samples)
    record.differences.withRawSpan { sink.record(.differences, payload, rest: $0) }
  }

  @inline(never)
  private static func record(_ change: RangeChange, _ sink: inout some RecordSink) {
    var payload = Payload()
    payload.append(change.step)
    payload.append(change.index)
    payload.append(change.target.rawValue)
    payload.append(UInt8(bitPattern: change.octaves))
    payload.append(UInt8(0))
    payload.append(UInt8(0))
    payload.append(change.tail)
    payload.append(change.count)
    sink.record(.range, payload, rest: RawSpan())
  }
}
