public import FixedPoint
import Kernels
public import Tensors

/// A validated network, read in place from the bytes of a model file (Formats/model.md).
///
/// Having one is evidence: `ModelFormat` has checked every field, shape, bound and digest, so nothing
/// here checks again. Nodes are decoded from their records when asked for; nothing is copied.
/// The bytes must outlive every copy of this value.
@safe
public struct Network {
  /// Where the parts of a model file lie, in bytes from its start; 0 for a part it does not have.
  public struct Sections {
    let header: ModelHeader

    public var nodes: Int { header.offset(1) }
    public var weights: Int { header.offset(2) }
    public var biases: Int { header.offset(3) }
    public var scales: Int { header.offset(4) }
    public var tables: Int { header.offset(5) }
    public var maps: Int { header.offset(6) }
    public var names: Int { header.offset(7) }
    public var classes: Int { header.offset(8) }
    public var weightCount: Int { header.elementCount(2) }
    public var biasCount: Int { header.elementCount(3) }
    public var scaleCount: Int { header.elementCount(4) }
    public var tableCount: Int { header.elementCount(5) }
    public var mapCount: Int { header.elementCount(6) }
    public var nameByteCount: Int { header.elementCount(7) }
    public var classCount: Int { header.elementCount(8) }
    public var classByteCount: Int { header.byteCount(8) }
  }

  let base: UnsafeRawPointer
  public let byteCount: Int

  /// - Precondition: the bytes at `base` have been validated and outlive the network.
  package init(base: UnsafeRawPointer, byteCount: Int) {
    // The validator hands over the memory it has just checked.
    unsafe self.base = unsafe base
    self.byteCount = byteCount
  }

  private var header: ModelHeader { unsafe ModelHeader(base) }
  public var sections: Sections { Sections(header: header) }
  public var inputShape: Shape { header.inputShape }
  public var inputQuantization: Quantization { header.inputQuantization }
  /// The range tracker may move this model's Scales (flag bit 0).
  public var isInitialized: Bool { header.isInitialized }
  /// Data arrive with channels before rows (flag bit 1).
  public var readsChannelsFirst: Bool { header.readsChannelsFirst }
  public var nodeCount: Int { header.nodeCount }
  /// Tensors are the input and one output per node.
  public var tensorCount: Int { nodeCount + 1 }

  /// A row of the file's memory.
  public func view<Element: BitwiseCopyable>(
    _ offset: Int, _ count: Int, of type: Element.Type
  ) -> View<Element> {
    precondition(
      offset >= 0 && offset + count * MemoryLayout<Element>.stride <= byteCount,
      "a view outside the model")
    // Bounds checked above; sections are aligned to 64 bytes.
    return unsafe View(base: base, offset: offset, count: count)
  }

  /// The whole file.
  public var bytes: View<UInt8> { view(0, byteCount, of: UInt8.self) }

  /// The record of node `index`, 128 bytes.
  package func record(_ index: Int) -> NodeRecord {
    NodeRecord(
      view(sections.nodes + index * NodeRecord.byteCount, NodeRecord.byteCount, of: UInt8.self))
  }

  /// Node `index`, 0..<nodeCount.
  public func node(_ index: Int) -> Node {
    let record = record(index)
    return record.node(
      input: shape(ofTensor: record.firstInput),
      secondInput: record.secondInput.map { shape(ofTensor: $0) })
  }

  /// The shape of tensor `index`, 0..<tensorCount.
  public func shape(ofTensor index: Int) -> Shape {
    index == 0 ? inputShape : record(index - 1).outputShape
  }

  /// The quantization of tensor `index` as the file states it.
  public func quantization(ofTensor index: Int) -> Quantization {
    index == 0 ? inputQuantization : record(index - 1).quantization
  }

  public func weights(of node: Node) -> View<Int8> {
    view(
      sections.weights + node.firstWeight, node.operation.weighted?.weightCount ?? 0, of: Int8.self)
  }

  public func biases(of node: Node) -> View<Int32> {
    view(
      sections.biases + 4 * node.firstBias, node.operation.weighted?.output.channels ?? 0,
      of: Int32.self)
  }

  /// A weighted node's Scales as the file holds them: mantissa, exponent, for each.
  package func weightScales(of node: Node) -> View<Int32> {
    view(sections.scales + 8 * node.firstScale, 2 * node.scaleCount, of: Int32.self)
  }

  /// Weight Scale number `channel` of a weighted node.
  public func weightScale(of node: Node, _ channel: Int) -> Scale {
    let pairs = weightScales(of: node)
    return storedScale(pairs[2 * channel], pairs[2 * channel + 1])
  }

  /// The 256 values and 256 slopes (Q12) of a table node.
  public func table(of node: Node) -> (values: View<Int8>, slopes: View<Int16>) {
    let start = sections.tables + 768 * node.tableIndex
    return (view(start, 256, of: Int8.self), view(start + 256, 256, of: Int16.self))
  }

  /// The UTF-8 bytes of the name of node `index`.
  public func name(ofNode index: Int) -> View<UInt8> {
    let record = record(index)
    return view(sections.names + record.nameOffset, record.nameByteCount, of: UInt8.self)
  }

  /// Entry `index` of the input maps (SPEC 5.4): ±A and B in Q32.
  public func inputMap(_ index: Int) -> (scale: Scale, isNegative: Bool, offset: Int64) {
    let fields = view(sections.maps + 24 * index, 4, of: Int32.self)
    let offset = view(sections.maps + 24 * index + 16, 1, of: Int64.self)
    return (storedScale(fields[0], fields[1]), fields[2] == 1, offset[0])
  }

  /// The last node with weights, or −1: the one the head's learning rate is for.
  package var lastWeightedNode: Int {
    for index in stride(from: nodeCount - 1, through: 0, by: -1)
    where record(index).isWeighted { return index }
    return -1
  }

  /// Number of values the head gives per sample.
  public var outputCount: Int { shape(ofTensor: nodeCount).count }
}

/// A Scale that validation has already accepted, or that arithmetic has made.
@inline(__always)
func storedScale(_ mantissa: Int32, _ exponent: Int32) -> Scale {
  Scale(restoring: mantissa, exponent: exponent)
}
