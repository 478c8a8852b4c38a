public import CounterRandom
public import FixedPoint
public import Tensors

/// Two gradients of one tensor, to be joined at the larger Scale: acc = g₁·M₁ + g₂·M₂ (SPEC 8.4, merge).
///
/// |acc| < 2²³, so it is computed twice rather than kept: once for its size, once to round it.
public struct GradientMerge {
  let g1: View<Int8>
  let g2: View<Int8>
  let m1: Int32
  let m2: Int32
  /// The larger of the two Scales, at 2⁻¹⁵ of which the accumulators stand.
  public let scale: Scale

  /// - Precondition: neither Scale is zero.
  public init(_ g1: View<Int8>, _ scale1: Scale, _ g2: View<Int8>, _ scale2: Scale) {
    self.g1 = g1
    self.g2 = g2
    scale = scale1 < scale2 ? scale2 : scale1
    m1 = Int32(truncatingIfNeeded: (scale1 / scale).roundedToInteger(fractionBits: 15))
    m2 = Int32(truncatingIfNeeded: (scale2 / scale).roundedToInteger(fractionBits: 15))
  }

  private func accumulator(_ index: Int) -> Int32 {
    Int32(g1[index]) &* m1 &+ Int32(g2[index]) &* m2
  }

  public var largestMagnitude: UInt32 {
    var largest: UInt32 = 0
    for index in 0..<g1.count { largest = max(largest, accumulator(index).magnitude) }
    return largest
  }

  /// g₁ becomes clamp(SR(acc, shift), ±127).
  public func round(shift: Int32, _ stream: RandomStream) {
    var lanes = RoundingLanes(stream, startingAt: 0)
    for index in 0..<g1.count {
      let rounded = shiftedStochastically(accumulator(index), by: shift, bits: lanes.next())
      g1[index] = Int8(truncatingIfNeeded: min(max(rounded, -127), 127))
    }
  }
}
