public import Tally

/// The figures of a run, record by record, as logs and reports show them.
///
/// Everything here is read from the journal: a history is a view of it and never says more.
public struct RunHistory {
  /// What a step record says (Formats/journal.md).
  public struct Step: Equatable, Sendable {
    public let index: UInt32
    public let samples: UInt32
    /// Sum of Q16 nats.
    public let loss: Int64
    public let correct: UInt32
    public let saturated: UInt32
    public let clipped: UInt32

    public init(_ result: Trainer.StepResult) {
      index = result.step
      samples = result.samples
      loss = result.loss
      correct = result.correct
      saturated = result.saturated
      clipped = result.clipped
    }

    init(_ record: JournalReader.Record, in reader: JournalReader) {
      index = reader.u32(record.payload)
      samples = reader.u32(record.payload + 4)
      loss = reader.i64(record.payload + 8)
      correct = reader.u32(record.payload + 16)
      saturated = reader.u32(record.payload + 20)
      clipped = reader.u32(record.payload + 24)
    }

    /// Decimals by integer division: the same text on every machine.
    public func json(hasLabels: Bool) -> JSONOutput {
      var members: [(key: String, value: JSONOutput)] = [
        ("event", "step"), ("step", JSONOutput(index)), ("samples", JSONOutput(samples)),
        ("loss", .string(DecimalText.meanLoss(loss, count: samples))),
      ]
      if hasLabels {
        members.append(("accuracy", .string(DecimalText.share(correct, of: samples))))
      }
      members += [("saturated", JSONOutput(saturated)), ("clipped", JSONOutput(clipped))]
      return .object(members)
    }
  }

  /// A Scale that followed its tensor's range (SPEC 8.9).
  public struct RangeChange: Equatable, Sendable {
    /// nil for the calibration before the first step.
    public let step: UInt32?
    /// A tensor's number, or a node's for weights.
    public let number: Int
    public let isOfWeights: Bool
    public let octaves: Int8
  }

  /// Channels that a step kept at each sparse node (SPEC 8.12).
  public struct KeptStep: Equatable, Sendable {
    public let step: UInt32
    public let nodes: [LoadedJournal.Kept]
  }

  /// The loss differences of a zeroth-order step (SPEC 8.15).
  public struct Differences: Equatable, Sendable {
    public let step: UInt32
    public let group: Int
    public let count: Int
    /// Sum of their absolute values, Q16 nats.
    public let magnitude: UInt64
  }

  /// What happened, as the records come.
  public enum Event: Equatable, Sendable {
    case step(Step)
    case kept(KeptStep)
    case differences(Differences)
    case range(RangeChange)
    case epoch(EpochResult)
  }

  public private(set) var events: [Event] = []
  /// See `LoadedJournal.hasLabels`.
  public let hasLabels: Bool

  public var steps: [Step] {
    events.compactMap { if case .step(let step) = $0 { step } else { nil } }
  }
  public var epochs: [EpochResult] {
    events.compactMap { if case .epoch(let epoch) = $0 { epoch } else { nil } }
  }
  public var rangeChanges: [RangeChange] {
    events.compactMap { if case .range(let change) = $0 { change } else { nil } }
  }
  public var kept: [KeptStep] {
    events.compactMap { if case .kept(let step) = $0 { step } else { nil } }
  }

  public var differences: [Differences] {
    events.compactMap { if case .differences(let step) = $0 { step } else { nil } }
  }

  /// - Parameter journal: its good prefix is read.
  public init(_ journal: LoadedJournal) {
    hasLabels = journal.hasLabels
    var reader = journal.reader
    // A fault ends the good prefix; the journal, read before, knows it.
    while let record = try? reader.next() {
      if let event = RunHistory.event(record, in: reader) { events.append(event) }
    }
  }

  private static func event(
    _ record: JournalReader.Record, in reader: JournalReader
  ) -> Event? {
    let start = record.payload
    switch record.type {
    case .step: return .step(Step(record, in: reader))
    case .range:
      let step = reader.u32(start)
      return .range(
        RangeChange(
          step: step == .max ? nil : step, number: Int(reader.u32(start + 4)),
          isOfWeights: reader.bytes[start + 8] == 2,
          octaves: Int8(bitPattern: reader.bytes[start + 9])))
    case .kept:
      let nodes = (0..<Int(reader.u32(start + 4))).map { node in
        LoadedJournal.Kept(
          selected: UInt64(reader.u32(start + 8 + 12 * node)),
          touched: UInt64(reader.u32(start + 12 + 12 * node)),
          active: UInt64(reader.u32(start + 16 + 12 * node)))
      }
      return .kept(KeptStep(step: reader.u32(start), nodes: nodes))
    case .differences:
      let first = start + JournalFormat.differencesByteCount
      let count = (record.byteCount - JournalFormat.differencesByteCount) / 4
      let magnitude = (0..<count).reduce(UInt64(0)) {
        $0 + UInt64(Int32(bitPattern: reader.u32(first + 4 * $1)).magnitude)
      }
      return .differences(
        Differences(
          step: reader.u32(start), group: Int(reader.u32(start + 4)), count: count,
          magnitude: magnitude))
    case .epoch: return .epoch(EpochResult(record, in: reader))
    case .begin, .root, .end, .note: return nil
    }
  }
}

extension RunHistory.Event {
  /// The line of a log; nil for what only reports show.
  public func json(hasLabels: Bool) -> JSONOutput? {
    switch self {
    case .step(let step): step.json(hasLabels: hasLabels)
    case .epoch(let epoch): epoch.event(hasLabels: hasLabels)
    case .kept, .differences, .range: nil
    }
  }
}

extension EpochResult {
  /// The line of a log.
  public func event(hasLabels: Bool) -> JSONOutput {
    var members: [(key: String, value: JSONOutput)] = [("event", "epoch")]
    if case .object(let own) = json(hasLabels: hasLabels) { members += own }
    return .object(members)
  }
}
