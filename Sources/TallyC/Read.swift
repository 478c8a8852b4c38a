public import CTally
import Bytes
import Journals
import Layers
import ModelFormat
import Tensors

@c @implementation
public func tally_digest(
  _ instance: OpaquePointer!, _ digest: UnsafeMutablePointer<UInt8>!
) -> tally_status {
  guard let opened = unsafe InstancePointer(instance), let digest = unsafe digest else {
    return TALLY_BAD_ARGUMENT
  }
  unsafe opened.value.session.modelDigest.copy(to: digest)
  return TALLY_OK
}

@c @implementation
public func tally_weights(
  _ instance: OpaquePointer!, _ node: UInt32,
  _ weights: UnsafeMutablePointer<UnsafePointer<Int8>?>!, _ count: UnsafeMutablePointer<UInt32>!
) -> tally_status {
  unsafe handOut(instance, node, weights, count) { $0.currentWeights(ofNode: $1) }
}

@c @implementation
public func tally_biases(
  _ instance: OpaquePointer!, _ node: UInt32,
  _ biases: UnsafeMutablePointer<UnsafePointer<Int32>?>!, _ count: UnsafeMutablePointer<UInt32>!
) -> tally_status {
  unsafe handOut(instance, node, biases, count) { $0.currentBiases(ofNode: $1) }
}

/// Says where a node's values lie and how many there are.
@unsafe
private func handOut<Element: BitwiseCopyable>(
  _ instance: OpaquePointer?, _ node: UInt32,
  _ start: UnsafeMutablePointer<UnsafePointer<Element>?>?, _ count: UnsafeMutablePointer<UInt32>?,
  _ values: (Session, Int) -> View<Element>
) -> tally_status {
  guard let opened = unsafe InstancePointer(instance), let start = unsafe start,
    let count = unsafe count, let index = opened.node(node)
  else { return TALLY_BAD_ARGUMENT }
  let view = values(opened.value.session, index)
  unsafe start.pointee = unsafe UnsafePointer(view.pointer)
  unsafe count.pointee = UInt32(truncatingIfNeeded: view.count)
  return TALLY_OK
}

@c @implementation
public func tally_save(
  _ instance: OpaquePointer!, _ write: tally_write!, _ context: UnsafeMutableRawPointer!
) -> tally_status {
  guard let opened = unsafe InstancePointer(instance), unsafe write != nil else {
    return TALLY_BAD_ARGUMENT
  }
  var sink = unsafe CallbackSink(write, context)
  var hash = SHA256()
  opened.value.session.forEachModelRun { run in
    run.withRawSpan {
      sink.write($0)
      hash.update($0)
    }
  }
  var tail = Payload()
  tail.append(hash.finalize())
  tail.withRawSpan { sink.write($0) }
  return sink.hasFailed ? TALLY_WRITE_FAILED : TALLY_OK
}

extension InstancePointer {
  func node(_ node: UInt32) -> Int? {
    UInt64(node) < UInt64(truncatingIfNeeded: value.session.network.nodeCount)
      ? Int(truncatingIfNeeded: node) : nil
  }
}
