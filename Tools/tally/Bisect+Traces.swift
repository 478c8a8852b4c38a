import Importers
import Tally
import TallyHost

// Two traces: the first operation with equal inputs and different results, its first element, and how
// that comes about.

extension Bisection {
  func compareTraces(_ contents: [[UInt8]]) throws -> Int32 {
    let a = try LoadedTrace(contents[0], file: paths[0])
    let b = try LoadedTrace(contents[1], file: paths[1])
    if let index = a.begin.indices.first(where: {
      $0 >= b.begin.count || a.begin[$0] != b.begin[$0]
    })
      ?? (a.begin.count < b.begin.count ? a.begin.count : nil)
    {
      throw refused(
        "the traces are of different experiments: "
          + "\(Difference.Field(of: .begin, byte: index).words) differs")
    }
    guard a.steps == b.steps else {
      throw refused(
        "the traces are of different steps: \(Bisection.text(a.steps)) and "
          + "\(Bisection.text(b.steps))")
    }
    let model = try arguments["--model"].map { path throws(InputError) in try Inputs.model(path) }
    if let model, model.digest != a.modelDigest {
      throw InputError(
        903, "the traces are of another run: its model is not this one", place: paths[0], exit: 2)
    }
    var report = TraceReport(a, b, paths, model)
    let exit = report.compare()
    for line in report.lines { console.print(line) }
    console.result(.object(report.members))
    return exit
  }

  private func refused(_ words: String) -> InputError {
    InputError(907, words, place: "\(paths[0]) and \(paths[1])", exit: 2)
  }
}
