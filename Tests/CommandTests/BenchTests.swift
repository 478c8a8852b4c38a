import Testing

@testable import TallyCommand

@Suite("Bench") struct BenchTests {
  @Test("three digits that count")
  func decimals() {
    for (value, text) in [
      (0.0, "0.000"), (0.1234, "0.123"), (0.9996, "1.000"), (1.236, "1.24"), (9.999, "10.00"),
      (12.34, "12.3"), (99.96, "100.0"), (123.4, "123"), (45_678.9, "45679"),
    ] { #expect(BenchRow.decimal(value) == text) }
  }

  @Test("a bound is missed, or reached as gate or as goal")
  func verdicts() {
    let time = BenchRow.Bound.atMost(4, goal: 3)
    #expect([5.0, 4, 3.5, 3].map { time.verdict($0) } == ["missed", "gate", "gate", "goal"])
    let speed = BenchRow.Bound.atLeast(20, goal: 35)
    #expect([19.0, 20, 34, 35].map { speed.verdict($0) } == ["missed", "gate", "gate", "goal"])
  }

  @Test("the medians of calls that take turns, and how often they were measured")
  func timing() {
    var calls = [0, 0]
    let times = BenchTiming.alternating(
      .init(repetitions: 3, batch: 50), [{ calls[0] += 1 }, { calls[1] += 1 }])
    #expect(times.count == 2 && calls[0] > 3 && calls[1] > 3)
    for time in times {
      #expect(time.repetitions == 3)
      #expect(time.least <= time.median && time.median <= time.most && time.least > 0)
    }
  }

  @Test("the same steps at every SIMD level give the same state")
  func digests() throws {
    let box = try Sandbox()
    let arguments = ["bench", "--only", "cnn", "--steps", "2", "--json"]
    let best = box.run(arguments)
    let plain = box.run(arguments + ["--simd", "plain"])
    #expect(best.status == 0 && plain.status == 0)
    let digest = try #require(best.json["digest"] as? String)
    #expect(digest.count == 64 && digest == plain.json["digest"] as? String)
  }

  @Test("what bench refuses")
  func refused() throws {
    let box = try Sandbox()
    for (arguments, words) in [
      (["bench", "--simd", "mmx"], "not a SIMD level"),
      (["bench", "--steps", "1", "--only", "transformer"], "no network"),
      (["bench", "--steps", "0"], "1 to 1000000"),
      (["bench", "--only", "cnn", "--kept", "0.1"], "--kept goes with --steps"),
    ] {
      let outcome = box.run(arguments)
      #expect(outcome.status == 2 && outcome.error.contains(words), "\(outcome)")
    }
  }
}
