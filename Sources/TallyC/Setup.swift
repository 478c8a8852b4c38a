import CTally
import Layers
import ModelFormat
import Tensors
import Training

/// A setup whose model and recipe are validated.
struct Setup {
  let network: Network
  let recipe: Recipe?
  let request: SessionRequest

  @unsafe
  init(_ setup: UnsafePointer<tally_setup>?) throws(Fault) {
    guard let fields = unsafe setup?.pointee else { throw .badArgument }
    network = try unsafe Setup.network(fields.model, fields.model_bytes)
    var samples = unsafe Int(truncatingIfNeeded: fields.samples)
    if let bytes = unsafe fields.recipe {
      guard samples == 0 else { throw .badArgument }
      let view = unsafe View<UInt8>(
        base: bytes, offset: 0, count: Int(truncatingIfNeeded: fields.recipe_bytes))
      do throws(RecipeError) {
        recipe = try Recipe(validating: view, for: network)
      } catch { throw Fault(error) }
      samples = Int(truncatingIfNeeded: recipe?.microBatch ?? 1)
    } else {
      recipe = nil
      guard samples <= 1 << 16 else { throw .badArgument }
    }
    request = SessionRequest(
      samples: max(samples, 1), isCompact: true, training: recipe?.needs)
  }

  /// - Parameter model: read in place.
  @unsafe
  static func network(_ model: UnsafeRawPointer?, _ byteCount: UInt32) throws(Fault) -> Network {
    guard let model = unsafe model,
      UInt(bitPattern: model) % UInt(TALLY_MODEL_ALIGNMENT) == 0
    else { throw .badArgument }
    do throws(ModelError) {
      return try unsafe Network(
        validating: UnsafeRawBufferPointer(
          start: model, count: Int(truncatingIfNeeded: byteCount)))
    } catch { throw Fault(error) }
  }

  /// Plans in the part of the memory that the session will have.
  ///
  /// - Returns: the plan, the session's memory, and how many bytes all of it takes.
  @unsafe
  func plan(
    in memory: UnsafeMutableRawPointer?, _ byteCount: UInt32
  ) throws(Fault) -> (plan: MemoryPlan, memory: UnsafeMutableRawBufferPointer, byteCount: Int) {
    guard let memory = unsafe memory,
      UInt(bitPattern: memory) % UInt(TALLY_MEMORY_ALIGNMENT) == 0
    else { throw .badArgument }
    let start = InstancePointer.arena(hasRecipe: recipe != nil)
    let count = Int(truncatingIfNeeded: byteCount) - start
    let planning = MemoryPlan.planningByteCount(nodeCount: network.nodeCount)
    guard count >= planning else { throw Fault(TALLY_NO_MEMORY, place: start + planning) }
    let rest = unsafe UnsafeMutableRawBufferPointer(start: memory + start, count: count)
    do throws(MemoryPlanError) {
      let plan = try unsafe MemoryPlan(network, request, in: rest)
      return unsafe (
        plan, rest, start + plan.sessionByteCount(nodeCount: network.nodeCount)
      )
    } catch { throw Fault(error) }
  }
}
