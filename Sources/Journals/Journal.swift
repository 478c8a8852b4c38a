public import Bytes
import ModelFormat
public import Tensors

/// Why bytes are not a whole journal, and where.
public struct JournalError: Error, Equatable, Sendable {
  public enum Code: UInt8, Sendable {
    case notAJournal = 1
    case unsupportedVersion
    /// The file ends inside a record; everything before it is good.
    case torn
    case badRecord
    case badOrder
    /// A record does not follow from the one before it.
    case chainBroken
    case trailingBytes
  }

  public let code: Code
  public let offset: Int
  /// The step the record belongs to, if one has begun.
  public let step: UInt32?

  public init(_ code: Code, at offset: Int, step: UInt32? = nil) {
    self.code = code
    self.offset = offset
    self.step = step
  }
}

/// Reads a journal record by record, checking layout, order and chain (Formats/journal.md).
public struct JournalReader {
  public let bytes: View<UInt8>
  /// Where the next record starts: everything before has been checked.
  public private(set) var offset = 0
  public private(set) var chain = Chain()
  /// The last step record seen.
  public private(set) var step: UInt32?
  public private(set) var isEnded = false
  /// The type of the last chained record, and how many epochs have ended.
  private var last: RecordType?
  private var epochs: UInt32 = 0

  /// One record's place in the file.
  public struct Record: Equatable, Sendable {
    public let type: RecordType
    public let payload: Int
    public let byteCount: Int
  }

  /// Checks the file header.
  public init(_ bytes: View<UInt8>) throws(JournalError) {
    self.bytes = bytes
    for index in 0..<min(8, bytes.count)
    where bytes[index] != UInt8(truncatingIfNeeded: JournalFormat.magic >> UInt64(8 * index)) {
      throw JournalError(.notAJournal, at: 0)
    }
    guard bytes.count >= JournalFormat.headerByteCount else {
      throw JournalError(.torn, at: bytes.count)
    }
    guard u32(8) == UInt32(JournalFormat.version) | 1 << 16 else {
      throw JournalError(.unsupportedVersion, at: 8)
    }
    guard u32(12) == 0 else { throw JournalError(.badRecord, at: 12) }
    offset = JournalFormat.headerByteCount
  }

  public func u32(_ offset: Int) -> UInt32 {
    UInt32(bytes[offset]) | UInt32(bytes[offset + 1]) << 8 | UInt32(bytes[offset + 2]) << 16
      | UInt32(bytes[offset + 3]) << 24
  }

  public func i64(_ offset: Int) -> Int64 {
    Int64(bitPattern: UInt64(u32(offset)) | UInt64(u32(offset + 4)) << 32)
  }

  /// The next record, or `nil` at the end of the file.
  public mutating func next() throws(JournalError) -> Record? {
    func fail(_ code: JournalError.Code) -> JournalError {
      JournalError(code, at: offset, step: step)
    }
    guard offset < bytes.count else {
      // Without its begin record a file is no journal yet.
      guard last != nil else { throw fail(.torn) }
      return nil
    }
    guard !isEnded else { throw fail(.trailingBytes) }
    guard bytes.count - offset >= 4 else { throw fail(.torn) }
    let frame = u32(offset)
    guard let type = RecordType(rawValue: UInt8(truncatingIfNeeded: frame)) else {
      throw fail(.badRecord)
    }
    let length = Int(truncatingIfNeeded: frame >> 8)
    let total = 4 + length + (type.isChained ? JournalFormat.tagByteCount : 0)
    guard bytes.count - offset >= total else {
      throw fail(lengthIsDamaged(type, length) ? .badRecord : .torn)
    }
    let record = Record(type: type, payload: offset + 4, byteCount: length)
    guard hasLegalLength(record), reservedAreZero(record), isLegal(record) else {
      throw fail(.badRecord)
    }
    // The step a broken record claims is still the best name for the place.
    let isNextStep = type == .step && (step.map { $0 + 1 } ?? 0) == u32(record.payload)
    if isNextStep { step = u32(record.payload) }
    if type.isChained {
      bytes.slice(record.payload, length).withRawSpan {
        chain.extend(type.rawValue, $0, rest: RawSpan())
      }
      for index in 0..<JournalFormat.tagByteCount
      where bytes[record.payload + length + index] != chain.head[index] {
        throw fail(.chainBroken)
      }
    }
    guard followsOrder(record, isNextStep: isNextStep) else { throw fail(.badOrder) }
    offset += total
    return record
  }

