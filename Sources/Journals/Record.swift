public import Bytes
import Training

/// What a record of a journal is (Formats/journal.md).
public enum RecordType: UInt8, Sendable {
  case begin = 0x01
  case step = 0x02
  case range = 0x03
  case root = 0x04
  case epoch = 0x05
  case end = 0x06
  /// Kept counts of sparse gradients (SPEC 8.12).
  case kept = 0x08
  /// The measured differences of a zeroth-order step.
  case differences = 0x09
  /// Host, time, program: not part of the chain.
  case note = 0x81

  public var isChained: Bool { rawValue < 0x80 }

  /// Payload bytes of a type that always has as many.
  public var fixedByteCount: Int? {
    switch self {
    case .step, .epoch, .end: 40
    case .range: 20
    case .root: 36
    case .begin, .kept, .differences, .note: nil
    }
  }
}

/// Numbers of the `.tlj` layout.
public enum JournalFormat {
  /// "TLYJRNL", LF, read as a little-endian integer.
  public static var magic: UInt64 { 0x0A4C_4E52_4A59_4C54 }
  public static var version: UInt16 { 1 }
  public static var headerByteCount: Int { 16 }
  public static var tagByteCount: Int { 8 }
  public static var largestPayload: Int { 1 << 24 - 1 }
  /// Bytes of a begin payload before the recipe.
  public static var beginByteCount: Int { 112 }
  /// Bytes of a kept payload before its list.
  public static var keptByteCount: Int { 8 }
  /// Bytes of a differences payload before its list.
  public static var differencesByteCount: Int { 12 }

  /// h₀ (SPEC 9.4).
  public static var firstHead: Digest {
    var hash = SHA256()
    hash.update(tag: "tally/journal/v1")
    return hash.finalize()
  }
}

/// The fixed part of a record's payload, at most 112 bytes, built on the stack.
public struct Payload: Sendable {
  private var storage = InlineArray<112, UInt8>(repeating: 0)
  public private(set) var byteCount = 0

  public init() {}

  public mutating func append(_ value: UInt8) {
    storage[byteCount] = value
    byteCount += 1
  }

  public mutating func append(_ value: UInt32) {
    for index in 0..<4 { append(UInt8(truncatingIfNeeded: value >> UInt32(8 * index))) }
  }

  public mutating func append(_ value: Int64) {
    append(UInt32(truncatingIfNeeded: value))
    append(UInt32(truncatingIfNeeded: value >> 32))
  }

  /// The first `count` bytes of a digest.
  public mutating func append(_ digest: Digest, count: Int = 32) {
    for index in 0..<count { append(digest[index]) }
  }

  public subscript(index: Int) -> UInt8 { storage[index] }

  /// Calls `body` with the bytes.
  public func withRawSpan<R>(_ body: (RawSpan) -> R) -> R {
    // The array lives on the stack for the length of the call.
    unsafe body(storage.span.bytes.extracting(0..<byteCount))
  }
}

/// Something that takes a run's records in order: a writer, or a verifier that compares them.
public protocol RecordSink {
  /// - Parameters:
  ///   - payload: its fixed part; `rest`: what follows it (the recipe in a begin record, else empty).
  mutating func record(_ type: RecordType, _ payload: Payload, rest: RawSpan)
  /// Whether the sink wants no more.
  var isStopped: Bool { get }
}

/// The hash chain (SPEC 9.4).
public struct Chain: Sendable {
  /// h.
  public private(set) var head = JournalFormat.firstHead

  public init() {}

  /// h ← SHA-256(tag ‖ h ‖ type ‖ length ‖ payload).
  public mutating func extend(_ type: UInt8, _ payload: RawSpan, rest: RawSpan) {
    var hash = SHA256()
    hash.update(tag: "tally/record/v1")
    hash.update(head)
    hash.update(littleEndian: type)
    hash.update(littleEndian: UInt32(truncatingIfNeeded: payload.byteCount + rest.byteCount))
    hash.update(payload)
    hash.update(rest)
    head = hash.finalize()
  }
}
