import Importers
import Tally
import TallyHost

// Doing some segments of a run again, each from its checkpoint (Formats/checkpoint.md).

extension RunCheck {
  /// A place where a segment begins or ends: the run's start, a checkpoint, the journal's end.
  private struct Boundary {
    let step: UInt32
    /// nil at the start and the end.
    var checkpoint: (file: LoadedCheckpoint, place: LoadedJournal.Place)?
  }

  /// - Throws: what is wrong with a checkpoint file.
  mutating func sampled(
    _ experiment: Experiment, _ condition: RunCondition, _ count: Int, _ nonce: String
  ) throws -> Answer {
    let journal = experiment.journal
    if let fault = journal.fault, fault.code != .torn { return RunCheck.broken(fault) }
    guard experiment.inputs.dataDigest == experiment.samples.digest else {
      return .diverged(step: 0, reason: "the data is not the run's", offset: nil, code: 903)
    }
    let boundaries = try self.boundaries(journal)
    if boundaries.count == 2 {
      console.note(
        "no checkpoint of this run in \(path).checkpoints: its one segment is the whole run")
    }
    let chosen = SegmentChoice.segments(
      count, of: boundaries.count - 1, head: journal.chain.head, nonce: Array(nonce.utf8))
    note(segments: chosen.map { boundaries[$0].step..<boundaries[$0 + 1].step })
    var steps: UInt32 = 0
    for index in chosen {
      let (start, end) = (boundaries[index], boundaries[index + 1])
      if let answer = try segment(experiment, condition, start, end) { return answer }
      steps += end.step - start.step
    }
    let words =
      "\(chosen.count) of \(boundaries.count - 1) segments, \(steps) of \(journal.stepCount) steps, "
      + "every record the same"
    guard journal.isFinished else {
      return .cannotCheck(
        step: steps, reason: "\(RunCheck.unfinished(journal)); \(words)",
        help: "tally train … --resume goes on with it")
    }
    let remark = experiment.isValidated ? "" : "; validation figures not recomputed (--validate)"
    return .reproduced(steps: steps, words: words + remark)
  }

  /// Only checkpoints behind a state root can be told from invented ones.
  private func boundaries(_ journal: LoadedJournal) throws(InputError) -> [Boundary] {
    var boundaries = [Boundary(step: 0)]
    for entry in CheckpointFolder(besides: path).entries {
      guard entry.step > 0, entry.step < journal.stepCount, journal.root(behind: entry.step) != nil
      else { continue }
      let file = try CheckpointFolder.load(entry)
      if let place = journal.place(of: file.checkpoint) {
        boundaries.append(Boundary(step: entry.step, checkpoint: (file, place)))
      }
    }
    return boundaries + [Boundary(step: journal.stepCount)]
  }

  /// nil if the segment comes out the same, up to the bytes of the checkpoint at its end.
  private func segment(
    _ experiment: Experiment, _ condition: RunCondition, _ start: Boundary, _ end: Boundary
  ) throws -> Answer? {
    let journal = experiment.journal
    let run = try experiment.run(condition)
    func diverged(_ step: UInt32, _ words: String) -> Answer {
      .diverged(step: step, reason: words, offset: nil, code: 904)
    }
    var comparison = Comparison(
      start.checkpoint?.place.reader ?? journal.reader,
      checkingValidation: experiment.isValidated)
    if let (file, place) = start.checkpoint {
      guard run.resume(file, at: place) else {
        return diverged(
          start.step, "the checkpoint behind step \(start.step) is no state of the run")
      }
      guard run.run.trainer.root == journal.root(behind: start.step) else {
        return diverged(
          start.step, "the checkpoint behind step \(start.step) is not the state of the state root")
      }
    } else {
      run.begin(&comparison)
    }
    if let signal = follow(run, &comparison, until: end.step) {
      return .interrupted(step: run.run.trainer.step, signal: signal)
    }
    if let checkpoint = end.checkpoint {
      if comparison.verdict != nil { return verdict(comparison, experiment) }
      let isSame = run.hasState(of: checkpoint.file)
      return isSame
        ? nil : diverged(end.step, "the checkpoint behind step \(end.step) is not the run's state")
    }
    if !comparison.isStopped && run.run.isDone { run.end(&comparison) }
    switch comparison.verdict {
    case .diverged: return verdict(comparison, experiment)
    // The good part of an unfinished journal ends here.
    case .reproduced, .unfinished, nil: return nil
    }
  }
}
