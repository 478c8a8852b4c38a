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

  /// Walks over the good records; `body` gets each that is part of the chain with the place behind it,
  /// and returns whether to go on.
  public func forEachRecord(_ body: (JournalReader.Record, Place) -> Bool) {
    var reader = reader
    var steps: UInt32 = 0
    var epoch = Trainer.Evaluation()
    while let record = try? reader.next() {
      switch record.type {
      case .step:
        steps += 1
        epoch.samples &+= reader.u32(record.payload + 4)
        epoch.loss = saturatingSum(epoch.loss, reader.i64(record.payload + 8))
        epoch.correct &+= reader.u32(record.payload + 16)
      case .epoch: epoch = Trainer.Evaluation()
      default: break
      }
      guard record.type.isChained else { continue }
      if !body(record, Place(reader: reader, stepCount: steps, epoch: epoch)) { return }
    }
  }

  /// The place where the chain stands at a head.
  public func place(atHead head: Digest) -> Place? {
    var found: Place?
    forEachRecord { _, place in
      if place.reader.chain.head == head { found = place }
      return found == nil
    }
    return found
  }

  /// The place where the chain stands at a checkpoint's head; `nil` if it is of another run, or of
  /// records that this file has lost.
  public func place(of checkpoint: Checkpoint) -> Place? {
    var found: Place?
    forEachRecord { _, place in
      if place.stepCount == checkpoint.step, place.reader.chain.head == checkpoint.head {
        found = place
      }
      return found == nil && place.stepCount <= checkpoint.step
    }
    return found
  }

  /// The state root recorded behind step `step` − 1, if one is.
  public func root(behind step: UInt32) -> Digest? {
    var found: Digest?
    forEachRecord { record, place in
      if record.type == .root && place.stepCount == step {
        found = bytes.withRawSpan { Digest(reading: $0, at: record.payload + 4) }
      }
      return found == nil && place.stepCount <= step
    }
    return found
  }
}
