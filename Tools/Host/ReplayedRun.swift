public import Importers
public import Tally

/// A run rebuilt from its journal and the model it began with, without data (SPEC 8.19).
public final class ReplayedRun {
  public let verdict: Verdict
  /// Steps taken.
  public let steps: UInt32
  /// State roots that came out as recorded.
  public let checkedRoots: Int
  /// The model file with the rebuilt parameters.
  public let modelBytes: [UInt8]
  public let modelDigest: Digest

  /// - Parameter last: only the steps before this one.
  /// - Throws: TLY0903 if the journal is of another model, TLY0906 if its recipe cannot be replayed.
  public init(
    _ model: LoadedModel, _ journal: LoadedJournal, before last: UInt32 = .max
  ) throws(InputError) {
    guard let inputs = journal.inputs, inputs.modelDigest == model.digest else {
      throw InputError(903, "the journal is of another model", exit: 2)
    }
    let recipe: Recipe
    do throws(RecipeError) {
      recipe = try Recipe(validating: inputs.recipe, for: model.network)
    } catch {
      throw InputError(
        802, "the recipe does not fit the model", place: "canonical recipe, byte \(error.offset)",
        exit: 2)
    }
    let host: HostSession
    do throws(MemoryPlanError) {
      host = try HostSession(model, SessionRequest(samples: 1, training: recipe.needs))
    } catch {
      throw InputError(error, model)
    }
    guard
      let run = ZerothOrderReplay(
        host.session, recipe, samples: inputs.sampleCount, planned: inputs.plannedSteps)
    else {
      throw InputError(
        906, "this journal does not hold all of its run",
        note: "only runs of weights and gains by zeroth order, with the head frozen, replay",
        help: "tally verify with the data does the run again", exit: 4)
    }
    var replay = Replay(journal.reader, run)
    verdict = replay.finish(before: last)
    steps = replay.run.step
    checkedRoots = replay.checkedRoots
    modelBytes = host.modelBytes()
    modelDigest = host.session.modelDigest
  }
}
