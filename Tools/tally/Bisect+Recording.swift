import Importers
import Tally
import TallyHost

// Writing down what this machine does in some steps of a run.

extension Bisection {
  func record(_ steps: Range<UInt32>) throws -> Int32 {
    let path = paths[0]
    let output = try OutputFile(
      try arguments.require("--output"), force: arguments.has("--force"), inputs: [path])
    let journal = try journal(path)
    guard let inputs = journal.inputs else {
      throw InputError(
        906, "the journal ends before its first record", place: path, exit: 4)
    }
    guard steps.upperBound <= inputs.plannedSteps else {
      throw InputError(
        802, "the run has \(inputs.plannedSteps) steps", place: "--trace", exit: 2)
    }
    let experiment = try experiment(inputs, path)
    let (run, place) = try experiment.run(journal, path, before: steps.lowerBound)
    var sinks = PairOfSinks(
      first: ChainSink(chain: place?.reader.chain ?? Chain()),
      second: Comparison(place?.reader ?? journal.reader, checkingValidation: false))
    if place == nil { run.begin(&sinks) }
    if let signal = experiment.advance(run, to: steps.lowerBound, &sinks) { return 128 + signal }
    let begin = (0..<inputs.payload.count).map { inputs.payload[$0] }
    var writer = TraceWriter(begin: begin, steps: steps, head: sinks.first.chain.head)
    for _ in steps { run.takeStep(&sinks) { $0.trace(into: &writer) } }
    let bytes = writer.finish()
    try output.write(bytes)
    report(bytes, sinks.second.verdict, steps, output.path)
    return 0
  }

  private func report(
    _ bytes: [UInt8], _ verdict: Verdict?, _ steps: Range<UInt32>, _ output: String
  ) {
    var divergence: (UInt32, String)?
    if case .diverged(let step, let difference) = verdict {
      divergence = (step, difference.field.words)
    }
    if let (step, words) = divergence {
      console.note(
        "this machine does not come out as \(paths[0]) at step \(step): \(words); "
          + "the trace is of what it does now")
    }
    let what = steps.count == 1 ? "with its values" : "digests alone"
    console.print(
      "traced   \(steps.count == 1 ? "step" : "steps") \(Bisection.text(steps)), \(what)")
    console.print("written  \(output), \(DecimalText.grouped(bytes.count)) bytes")
    console.result([
      "steps": .string(Bisection.text(steps)), "hasValues": .bool(steps.count == 1),
      "byteCount": JSONOutput(bytes.count), "repeatsJournal": .bool(divergence == nil),
      "path": .string(output),
    ])
  }

  static func text(_ steps: Range<UInt32>) -> String {
    steps.count == 1 ? "\(steps.lowerBound)" : "\(steps.lowerBound)..<\(steps.upperBound)"
  }
}
