public import CounterRandom
public import FixedPoint
import MicroKernels
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

  /// The largest |acc| of some elements.
  public func largestMagnitude(of elements: Range<Int>) -> UInt32 {
    let (g1, g2) = parts(elements)
    // Both views hold `elements.count` elements.
    return unsafe tally_merge_size_s8(
      Int32(truncatingIfNeeded: elements.count), g1.pointer, m1, g2.pointer, m2)
  }

  /// g₁ becomes clamp(SR(acc, shift), ±127) in some elements.
  public func round(_ elements: Range<Int>, shift: Int32, _ stream: RandomStream) {
    let (g1, g2) = parts(elements)
    // Both views hold `elements.count` elements.
    unsafe stream.withMicroKernelWords { key, counter in
      unsafe tally_merge_s8(
        Int32(truncatingIfNeeded: elements.count), g1.pointer, m1, g2.pointer, m2, shift,
        UInt32(truncatingIfNeeded: elements.lowerBound), key, counter)
    }
  }

  private func parts(_ elements: Range<Int>) -> (View<Int8>, View<Int8>) {
    (
      g1.slice(elements.lowerBound, elements.count), g2.slice(elements.lowerBound, elements.count)
    )
  }
}
