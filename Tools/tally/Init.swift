import Importers
import TallyHost

extension Verb {
  static let initialize = Verb(
    name: "init", summary: "make a model with random weights from a network description",
    positionals: [Positional(name: "NETWORK", help: "a JSON file (Formats/network.md)")],
    options: [
      .value("--output", "-o", "FILE", "the model"),
      .value("--seed", nil, "N", "of the random weights, 0 to 2^64 - 1 (default 1)"),
      .value("--data", "-d", "DATA", "what it will be trained on: its range becomes the input's"),
      .value("--classes", nil, "A,B,C", "names of the classes"),
    ] + ArgumentList.preparationOptions + [
      .flag("--force", nil, "replace an existing output"),
      .flag("--dry-run", nil, "check and print, write nothing"),
    ],
    details: """
      Without --data the input is taken to be bytes, 0 to 255. With it, the input's range is the
      data's, so that small numbers use all of int8.

      JSON: modelDigest, bytes, parameters, layers.
      """
  ) { arguments, console in
    let path = arguments.positionals[0]
    let preparation = try arguments.preparation()
    let seed = try arguments.integer("--seed", in: 0...UInt64.max) ?? 1
    let names = arguments["--classes"]?.split(separator: ",").map(String.init) ?? []
    let output = try arguments.outputFile()
    let description = try NetworkDescription(
      parsing: try FileContents(path: path).bytes[...], file: path)
    let outputs = description.network.outputShape.count
    guard names.isEmpty || names.count == outputs else {
      throw InputError(
        802, "\(names.count) class names for \(outputs) outputs", place: "--classes", exit: 2)
    }
    let samples = try arguments["--data"].map { text throws(InputError) in
      try Inputs.data(
        text, layout: preparation.layout, shape: description.network.inputShape, console
      ).samples
    }
    if let samples {
      let (least, largest) = samples.storage.extremes
      console.note("the data go from \(least) to \(largest)")
    }
    let model = try Inputs.checked(
      try description.initialModel(
        seed: seed, input: preparation, classNames: names, samples: samples), path)
    try output?.write(model.bytes)
    let parameters = model.parameterCount
    let layers = model.nodes.count
    console.print("layers      \(layers)")
    console.print("parameters  \(DecimalText.grouped(parameters))")
    console.print("flash       \(DecimalText.grouped(model.byteCount)) bytes")
    console.print("model       \(model.digest.hexadecimal)")
    console.result([
      "modelDigest": .string(model.digest.hexadecimal), "bytes": JSONOutput(model.byteCount),
      "parameters": JSONOutput(parameters), "layers": JSONOutput(layers),
    ])
    return 0
  }
}
