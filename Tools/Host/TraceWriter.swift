import Layers
package import Tally
package import Tensors
package import Training

/// Numbers of the `.tlt` layout (Formats/trace.md).
package enum TraceFormat {
  /// "TLYTRAC", LF.
  package static let magic: [UInt8] = Array("TLYTRAC\n".utf8)
  package static let headerByteCount = 64
  package static let entryByteCount = 48
}

/// Writes what steps have computed: digests, and the values if it is one step.
package struct TraceWriter: TraceSink {
  private var bytes: [UInt8]
  private var entry: TraceEntry?
  private var digest = SHA256()
  private var values: [UInt8] = []
  private let keepsValues: Bool

  /// - Parameters:
  ///   - begin: payload of the journal's begin record.
  ///   - head: h before the first record of step `steps.lowerBound`.
  package init(begin: [UInt8], steps: Range<UInt32>, head: Digest) {
    keepsValues = steps.count == 1
    bytes = TraceFormat.magic
    put(UInt32(1) | 1 << 16)
    put(UInt32(keepsValues ? 1 : 0))
    put(steps.lowerBound)
    put(UInt32(steps.count))
    put(UInt32(begin.count))
    put(UInt32(0))
    bytes += (0..<32).map { head[$0] }
    bytes += begin
    while bytes.count % 4 != 0 { bytes.append(0) }
  }

  package mutating func begin(_ entry: TraceEntry) {
    finishEntry()
    self.entry = entry
    digest = SHA256()
    values.removeAll(keepingCapacity: true)
  }

  package mutating func append(_ part: View<UInt8>) {
    part.withRawSpan { span in
      digest.update(span)
      if keepsValues { span.withUnsafeBytes { values.append(contentsOf: $0) } }
    }
  }

  /// The file.
  package mutating func finish() -> [UInt8] {
    finishEntry()
    let all = bytes
    var hash = SHA256()
    hash.update(all.span.bytes)
    let digest = hash.finalize()
    return all + (0..<32).map { digest[$0] }
  }

  private mutating func finishEntry() {
    guard let entry else { return }
    let digest = digest.finalize()
    bytes += [entry.phase.rawValue, entry.kind.rawValue, UInt8(entry.width), 0]
    put(entry.step)
    put(entry.query)
    put(entry.index)
    put(UInt32(bitPattern: entry.scale.mantissa))
    put(UInt32(bitPattern: entry.scale.exponent))
    put(UInt32(entry.count))
    put(UInt32(0))
    bytes += (0..<16).map { digest[$0] }
    bytes += values
    while bytes.count % 4 != 0 { bytes.append(0) }
    self.entry = nil
  }

  private mutating func put(_ value: UInt32) {
    for index in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: value >> UInt32(8 * index))) }
  }
}
