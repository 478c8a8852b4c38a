public import CTally
import Kernels
import Layers
import Tensors
import Training

@c @implementation
public func tally_input(
  _ instance: OpaquePointer!, _ sample: UInt32
) -> UnsafeMutablePointer<Int8>! {
  guard let opened = unsafe InstancePointer(instance), opened.has(sample: sample) else {
    return nil
  }
  let size = opened.value.session.network.inputShape.count
  return unsafe opened.value.session.input
    .slice(Int(truncatingIfNeeded: sample) * size, size).pointer
}

@c @implementation
public func tally_infer(_ instance: OpaquePointer!, _ samples: UInt32) -> tally_status {
  guard let opened = unsafe InstancePointer(instance), samples >= 1,
    opened.has(sample: samples - 1)
  else { return TALLY_BAD_ARGUMENT }
  opened.value.session.forward(samples: Int(truncatingIfNeeded: samples))
  return TALLY_OK
}

@c @implementation
public func tally_logits(_ instance: OpaquePointer!, _ sample: UInt32) -> UnsafePointer<Int32>! {
  guard let opened = unsafe InstancePointer(instance), opened.has(sample: sample) else {
    return nil
  }
  return unsafe UnsafePointer(
    opened.value.session.logits(sample: Int(truncatingIfNeeded: sample)).pointer)
}

@c @implementation
public func tally_predicted(_ instance: OpaquePointer!, _ sample: UInt32) -> Int32 {
  guard let opened = unsafe InstancePointer(instance), opened.has(sample: sample) else {
    return -1
  }
  let logits = opened.value.session.logits(sample: Int(truncatingIfNeeded: sample))
  return Int32(truncatingIfNeeded: argmax(logits))
}

@c @implementation
public func tally_evaluate(
  _ instance: OpaquePointer!, _ samples: UnsafePointer<tally_samples>!,
  _ result: UnsafeMutablePointer<tally_result>!, _ fault: UnsafeMutablePointer<tally_fault>!
) -> tally_status {
  unsafe reporting(to: fault) { () throws(Fault) in
    guard let opened = unsafe InstancePointer(instance), let result = unsafe result else {
      throw .badArgument
    }
    let checked = try unsafe opened.samples(samples)
    let loss =
      opened.value.recipe?.loss ?? (checked.labels == nil ? .meanSquaredError : .crossEntropy)
    let sums = Trainer.evaluate(opened.value.session, loss, checked)
    unsafe result.pointee = tally_result(
      loss: sums.loss, samples: sums.samples, correct: sums.correct)
  }
}

extension InstancePointer {
  /// Whether a pass has a sample of that number.
  func has(sample: UInt32) -> Bool {
    UInt64(sample) < UInt64(truncatingIfNeeded: value.session.request.samples)
  }

  /// The caller's samples, held against the network and the recipe's loss.
  @unsafe
  func samples(_ pointer: UnsafePointer<tally_samples>?) throws(Fault) -> Samples {
    guard let fields = unsafe pointer?.pointee, let values = unsafe fields.values,
      unsafe fields.count >= 1, unsafe fields.count < 1 << 31,
      (unsafe fields.labels == nil) != (unsafe fields.targets == nil)
    else { throw .badArgument }
    let count = unsafe Int(truncatingIfNeeded: fields.count)
    let network = value.session.network
    func numbers(_ start: UnsafePointer<Int32>?, _ perSample: Int) throws(Fault) -> View<Int32>? {
      guard let start = unsafe start else { return nil }
      guard UInt(bitPattern: start) % 4 == 0 else { throw .badArgument }
      return unsafe View(base: UnsafeRawPointer(start), offset: 0, count: count * perSample)
    }
    let samples = Samples(
      values: unsafe View(
        base: UnsafeRawPointer(values), offset: 0, count: count * network.inputShape.count),
      labels: try unsafe numbers(fields.labels, 1),
      targets: try unsafe numbers(fields.targets, network.outputCount), count: count)
    if let misfit = samples.firstMisfit(network) { throw Fault(TALLY_BAD_SAMPLES, place: misfit) }
    if value.recipe?.loss == .crossEntropy && samples.labels == nil {
      throw Fault(TALLY_BAD_SAMPLES)
    }
    return samples
  }
}
