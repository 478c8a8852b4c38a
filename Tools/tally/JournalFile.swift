import Platform
import Importers
import Tally
import TallyHost

/// A journal on disk that grows record by record.
///
/// Records gather in memory and reach the file at least every 100 ms; between two flushes only whole
/// records are added, so the file ends at a record boundary whatever happens to the process.
final class JournalFile {
  let path: String
  private let descriptor: Int32
  private var pending: [UInt8] = []
  /// Bytes of the file, all of them whole records.
  private var byteCount: Int
  private var lastFlush = ContinuousClock.now
  private(set) var failure: InputError?

  /// - Parameter keeping: bytes of the file to keep; the rest is cut off.
  /// - Throws: TLY0806.
  init(_ path: String, keeping: Int) throws(InputError) {
    self.path = path
    byteCount = keeping
    descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw OutputFile.failure(path) }
    guard ftruncate(descriptor, off_t(keeping)) == 0, lseek(descriptor, 0, SEEK_END) >= 0 else {
      throw OutputFile.failure(path)
    }
  }

  deinit { close(descriptor) }

  fileprivate func append(_ bytes: RawSpan) {
    bytes.withUnsafeBytes { pending.append(contentsOf: $0) }
  }

  /// Called between two records: writes what has gathered, if it is time.
  func flushIfDue() {
    if ContinuousClock.now - lastFlush >= .milliseconds(100) { flush() }
  }

  func flush() {
    guard failure == nil, !pending.isEmpty else { return }
    if OutputFile.write(pending, to: descriptor) {
      byteCount += pending.count
      pending.removeAll(keepingCapacity: true)
    } else {
      failure = OutputFile.failure(path)
      // A full disk takes part of a record: that part is no use to anybody.
      ftruncate(descriptor, off_t(byteCount))
    }
    lastFlush = .now
  }

  /// Flushes and waits until the disk has it: at the end, and before a checkpoint that relies on it.
  func finish() throws(InputError) {
    flush()
    if failure == nil, fsync(descriptor) != 0 { failure = OutputFile.failure(path) }
    if let failure { throw failure }
  }
}

/// The journal file as a run sees it.
struct JournalFileSink: ByteSink {
  let file: JournalFile
  var hasFailed: Bool { file.failure != nil }
  mutating func write(_ bytes: RawSpan) { file.append(bytes) }
}
