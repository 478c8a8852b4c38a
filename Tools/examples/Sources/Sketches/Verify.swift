public import Tally

/// Verify: the same run again, into a sink that holds every record against the journal's.
///
/// - Parameters:
///   - session: a fresh one, with the parameters the run began with.
///   - log: the journal's bytes.
/// - Returns: reproduced, diverged (where, and in what), or unfinished.
/// - Throws: `JournalError` for bytes that are no journal.
public func check(
  _ log: View<UInt8>, _ session: Session, _ recipe: Recipe, on samples: Samples
) throws(JournalError) -> Verdict {
  var comparison = Comparison(try JournalReader(log), checkingValidation: true)
  var run = Run(Trainer(session, recipe, samples), dataDigest: samples.digest)
  run.begin(&comparison)
  while !run.isDone && !comparison.isStopped { run.takeStep(&comparison) }
  if !comparison.isStopped { run.end(&comparison) }
  return comparison.verdict ?? .unfinished(steps: run.trainer.step, nil)
}
