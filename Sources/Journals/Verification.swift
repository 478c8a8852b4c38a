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

extension Verdict {
  /// What a journal's fault says behind `steps` steps that came out the same: one that was cut off is
  /// unfinished, any other is evidence.
  init(_ fault: JournalError, steps: UInt32) {
    guard fault.code != .torn else {
      self = .unfinished(steps: steps, fault)
      return
    }
    self = .diverged(
      step: fault.step ?? 0,
      Difference(fault.code == .chainBroken ? .chain : .sequence, at: fault.offset))
  }
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

extension Difference.Field {
  /// The field that byte `index` of a record's payload belongs to.
  public init(of type: RecordType, byte index: Int) {
    switch type {
    case .begin:
      switch index {
      case 0..<32: self = .model
      case 32..<64: self = .data
      case 64..<96, 100..<104: self = .validationData
      case ..<JournalFormat.beginByteCount: self = .counts
      default: self = .recipe
      }
    case .step:
      switch index {
      case 0..<8: self = .sequence
      case 8..<16: self = .loss
      case 16..<20: self = .correct
      case 20..<24: self = .saturated
      case 24..<32: self = .clipped
      default: self = .batch
      }
    case .range: self = .range
    case .kept: self = .kept
    case .differences: self = .differences
    case .root: self = .root
    case .epoch: self = .epoch
    case .end: self = .result
    case .note: self = .sequence
    }
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
    guard verdict == nil else { return }
    let next: JournalReader.Record?
    do throws(JournalError) {
      next = try nextChained()
    } catch {
      verdict = Verdict(error, steps: steps)
      if error.code == .torn, let field = firstMisfit(ofTorn: type, payload, rest, at: error.offset)
      {
        verdict = .diverged(
          step: type == .step ? steps : currentStep, Difference(field, at: error.offset))
      }
      return
    }
    guard let expected = next else {
      verdict = .unfinished(steps: steps, nil)
      return
    }
    let offset = expected.payload - 4
    guard expected.type == type else {
      verdict = .diverged(step: currentStep, Difference(.sequence, at: offset))
      return
    }
    for index in 0..<min(payload.byteCount, expected.byteCount)
    where payload[index] != reader.bytes[expected.payload + index] {
      if isCompared(type, index) {
        let field = Difference.Field(of: type, byte: index)
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

  /// The next record that is part of the chain; `nil` at the journal's end.
  private mutating func nextChained() throws(JournalError) -> JournalReader.Record? {
    while let record = try reader.next() {
      if record.type.isChained { return record }
    }
    return nil
  }

  /// What differs between a torn record and the one the run makes, if that is not how it begins: a
  /// writer that was cut off leaves a beginning of its record, so these bytes were changed.
  private func firstMisfit(
    ofTorn type: RecordType, _ payload: Payload, _ rest: RawSpan, at offset: Int
  ) -> Difference.Field? {
    let count = reader.bytes.count - offset
    // Notes are nobody's to make again.
    if count == 0 || reader.bytes[offset] == RecordType.note.rawValue { return nil }
    let length = payload.byteCount + rest.byteCount
    let frame = UInt32(type.rawValue) | UInt32(truncatingIfNeeded: length) << 8
    for index in 0..<min(4, count)
    where reader.bytes[offset + index] != UInt8(truncatingIfNeeded: frame >> UInt32(8 * index)) {
      return .sequence
    }
    for index in 0..<min(length, max(0, count - 4)) {
      let isFixed = index < payload.byteCount
      let made = isFixed ? payload[index] : rest.u8(at: index - payload.byteCount)
      guard made != reader.bytes[offset + 4 + index] else { continue }
      if !isFixed { return restField(type) }
      if isCompared(type, index) { return Difference.Field(of: type, byte: index) }
    }
    return hasMisfitOfTornTag(type, offset + 4, length) ? .chain : nil
  }

  private func hasMisfitOfTornTag(_ type: RecordType, _ payload: Int, _ length: Int) -> Bool {
    let count = reader.bytes.count - payload - length
    guard count > 0 else { return false }
    var chain = reader.chain
    reader.bytes.slice(payload, length).withRawSpan {
      chain.extend(type.rawValue, $0, rest: RawSpan())
    }
    for index in 0..<min(count, JournalFormat.tagByteCount)
    where reader.bytes[payload + length + index] != chain.head[index] {
      return true
    }
    return false
  }

  /// What stands behind a payload's fixed part.
  private func restField(_ type: RecordType) -> Difference.Field {
    type == .kept ? .kept : type == .differences ? .differences : .recipe
  }

  /// Whether byte `index` of a payload is compared.
  private func isCompared(_ type: RecordType, _ index: Int) -> Bool {
    switch type {
    case .begin:
      // Other data are shown by the first batch that has a changed sample in it, which names the step.
      if (32..<64).contains(index) { return false }
      return checksValidation || Difference.Field(of: .begin, byte: index) != .validationData
    case .epoch: return index < 20 || checksValidation
    case .step, .range, .kept, .differences, .root, .end, .note: return true
    }
  }
}
