/// What the user may settle that the file leaves open.
public struct ONNXImportOptions: Sendable {
  /// The value to take as the network's output; needed when the file has several.
  public var output: String?
  /// Shapes of inputs with dimensions the file leaves open, batch included: `--shape`.
  public var inputShapes: [String: [Int]]

  public init(output: String? = nil, inputShapes: [String: [Int]] = [:]) {
    self.output = output
    self.inputShapes = inputShapes
  }
}

extension FloatNetwork {
  /// Reads the network of an ONNX model (opsets 7–23).
  ///
  /// - Throws: TLY0304, 0305, 0311, 0312 (exit 4) list everything that stands in the way at
  ///   once; TLY0302, 0303, 0306–0309, 0601, 0604 name the first fault.
  public init(
    importing model: ONNXModel, options: ONNXImportOptions = ONNXImportOptions()
  ) throws(InputError) {
    var importer = try ONNXImporter(model, options: options, inputBase: nil)
    try importer.readNodes()
    // The memory order of the input is guessed at first. If a layer then asked for another one,
    // the network is read again with that order, and nothing has to be moved.
    if let base = importer.requestedInputBase {
      importer = try ONNXImporter(model, options: options, inputBase: base)
      try importer.readNodes()
    }
    self = try importer.finish()
  }
}

/// One reading of an ONNX graph: every value becomes a constant, or a view of a tensor of the
/// network, or something blocked.
struct ONNXImporter {
  enum Value {
    case constant(ConstantTensor)
    case activation(TensorView)
    /// Depends on something unsupported that is already in the list.
    case blocked
  }

  let model: ONNXModel
  let options: ONNXImportOptions
  let opset: Int64
  let external: ExternalData?
  /// Size of the batch axis while shapes are evaluated; 1 when the file leaves it open.
  var batch = 1
  var graph: ImportGraph
  var values: [String: Value] = [:]
  var blockers: [Blocker] = []
  var warnings: [InputError] = []
  /// A tensor that is too large, found while the current node was read.
  var oversized: InputError?
  /// Tensors whose readers are blocked by their other inputs.
  var deadEnds: [Int] = []
  /// The ONNX node being read.
  var node = ONNXNode("", inputs: [], outputs: [])
  var nodeIndex = 0
  var inputName = ""
  var inputDimensions: [Int] = []
  var inputView = TensorView(tensor: 0, axes: [])
  var outputName = ""
  /// Names of the values that some node reads.
  var readNames: Set<String> = []
  let fixedInputBase: InputBase?
  /// The input order that the first layer with an opinion asked for.
  var requestedInputBase: InputBase?
  /// Elements made by constant folding so far; bounded, since a few bytes can ask for 2³¹.
  var foldedElements = 0

  init(
    _ model: ONNXModel, options: ONNXImportOptions, inputBase: InputBase?
  ) throws(InputError) {
    self.model = model
    self.options = options
    self.fixedInputBase = inputBase
    guard let opset = model.opset else {
      throw InputError(
        306, "the file declares no operator set of ai.onnx", place: model.fileName,
        note: "IR version \(model.irVersion)", help: "export the model again", exit: 4)
    }
    guard (7...23).contains(opset) else {
      throw InputError(
        306, "operator set \(opset) is not supported", place: model.fileName,
        note: "Tally reads ai.onnx 7 to 23", help: "export with opset_version=17", exit: 4)
    }
    guard (3...13).contains(model.irVersion) else {
      throw InputError(
        306, "IR version \(model.irVersion) is unknown", place: model.fileName,
        note: "Tally reads 3 to 13", help: "export with opset_version=17", exit: 4)
    }
    self.opset = opset
    self.external = model.directory.map {
      ExternalData(directory: $0, modelName: model.fileName)
    }
    self.graph = ImportGraph(inputShape: TensorShape(height: 1, width: 1, channels: 1))
    if model.trailingByteCount > 0 {
      warnings.append(
        InputError(
          107, "\(model.trailingByteCount) bytes behind the model are not read",
          place: model.fileName, help: "copy or export the file again", exit: 0))
    }
    try readInitializers()
    try readInput()
  }

