public import CTally
import Bytes
import Layers
import ModelFormat
import Tensors
import Training

@c @implementation
public func tally_describe(
  _ model: UnsafeRawPointer!, _ model_bytes: UInt32,
  _ description: UnsafeMutablePointer<tally_description>!,
  _ fault: UnsafeMutablePointer<tally_fault>!
) -> tally_status {
  unsafe reporting(to: fault) { () throws(Fault) in
    guard let description = unsafe description else { throw .badArgument }
    let network = try unsafe Setup.network(model, model_bytes)
    let shape = network.inputShape
    unsafe description.pointee.height = UInt32(truncatingIfNeeded: shape.height)
    unsafe description.pointee.width = UInt32(truncatingIfNeeded: shape.width)
    unsafe description.pointee.channels = UInt32(truncatingIfNeeded: shape.channels)
    unsafe description.pointee.zero_point = network.inputQuantization.zeroPoint
    unsafe description.pointee.outputs = UInt32(truncatingIfNeeded: network.outputCount)
    unsafe description.pointee.nodes = UInt32(truncatingIfNeeded: network.nodeCount)
    unsafe withUnsafeMutableBytes(of: &description.pointee.digest) {
      unsafe network.digest.copy(to: $0.baseAddress)
    }
  }
}

@c @implementation
public func tally_plan(
  _ setup: UnsafePointer<tally_setup>!, _ memory: UnsafeMutableRawPointer!,
  _ memory_bytes: UInt32, _ sizes: UnsafeMutablePointer<tally_sizes>!,
  _ fault: UnsafeMutablePointer<tally_fault>!
) -> tally_status {
  unsafe reporting(to: fault) { () throws(Fault) in
    guard let sizes = unsafe sizes else { throw .badArgument }
    let checked = try unsafe Setup(setup)
    let byteCount = try unsafe checked.plan(in: memory, memory_bytes).byteCount
    let recipeBytes = checked.recipe?.bytes.count ?? 0
    unsafe sizes.pointee = tally_sizes(
      flash: UInt32(truncatingIfNeeded: checked.network.byteCount + recipeBytes),
      memory: UInt32(truncatingIfNeeded: byteCount),
      stack: UInt32(
        truncatingIfNeeded: MemoryPlan.stackByteCount(isTraining: checked.recipe != nil)))
  }
}

@c @implementation
public func tally_open(
  _ setup: UnsafePointer<tally_setup>!, _ memory: UnsafeMutableRawPointer!,
  _ memory_bytes: UInt32, _ instance: UnsafeMutablePointer<OpaquePointer?>!,
  _ fault: UnsafeMutablePointer<tally_fault>!
) -> tally_status {
  unsafe reporting(to: fault) { () throws(Fault) in
    guard let instance = unsafe instance else { throw .badArgument }
    let checked = try unsafe Setup(setup)
    let (plan, rest, byteCount) = try unsafe checked.plan(in: memory, memory_bytes)
    guard byteCount <= Int(truncatingIfNeeded: memory_bytes) else {
      throw Fault(TALLY_NO_MEMORY, place: byteCount)
    }
    let opened = Instance(
      session: unsafe Session(checked.network, checked.request, plan: plan, in: rest),
      recipe: checked.recipe)
    unsafe instance.pointee = InstancePointer(initializing: memory, to: opened).opaque
  }
}

extension Digest {
  /// Its 32 bytes; nothing for NULL.
  @unsafe
  func copy(to bytes: UnsafeMutableRawPointer?) {
    guard let bytes = unsafe bytes else { return }
    for index in 0..<Digest.byteCount {
      unsafe bytes.storeBytes(of: self[index], toByteOffset: index, as: UInt8.self)
    }
  }
}
