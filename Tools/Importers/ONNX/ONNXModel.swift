/// An ONNX file as it stands: the protobuf messages, nothing interpreted.
public struct ONNXModel: Sendable {
  public struct OperatorSet: Hashable, Sendable {
    public var domain: String
    public var version: Int64

    public init(domain: String = "", version: Int64) {
      self.domain = domain
      self.version = version
    }
  }

  public var irVersion: Int64
  public var producerName: String
  public var producerVersion: String
  public var operatorSets: [OperatorSet]
  public var graph: ONNXGraph
  public var metadata: [ONNXProperty]
  /// Names of the functions defined in the file, as `domain.name`.
  public var functions: [String] = []
  /// Bytes behind the model that are no protobuf; whatever they are, they are not read.
  public var trailingByteCount = 0
  /// How errors name the file.
  public var fileName: String = "model.onnx"
  /// Where external data is looked for; nil when the bytes came without a folder.
  public var directory: String?

  public init(
    irVersion: Int64 = 8, producerName: String = "", producerVersion: String = "",
    operatorSets: [OperatorSet], graph: ONNXGraph, metadata: [ONNXProperty] = []
  ) {
    self.irVersion = irVersion
    self.producerName = producerName
    self.producerVersion = producerVersion
    self.operatorSets = operatorSets
    self.graph = graph
    self.metadata = metadata
  }

  /// How often each operator occurs, by name.
  public var operatorCounts: [(name: String, count: Int)] {
    var counts: [String: Int] = [:]
    for node in graph.nodes { counts[node.qualifiedOperator, default: 0] += 1 }
    return counts.sorted { $0.key < $1.key }.map { (name: $0.key, count: $0.value) }
  }

  /// The version of the default operator set, if the file declares one.
  public var opset: Int64? {
    operatorSets.first { $0.domain == "" || $0.domain == "ai.onnx" }?.version
  }
}

public struct ONNXProperty: Hashable, Sendable {
  public var key: String
  public var value: String

  public init(key: String, value: String) {
    self.key = key
    self.value = value
  }
}

public struct ONNXGraph: Sendable {
  public var name: String
  public var nodes: [ONNXNode]
  public var initializers: [ONNXTensor]
  public var inputs: [ONNXValueInfo]
  public var outputs: [ONNXValueInfo]
  /// Sparse initialisers are counted, not read.
  public var sparseInitializerCount = 0

  public init(
    name: String = "graph", nodes: [ONNXNode] = [], initializers: [ONNXTensor] = [],
    inputs: [ONNXValueInfo] = [], outputs: [ONNXValueInfo] = []
  ) {
    self.name = name
    self.nodes = nodes
    self.initializers = initializers
    self.inputs = inputs
    self.outputs = outputs
  }
}

public struct ONNXNode: Sendable {
  public var name: String
  public var domain: String
  public var operatorType: String
  /// Names of the values it reads; an empty name is an input left out.
  public var inputs: [String]
  public var outputs: [String]
  public var attributes: [ONNXAttribute]
  public var metadata: [ONNXProperty] = []

  public init(
    _ operatorType: String, name: String = "", domain: String = "", inputs: [String],
    outputs: [String], attributes: [ONNXAttribute] = []
  ) {
    self.name = name
    self.domain = domain
    self.operatorType = operatorType
    self.inputs = inputs
    self.outputs = outputs
    self.attributes = attributes
  }

  public var isDefaultDomain: Bool { domain == "" || domain == "ai.onnx" }

  public var qualifiedOperator: String {
    isDefaultDomain ? operatorType : "\(domain).\(operatorType)"
  }

  /// What a person recognises the node by: the layer's path in the original program, if the
  /// exporter tells, and the node's name.
  public var path: String {
    let own = name.isEmpty ? outputs.first { !$0.isEmpty } ?? operatorType : name
    guard let layer = scope else { return own }
    return layer == own ? own : "\(layer) (\(own))"
  }

  /// The layer's path or the node's name: what the network's node is called.
  var shortName: String {
    scope ?? (name.isEmpty ? outputs.first { !$0.isEmpty } ?? operatorType : name)
  }

  /// "features.0" of PyTorch's namespace ": Net/features: Sequential/features.0: Conv2d/conv2d:
  /// aten.conv2d.default": the last module's name, made whole where it is relative.
  var scope: String? {
    guard let namespace = metadata.first(where: { $0.key == "namespace" })?.value else {
      return nil
    }
    let names = namespace.split(separator: "/").dropLast()
      .map { String($0.prefix { $0 != ":" }) }.filter { !$0.isEmpty }
    return joinedScopes(names)
  }
}

/// Joins module names by dots, leaving out those that the next one repeats.
func joinedScopes(_ names: [String]) -> String? {
  let kept = names.indices.filter {
    $0 + 1 >= names.count || !names[$0 + 1].hasPrefix(names[$0] + ".")
  }
  return kept.isEmpty ? nil : kept.map { names[$0] }.joined(separator: ".")
}

public struct ONNXAttribute: Sendable {
  public enum Value: Sendable {
    case float(Float)
    case integer(Int64)
    case string(String)
    case tensor(ONNXTensor)
    case floats([Float])
    case integers([Int64])
    case strings([String])
    /// A subgraph (If, Loop, Scan): present, never entered.
    case graph
    case other(String)
  }

  public var name: String
  public var value: Value

  public init(_ name: String, _ value: Value) {
    self.name = name
    self.value = value
  }
}

/// A name with an element type and a shape.
public struct ONNXValueInfo: Sendable {
  public enum Dimension: Hashable, Sendable {
    case size(Int)
    /// Known only when the network runs: a name, or nothing.
    case symbol(String)
  }

  public var name: String
  /// Nil for values that are not tensors.
  public var elementType: ONNXElementType?
  /// Nil when the file states no shape.
  public var dimensions: [Dimension]?

  public init(_ name: String, elementType: ONNXElementType? = .float, dimensions: [Dimension]?) {
    self.name = name
    self.elementType = elementType
    self.dimensions = dimensions
  }
}

/// A constant tensor; its elements stay in the file until they are asked for.
public struct ONNXTensor: Sendable {
  public struct ExternalLocation: Sendable {
    public var path: String
    public var offset: Int64
    public var length: Int64?

    public init(path: String, offset: Int64 = 0, length: Int64? = nil) {
      self.path = path
      self.offset = offset
      self.length = length
    }
  }

  public var name: String
  public var elementType: ONNXElementType
  public var dimensions: [Int64]
  /// Little-endian elements in one piece; a slice of the file, not a copy.
  public var raw: ArraySlice<UInt8>?
  public var floats: [Float] = []
  /// `int32_data`: INT32 and every smaller type, one element per entry.
  public var int32s: [Int64] = []
  public var int64s: [Int64] = []
  public var uint64s: [Int64] = []
  public var doubles: [Double] = []
  public var stringCount = 0
  public var external: ExternalLocation?

  public init(name: String, elementType: ONNXElementType, dimensions: [Int64]) {
    self.name = name
    self.elementType = elementType
    self.dimensions = dimensions
  }
}
