public import CTally
import Journals
import Layers
import Training

@c @implementation
public func tally_train(
  _ instance: OpaquePointer!, _ samples: UnsafePointer<tally_samples>!,
  _ validation: UnsafePointer<tally_samples>!, _ write: tally_write!,
  _ context: UnsafeMutableRawPointer!, _ fault: UnsafeMutablePointer<tally_fault>!
) -> tally_status {
  unsafe reporting(to: fault) { () throws(Fault) in
    guard let opened = unsafe InstancePointer(instance) else { throw .badArgument }
    guard let recipe = opened.value.recipe else { throw Fault(TALLY_NO_RUN) }
    guard !opened.value.hasRun else { throw .badArgument }
    let training = try unsafe opened.samples(samples)
    let judged = unsafe validation == nil ? nil : try unsafe opened.samples(validation)
    opened.begin(
      RunState(
        run: Run(
          Trainer(opened.value.session, recipe, training), dataDigest: training.digest,
          validation: judged, validationDigest: judged?.digest),
        writer: JournalWriter(unsafe CallbackSink(write, context))))
    opened.state.run.begin(&opened.state.writer)
    opened.endIfDone()
    if opened.state.writer.isStopped { throw Fault(TALLY_WRITE_FAILED) }
  }
}

@c @implementation
public func tally_step(
  _ instance: OpaquePointer!, _ result: UnsafeMutablePointer<tally_step_result>!
) -> tally_status {
  guard let opened = unsafe InstancePointer(instance) else { return TALLY_BAD_ARGUMENT }
  guard opened.value.hasRun, !opened.state.isEnded else { return TALLY_NO_RUN }
  guard !opened.state.writer.isStopped else { return TALLY_WRITE_FAILED }
  opened.state.run.takeStep(&opened.state.writer)
  opened.endIfDone()
  if let result = unsafe result, let step = opened.state.run.lastStep {
    unsafe result.pointee = tally_step_result(
      loss: step.loss, step: step.step, samples: step.samples, correct: step.correct,
      saturated: step.saturated, clipped: step.clipped, is_last: opened.state.isEnded ? 1 : 0)
  }
  return opened.state.writer.isStopped ? TALLY_WRITE_FAILED : TALLY_OK
}

@c @implementation
public func tally_planned_steps(_ instance: OpaquePointer!) -> UInt32 {
  guard let opened = unsafe InstancePointer(instance), opened.value.hasRun else { return 0 }
  return opened.state.run.trainer.plannedSteps
}

@c @implementation
public func tally_journal_head(
  _ instance: OpaquePointer!, _ digest: UnsafeMutablePointer<UInt8>!
) -> tally_status {
  guard let opened = unsafe InstancePointer(instance), let digest = unsafe digest else {
    return TALLY_BAD_ARGUMENT
  }
  guard opened.value.hasRun else { return TALLY_NO_RUN }
  unsafe opened.state.writer.chain.head.copy(to: digest)
  return TALLY_OK
}

extension InstancePointer {
  /// Writes the end record after the last step.
  func endIfDone() {
    guard state.run.isDone, !state.writer.isStopped else { return }
    state.run.end(&state.writer)
    state.isEnded = true
  }
}
