public import Bytes
import Kernels
public import Layers
public import Tensors

extension Session {
  /// Gives the bytes of the model with the session's current parameters, all but the digest, run by run
  /// in file order (Formats/model.md, duties of a writer). Nothing is copied: a board can stream them to
  /// flash, or hash them.
  public func forEachModelRun(_ body: (View<UInt8>) -> Void) {
    let file = network.bytes
    let sections = network.sections
    var position = 0
    /// The file's own bytes up to `offset`.
    func keep(until offset: Int) {
      if offset > position { body(file.slice(position, offset - position)) }
      position = offset
    }
    func replace(_ run: View<UInt8>) {
      body(run)
      position += run.count
    }
    for index in 0..<network.nodeCount {
      keep(until: sections.nodes + NodeRecord.byteCount * index + NodeRecord.scaleOffset)
      replace(table.scaleBytes(index + 1))
    }
    for index in 0..<network.nodeCount {
      let node = network.node(index)
      guard let shape = node.operation.weighted else { continue }
      if let own = owned(index, .weights, shape.weightCount, Int8.self) {
        keep(until: sections.weights + node.firstWeight)
        replace(own.bytes)
      }
    }
    for index in 0..<network.nodeCount {
      let node = network.node(index)
      if let own = owned(index, .biases, node.output.channels, Int32.self) {
        keep(until: sections.biases + 4 * node.firstBias)
        replace(own.bytes)
      }
    }
    for index in 0..<network.nodeCount {
      let node = network.node(index)
      if let own = owned(index, .weightScales, 2 * node.scaleCount, Int32.self) {
        keep(until: sections.scales + 8 * node.firstScale)
        replace(own.bytes)
      }
    }
    keep(until: network.byteCount - ModelFormat.digestByteCount)
  }

  /// The digest that a model file of the current parameters ends with.
  public var modelDigest: Digest {
    var hash = SHA256()
    forEachModelRun { run in run.withRawSpan { hash.update($0) } }
    return hash.finalize()
  }
}
