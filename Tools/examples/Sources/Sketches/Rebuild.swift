public import Tally

/// Zeroth order: what a run of weights or gains leads to, from the scalars of its journal, without data.
///
/// Measuring and applying are separate, so that a journal of loss differences is the training: every step
/// follows from the differences, and is held against the roots on the way (SPEC 8.19).
/// - Parameters:
///   - log: the journal's bytes.
///   - session: a fresh one, with the parameters the run began with; it ends with those of the run.
///   - samples: how many the run had; its begin record says so, as it does the planned steps.
/// - Returns: reproduced, diverged or unfinished; nil for a recipe whose journal does not hold all of its
///   run, such as back-propagation.
/// - Throws: `JournalError` for bytes that are no journal.
public func rebuild(
  _ log: View<UInt8>, _ session: Session, _ recipe: Recipe, samples: UInt32, planned: UInt32
) throws(JournalError) -> Verdict? {
  let reader = try JournalReader(log)
  guard let run = ZerothOrderReplay(session, recipe, samples: samples, planned: planned) else {
    return nil
  }
  var replay = Replay(reader, run)
  return replay.finish()
}
