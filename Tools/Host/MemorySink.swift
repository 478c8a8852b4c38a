public import Tally

/// A sink that keeps a journal in memory.
public struct MemorySink: ByteSink {
  public private(set) var bytes: [UInt8] = []

  public init() {}

  public var hasFailed: Bool { false }

  public mutating func write(_ span: RawSpan) {
    span.withUnsafeBytes { bytes.append(contentsOf: $0) }
  }
}
