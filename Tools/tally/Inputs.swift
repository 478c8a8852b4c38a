import Importers
import Tally
import TallyHost

/// Reading the files a verb names.
enum Inputs {
  /// A `.tally` file, told by its content and validated.
  static func model(_ path: String) throws(InputError) -> LoadedModel {
    try checked(try modelBytes(path), path)
  }

  /// A model from its bytes; errors name the file.
  static func checked(_ bytes: [UInt8], _ path: String) throws(InputError) -> LoadedModel {
    do throws(ModelError) {
      return try LoadedModel(bytes)
    } catch {
      throw InputError(error, file: path)
    }
  }

  /// A file that starts as a model.
  static func modelBytes(_ path: String) throws(InputError) -> [UInt8] {
    try bytes(path, .tally, "a .tally model") { kind in
      kind == .onnx ? "tally convert \(path) -o model.tally --calibrate DATA" : nil
    }
  }

  /// A file that starts as a journal, or is a piece of such a start.
  static func journalBytes(_ path: String) throws(InputError) -> [UInt8] {
    let contents = try FileContents(path: path)
    let mark = (0..<8).map { UInt8(truncatingIfNeeded: JournalFormat.magic >> UInt64(8 * $0)) }
    if mark.starts(with: contents.bytes) { return contents.bytes }
    return try bytes(path, .journal, "a .tlj journal") { kind in
      kind == .tally ? "give the model with --model" : nil
    }
  }

  private static func bytes(
    _ path: String, _ wanted: FileKind, _ what: String, help: (FileKind) -> String?
  ) throws(InputError) -> [UInt8] {
    let contents = try FileContents(path: path)
    let kind = try FileKind.detect(contents.bytes[...], file: path)
    if kind == wanted { return contents.bytes }
    try kind.rejectIfForeign(file: path)
    if kind == .safetensors {
      throw InputError(
        408, "weights alone are not a network", place: path,
        help: "tally convert \(path) --network NETWORK.json -o model.tally --calibrate DATA",
        exit: 4)
    }
    throw InputError(
      104, "the file is \(kind.rawValue), not \(what)", place: path, help: help(kind), exit: 3)
  }

  /// Data as the model reads it; says on the console what was odd.
  static func samples(
    _ text: String, for model: LoadedModel, _ console: Console
  ) throws(InputError) -> PreparedSamples {
    let input = model.network.inputShape
    let shape = TensorShape(height: input.height, width: input.width, channels: input.channels)
    let layout: DataLayout = model.network.readsChannelsFirst ? .nchw : .nhwc
    return try PreparedSamples(try data(text, layout: layout, shape: shape, console), for: model)
  }

  /// Data as it stands in its files, in the shape a network takes.
  static func data(
    _ text: String, layout: DataLayout, shape: TensorShape, _ console: Console
  ) throws(InputError) -> DataSet {
    let data = try DataSet(
      parsing: text, layout: layout,
      expected: SampleShape(height: shape.height, width: shape.width, channels: shape.channels),
      inflate: Inflate.raw)
    for warning in data.warnings { console.warn(warning) }
    return data
  }

  /// The network of an ONNX file.
  static func floatNetwork(
    _ path: String, _ options: ONNXImportOptions = ONNXImportOptions()
  ) throws(InputError) -> FloatNetwork {
    _ = try bytes(path, .onnx, "an ONNX checkpoint") { kind in
      kind == .tally ? "it is converted already" : nil
    }
    return try FloatNetwork(importing: try ONNXModel(contentsOf: path), options: options)
  }

  /// The network of a description with the weights of a safetensors file, or of those that an index names.
  static func floatNetwork(
    weights path: String, description: String
  ) throws(InputError) -> FloatNetwork {
    let network = try NetworkDescription(
      parsing: try FileContents(path: description).bytes[...], file: description)
    let contents = try FileContents(path: path)
    if try FileKind.detect(contents.bytes[...], file: path) == .json {
      let index = try SafetensorsIndex(contents.bytes[...], path: path)
      let parts = try index.shardPaths.map { part throws(InputError) in try safetensors(part) }
      return try network.binding(try Safetensors(joining: parts, index, file: path))
    }
    return try network.binding(try safetensors(path))
  }

  private static func safetensors(_ path: String) throws(InputError) -> Safetensors {
    let bytes = try bytes(path, .safetensors, "a safetensors file") { kind in
      kind == .onnx ? "ONNX holds its graph: leave out --network" : nil
    }
    return try Safetensors(bytes[...], file: path)
  }

  /// A recipe file, or the defaults, with `--set` over it.
  static func recipe(_ path: String?, _ assignments: [String]) throws(InputError) -> RecipeDocument
  {
    var document = RecipeDocument()
    if let path {
      document = try RecipeDocument(try FileContents(path: path).bytes[...], file: path)
    }
    for assignment in assignments { try document.set(assignment) }
    return document
  }
}

extension InputWarning {
  /// A reader's remark.
  init(_ remark: InputError) {
    self.init(
      code: remark.code, message: remark.message, place: remark.place, help: remark.help)
  }
}

extension InputError {
  /// What is wrong with a model file, in the words of the catalogue.
  init(_ error: ModelError, file: String) {
    let (code, exit): (Int, Int32) =
      switch error.code {
      case .notAModel: (103, 3)
      case .unsupportedVersion: (901, 4)
      case .truncated: (106, 3)
      case .trailingBytes: (107, 3)
      default: (902, 3)
      }
    self.init(
      code, "not a good .tally file: \(error.summary)", place: "\(file), offset \(error.offset)",
      exit: exit)
  }
}
