public import Tally

/// Adapt: back-propagation of what the recipe lets change, every step in the journal.
///
/// The same lines train by zeroth order: which method it is, the recipe says.
/// - Parameters:
///   - recipe: canonical bytes, validated for the session's network.
///   - sink: where the journal's bytes go: a file, flash, a serial line.
/// - Returns: the digest of the model as trained, and the journal's head.
public func adapt(
  _ session: Session, _ recipe: Recipe, on samples: Samples, journal sink: some ByteSink
) -> (model: Digest, journal: Digest) {
  var run = Run(Trainer(session, recipe, samples), dataDigest: samples.digest)
  var journal = JournalWriter(sink)
  run.begin(&journal)
  while !run.isDone && !journal.isStopped { run.takeStep(&journal) }
  run.end(&journal)
  return (session.modelDigest, journal.chain.head)
}
