import Importers
public import Tally

/// Two journals of what should be one run, held against each other (SPEC 9.6).
public struct JournalComparison {
  /// The records where two runs part, and what is known about them.
  public struct Parting: Sendable {
    /// The step of the first records that differ; nil for records of the calibration.
    public let step: UInt32?
    public let field: Difference.Field
    /// Places of the two records; of a journal that has no such record, its end.
    public let offsets: (Int, Int)
    /// Steps in which the cause must lie: from the last state root in common on.
    public let steps: Range<UInt32>
  }

  public enum Outcome: Sendable {
    /// They do not even claim to be the same run.
    case otherExperiment(Difference.Field)
    case parted(Parting)
    /// All records are the same; `isWhole` if both have their end record.
    case equal(steps: UInt32, isWhole: Bool)
  }

  public let outcome: Outcome

  /// - Precondition: both journals have their begin records.
  public init(_ a: LoadedJournal, _ b: LoadedJournal) {
    let (first, second) = (ChainedRecords(a), ChainedRecords(b))
    let count = min(first.records.count, second.records.count)
    // A head holds all before it, so "the same up to here" is true up to one place and false from there.
    var (same, differing) = (0, count)
    while same < differing {
      let middle = (same + differing) / 2
      if first.records[middle].head == second.records[middle].head {
        same = middle + 1
      } else {
        differing = middle
      }
    }
    guard same < count else {
      // A journal that ends early has not parted: it is unfinished.
      outcome = .equal(
        steps: min(a.stepCount, b.stepCount), isWhole: a.isFinished && b.isFinished)
      return
    }
    let (left, right) = (first.records[same], second.records[same])
    let field = JournalComparison.field(left, a, right, b)
    if same == 0 {
      outcome = .otherExperiment(field)
      return
    }
    let root = first.records[..<same].last { $0.record.type == .root }?.step
    let start = root.map { $0 + 1 } ?? 0
    let step = left.step
    outcome = .parted(
      Parting(
        step: step, field: field, offsets: (left.record.payload - 4, right.record.payload - 4),
        steps: min(start, step ?? 0)..<(step ?? 0) + 1))
  }

  private static func field(
    _ left: ChainedRecords.Entry, _ a: LoadedJournal, _ right: ChainedRecords.Entry,
    _ b: LoadedJournal
  ) -> Difference.Field {
    guard left.record.type == right.record.type else { return .sequence }
    for index in 0..<min(left.record.byteCount, right.record.byteCount)
    where a.bytes[left.record.payload + index] != b.bytes[right.record.payload + index] {
      return Difference.Field(of: left.record.type, byte: index)
    }
    return Difference.Field(
      of: left.record.type, byte: min(left.record.byteCount, right.record.byteCount))
  }
}

/// The records of a journal that its chain holds, with the chain behind each.
private struct ChainedRecords {
  struct Entry {
    let record: JournalReader.Record
    let head: Digest
    let step: UInt32?
  }

  var records: [Entry] = []

  init(_ journal: LoadedJournal) {
    var list: [Entry] = []
    journal.forEachRecord { record, place in
      list.append(
        Entry(record: record, head: place.reader.chain.head, step: place.reader.step))
      return true
    }
    records = list
  }
}
