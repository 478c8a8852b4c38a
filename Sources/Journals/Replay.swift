import Bytes
import Layers
import ModelFormat
import Tensors
public import Training

/// Rebuilds a run's model from its journal alone, and holds it against the recorded roots and result
/// (SPEC 8.19). It shows that the journal leads to the model; that the differences are those of the data
/// is shown only by doing the run again.
public struct Replay {
  private var reader: JournalReader
  public private(set) var run: ZerothOrderReplay
  /// Roots that came out as recorded.
  public private(set) var checkedRoots = 0

  /// - Parameters:
  ///   - reader: at the start of the journal.
  ///   - run: a replay from the model and recipe that the journal's begin record names.
  public init(_ reader: JournalReader, _ run: ZerothOrderReplay) {
    self.reader = reader
    self.run = run
  }

  /// Takes all steps, or those before `last`.
  ///
  /// - Returns: *reproduced* at the end record; *unfinished* if the journal ends or is cut off, or the
  ///   replay stops, before; *diverged* at a record that the journal's chain or the replay contradicts.
  public mutating func finish(before last: UInt32 = .max) -> Verdict {
    do throws(JournalError) {
      while run.step < last || reader.step.map({ $0 < last }) ?? true {
        guard let record = try reader.next() else { break }
        if record.type == .step && run.step >= last { break }
        if let difference = take(record) {
          return .diverged(step: reader.step ?? 0, difference)
        }
        if record.type == .end { return .reproduced(steps: run.step) }
      }
    } catch {
      return Verdict(error, steps: run.step)
    }
    return .unfinished(steps: run.step, nil)
  }

  private mutating func take(_ record: JournalReader.Record) -> Difference? {
    let start = record.payload
    func failed(_ field: Difference.Field) -> Difference { Difference(field, at: start - 4) }
    switch record.type {
    case .begin:
      let inputs = JournalInputs(record, in: reader)
      if inputs.modelDigest != run.session.network.digest { return failed(.model) }
      guard inputs.recipe.count == run.recipe.bytes.count else { return failed(.recipe) }
      for index in 0..<inputs.recipe.count where inputs.recipe[index] != run.recipe.bytes[index] {
        return failed(.recipe)
      }
    case .differences:
      let first = start + JournalFormat.differencesByteCount
      let count = (record.byteCount - JournalFormat.differencesByteCount) / 4
      let reader = reader
      let isDone = run.apply(
        group: reader.u32(start + 4), batch: reader.u32(start + 8), count: count
      ) { Int32(bitPattern: reader.u32(first + 4 * $0)) }
      if !isDone { return failed(.differences) }
    case .root:
      let recorded = reader.bytes.withRawSpan { Digest(reading: $0, at: start + 4) }
      if recorded != run.session.stateRoot(run.recipe) { return failed(.root) }
      checkedRoots += 1
    case .end:
      let recorded = reader.bytes.withRawSpan { Digest(reading: $0, at: start + 8) }
      if recorded != run.session.modelDigest { return failed(.result) }
    case .range:
      let octaves = Int8(bitPattern: reader.bytes[start + 9])
      guard reader.bytes[start + 8] == RangeChange.Target.perturbation.rawValue,
        run.changeSigma(group: reader.u32(start + 4), by: octaves)
      else { return failed(.range) }
    case .step, .kept, .epoch, .note: break
    }
    return nil
  }
}
