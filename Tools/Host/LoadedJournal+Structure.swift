public import Tally

extension LoadedJournal {
  /// The first record that no run could have left so, whatever its arithmetic: sums of epochs that are
  /// not those of their steps and, where the recipe is known, counts and records that it does not ask
  /// for, or that it asks for and that are not there.
  ///
  /// What a reader checks of every file (Formats/journal.md, duties) is not checked again.
  public func firstMisfit(_ recipe: Recipe?) -> (step: UInt32, difference: Difference)? {
    var due = DueRecords(recipe, sampleCount: inputs?.sampleCount ?? 0)
    var misfit: (UInt32, Difference)?
    forEachRecord { record, place in
      if let field = due.misfit(record, place.reader, inputs) {
        misfit = (place.reader.step ?? 0, Difference(field, at: record.payload - 4))
      }
      return misfit == nil
    }
    return misfit
  }
}

/// What a run's schedule asks for next.
private struct DueRecords {
  private let recipe: Recipe?
  private let sampleCount: UInt32
  private let planned: UInt32
  private var needsRoot = false
  private var needsEpoch = false
  /// Sums since the last epoch record.
  private var sums = Trainer.Evaluation()

  init(_ recipe: Recipe?, sampleCount: UInt32) {
    // Without samples there is no schedule; the begin record is refused for it.
    self.recipe = sampleCount == 0 ? nil : recipe
    self.sampleCount = sampleCount
    planned = self.recipe?.plannedSteps(samples: sampleCount) ?? 0
  }

  mutating func misfit(
    _ record: JournalReader.Record, _ reader: JournalReader, _ inputs: JournalInputs?
  ) -> Difference.Field? {
    let start = record.payload
    switch record.type {
    case .begin:
      guard sampleCount > 0 else { return .counts }
      return recipe == nil || inputs?.plannedSteps == planned ? nil : .counts
    case .step:
      let isDue = !needsRoot && !needsEpoch
      add(start, reader)
      return isDue ? stepMisfit(start, reader) : .sequence
    case .range:
      let mayChange = recipe.map { $0.tracksRanges || $0.zerothOrder?.adaptsSigma == true }
      return mayChange ?? true ? nil : .sequence
    case .kept: return recipe.map { $0.sparseGradients != nil } ?? true ? nil : .sequence
    case .differences: return recipe.map { $0.zerothOrder != nil } ?? true ? nil : .sequence
    case .root:
      defer { needsRoot = false }
      return needsRoot || recipe == nil ? nil : .sequence
    case .epoch:
      defer { (needsEpoch, sums) = (false, Trainer.Evaluation()) }
      guard needsEpoch || recipe == nil else { return .sequence }
      let isSum =
        reader.u32(start + 4) == sums.samples && reader.i64(start + 8) == sums.loss
        && reader.u32(start + 16) == sums.correct
      return isSum ? nil : .epoch
    case .end:
      guard !needsRoot && !needsEpoch else { return .sequence }
      return recipe == nil || reader.u32(start) == planned ? nil : .counts
    case .note: return nil
    }
  }

  private mutating func add(_ start: Int, _ reader: JournalReader) {
    sums.samples &+= reader.u32(start + 4)
    sums.loss = saturatingSum(sums.loss, reader.i64(start + 8))
    sums.correct &+= reader.u32(start + 16)
  }

  /// Sets what is due behind a step.
  private mutating func stepMisfit(_ start: Int, _ reader: JournalReader) -> Difference.Field? {
    guard let recipe else { return nil }
    let step = reader.u32(start)
    guard step < planned else { return .sequence }
    let perEpoch = recipe.stepsPerEpoch(samples: sampleCount)
    let isLast = step + 1 == planned
    needsRoot = (step + 1) % recipe.rootPeriod == 0 || isLast
    needsEpoch = (step + 1) % perEpoch == 0 || isLast
    let first = step % perEpoch * recipe.batch
    return reader.u32(start + 4) == min(recipe.batch, sampleCount - first) ? nil : .counts
  }
}
