public import Tally

/// A run as JSON lines: one object a line, each with its `event`.
///
/// A view of the journal: `start`, then `step` and `epoch` as they come, `result` at the end. The lines
/// are the same whether they are written while the run goes or from its journal afterwards; only that a run
/// with labels and mean squared error that never was right leaves no trace of the labels in its journal.
public enum RunLog {
  public static func start(
    model: Digest, data: Digest, samples: UInt32, plannedSteps: UInt32
  ) -> JSONOutput {
    [
      "event": "start", "model": .string(model.hexadecimal), "data": .string(data.hexadecimal),
      "samples": JSONOutput(samples), "plannedSteps": JSONOutput(plannedSteps),
    ]
  }

  public static func result(model: Digest, journal: Digest, steps: UInt32) -> JSONOutput {
    [
      "event": "result", "steps": JSONOutput(steps), "model": .string(model.hexadecimal),
      "journal": .string(journal.hexadecimal),
    ]
  }

  /// The whole log of a journal's good prefix.
  public static func lines(_ journal: LoadedJournal, _ history: RunHistory) -> [UInt8] {
    var lines: [JSONOutput] = []
    if let inputs = journal.inputs {
      lines.append(
        start(
          model: inputs.modelDigest, data: inputs.dataDigest, samples: inputs.sampleCount,
          plannedSteps: inputs.plannedSteps))
    }
    lines += history.events.compactMap { $0.json(hasLabels: history.hasLabels) }
    if let result = journal.result {
      lines.append(
        self.result(model: result, journal: journal.chain.head, steps: journal.stepCount))
    }
    return Array(lines.map { $0.text + "\n" }.joined().utf8)
  }
}
