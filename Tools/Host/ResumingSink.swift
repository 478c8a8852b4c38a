public import Tally

/// Writes a run's journal; where a part of it exists already, first compares with that part.
///
/// A run is resumed by doing it again from its start or from a checkpoint: as long as the old journal
/// lasts, every record must come out as it stands there, and from its end on records are appended. The
/// bytes are those of a run that was never interrupted.
public struct ResumingSink<Sink: ByteSink>: RecordSink {
  /// The old journal, until the run has passed its end.
  private var comparison: Comparison?
  public private(set) var writer: JournalWriter<Sink>
  /// A remark for people, written before the first record that is appended.
  private var note: String?
  /// Where the run parts from the old journal.
  public private(set) var divergence: (step: UInt32, difference: Difference)?

  /// Starts a new journal.
  public init(_ sink: Sink, note: String? = nil) {
    writer = JournalWriter(sink)
    self.note = note
  }

  /// Goes on with a journal.
  ///
  /// - Parameters:
  ///   - sink: appends to the journal's good prefix.
  ///   - place: where in the journal the run begins again; its start if `nil`.
  public init(
    _ sink: Sink, resuming journal: LoadedJournal, at place: LoadedJournal.Place? = nil,
    note: String? = nil
  ) {
    self.note = note
    comparison = Comparison(place?.reader ?? journal.reader, checkingValidation: true)
    writer = JournalWriter(resuming: sink, chain: journal.chain)
  }

  /// Where the chain stands behind the run's last record.
  public var chain: Chain { comparison?.chain ?? writer.chain }

  public var isStopped: Bool { divergence != nil || writer.isStopped }

  public mutating func record(_ type: RecordType, _ payload: Payload, rest: RawSpan) {
    guard divergence == nil else { return }
    if comparison != nil {
      comparison?.record(type, payload, rest: rest)
      switch comparison?.verdict {
      case nil, .reproduced: return
      case .diverged(let step, let difference):
        divergence = (step, difference)
        return
      // This record is the first that the old journal does not hold whole.
      case .unfinished: comparison = nil
      }
    }
    // A note may stand anywhere but before the begin record.
    if let note, type != .begin {
      writer.note(Array(note.utf8).span.bytes)
      self.note = nil
    }
    writer.record(type, payload, rest: rest)
  }
}