  private func hasLegalLength(_ record: Record) -> Bool {
    switch record.type {
    case .begin: record.byteCount > JournalFormat.beginByteCount
    case .step, .epoch, .end: record.byteCount == 40
    case .range: record.byteCount == 20
    case .root: record.byteCount == 36
    case .kept:
      record.byteCount >= 8 && record.byteCount - 8 == 12 * Int(u32(record.payload + 4))
    case .differences:
      record.byteCount > JournalFormat.differencesByteCount && record.byteCount % 4 == 0
    case .note: true
    }
  }

  private func reservedAreZero(_ record: Record) -> Bool {
    switch record.type {
    case .begin: u32(record.payload + 108) == 0
    case .step: u32(record.payload + 28) == 0
    case .differences: u32(record.payload + 4) < 1 << 16
    case .range: bytes[record.payload + 10] == 0 && bytes[record.payload + 11] == 0
    case .epoch: u32(record.payload + 36) == 0
    case .end: u32(record.payload + 4) == 0
    case .root, .kept, .note: true
    }
  }

  /// Closed sets and texts inside payloads.
  private func isLegal(_ record: Record) -> Bool {
    let start = record.payload
    switch record.type {
    case .begin:
      // A digest of validation data stands for samples.
      guard u32(start + 100) == 0 else { return true }
      for index in 64..<96 where bytes[start + index] != 0 { return false }
      return true
    case .range: return (1...2).contains(bytes[start + 8]) && bytes[start + 9] != 0
    case .note: return bytes.slice(start, record.byteCount).withRawSpan { isUTF8($0) }
    case .step, .root, .epoch, .end, .kept, .differences: return true
    }
  }

  /// Whether the last record is a step's, or a kept, differences or range record of one or of the
  /// calibration.
  private var isInStep: Bool {
    last == .step || last == .kept || last == .differences || last == .range
  }

  /// Whether a record may stand here: begin; ranges of the calibration; for each step: step, kept or
  /// differences, its ranges, root, epoch; end. Notes stand anywhere behind begin and change nothing.
  private mutating func followsOrder(_ record: Record, isNextStep: Bool) -> Bool {
    guard record.type != .note else { return last != nil }
    let number = u32(record.payload)
    let fits: Bool
    switch record.type {
    case .begin: fits = last == nil
    case .step: fits = last != nil && isNextStep
    case .kept, .differences: fits = last == .step && step == number
    case .range:
      fits = (last == .begin || isInStep) && number == (step ?? 0xFFFF_FFFF)
    case .root: fits = isInStep && step == number
    case .epoch: fits = (isInStep || last == .root) && step != nil && number == epochs
    case .end: fits = last != nil && number == (step.map { $0 + 1 } ?? 0)
    case .note: return false
    }
    guard fits else { return false }
    if record.type == .epoch { epochs += 1 }
    if record.type == .end { isEnded = true }
    last = record.type
    return true
  }
}

/// What the begin record of a journal binds.
public struct JournalInputs {
  public let modelDigest: Digest
  public let dataDigest: Digest
  public let validationDigest: Digest
  public let sampleCount: UInt32
  public let validationCount: UInt32
  public let plannedSteps: UInt32
  /// Canonical recipe bytes (Formats/recipe.md).
  public let recipe: View<UInt8>
  /// The whole payload of the begin record.
  public let payload: View<UInt8>

  public init(_ record: JournalReader.Record, in reader: JournalReader) {
    precondition(record.type == .begin, "inputs are in the begin record")
    let start = record.payload
    func digest(_ offset: Int) -> Digest {
      reader.bytes.withRawSpan { Digest(reading: $0, at: start + offset) }
    }
    modelDigest = digest(0)
    dataDigest = digest(32)
    validationDigest = digest(64)
    sampleCount = reader.u32(start + 96)
    validationCount = reader.u32(start + 100)
    plannedSteps = reader.u32(start + 104)
    payload = reader.bytes.slice(start, record.byteCount)
    recipe = reader.bytes.slice(
      start + JournalFormat.beginByteCount, record.byteCount - JournalFormat.beginByteCount)
  }
}
