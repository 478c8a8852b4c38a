import Tally
import TallyHost
import TallyTestSupport
import Testing

/// Samples in parts with workspaces of their own (SPEC 11): random networks and recipes, as the reference
/// gets them, however small.
@Suite("Samples in parts", .serialized) struct PartsTests {
  @Test("any number of parts, one after another and at once, gives the same bytes")
  func parts() throws {
    try expectSame { run, threads in
      let result = try run.train(isCompact: false, threads: threads)
      return [result.journal, result.trained]
    }
  }

  /// Goal: weights packed once, whose patches and accumulators lie elsewhere than while training.
  @Test("inference in parts gives the same logits")
  func inference() throws {
    try expectSame { run, threads in try run.logits(threads: threads) }
  }

  private func expectSame<Result: Equatable>(
    _ result: (_ run: RandomRun, _ threads: Int) throws -> Result
  ) throws {
    let seed = SeededGenerator.freshSeed()
    defer { Threads.use(1) }
    var cutRuns = 0
    for number in 0..<30 {
      let run = try RandomRun(seed: seed, number: number)
      let whole = try result(run, 1)
      for threads in [2, 3, 7] {
        func check(_ how: String) throws {
          let isSame = try result(run, threads) == whole
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
}
