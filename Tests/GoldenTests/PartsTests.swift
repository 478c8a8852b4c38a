import Tally
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
    var cutRuns = 0
    for number in 0..<30 {
      let run = try RandomRun(seed: seed, number: number)
      let whole = try run.train(isCompact: false)
      for threads in [2, 3, 7] {
        func check(_ how: String) throws {
          let parts = try run.train(isCompact: false, threads: threads)
          let isSame = parts.journal == whole.journal && parts.trained == whole.trained
          #expect(isSame, "seed \(seed), \(run.name): \(threads) parts, \(how)")
        }
        let calls = try PartCounter.count { try check("the last one first") }
        if calls > 0 { cutRuns += 1 }
        Threads.use(threads)
        try check("at once")
      }
    }
    // Of 90; those that have rows of one unit only, and micro-batches of one sample, are not cut.
    #expect(cutRuns > 45, "seed \(seed)")
  }

  /// Goal: weights packed once, whose patches and accumulators lie elsewhere than while training.
  @Test("inference in parts gives the same logits")
  func inference() throws {
    let seed = SeededGenerator.freshSeed()
    defer { Threads.use(1) }
    var cutRuns = 0
    for number in 0..<30 {
      let run = try RandomRun(seed: seed, number: number)
      let whole = try run.logits()
      for threads in [2, 3, 7] {
        func check(_ how: String) throws {
          let isSame = try run.logits(threads: threads) == whole
          #expect(isSame, "seed \(seed), \(run.name): \(threads) parts, \(how)")
        }
        let calls = try PartCounter.count { try check("the last one first") }
        if calls > 0 { cutRuns += 1 }
        Threads.use(threads)
        try check("at once")
      }
    }
    #expect(cutRuns > 45, "seed \(seed)")
  }
}
