import Importers
import Tally
import TallyHost

// Two journals: the first record that differs.

extension Bisection {
  func compareJournals() throws -> Int32 {
    let (a, b) = (try journal(paths[0]), try journal(paths[1]))
    switch JournalComparison(a, b).outcome {
    case .otherExperiment(let field):
      throw InputError(
        907, "the journals are of different experiments: \(field.words) differs",
        place: "\(paths[0]) and \(paths[1])", help: "tally inspect \(paths[1])", exit: 2)
    case .equal(let steps, let isWhole): return report(equalFor: steps, isWhole: isWhole)
    case .parted(let parting): return try report(parting, a, b)
    }
  }

  private func report(equalFor steps: UInt32, isWhole: Bool) -> Int32 {
    let words =
      isWhole
      ? "\(steps) steps, every record the same"
      : "\(steps) steps, every record the same, then a journal ends without its end record"
    console.print("\(isWhole ? "equal" : "cannot tell"): \(words)")
    console.result([
      "verdict": .string(isWhole ? "equal" : "cannot-tell"), "step": JSONOutput(steps),
      "reason": .string(words),
    ])
    return isWhole ? 0 : 4
  }

  private func report(
    _ parting: JournalComparison.Parting, _ a: LoadedJournal, _ b: LoadedJournal
  ) throws -> Int32 {
    let place = parting.step.map { "at step \($0)" } ?? "in the calibration before step 0"
    let steps = parting.steps
    let range =
      steps.count == 1 ? "\(steps.lowerBound)" : "\(steps.lowerBound)..<\(steps.upperBound)"
    var members: [(key: String, value: JSONOutput)] = [
      ("verdict", "parted"), ("step", parting.step.map { JSONOutput($0) } ?? .null),
      ("reason", .string(parting.field.words)),
      ("offsets", [JSONOutput(parting.offsets.0), JSONOutput(parting.offsets.1)]),
      ("trace", .string(range)),
    ]
    console.print("parted \(place): \(parting.field.words)")
    console.print("  --> \(paths[0]), offset \(parting.offsets.0)")
    console.print("  --> \(paths[1]), offset \(parting.offsets.1)")
    if arguments.has("--data") {
      switch try side(parting, a, b) {
      case .interrupted(let signal): return 128 + signal
      case .takes(let side):
        let words =
          switch side {
          case 0, 1: "comes out as \(paths[side])"
          default: "comes out as neither"
          }
        console.print("  this machine \(words)")
        members.append(("confirmed", side < 2 ? .string(paths[side]) : .null))
      }
    }
    console.print(
      "  help: on each machine, with its journal: tally bisect RUN.tlj --trace \(range) --model M "
        + "--data D -o RUN.tlt\n  then: tally bisect A.tlt B.tlt --model M")
    console.result(.object(members))
    return 1
  }

  // MARK: - Whose side this machine takes

  private enum Side {
    /// 0 or 1; 2 for neither.
    case takes(Int)
    case interrupted(Int32)
  }

  private func side(
    _ parting: JournalComparison.Parting, _ a: LoadedJournal, _ b: LoadedJournal
  ) throws -> Side {
    guard let inputs = a.inputs else { return .takes(2) }
    let experiment = try experiment(inputs, paths[0])
    let (run, place) = try experiment.run(a, paths[0], before: parting.steps.lowerBound)
    func comparison(_ journal: LoadedJournal) -> Comparison {
      // Up to the place the chains are one, so it is in both journals.
      let reader = place.flatMap { journal.place(atHead: $0.reader.chain.head) }?.reader
      return Comparison(reader ?? journal.reader, checkingValidation: false)
    }
    var sinks = PairOfSinks(first: comparison(a), second: comparison(b))
    if place == nil { run.begin(&sinks) }
    if let signal = experiment.advance(run, to: parting.steps.upperBound, &sinks) {
      return .interrupted(signal)
    }
    if run.run.isDone && !sinks.isStopped { run.end(&sinks) }
    func isDiverged(_ verdict: Verdict?) -> Bool {
      if case .diverged = verdict { true } else { false }
    }
    switch (isDiverged(sinks.first.verdict), isDiverged(sinks.second.verdict)) {
    case (false, true): return .takes(0)
    case (true, false): return .takes(1)
    default: return .takes(2)
    }
  }
}
