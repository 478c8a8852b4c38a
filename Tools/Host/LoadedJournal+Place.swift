public import Tally

extension LoadedJournal {
  /// A place between two records.
  public struct Place {
    /// Stands at the place; knows the step and the chain.
    public let reader: JournalReader
    /// Steps recorded before it.
    public let stepCount: UInt32
    /// Sums over the steps since the last epoch record.
    public let epoch: Trainer.Evaluation
  }

  /// Walks over the good records; `body` gets the place behind each that is part of the chain, and
  /// returns whether to go on.
  public func forEachPlace(_ body: (Place, RecordType) -> Bool) {
    var reader = reader
    var steps: UInt32 = 0
    var epoch = Trainer.Evaluation()
    while let record = try? reader.next() {
      switch record.type {
      case .step:
        steps += 1
        epoch.samples += reader.u32(record.payload + 4)
        epoch.loss = saturatingSum(epoch.loss, reader.i64(record.payload + 8))
        epoch.correct += reader.u32(record.payload + 16)
      case .epoch: epoch = Trainer.Evaluation()
      default: break
      }
      guard record.type.isChained else { continue }
      if !body(Place(reader: reader, stepCount: steps, epoch: epoch), record.type) { return }
    }
  }

  /// The place where the chain stands at a checkpoint's head; `nil` if it is of another run, or of
  /// records that this file has lost.
  public func place(of checkpoint: Checkpoint) -> Place? {
    var found: Place?
    forEachPlace { place, _ in
      if place.stepCount == checkpoint.step, place.reader.chain.head == checkpoint.head {
        found = place
      }
      return found == nil && place.stepCount <= checkpoint.step
    }
    return found
  }
}
