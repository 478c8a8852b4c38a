public import CounterRandom
public import FixedPoint
import MicroKernels
public import Tensors

// The last step of training: gradients become changes of parameters (SPEC 8.6, 8.7).

/// D = clamp(requantSR(dw, U), ±limit) for each element, added to `pending` or taken from a master.
///
/// - Parameters:
///   - gradient: int32 accumulators of one output channel or several.
///   - first: the element of the weight tensor that gradient[0] is; it names the lane.
///   - limit: the clip in Q16 LSB.
///   - target: velocities (added to) or masters (subtracted from), int32.
///   - weights: what masters within their bounds show; with it `refresh` of the new ones follows at once.
/// - Returns: how many contributions the clip changed.
public func contribute(
  _ gradient: View<Int32>, _ multiplier: Multiplier, _ stream: RandomStream, first: Int,
  limit: Int32, subtracting: Bool, into target: View<Int32>, refreshing weights: View<Int8>? = nil
) -> Int {
  assert(weights == nil || subtracting, "weights are refreshed from masters")
  var clipped: Int32 = 0
  // The views hold `gradient.count` elements.
  unsafe stream.withMicroKernelWords { key, counter in
    clipped = unsafe tally_contribute_q16(
      Int32(truncatingIfNeeded: gradient.count), gradient.pointer, multiplier.mantissa,
      multiplier.shift, UInt32(truncatingIfNeeded: first), key, counter, limit,
      subtracting ? 1 : 0, target.pointer, weights?.pointer)
  }
  return Int(clipped)
}

/// The same for the weights of a fully connected operation, whose gradient dw[o, k] = Σ_b g[b, o]·x̂[b, k] is
/// made on the way. Rows without a gradient cost nothing.
///
/// - Parameters:
///   - g: int8 [samples, rows].
///   - x: int8 [samples, depth].
///   - target: int32 [rows, depth].
///   - weights: int8 [rows, depth].
public func contributeProducts(
  _ g: View<Int8>, _ x: View<Int8>, samples: Int, zeroPoint: Int32, _ multiplier: Multiplier,
  _ stream: RandomStream, limit: Int32, subtracting: Bool, into target: View<Int32>,
  refreshing weights: View<Int8>? = nil
) -> Int {
  assert(weights == nil || subtracting, "weights are refreshed from masters")
  let rows = g.count / samples
  let depth = x.count / samples
  assert(target.count == rows * depth, "a target of another shape")
  var clipped: Int32 = 0
  // The views hold what their shapes say.
  unsafe stream.withMicroKernelWords { key, counter in
    clipped = unsafe tally_contribute_product_q16(
      Int32(truncatingIfNeeded: rows), Int32(truncatingIfNeeded: depth),
      Int32(truncatingIfNeeded: samples), g.pointer, rows, x.pointer, depth, zeroPoint,
      multiplier.mantissa, multiplier.shift, key, counter, limit, subtracting ? 1 : 0,
      target.pointer, weights?.pointer)
  }
  return Int(clipped)
}

/// Largest magnitude of a master or of a velocity (SPEC 8.7).
public enum UpdateLimit {
  /// ±127 LSB in Q16.
  @inlinable public static var master: Int32 { 127 &<< 16 }
  @inlinable public static var velocity: Int32 { 1 &<< 28 }
  @inlinable public static var bias: Int32 { 25_000_000 }
}

/// A ← clamp(A), w = (A + ½) ≫ 16.
public func refresh(masters: View<Int32>, into weights: View<Int8>) {
  // Both views hold `masters.count` elements.
  unsafe tally_refresh_s8(
    Int32(truncatingIfNeeded: masters.count), masters.pointer, weights.pointer)
}

/// v ← clamp(v), A ← A − v, before `refresh`.
@inlinable
public func subtract(velocities: View<Int32>, from values: View<Int32>, limit: Int32) {
  for index in 0..<values.count {
    let velocity = min(max(velocities[index], -UpdateLimit.velocity), UpdateLimit.velocity)
    velocities[index] = velocity
    values[index] = min(max(values[index] &- velocity, -limit), limit)
  }
}

/// w ← clamp(w − SR(v, 16), ±127), for weights without masters.
@inlinable
public func subtractStochastically(
  velocities: View<Int32>, from weights: View<Int8>, _ stream: RandomStream
) {
  var lanes = RoundingLanes(stream, startingAt: 0)
  for index in 0..<weights.count {
    let velocity = min(max(velocities[index], -UpdateLimit.velocity), UpdateLimit.velocity)
    velocities[index] = velocity
    let step = shiftedStochastically(velocity, by: 16, bits: lanes.next())
    weights[index] = Int8(truncatingIfNeeded: min(max(Int32(weights[index]) &- step, -127), 127))
  }
}

/// v ← trunc0(v·μ / 2¹⁵): towards zero, since half up would make every |v| ≤ 4 a fixed point.
@inlinable
public func decay(velocities: View<Int32>, momentum: Int32) {
  if momentum == 0 {
    velocities.fill(0)
    return
  }
  for index in 0..<velocities.count {
    let product = Int64(velocities[index]) &* Int64(momentum)
    velocities[index] = Int32(truncatingIfNeeded: product / (1 &<< 15))
  }
}

/// Σ v², exact up to 2³² values (SPEC 8.6).
///
/// High and low halves of the squares are summed apart, so no lane can overflow.
public struct SquareSum: Sendable {
  var low: UInt64 = 0
  var high: UInt64 = 0

  public init() {}

  /// Adds a square below 2⁶⁴ so many times, at most 2³¹ − 1.
  public mutating func add(_ square: UInt64, times: Int = 1) {
    low &+= (square & 0xFFFF_FFFF) &* UInt64(times)
    high &+= (square &>> 32) &* UInt64(times)
  }

  public mutating func add(_ values: View<Int32>) {
    var halves: InlineArray<2, UInt64> = [low, high]
    var span = halves.mutableSpan
    unsafe span.withUnsafeMutableBufferPointer { buffer in
      // Two sums, as the microkernel adds to.
      unsafe tally_sum_squares_s32(
        Int32(truncatingIfNeeded: values.count), values.pointer, buffer.baseAddress)
    }
    low = halves[0]
    high = halves[1]
  }

  public var isZero: Bool { low == 0 && high == 0 }

  /// fromInteger of the sum (SPEC 3.2).
  public var scale: Scale {
    // value = high·2³² + low; its halves of 64 bits:
    let (lower, carry) = (high &<< 32).addingReportingOverflow(low)
    let upper = (high &>> 32) &+ (carry ? 1 : 0)
    if upper == 0 { return Scale(lower) }
    // Rounding looks at one bit below the mantissa, so bits far below may be dropped first.
    let excess = 64 - upper.leadingZeroBitCount
    let top = excess == 64 ? upper : upper << (64 - excess) | lower >> excess
    return Scale(top).multiplied(byPowerOfTwo: Int32(truncatingIfNeeded: excess))
  }
}

/// Σ w².
public func sumOfSquares(_ weights: View<Int8>) -> UInt64 {
  // The view is as long as its count says.
  unsafe tally_sum_squares_s8(Int32(truncatingIfNeeded: weights.count), weights.pointer)
}
