import Importers
import Tally
import TallyHost

extension Verb {
  static let convert = Verb(
    name: "convert", summary: "turn a float checkpoint into an integer .tally model",
    positionals: [
      Positional(
        name: "CHECKPOINT", help: "an .onnx or .safetensors file, or the index of a split one")
    ],
    options: [
      .value("--network", nil, "FILE", "for weights without a graph: their network, as JSON"),
      .value("--output", "-o", "FILE", "the model"),
      .value(
        "--calibrate", nil, "DATA",
        "training samples for ranges; or random, none"),
      .value("--scales", nil, "KIND", "of weights: per-layer (default) or per-channel"),
      .value("--method", nil, "M", "ranges: min-max (default), mse, or a share such as 0.9999"),
      .flag("--equalize", nil, "balance channels between layers before rounding"),
      .flag("--correct-biases", nil, "take the mean rounding error out of the biases"),
      .flag("--lite-residual", nil, "add small branches for training beside the convolutions"),
    ] + ArgumentList.preparationOptions + [
      .value("--shape", nil, "NAME=1,3,32,32", isRepeatable: true, "an input's open dimensions"),
      .value("--tensor", nil, "NAME", "the output, where the file has several"),
      .flag("--force", nil, "replace an existing output"),
      .flag("--dry-run", nil, "print the table, write nothing"),
    ],
    details: """
      The table has a row per layer: the range seen, the Scale, signal to quantisation noise of its
      output (all that was lost up to there) and of its weights, saturated outputs.

      JSON: layers (the table), modelDigest, bytes, agreement (float and integer side by side).
      """
  ) { arguments, console in
    let path = arguments.positionals[0]
    let options = try conversionOptions(arguments)
    let output = try arguments.outputFile()
    let network = try floatNetwork(path, arguments, console)
    let calibration = try calibration(arguments, network, options, console)
    let result = try FloatConversion.convert(network, calibration: calibration, options: options)
    for warning in result.warnings { console.warn(warning) }
    let model = try Inputs.checked(result.modelBytes, path)
    let bytes =
      arguments.has("--lite-residual")
      ? try withLiteResiduals(model, path, console) : result.modelBytes
    try output?.write(bytes)
    ConversionTable(result).print(try Inputs.checked(bytes, path), console)
    return 0
  }

  /// The model with TinyTL's modules, which compute nothing until they are trained.
  private static func withLiteResiduals(
    _ model: LoadedModel, _ path: String, _ console: Console
  ) throws(InputError) -> [UInt8] {
    var builder = ModelBuilder(model)
    let count = builder.addLiteResiduals()
    guard count > 0 else {
      throw InputError(
        605, "no convolution can have a lite residual module", place: path,
        note: "they need one group, a kernel above 1 × 1, and an input with even sides", exit: 4)
    }
    console.note("\(count) lite residual modules, for --set update=lite+biases+last")
    do throws(ModelError) {
      return try builder.bytes()
    } catch {
      throw InputError(error, file: path)
    }
  }

  private static func conversionOptions(
    _ arguments: ArgumentList
  ) throws(InputError) -> ConversionOptions {
    var options = ConversionOptions(input: try arguments.preparation())
    options.equalizesLayers = arguments.has("--equalize")
    options.correctsBiases = arguments.has("--correct-biases")
    if let text = arguments["--scales"] {
      guard let scales = ConversionOptions.WeightScales(rawValue: text) else {
        throw InputError(
          802, "\u{2018}\(text)\u{2019} is not per-layer or per-channel", place: "--scales", exit: 2
        )
      }
      options.weightScales = scales
    }
    switch arguments["--method"] ?? "min-max" {
    case "min-max": options.method = .minMax
    case "mse": options.method = .meanSquaredError
    case let text:
      guard let share = ExactRatio(parsing: text), share.numerator > 0,
        share.numerator <= share.denominator
      else {
        throw InputError(
          802, "\u{2018}\(text)\u{2019} is not min-max, mse or a share", place: "--method",
          help: "--method 0.9999", exit: 2)
      }
      options.method = .percentile(share)
    }
    return options
  }

  private static func floatNetwork(
    _ path: String, _ arguments: ArgumentList, _ console: Console
  ) throws(InputError) -> FloatNetwork {
    let network: FloatNetwork
    if let description = arguments["--network"] {
      network = try Inputs.floatNetwork(weights: path, description: description)
    } else {
      network = try Inputs.floatNetwork(
        path, ONNXImportOptions(output: arguments["--tensor"], inputShapes: try shapes(arguments)))
    }
    for warning in network.warnings { console.warn(InputWarning(warning)) }
    return network
  }

  /// `--shape input=1,3,32,32`.
  private static func shapes(_ arguments: ArgumentList) throws(InputError) -> [String: [Int]] {
    var shapes: [String: [Int]] = [:]
    for text in arguments.all("--shape") {
      let parts = text.split(separator: "=", maxSplits: 1)
      let sizes = (parts.count == 2 ? parts[1] : "").split(separator: ",").map { Int($0) ?? 0 }
      guard !sizes.isEmpty, sizes.allSatisfy({ $0 > 0 }) else {
        throw InputError(
          802, "\u{2018}\(text)\u{2019} is not a shape", place: "--shape",
          help: "--shape input=1,3,32,32", exit: 2)
      }
      shapes[String(parts[0])] = sizes
    }
    return shapes
  }

  private static func calibration(
    _ arguments: ArgumentList, _ network: FloatNetwork, _ options: ConversionOptions,
    _ console: Console
  ) throws(InputError) -> CalibrationSource {
    switch arguments["--calibrate"] {
    case nil:
      if network.prescribesRanges { return .none }
      throw arguments.usage("--calibrate DATA is missing (or random, or none)")
    case "random": return .random
    case "none": return .none
    case let text?:
      let data = try Inputs.data(
        text, layout: options.input.layout, shape: network.inputShape, console)
      return .data(data)
    }
  }
}
