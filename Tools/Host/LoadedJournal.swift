import Importers
public import Tally

/// A journal in memory, read once from end to end: what it binds, what it says, how far it is good.
public final class LoadedJournal {
  private let memory: AlignedMemory
  /// A view: this object must outlive it (`AlignedMemory`), as it must `inputs` and `reader`.
  public let bytes: View<UInt8>

  /// What the begin record binds; nil if the journal ends before it or it is broken.
  public private(set) var inputs: JournalInputs?
  public private(set) var stepCount: UInt32 = 0
  public private(set) var rangeChangeCount = 0
  public private(set) var rootCount = 0
  /// Sums over all steps for each sparse node, in order (SPEC 8.12).
  public private(set) var kept: [Kept] = []
  public private(set) var epochs: [EpochResult] = []
  public private(set) var notes: [String] = []
  /// Whether answers are right or wrong; with targets there is nothing to be right. A journal does not say
  /// which it was: it was labels where the loss is cross-entropy or an answer was right.
  public private(set) var hasLabels = false
  /// The digest of the trained model; nil while the run is unfinished.
  public private(set) var result: Digest?
  /// h after the last good record.
  public private(set) var chain = Chain()
  /// Bytes of the good prefix.
  public private(set) var goodByteCount = 0
  /// Why the rest is not good.
  public private(set) var fault: JournalError?

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

  /// Channels of a sparse node's gradient, summed over samples.
  public struct Kept: Equatable, Sendable {
    /// Σ k.
    public var selected: UInt64 = 0
    /// Σ min(k, c).
    public var touched: UInt64 = 0
    /// Σ c.
    public var active: UInt64 = 0
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
    case .begin:
      let inputs = JournalInputs(record, in: reader)
      self.inputs = inputs
      // The loss of a canonical recipe (Formats/recipe.md); whether it fits a model is not asked here.
      hasLabels = inputs.recipe.count > 30 && inputs.recipe[30] == Recipe.Loss.crossEntropy.rawValue
    case .step:
      stepCount += 1
      if reader.u32(start + 16) > 0 { hasLabels = true }
    case .range: rangeChangeCount += 1
    case .kept: addKept(start, of: reader)
    case .differences: break
    case .root: rootCount += 1
    case .epoch: epochs.append(EpochResult(record, in: reader))
    case .end: result = bytes.withRawSpan { Digest(reading: $0, at: start + 8) }
    case .note:
      notes.append(
        String(decoding: (0..<record.byteCount).map { bytes[start + $0] }, as: UTF8.self))
    }
  }

  private func addKept(_ start: Int, of reader: JournalReader) {
    let count = Int(reader.u32(start + 4))
    while kept.count < count { kept.append(Kept()) }
    for node in 0..<count {
      let first = start + 8 + 12 * node
      kept[node].selected += UInt64(reader.u32(first))
      kept[node].touched += UInt64(reader.u32(first + 4))
      kept[node].active += UInt64(reader.u32(first + 8))
    }
  }
}
