import Bytes
import CTally
import Journals

/// A journal's bytes handed to the caller's function.
@safe
struct CallbackSink: ByteSink {
  private let function: tally_write?
  private let context: UnsafeMutableRawPointer?
  private(set) var hasFailed = false

  @unsafe
  init(_ function: tally_write?, _ context: UnsafeMutableRawPointer?) {
    unsafe self.function = unsafe function
    unsafe self.context = unsafe context
  }

  mutating func write(_ bytes: RawSpan) {
    guard let function = unsafe function, !hasFailed, bytes.byteCount > 0 else { return }
    let count = UInt32(truncatingIfNeeded: bytes.byteCount)
    // The function reads the bytes before it returns.
    let status = unsafe bytes.withUnsafeBytes { unsafe function(context, $0.baseAddress, count) }
    hasFailed = status != 0
  }
}
