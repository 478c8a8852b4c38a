import Importers
import Tally
import TallyHost

extension Verb {
  static let eval = Verb(
    name: "eval", summary: "count the right answers of a model on a set of samples",
    positionals: [Positional(name: "MODEL", help: "a .tally model")],
    options: [
      .value("--data", "-d", "DATA", "samples with labels, or with targets (see below)"),
      .value(
        "--prototypes", nil, "DATA", "a few samples whose nearest mean replaces the last layer"),
      .value("--answers", nil, "FILE.npy", "write the predicted class of every sample (int32)"),
      .threads,
      .flag("--force", nil, "replace an existing file of answers"),
    ],
    details: """
      DATA is one string: digits.npz, images.idx.gz,labels.idx.gz, table.csv, cifar:batch.bin,
      w.npz:x,y; a range may follow: digits.npz[0..<1437]. With -v the confusion matrix follows.

      JSON: correct, total, accuracy and loss (decimal strings), modelDigest; with -v confusion.
      """
  ) { arguments, console in
    let threads = try arguments.useThreads()
    let text = try arguments.require("--data")
    let model = try Inputs.model(arguments.positionals[0])
    let samples = try Inputs.samples(text, for: model, console)
    let output = try arguments["--answers"].map { path throws(InputError) in
      try OutputFile(path, force: arguments.has("--force"), inputs: arguments.positionals)
    }
    let evaluation: ModelEvaluation
    if let support = try arguments["--prototypes"].map({
      try Inputs.samples($0, for: model, console)
    }) {
      evaluation = ModelEvaluation(
        try PrototypeEvaluation(model, support: support, samples, threads: threads))
    } else {
      evaluation = try ModelEvaluation(model, samples, threads: threads)
    }
    try output?.write(
      NumpyArray.encoded(
        NumericArray(shape: [evaluation.answers.count], storage: .int32(evaluation.answers))))
    report(evaluation, model, samples, console)
    return 0
  }

  private static func report(
    _ evaluation: ModelEvaluation, _ model: LoadedModel, _ samples: PreparedSamples,
    _ console: Console
  ) {
    let sums = evaluation.sums
    let loss = DecimalText.meanLoss(sums.loss, count: sums.samples)
    var members: [(key: String, value: JSONOutput)] = [("total", JSONOutput(sums.samples))]
    if let confusion = evaluation.confusion {
      let percent = DecimalText.percent(sums.correct, of: sums.samples)
      console.print("accuracy  \(percent)  (\(sums.correct) of \(sums.samples))")
      members.insert(("correct", JSONOutput(sums.correct)), at: 0)
      members.append(("accuracy", .string(DecimalText.share(sums.correct, of: sums.samples))))
      if console.isVerbose {
        members.append(
          ("confusion", .array(confusion.map { .array($0.map { JSONOutput($0) }) })))
      }
    } else {
      console.print("samples   \(sums.samples)")
    }
    members.append(("loss", .string(loss)))
    members.append(("modelDigest", .string(model.digest.hexadecimal)))
    members.append(("dataDigest", .string(samples.digest.hexadecimal)))
    console.print("loss      \(loss)")
    console.print("model     \(model.digest.hexadecimal)")
    if console.isVerbose, let confusion = evaluation.confusion {
      printConfusion(confusion, names: model.classNames, console)
    }
    console.result(.object(members))
  }

  /// Labels down, predictions across.
  private static func printConfusion(_ confusion: [[Int]], names: [String], _ console: Console) {
    let labels = confusion.indices.map { $0 < names.count ? names[$0] : String($0) }
    var table = TextTable(["label \\ predicted"] + labels)
    for (label, row) in confusion.enumerated() {
      table.add([labels[label]] + row.map { $0 == 0 ? "." : String($0) })
    }
    console.print()
    console.print(table.text)
  }
}
