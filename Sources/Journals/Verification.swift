import Bytes
import Tensors

/// How a re-executed run compares with its journal (SPEC 9.6).
public enum Verdict: Equatable, Sendable {
  /// Every record came out the same.
  case reproduced(steps: UInt32)
  /// The first record that differs; `step` is the step it belongs to.
  case diverged(step: UInt32, Difference)
  /// All records up to here came out the same, then the journal ends without its end record.
  case unfinished(steps: UInt32, JournalError?)
}

/// What differs first, with the recorded and the recomputed bytes' place in the payload.
public struct Difference: Equatable, Sendable {
  public enum Field: Equatable, Sendable {
    case model, data, validationData, recipe, counts
    case loss, correct, saturated, clipped, batch
    case range, kept, differences, root, epoch, result
    /// Another kind of record, or one more or less.
    case sequence
    /// The record is not the one the chain was made with.
    case chain
  }

  public let field: Field
  /// Byte offset of the record in the journal.
  public let offset: Int

  public init(_ field: Field, at offset: Int) {
    self.field = field
    self.offset = offset
  }
}

/// A sink that holds a run's records against a journal's, and stops at the first that differs.
public struct Comparison: RecordSink {
  private var reader: JournalReader
  /// Set once the journal is found to differ or to end.
  public private(set) var verdict: Verdict?
  private var steps: UInt32
  /// Whether the validation results are compared, or taken from the journal.
  private let checksValidation: Bool

  /// - Parameter reader: at the first record to compare, usually the journal's start.
  public init(_ reader: JournalReader, checkingValidation: Bool) {
    self.reader = reader
    steps = reader.step.map { $0 + 1 } ?? 0
    checksValidation = checkingValidation
  }

  public var isStopped: Bool { verdict != nil }
  /// Where the chain stands behind the records compared so far.
  public var chain: Chain { reader.chain }

  /// The step a difference found now belongs to.
  private var currentStep: UInt32 { reader.step ?? 0 }

  public mutating func record(_ type: RecordType, _ payload: Payload, rest: RawSpan) {
    guard verdict == nil, let expected = nextChained() else { return }
    let offset = expected.payload - 4
    guard expected.type == type else {
      verdict = .diverged(step: currentStep, Difference(.sequence, at: offset))
      return
    }
    for index in 0..<min(payload.byteCount, expected.byteCount)
    where payload[index] != reader.bytes[expected.payload + index] {
      if let field = field(type, index) {
        verdict = .diverged(step: currentStep, Difference(field, at: offset))
        return
      }
    }
    guard expected.byteCount == payload.byteCount + rest.byteCount else {
      verdict = .diverged(step: currentStep, Difference(restField(type), at: offset))
      return
    }
    for index in 0..<rest.byteCount
    where rest.u8(at: index) != reader.bytes[expected.payload + payload.byteCount + index] {
      verdict = .diverged(step: currentStep, Difference(restField(type), at: offset))
      return
    }
    if type == .step { steps += 1 }
    if type == .end { verdict = .reproduced(steps: steps) }
  }

  /// The next record that is part of the chain; sets the verdict if there is none.
  private mutating func nextChained() -> JournalReader.Record? {
    do throws(JournalError) {
      while let record = try reader.next() {
        if record.type.isChained { return record }
      }
    } catch {
      verdict =
        error.code == .torn
        ? .unfinished(steps: steps, error)
        : .diverged(
          step: error.step ?? 0,
          Difference(error.code == .chainBroken ? .chain : .sequence, at: error.offset))
      return nil
    }
    verdict = .unfinished(steps: steps, nil)
    return nil
  }

  /// What stands behind a payload's fixed part.
  private func restField(_ type: RecordType) -> Difference.Field {
    type == .kept ? .kept : type == .differences ? .differences : .recipe
  }

  /// The field that byte `index` of a payload belongs to; `nil` for one that is not compared.
  private func field(_ type: RecordType, _ index: Int) -> Difference.Field? {
    switch type {
    case .begin:
      switch index {
      case 0..<32: return .model
      // Shown by the first batch that has a changed sample in it, which names the step.
      case 32..<64: return nil
      case 64..<96, 100..<104: return checksValidation ? .validationData : nil
      default: return .counts
      }
    case .step:
      switch index {
      case 0..<8: return .sequence
      case 8..<16: return .loss
      case 16..<20: return .correct
      case 20..<24: return .saturated
      case 24..<32: return .clipped
      default: return .batch
      }
    case .range: return .range
    case .kept: return .kept
    case .differences: return .differences
    case .root: return .root
    case .epoch: return index < 20 || checksValidation ? .epoch : nil
    case .end: return .result
    case .note: return nil
    }
  }
}
