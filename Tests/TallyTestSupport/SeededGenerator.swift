import Foundation
public import Tally

/// Random choices that a seed repeats. The draws are the runtime's own counters, under a purpose that
/// no run uses.
public struct SeededGenerator: Sendable {
  public let seed: UInt64
  private let stream: RandomStream
  private var position: UInt32 = 0

  /// - Parameter number: which of the seed's independent rows of choices.
  public init(seed: UInt64, number: Int) {
    self.seed = seed
    stream = RandomKey(seed: seed).stream(
      .evolution, tensor: UInt32(number), step: 0, query: 0)
  }

  /// A seed that has not been drawn before, or the one that `TALLY_SEED` asks for.
  public static func freshSeed() -> UInt64 {
    let wanted = ProcessInfo.processInfo.environment["TALLY_SEED"].flatMap { UInt64($0) }
    return wanted ?? UInt64.random(in: 1..<1 << 32)
  }

  /// 0..<n.
  public mutating func below(_ n: Int) -> Int {
    position += 1
    return Int(stream.uniform(position - 1, below: UInt32(n)))
  }

  public mutating func between(_ low: Int, _ high: Int) -> Int { low + below(high - low + 1) }

  /// True once in `n` times.
  public mutating func once(in n: Int) -> Bool { below(n) == 0 }

  public mutating func of<T>(_ choices: [T]) -> T { choices[below(choices.count)] }

  public mutating func word() -> UInt64 {
    UInt64(below(1 << 16)) << 48 | UInt64(below(1 << 16)) << 32 | UInt64(below(1 << 16)) << 16
      | UInt64(below(1 << 16))
  }

  /// A Scale with a mantissa of any kind and its exponent in a range: [2^(low−1), 2^high).
  public mutating func scale(_ low: Int, _ high: Int) -> Scale {
    let mantissa = Int32(1 << 30) | Int32(below(1 << 15)) << 15 | Int32(below(1 << 15))
    let plain = once(in: 4) ? Int32(1) << 30 : mantissa
    return Scale(mantissa: plain, exponent: Int32(between(low, high)))!
  }
}
