public import Bytes
public import Tensors
import Training

/// A run's state between two steps, in a file of its own (SPEC 9.7, Formats/checkpoint.md).
public struct Checkpoint {
  /// Steps done.
  public let step: UInt32
  /// h after the last record of step `step` − 1: binds the state to one journal.
  public let head: Digest
  /// SPEC 9.7.
  public let state: View<UInt8>

  /// "TLYCHKP", LF, read as a little-endian integer.
  public static var magic: UInt64 { 0x0A50_4B48_4359_4C54 }
  public static var version: UInt16 { 1 }
  public static var headerByteCount: Int { 56 }

  /// - Throws: what is wrong with the bytes; whether the state is legal only `Run.resume` can tell.
  public init(validating bytes: View<UInt8>) throws(CheckpointError) {
    func u32(_ offset: Int) -> UInt32 { bytes.withRawSpan { $0.u32(at: offset) } }
    for index in 0..<min(8, bytes.count)
    where bytes[index] != UInt8(truncatingIfNeeded: Checkpoint.magic >> UInt64(8 * index)) {
      throw .notACheckpoint
    }
    guard bytes.count >= Checkpoint.headerByteCount + Digest.byteCount else { throw .wrongLength }
    guard u32(8) == UInt32(Checkpoint.version) | 1 << 16 else { throw .unsupportedVersion }
    let length = bytes.count - Checkpoint.headerByteCount - Digest.byteCount
    guard u32(20) == UInt32(truncatingIfNeeded: length), length < 1 << 31 else {
      throw .wrongLength
    }
    var hash = SHA256()
    bytes.slice(0, bytes.count - Digest.byteCount).withRawSpan { hash.update($0) }
    let stored = bytes.withRawSpan { Digest(reading: $0, at: bytes.count - Digest.byteCount) }
    guard u32(12) == 0, hash.finalize() == stored else { throw .damaged }
    step = u32(16)
    head = bytes.withRawSpan { Digest(reading: $0, at: 24) }
    state = bytes.slice(Checkpoint.headerByteCount, length)
  }

  /// Writes the state of a run whose journal stands at `chain`.
  public static func write(_ run: Run, _ chain: Chain, to sink: inout some ByteSink) {
    var hash = SHA256()
    var header = Payload()
    header.append(Int64(bitPattern: magic))
    header.append(UInt32(version) | 1 << 16)
    header.append(UInt32(0))
    header.append(run.trainer.step)
    header.append(UInt32(truncatingIfNeeded: run.trainer.stateByteCount))
    header.append(chain.head)
    header.withRawSpan {
      hash.update($0)
      sink.write($0)
    }
    run.trainer.forEachStatePart { part in
      part.withRawSpan {
        hash.update($0)
        sink.write($0)
      }
    }
    var trailer = Payload()
    trailer.append(hash.finalize())
    trailer.withRawSpan { sink.write($0) }
  }
}

/// Why bytes are no checkpoint.
public enum CheckpointError: Error, Equatable, Sendable {
  case notACheckpoint, unsupportedVersion, wrongLength, damaged
}
