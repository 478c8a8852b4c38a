import TallyHost
import TallyTestSupport
import Testing

/// Samples in parts with workspaces of their own (SPEC 11): random networks and recipes, as the reference
/// gets them, however small.
@Suite("Samples in parts", .serialized) struct PartsTests {
  @Test("any number of parts, one after another and at once, gives the same bytes")
  func parts() throws {
    let seed = SeededGenerator.freshSeed()
    defer { Threads.use(1) }
    var shared = 0
    for number in 0..<30 {
      let run = try RandomRun(seed: seed, number: number)
      if run.recipe.microBatch > 1 { shared += 1 }
      let whole = try run.train(isCompact: false)
      for threads in [2, 3, 7] {
        for isAtOnce in [false, true] {
          Threads.use(isAtOnce ? threads : 1)
          let parts = try run.train(isCompact: false, threads: threads)
          let isSame = parts.journal == whole.journal && parts.trained == whole.trained
          #expect(isSame, "seed \(seed), \(run.name): \(threads) parts, at once: \(isAtOnce)")
        }
      }
    }
    #expect(shared > 10)
  }
}
