import Importers
public import Tally

/// A model file in memory, validated.
public final class LoadedModel {
  private let memory: AlignedMemory
  /// A view: this object must outlive it (`AlignedMemory`). Never `LoadedModel(bytes).network`.
  public let network: Network

  /// - Throws: `ModelError` naming the first byte found wrong.
  public init(_ bytes: [UInt8]) throws(ModelError) {
    memory = AlignedMemory(bytes)
    network = try Network(validating: UnsafeRawBufferPointer(memory.bytes))
  }

  public var digest: Digest { network.digest }

  public var byteCount: Int { memory.bytes.count }
  public var bytes: [UInt8] { Array(memory.bytes) }

  /// A node's name, or `node N` where it has none.
  public func name(ofNode index: Int) -> String {
    let view = network.name(ofNode: index)
    return view.count == 0
      ? "node \(index)" : String(decoding: (0..<view.count).map { view[$0] }, as: UTF8.self)
  }

  public var classNames: [String] {
    var names: [String] = []
    var offset = network.sections.classes
    for _ in 0..<network.sections.classCount {
      let length = network.view(offset, 4, of: UInt8.self)
      let count = (0..<4).reduce(0) { $0 | Int(length[$1]) << (8 * $1) }
      let bytes = network.view(offset + 4, count, of: UInt8.self)
      names.append(String(decoding: (0..<count).map { bytes[$0] }, as: UTF8.self))
      offset += 4 + count
    }
    return names
  }
}

extension Digest {
  /// 64 lower-case hexadecimal digits.
  public var hexadecimal: String {
    (0..<Digest.byteCount).map {
      let text = String(self[$0], radix: 16)
      return text.count == 1 ? "0" + text : text
    }.joined()
  }
}

extension LoadedModel {
  /// Nodes in order.
  public var nodes: [Node] { (0..<network.nodeCount).map { network.node($0) } }

  /// Weights and biases.
  public var parameterCount: Int {
    nodes.compactMap(\.operation.weighted).reduce(0) { $0 + $1.weightCount + $1.output.channels }
  }

  /// Multiply-accumulates of one sample's forward pass.
  public var multiplyCount: Int {
    nodes.compactMap(\.operation.weighted).reduce(0) { $0 + $1.multiplyCount }
  }
}
