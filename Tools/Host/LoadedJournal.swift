import Importers
public import Tally

/// A journal in memory, read once from end to end: what it binds, what it says, how far it is good.
public final class LoadedJournal {
  private let memory: AlignedMemory
  /// Valid as long as this object lives.
  public let bytes: View<UInt8>

  /// What the begin record binds; nil if the journal ends before it or it is broken.
  public private(set) var inputs: JournalInputs?
  public private(set) var stepCount: UInt32 = 0
  public private(set) var rangeChangeCount = 0
  public private(set) var rootCount = 0
  public private(set) var epochs: [Epoch] = []
  public private(set) var notes: [String] = []
  /// The digest of the trained model; nil while the run is unfinished.
  public private(set) var result: Digest?
  /// h after the last good record.
  public private(set) var chain = Chain()
  /// Bytes of the good prefix.
  public private(set) var goodByteCount = 0
  /// Why the rest is not good.
  public private(set) var fault: JournalError?

  public struct Epoch: Equatable, Sendable {
    public let index: UInt32
    public let training: Trainer.Evaluation
    public let validation: Trainer.Evaluation?
  }

  /// - Throws: `JournalError` if the bytes do not start as a journal; a fault further on is `fault`.
  public init(_ contents: [UInt8]) throws(JournalError) {
    memory = AlignedMemory(contents)
    bytes = memory.view(of: UInt8.self)
    var reader = try JournalReader(bytes)
    do throws(JournalError) {
      while let record = try reader.next() { keep(record, of: reader) }
    } catch {
      fault = error
    }
    chain = reader.chain
    goodByteCount = reader.offset
  }

  public var isFinished: Bool { result != nil && fault == nil }

  /// Whether the file ends inside a record whose frame could be whole.
  public var isTorn: Bool { fault?.code == .torn }

  /// The reader that a comparison starts from.
  /// - Precondition: this journal was accepted, so its header is good.
  public var reader: JournalReader {
    do {
      return try JournalReader(bytes)
    } catch {
      preconditionFailure("the header was read before")
    }
  }

  private func keep(_ record: JournalReader.Record, of reader: JournalReader) {
    let start = record.payload
    switch record.type {
    case .begin: inputs = JournalInputs(record, in: reader)
    case .step: stepCount += 1
    case .range: rangeChangeCount += 1
    case .differences: break
    case .root: rootCount += 1
    case .epoch:
      let validated = reader.u32(start + 20)
      epochs.append(
        Epoch(
          index: reader.u32(start),
          training: evaluation(reader, samples: start + 4, loss: start + 8, correct: start + 16),
          validation: validated == 0
            ? nil
            : evaluation(reader, samples: start + 20, loss: start + 24, correct: start + 32)))
    case .end: result = bytes.withRawSpan { Digest(reading: $0, at: start + 8) }
    case .note:
      notes.append(
        String(decoding: (0..<record.byteCount).map { bytes[start + $0] }, as: UTF8.self))
    }
  }

  private func evaluation(
    _ reader: JournalReader, samples: Int, loss: Int, correct: Int
  ) -> Trainer.Evaluation {
    var evaluation = Trainer.Evaluation()
    evaluation.samples = reader.u32(samples)
    evaluation.loss = reader.i64(loss)
    evaluation.correct = reader.u32(correct)
    return evaluation
  }
}
