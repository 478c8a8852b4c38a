public import CounterRandom
public import FixedPoint
import MicroKernels
public import Tensors

// How int32 gradient accumulators become int8 gradients (SPEC 8.4): mask, common exponent, stochastic
// rounding. The two passes are separate so that a board can compute accumulators twice instead of
// keeping them.

/// The largest |v|, at most 2³¹.
public func largestMagnitude(_ values: View<Int32>) -> UInt32 {
  // The view is as long as its count says.
  unsafe tally_max_magnitude_s32(Int32(truncatingIfNeeded: values.count), values.pointer)
}

/// The largest |v| where the sample's mask has a 1.
///
/// - Parameter first: the sample's element that accumulator 0 belongs to, a multiple of 8.
public func largestMagnitude(_ values: View<Int32>, mask: View<UInt8>, first: Int) -> UInt32 {
  let bits = part(of: mask, first: first, count: values.count)
  // A bit for each accumulator.
  return unsafe tally_masked_magnitude_s32(
    Int32(truncatingIfNeeded: values.count), bits.pointer, values.pointer)
}

/// The bits of `count` elements from `first` on, a multiple of 8.
private func part(of mask: View<UInt8>, first: Int, count: Int) -> View<UInt8> {
  assert(first & 7 == 0, "a mask is read by whole bytes")
  return mask.slice(first &>> 3, maskByteCount(count))
}

/// The shift that brings accumulators of magnitude up to `largest` into 8 bits.
@inlinable
public func gradientShift(_ largest: UInt32) -> Int32 { max(0, bitLength(largest) &- 7) }

/// g = clamp(SR(dx, shift), ±127), 0 where the sample's mask has a 0.
///
/// - Parameters:
///   - mask: of the sample, nil for all ones.
///   - inSample: the sample's element that accumulator 0 belongs to, a multiple of 8.
///   - first: the element of the micro-batch that it is; it names the lane.
public func roundGradient(
  _ accumulators: View<Int32>, mask: View<UInt8>? = nil, inSample: Int = 0, shift: Int32,
  _ stream: RandomStream, first: Int, into gradient: View<Int8>
) {
  let bits = mask.map { part(of: $0, first: inSample, count: accumulators.count) }
  // The views hold `accumulators.count` elements, the mask a bit for each.
  unsafe stream.withMicroKernelWords { key, counter in
    unsafe tally_shift_stochastic_s8(
      Int32(truncatingIfNeeded: accumulators.count), accumulators.pointer, shift,
      UInt32(truncatingIfNeeded: first), key, counter, gradient.pointer, bits?.pointer)
  }
}

extension RandomStream {
  /// Calls `body` with the key and the counter behind the block number, as the microkernels take them.
  @unsafe
  func withMicroKernelWords(
    _ body: (_ key: UnsafePointer<UInt32>, _ counter: UnsafePointer<UInt32>) -> Void
  ) {
    let words: InlineArray<5, UInt32> = [
      keyWords.0, keyWords.1, counterWords.0, counterWords.1, counterWords.2,
    ]
    unsafe words.span.withUnsafeBufferPointer { buffer in
      // Five words: two of the key, three of the counter.
      guard let start = buffer.baseAddress else { return }
      unsafe body(start, start + 2)
    }
  }
}

/// target = g where the sample's mask has a 1 (or there is none), else 0: a gradient that passes an
/// operation unchanged.
/// - Returns: the largest magnitude.
public func pass(_ g: View<Int8>, mask: View<UInt8>?, into target: View<Int8>) -> UInt32 {
  // Both views hold `g.count` elements, the mask a bit for each.
  unsafe tally_pass_s8(
    Int32(truncatingIfNeeded: g.count), g.pointer, mask?.pointer, target.pointer)
}

/// ĝ = clamp(SR(g·ρ_c, 15), ±127): brings per-channel weight Scales to the largest (SPEC 6.1, backward).
///
/// - Parameters:
///   - ratios: int32 per channel, Q15, at most 2¹⁵.
///   - first: the element of the micro-batch that g[0] is.
@inlinable
public func foldChannels(
  _ g: View<Int8>, ratios: View<Int32>, _ stream: RandomStream, first: Int, into folded: View<Int8>
) {
  var lanes = RoundingLanes(stream, startingAt: UInt32(truncatingIfNeeded: first))
  let channels = ratios.count
  var channel = 0
  for index in 0..<g.count {
    let rounded = shiftedStochastically(
      Int32(g[index]) &* ratios[channel], by: 15, bits: lanes.next())
    folded[index] = Int8(truncatingIfNeeded: min(max(rounded, -127), 127))
    channel &+= 1
    if channel == channels { channel = 0 }
  }
}
