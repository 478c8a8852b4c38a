/// The seed of a run; every random bit is a function of it and an address (SPEC §4).
///
/// There is no generator state: the same address gives the same bits on every device, in any order
/// and on any number of threads.
public struct RandomKey: Equatable, Sendable {
  @usableFromInline let low: UInt32
  @usableFromInline let high: UInt32

  @inlinable
  public init(seed: UInt64) {
    low = UInt32(truncatingIfNeeded: seed)
    high = UInt32(truncatingIfNeeded: seed &>> 32)
  }

  /// The bits of one purpose, tensor, step and query.
  ///
  /// - Parameter tensor: 0…2^24 − 1.
  /// - Parameter step: any value; the step of a run, or the epoch of a shuffle.
  /// - Parameter query: any value; the query of a zeroth-order step, or the micro-batch.
  @inlinable
  public func stream(
    _ purpose: Purpose, tensor: UInt32, step: UInt32, query: UInt32
  ) -> RandomStream {
    precondition(tensor < 1 << 24, "a tensor number has 24 bits")
    return RandomStream(
      key: self, tensorAndPurpose: tensor | UInt32(purpose.rawValue) &<< 24, step: step,
      query: query)
  }
}
