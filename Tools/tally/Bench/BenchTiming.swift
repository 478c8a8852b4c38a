import Platform

/// Microseconds per call: median, least and most of the repetitions.
struct BenchTiming: Sendable {
  let median, least, most: Double
  let repetitions: Int

  /// How long and how often to measure.
  struct Effort: Sendable {
    let repetitions: Int
    /// Of one repetition, microseconds.
    let batch: Double

    static let quick = Effort(repetitions: 9, batch: 4000)
    static let full = Effort(repetitions: 21, batch: 20_000)
  }

  /// CPU time of this thread, so that other jobs on the machine do not count; of the clock where several
  /// threads work.
  enum Clock { case thread, wall }

  /// In microseconds.
  static func now(_ clock: Clock = .thread) -> Double {
    var time = timespec()
    clock_gettime(clock == .thread ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) * 1e6 + Double(time.tv_nsec) * 1e-3
  }

  /// Times calls that take turns, so that a slow phase of the machine meets all of them.
  static func alternating(
    _ effort: Effort, on clock: Clock = .thread, _ calls: [() -> Void]
  ) -> [BenchTiming] {
    let counts = calls.map { call -> Int in
      var count = 1
      while true {
        let start = now(clock)
        for _ in 0..<count { call() }
        let time = now(clock) - start
        if time >= effort.batch / 4 { return max(1, Int(Double(count) * effort.batch / time)) }
        count *= 2
      }
    }
    let timed = zip(calls, counts).map { call, count in
      {
        let start = now(clock)
        for _ in 0..<count { call() }
        return (now(clock) - start) / Double(count)
      }
    }
    return alternating(effort, timed: timed)
  }

  /// The same for calls that say what they took, in microseconds.
  static func alternating(_ effort: Effort, timed calls: [() -> Double]) -> [BenchTiming] {
    var times = calls.map { _ in [Double]() }
    for _ in 0..<effort.repetitions {
      for (index, call) in calls.enumerated() { times[index].append(call()) }
    }
    return times.map { BenchTiming($0) }
  }

  private init(_ times: [Double]) {
    let sorted = times.sorted()
    median = sorted[sorted.count / 2]
    least = sorted[0]
    most = sorted[sorted.count - 1]
    repetitions = sorted.count
  }
}
