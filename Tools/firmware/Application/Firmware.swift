import FirmwareBoard
import Tally

/// The whole application: open the image, infer, train with a journal, say what came out.
///
/// Every line printed is a result, equal on every target, but for the last four: those are memory.
/// - Returns: 0, or the exit code of a failure that has been printed.
@c(firmware_main)
public func firmwareMain() -> Int32 {
  let image = Image()
  let network: Network
  let recipe: Recipe
  do throws(ModelError) {
    network = try image.network()
  } catch {
    return fail("model", Int(error.code.rawValue), at: error.offset)
  }
  do throws(RecipeError) {
    recipe = try Recipe(validating: image.recipe, for: network)
  } catch {
    return fail("recipe", Int(error.code.rawValue), at: error.offset)
  }
  do throws(MemoryPlanError) {
    return train(try Memory(network, recipe), recipe, image)
  } catch {
    return fail("plan", 0, at: 0)
  }
}

private func train(_ memory: Memory, _ recipe: Recipe, _ image: Image) -> Int32 {
  let session = memory.session
  infer(session, recipe, image.validation(session.network), "before")
  record(session, recipe, image)
  infer(session, recipe, image.validation(session.network), "after")
  put("model", session.modelDigest)
  let bound = MemoryPlan.stackByteCount(isTraining: true)
  put("arena", memory.byteCount)
  put("static", Int(truncatingIfNeeded: board_static_bytes()))
  put("stack", Int(truncatingIfNeeded: board_stack_bytes()))
  put("stack-bound", bound)
  // A stack without paint left may have run over into other memory.
  let isWithin = board_stack_bytes() <= bound && board_stack_bytes() < board_stack_limit()
  return isWithin ? 0 : fail("stack", 0, at: 0)
}

/// Trains to the end and prints the journal's digests.
///
/// Kept apart, so that inference does not stand on this function's stack.
@inline(never)
private func record(_ session: Session, _ recipe: Recipe, _ image: Image) {
  let training = image.training(session.network)
  let validation = image.validation(session.network)
  var run = Run(
    Trainer(session, recipe, training), dataDigest: training.digest, validation: validation,
    validationDigest: validation.digest)
  var journal = JournalWriter(HashingSink())
  run.begin(&journal)
  while !run.isDone { run.takeStep(&journal) }
  run.end(&journal)
  put("steps", Int(truncatingIfNeeded: run.trainer.step))
  put("journal-bytes", journal.sink.byteCount)
  put("journal", journal.sink.hash.finalize())
  put("digest", journal.chain.head)
}

/// Inference over all samples: prints how many are right, the loss, and a digest of every logit.
@inline(never)
private func infer(
  _ session: Session, _ recipe: Recipe, _ samples: Samples, _ name: StaticString
) {
  var logits = SHA256()
  let result = Trainer.evaluate(session, recipe.loss, samples) { sample, predicted in
    logits.update(littleEndian: UInt32(truncatingIfNeeded: predicted))
    let row = session.logits(sample: sample % session.request.samples)
    for index in 0..<row.count { logits.update(littleEndian: UInt32(bitPattern: row[index])) }
  }
  put(name)
  put(" ")
  put(number: Int(truncatingIfNeeded: result.correct))
  put(" of ")
  put(number: Int(truncatingIfNeeded: result.samples))
  put(" logits ")
  put(digest: logits.finalize())
  put("\n")
}
