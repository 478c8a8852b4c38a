import Bytes

/// Where a journal's bytes go: a file, flash, a serial line.
public protocol ByteSink {
  /// Appends bytes; a sink that fails remembers it and says so through `hasFailed`.
  mutating func write(_ bytes: RawSpan)
  var hasFailed: Bool { get }
}

/// Writes a journal, record by record, with its chain (Formats/journal.md).
public struct JournalWriter<Sink: ByteSink>: RecordSink {
  public var sink: Sink
  public private(set) var chain: Chain

  /// Starts a journal: writes its header.
  public init(_ sink: Sink) {
    self.sink = sink
    chain = Chain()
    var header = Payload()
    header.append(Int64(bitPattern: JournalFormat.magic))
    header.append(UInt32(JournalFormat.version) | 1 << 16)
    header.append(UInt32(0))
    write(header)
  }

  /// Goes on with a journal whose chain stands at `chain`.
  public init(resuming sink: Sink, chain: Chain) {
    self.sink = sink
    self.chain = chain
  }

  public var isStopped: Bool { sink.hasFailed }

  public mutating func record(_ type: RecordType, _ payload: Payload, rest: RawSpan) {
    var frame = Payload()
    let length = payload.byteCount + rest.byteCount
    precondition(length <= JournalFormat.largestPayload, "a payload is below 2^24 bytes")
    frame.append(UInt32(type.rawValue) | UInt32(truncatingIfNeeded: length) << 8)
    write(frame)
    write(payload)
    if rest.byteCount > 0 { sink.write(rest) }
    guard type.isChained else { return }
    extendChain(type, payload, rest)
    var tag = Payload()
    tag.append(chain.head, count: JournalFormat.tagByteCount)
    write(tag)
  }

  /// A note: shown to people, not verified.
  public mutating func note(_ text: RawSpan) {
    record(.note, Payload(), rest: text)
  }

  private mutating func extendChain(_ type: RecordType, _ payload: Payload, _ rest: RawSpan) {
    payload.withRawSpan { chain.extend(type.rawValue, $0, rest: rest) }
  }

  private mutating func write(_ payload: Payload) {
    payload.withRawSpan { sink.write($0) }
  }
}
