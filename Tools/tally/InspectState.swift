import Importers
import Tally
import TallyHost
import Training

extension Inspection {
  /// The state of a run between two steps.
  init(checkpoint bytes: [UInt8], path: String) throws(InputError) {
    let checkpoint: Checkpoint
    let file: LoadedCheckpoint
    do throws(CheckpointError) {
      file = try LoadedCheckpoint(bytes)
      checkpoint = file.checkpoint
    } catch {
      throw InputError(error, file: path)
    }
    self.init(format: "tally checkpoint")
    add("steps done", DecimalText.grouped(checkpoint.step), "steps", JSONOutput(checkpoint.step))
    let count = checkpoint.state.count
    add("state", "\(DecimalText.grouped(count)) bytes", "stateBytes", JSONOutput(count))
    add("journal's head there", checkpoint.head.hexadecimal, "journalHead")
    _ = file
  }

  /// What every operation of some steps computed.
  ///
  /// - Parameter model: the path of the run's model; without it nodes have numbers for names.
  init(trace bytes: [UInt8], path: String, model: String?) throws(InputError) {
    let trace = try LoadedTrace(bytes, file: path)
    let model = try model.map { path throws(InputError) in try Inputs.model(path) }
    self.init(format: "tally trace")
    add("steps", Bisection.text(trace.steps), "steps")
    add(
      "values", trace.hasValues ? "all" : "digests alone", "hasValues", .bool(trace.hasValues))
    add("model", trace.modelDigest.hexadecimal, "modelDigest")
    add("journal's head before", trace.head.hexadecimal, "journalHead")
    add(
      "results", DecimalText.grouped(trace.entries.count), "entries",
      JSONOutput(trace.entries.count))
    guard trace.steps.count == 1 else { return }
    var table = TextTable(["micro-batch", "result", "count", "digest"])
    for entry in trace.entries {
      let header = entry.header
      table.add([
        header.query == Observation.wholeStep ? "-" : "\(header.query)",
        header.name(in: model), DecimalText.grouped(header.count),
        entry.digest.prefix(8).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(),
      ])
    }
    tables.append(table)
  }
}
