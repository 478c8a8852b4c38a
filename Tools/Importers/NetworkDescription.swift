/// A network in a few lines of JSON (Formats/network.md): for `init`, and for weights in files that
/// hold no graph.
///
/// Parsing checks everything that can be known without weights: kinds, keys, names and every shape.
public struct NetworkDescription: Sendable {
  /// The graph; layers have no weights yet (`binding` fills them in).
  public let network: FloatNetwork
  /// How the layers with weights find them, by index of the node.
  let bindings: [Int: LayerBinding]
  let file: String

  /// - Parameter text: JSON as a user writes it; comments and trailing commas are allowed.
  /// - Throws: TLY0808 for a layer that cannot be, with its path; TLY0202, 0203, 0801, 0802, 0805 and
  ///   0809 for the JSON and its keys. All exit with 2.
  public init(parsing text: ArraySlice<UInt8>, file: String) throws(InputError) {
    var parser = NetworkParser()
    var root = try JSONElement.userWritten(text, file: file).object()
    _ = try root.take("description")?.string()
    let input = try root.require("input")
    if var weights = try root.take("weights")?.object() {
      parser.defaults = try TensorNames(&weights, over: TensorNames())
      try weights.finish()
    }
    let layers = try root.require("layers")
    try root.finish()
    try parser.readInput(input)
    let elements = try layers.array()
    guard !elements.isEmpty else { throw .network("there are no layers", at: layers) }
    for element in elements { try parser.readLayer(element) }
    try parser.finish(layers)
    network = FloatNetwork(
      inputShape: parser.shapes[0], nodes: parser.nodes, output: parser.last.tensor)
    bindings = parser.bindings
    self.file = file
  }
}

extension InputError {
  /// A description of something that is no network.
  static func network(
    _ what: String, at element: JSONElement, note: String? = nil, help: String? = nil
  )
    -> InputError
  {
    InputError(808, what, place: element.place, note: note, help: help, exit: 2)
  }
}

/// Reads layers one after the other, keeping the shape of every tensor.
struct NetworkParser {
  /// What a layer's name stands for.
  struct Value {
    var tensor: Int
    /// Flattened: only layers that read vectors may follow.
    var isFlat = false
    var isFinal = false
  }

  var defaults = TensorNames()
  var nodes: [FloatNode] = []
  var shapes: [TensorShape] = []
  var bindings: [Int: LayerBinding] = [:]
  var last = Value(tensor: 0)
  private var names: [String: Value] = [:]
  private var counts: [String: Int] = [:]

  func shape(_ value: Value) -> TensorShape { shapes[value.tensor] }

  mutating func readInput(_ element: JSONElement) throws(InputError) {
    let sizes = try element.array()
    let extents = try sizes.map { size throws(InputError) in
      Int(try size.integer(in: 1...Int64(Self.largestTensor)))
    }
    switch extents.count {
    case 1: shapes = [TensorShape(height: 1, width: 1, channels: extents[0])]
    case 3:
      shapes = [TensorShape(height: extents[0], width: extents[1], channels: extents[2])]
    default:
      throw .network(
        "an input of \(extents.count) sizes", at: element,
        help: "write [height, width, channels], [1, length, channels] or [features]")
    }
    try checkSize(shapes[0], element)
    names["input"] = last
  }

  static let largestTensor = 1 << 24

  func checkSize(_ shape: TensorShape, _ element: JSONElement) throws(InputError) {
    let (area, overflow) = shape.height.multipliedReportingOverflow(by: shape.width)
    let (count, second) = area.multipliedReportingOverflow(by: shape.channels)
    guard !overflow, !second, count <= Self.largestTensor else {
      throw .network(
        "a tensor of \(shape) is too large", at: element,
        note: "at most \(Self.largestTensor) elements")
    }
  }

  /// Adds a node and gives its tensor.
  mutating func append(
    _ name: String, _ operation: FloatOperation, _ inputs: [Value], _ shape: TensorShape,
    _ element: JSONElement
  ) throws(InputError) -> Value {
    try checkSize(shape, element)
    nodes.append(
      FloatNode(name: name, inputs: inputs.map(\.tensor), operation: operation, shape: shape))
    shapes.append(shape)
    return Value(tensor: nodes.count)
  }

  // MARK: - Names

  /// The layer's own name, or its kind with a number: `convolution2`.
  mutating func name(_ object: inout JSONObject, kind: String, _ element: JSONElement)
    throws(InputError) -> String
  {
    counts[kind, default: 0] += 1
    guard let stated = object.take("name") else { return "\(kind)\(counts[kind]!)" }
    let name = try stated.string()
    guard !name.isEmpty, name.utf8.count <= 1000 else {
      throw .network("a name has 1 to 1000 bytes", at: stated)
    }
    return name
  }

  mutating func define(_ name: String, _ value: Value, _ element: JSONElement) throws(InputError) {
    guard names.updateValue(value, forKey: name) == nil else {
      throw .network("the name \(quoted(name)) is used twice", at: element)
    }
    last = value
  }

  /// What the layer reads: the layers `from` names, or the one before it.
  mutating func sources(_ object: inout JSONObject) throws(InputError) -> [Value] {
    guard let from = object.take("from") else { return [last] }
    if case .array = from.value.content {
      return try from.array().map { element throws(InputError) in try find(element) }
    }
    return [try find(from)]
  }

  private func find(_ element: JSONElement) throws(InputError) -> Value {
    let name = try element.string()
    if let value = names[name] { return value }
    let near = nearestNames(to: name, among: Array(names.keys))
    throw .network(
      "no layer before this one is called \(quoted(name))", at: element,
      note: near.isEmpty ? "there are \(listed(names.keys.sorted()))" : nil,
      help: near.isEmpty ? nil : "did you mean \(listed(near))?")
  }

  func finish(_ layers: JSONElement) throws(InputError) {
    guard !nodes.isEmpty else { throw .network("no layer computes anything", at: layers) }
  }
}
