public import CounterRandom
public import FixedPoint
import MicroKernels
public import Tensors

// Zeroth-order directions (SPEC 8.14): signs of a stream, by element, regenerated wherever they are
// needed and never stored.

/// Consecutive signs of a stream, +1 or −1, one Philox block per 128 of them.
public struct SignSequence: Sendable {
  @usableFromInline let stream: RandomStream
  @usableFromInline var element: UInt32
  @usableFromInline var word: UInt32 = 0
  @usableFromInline var words: (UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0)

  @inlinable
  public init(_ stream: RandomStream, startingAt start: UInt32) {
    self.stream = stream
    element = start
    if start & 127 != 0 { words = stream.words(block: start &>> 7) }
    if start & 31 != 0 { loadWord() }
  }

  @inlinable
  mutating func loadWord() {
    switch (element &>> 5) & 3 {
    case 0: word = words.0
    case 1: word = words.1
    case 2: word = words.2
    default: word = words.3
    }
    word &>>= element & 31
  }

  /// The sign of the next element.
  @inlinable
  public mutating func next() -> Int32 {
    if element & 31 == 0 {
      if element & 127 == 0 { words = stream.words(block: element &>> 7) }
      loadWord()
    }
    let sign = 1 &- 2 &* Int32(truncatingIfNeeded: word & 1)
    word &>>= 1
    element &+= 1
    return sign
  }
}

/// target = w + σ·u, u = 0 where |w| + |σ| > 127.
///
/// - Parameters:
///   - sigma: −127…127; negative for the second evaluation of a pair.
///   - first: the element of the weight tensor that w[0] is.
/// - Returns: the sum of the target.
public func perturb(
  _ w: View<Int8>, by sigma: Int32, _ stream: RandomStream, first: Int, into target: View<Int8>
) -> Int32 {
  var sum: Int32 = 0
  // Both views hold `w.count` elements.
  unsafe stream.withMicroKernelWords { key, counter in
    sum = unsafe tally_perturb_s8(
      Int32(truncatingIfNeeded: w.count), w.pointer, sigma, UInt32(truncatingIfNeeded: first), key,
      counter, target.pointer)
  }
  return sum
}

/// y ← y + σ·u, u = 0 where y is not at least |σ| inside its bounds.
@inlinable
public func perturb(
  _ y: View<Int8>, by sigma: Int32, _ stream: RandomStream, low: Int32, high: Int32
) {
  var signs = SignSequence(stream, startingAt: 0)
  let (least, most) = (low &+ abs(sigma), high &- abs(sigma))
  for index in 0..<y.count {
    let value = Int32(y[index])
    let step = signs.next() &* sigma
    if value >= least && value <= most { y[index] = Int8(truncatingIfNeeded: value &+ step) }
  }
}

/// Σ D·u for a run of elements, saturated to 32 bits once.
///
/// - Parameters:
///   - differences: int32, D of the directions of `stream` and of those after it: the query counts up.
///   - first: the element of the tensor that sums[0] is.
///   - weights: int8, as many as sums, of which those with |w| > `most` were not moved and have u = 0; nil if
///     all were.
///   - sums: int32.
public func signedSums(
  _ differences: View<Int32>, _ stream: RandomStream, first: Int, weights: View<Int8>? = nil,
  most: Int32 = 127, into sums: View<Int32>
) {
  // The views hold what their counts say, the weights as much as the sums.
  unsafe stream.withMicroKernelWords { key, counter in
    unsafe tally_signed_sums_s32(
      Int32(truncatingIfNeeded: sums.count), UInt32(truncatingIfNeeded: first),
      Int32(truncatingIfNeeded: differences.count), differences.pointer, key, counter,
      weights?.pointer, most, sums.pointer)
  }
}

/// The update of masters and weights by an estimate of one direction, D·u: `signedSums`, then `contribute` with
/// weights (SPEC 8.16).
///
/// - Parameters:
///   - directions: the stream of u.
///   - lanes: the stream of the rounding.
///   - first: the element of the weight tensor that masters[0] is.
///   - most: weights beyond it were not moved.
///   - limit: the clip in Q16 LSB.
///   - masters: int32, in step with `weights`.
/// - Returns: how many contributions the clip changed.
public func contributeSigns(
  _ difference: Int32, _ multiplier: Multiplier, _ directions: RandomStream, _ lanes: RandomStream,
  first: Int, most: Int32, limit: Int32, masters: View<Int32>, weights: View<Int8>
) -> Int {
  var clipped: Int32 = 0
  // Both views hold `masters.count` elements; the streams have one key.
  unsafe directions.withMicroKernelWords { key, signs in
    unsafe lanes.withMicroKernelWords { _, counter in
      clipped = unsafe tally_contribute_signs_q16(
        Int32(truncatingIfNeeded: masters.count), difference, multiplier.mantissa,
        multiplier.shift, UInt32(truncatingIfNeeded: first), key, signs, counter, most, limit,
        masters.pointer, weights.pointer)
    }
  }
  return Int(clipped)
}