  private mutating func readInitializers() throws(InputError) {
    if model.graph.sparseInitializerCount > 0 {
      throw InputError(
        309, "\(model.graph.sparseInitializerCount) sparse initialisers", place: model.fileName,
        help: "store the weights dense", exit: 4)
    }
    for tensor in model.graph.initializers {
      if values[tensor.name] != nil {
        throw graphError("two initialisers are named '\(tensor.name)'")
      }
      values[tensor.name] = .constant(try tensor.elements(from: external))
    }
    readExactScales()
  }

  func graphError(_ what: String, exit: Int32 = 3, help: String? = nil) -> InputError {
    InputError(307, what, place: model.fileName, help: help, exit: exit)
  }

  // MARK: - Nodes

  /// Reads the nodes that the chosen output depends on, in an order in which every input is
  /// known (files are sorted as a rule, but not all are).
  mutating func readNodes() throws(InputError) {
    outputName = try chosenOutput()
    for index in try sortedNodes() {
      nodeIndex = index
      node = model.graph.nodes[index]
      let results = try readNode()
      if let oversized { throw oversized }
      for (name, value) in zip(node.outputs, results) where !name.isEmpty {
        values[name] = value
      }
      for name in node.outputs.dropFirst(results.count) where !name.isEmpty {
        values[name] = .blocked
      }
    }
  }

  private func chosenOutput() throws(InputError) -> String {
    if let name = options.output {
      let known = model.graph.nodes.contains { $0.outputs.contains(name) }
      guard known || name == inputName else {
        throw graphError(
          "no value is named '\(name)'", exit: 2,
          help: "outputs: \(model.graph.outputs.map(\.name).joined(separator: ", "))")
      }
      return name
    }
    guard let first = model.graph.outputs.first else { throw graphError("the graph has no output") }
    guard model.graph.outputs.count == 1 else {
      let names = model.graph.outputs.map(\.name)
      throw graphError(
        "the graph has \(names.count) outputs: \(names.joined(separator: ", "))", exit: 2,
        help: "choose one with --tensor \(first.name)")
    }
    return first.name
  }

  private mutating func sortedNodes() throws(InputError) -> [Int] {
    let nodes = model.graph.nodes
    var producer: [String: Int] = [:]
    for (index, node) in nodes.enumerated() {
      for name in node.outputs where !name.isEmpty {
        if producer[name] != nil || values[name] != nil || name == inputName {
          throw graphError("two values are named '\(name)' (node '\(node.path)')")
        }
        producer[name] = index
      }
    }
    readNames = Set(nodes.flatMap(\.inputs)).subtracting([""])
    readNames.insert(outputName)
    enum Mark { case new, open, done }
    var marks = [Mark](repeating: .new, count: nodes.count)
    var order: [Int] = []
    // Depth first from the output with a stack of our own: a chain of 100 000 nodes must not
    // overflow the machine's.
    var stack: [Int] = []
    if let last = producer[outputName] {
      stack.append(last)
    } else if outputName != inputName {
      throw graphError("no node makes the output '\(outputName)'")
    }
    while let index = stack.last {
      if marks[index] == .done {
        stack.removeLast()
        continue
      }
      if marks[index] == .open {
        marks[index] = .done
        order.append(index)
        stack.removeLast()
        continue
      }
      marks[index] = .open
      for name in nodes[index].inputs where !name.isEmpty {
        guard let source = producer[name] else {
          if values[name] == nil && name != inputName {
            throw graphError("node '\(nodes[index].path)' reads '\(name)', which nothing makes")
          }
          continue
        }
        switch marks[source] {
        case .open: throw graphError("node '\(nodes[source].path)' depends on itself")
        case .new: stack.append(source)
        case .done: break
        }
      }
    }
    // The file's own order where it is one.
    let isSorted = order.allSatisfy { index in
      nodes[index].inputs.allSatisfy { (producer[$0] ?? -1) < index }
    }
    return isSorted ? order.sorted() : order
  }

  /// The input at a position, nil if it is left out.
  func input(_ position: Int) -> Value? {
    guard node.inputs.indices.contains(position), !node.inputs[position].isEmpty else {
      return nil
    }
    return values[node.inputs[position]]
  }

  func constantInput(_ position: Int) -> ConstantTensor? {
    if case .constant(let tensor)? = input(position) { tensor } else { nil }
  }

  /// The first input, which must be computed by the network.
  var activationInput: TensorView? {
    if case .activation(let view)? = input(0) { view } else { nil }
  }
}
