public import Tally

/// Writes a run's journal; where a part of it exists already, first compares with that part.
///
/// A run is resumed by doing it again from its start: as long as the old journal lasts, every record
/// must come out as it stands there, and from its end on records are appended. The bytes are those of
/// a run that was never interrupted.
public struct ResumingSink<Sink: ByteSink>: RecordSink {
  /// The old journal, until the run has passed its end.
  private var comparison: Comparison?
  public private(set) var writer: JournalWriter<Sink>
  /// Where the run parts from the old journal.
  public private(set) var divergence: (step: UInt32, difference: Difference)?

  /// Starts a new journal.
  public init(_ sink: Sink) { writer = JournalWriter(sink) }

  /// Goes on with a journal.
  ///
  /// - Parameter sink: appends to the journal's good prefix.
  public init(_ sink: Sink, resuming journal: LoadedJournal) {
    comparison = Comparison(journal.reader, checkingValidation: true)
    writer = JournalWriter(resuming: sink, chain: journal.chain)
  }

  /// Whether the run is still inside what the old journal holds.
  public var isRepeating: Bool { comparison != nil }

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
    writer.record(type, payload, rest: rest)
  }
}
