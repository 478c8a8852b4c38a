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
      ("trace", parting.step == nil ? .null : .string(range)),
    ]
    console.print("parted \(place): \(parting.field.words)")
    console.print("  --> \(paths[0]), offset \(parting.offsets.0)")
    console.print("  --> \(paths[1]), offset \(parting.offsets.1)")
    let changes = [(a, parting.offsets.0), (b, parting.offsets.1)].map(RangeWords.init)
    if changes.contains(where: { $0 != nil }) {
      for (path, change) in zip(paths, changes) {
        console.print("  \(path)  \(change?.text ?? "no change of a Scale there")")
      }
      members.append(("ranges", .array(changes.map { $0?.json ?? .null })))
    }
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
    console.print(Bisection.advice(for: parting, range))
    console.result(.object(members))
    return 1
  }

  /// What to do next.
  private static func advice(for parting: JournalComparison.Parting, _ range: String) -> String {
    guard parting.step != nil else {
      return """
          help: the calibration runs the first micro-batch of step 0 before any step, so no trace shows
          it. Where the counts differ, the values of that tensor do; where they are the same, the
          decision of SPEC 8.9 does. Whose is right: tally bisect A.tlj B.tlj --model M --data D
        """
    }
    return
      "  help: on each machine, with its journal: tally bisect RUN.tlj --trace \(range) --model M "
      + "--data D -o RUN.tlt\n  then: tally bisect A.tlt B.tlt --model M"
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

/// A range record in words (Formats/journal.md).
private struct RangeWords {
  let text: String
  let json: JSONOutput

  /// `nil` for a record of another type.
  init?(_ journal: LoadedJournal, at offset: Int) {
    guard journal.bytes[offset] == RecordType.range.rawValue else { return nil }
    let payload = offset + 4
    let reader = journal.reader
    let number = reader.u32(payload + 4)
    let octaves = Int8(bitPattern: journal.bytes[payload + 9])
    let (tail, count) = (reader.u32(payload + 12), reader.u32(payload + 16))
    let what =
      switch journal.bytes[payload + 8] {
      case 1: "tensor \(number)"
      case 2: "weights of node \(number)"
      default: "σ of group \(number)"
      }
    text = "\(what): k = \(octaves), counts \(tail) of \(count)"
    json = [
      "what": .string(what), "octaves": JSONOutput(octaves), "tail": JSONOutput(tail),
      "count": JSONOutput(count),
    ]
  }
}
