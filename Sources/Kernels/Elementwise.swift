public import FixedPoint
import MicroKernels
public import Tensors

// Operations that read their inputs element by element (SPEC 6.5 to 6.9). All work on one sample.

/// Two inputs joined at a common fixed point: the constants of an addition (SPEC 6.5).
public struct AddConstants: Equatable, Sendable {
  public let fractionBits: Int32
  public let first: Int32
  public let second: Int32

  /// `nil` if an input's Scale is too large beside the output's (F < 1).
  public init?(_ first: Scale, _ second: Scale, output: Scale) {
    let ratios = (first / output, second / output)
    let exponent = max(AddConstants.ceilingLog2(ratios.0), AddConstants.ceilingLog2(ratios.1))
    let bits = 21 &- max(0, exponent)
    guard bits >= 1 else { return nil }
    fractionBits = bits
    self.first = Int32(truncatingIfNeeded: ratios.0.roundedToInteger(fractionBits: bits))
    self.second = Int32(truncatingIfNeeded: ratios.1.roundedToInteger(fractionBits: bits))
  }

  private static func ceilingLog2(_ ratio: Scale) -> Int32 {
    ratio.mantissa == 1 &<< 30 ? ratio.exponent &- 1 : ratio.exponent
  }
}

/// y = place((x̂₁·M₁ + x̂₂·M₂ + half) ≫ F): one rounding, int32 throughout (SPEC 6.5).
/// Its gradient passes unchanged to both inputs.
public func add(
  _ x1: View<Int8>, _ x2: View<Int8>, zeroPoints: (Int32, Int32), _ constants: AddConstants,
  _ quantization: Quantization, into y: View<Int8>, mask: View<UInt8>?
) {
  var sum = tally_sum(constants, zeroPoints: zeroPoints)
  // All views hold `x1.count` elements, the mask a bit for each.
  unsafe tally_add_s8(
    Int32(truncatingIfNeeded: x1.count), x1.pointer, x2.pointer, &sum, quantization.zeroPoint,
    quantization.low, quantization.high, y.pointer, mask?.pointer)
}

/// Calls `body` with each (x̂₁·M₁ + x̂₂·M₂ + half) ≫ F, the value before the zero point is added: what `add`
/// and `countSizesOfSums` work on, as plainly as it can be said.
@inlinable
public func forEachSum(
  _ x1: View<Int8>, _ x2: View<Int8>, zeroPoints: (Int32, Int32), _ constants: AddConstants,
  _ body: (Int32) -> Void
) {
  let half = Int32(1) &<< (constants.fractionBits &- 1)
  for index in 0..<x1.count {
    let sum =
      (Int32(x1[index]) &- zeroPoints.0) &* constants.first
      &+ (Int32(x2[index]) &- zeroPoints.1) &* constants.second &+ half
    body(sum &>> constants.fractionBits)
  }
}

/// Counts the sizes of (x̂₁·M₁ + x̂₂·M₂ + half) ≫ F, the values before the zero point is added (SPEC 8.9).
///
/// - Parameter histogram: 33 counts, by bit length.
public func countSizesOfSums(
  _ x1: View<Int8>, _ x2: View<Int8>, zeroPoints: (Int32, Int32), _ constants: AddConstants,
  isRectified: Bool, into histogram: View<Int64>
) {
  var sum = tally_sum(constants, zeroPoints: zeroPoints)
  // Both views hold `x1.count` elements, the histogram 33.
  unsafe tally_count_sizes_of_sums_s8(
    Int32(truncatingIfNeeded: x1.count), x1.pointer, x2.pointer, &sum, isRectified ? 1 : 0,
    histogram.pointer)
}

extension tally_sum {
  fileprivate init(_ constants: AddConstants, zeroPoints: (Int32, Int32)) {
    self.init(
      zero1: zeroPoints.0, zero2: zeroPoints.1, first: constants.first, second: constants.second,
      fraction: constants.fractionBits)
  }
}

/// y = place(requant(x̂₁·x̂₂)); the second input may be one value per channel (SPEC 6.6).
public func multiplyElements(
  _ x1: View<Int8>, _ x2: View<Int8>, zeroPoints: (Int32, Int32), _ multiplier: Multiplier,
  _ quantization: Quantization, into y: View<Int8>, mask: View<UInt8>?
) {
  let period = x2.count
  for index in 0..<y.count {
    let product =
      (Int32(x1[index]) &- zeroPoints.0) &* (Int32(x2[index % period]) &- zeroPoints.1)
    place(multiplier.requantize(product), index, quantization, into: y, mask: mask)
  }
}

/// dx₁ = g·x̂₂ (SPEC 6.6, backward).
public func multiplyFirstGradient(
  _ g: View<Int8>, _ x2: View<Int8>, zeroPoint: Int32, into gradient: View<Int32>
) {
  let period = x2.count
  for index in 0..<g.count {
    gradient[index] = Int32(g[index]) &* (Int32(x2[index % period]) &- zeroPoint)
  }
}

/// dx₂ = g·x̂₁, summed over the positions a per-channel input was repeated over (SPEC 6.6, backward).
public func multiplySecondGradient(
  _ g: View<Int8>, _ x1: View<Int8>, zeroPoint: Int32, into gradient: View<Int32>
) {
  gradient.fill(0)
  let period = gradient.count
  for index in 0..<g.count {
    gradient[index % period] &+= Int32(g[index]) &* (Int32(x1[index]) &- zeroPoint)
  }
}

/// One input's channels of a concatenation, requantized to the common Scale (SPEC 6.7).
public func concatenate(
  _ x: View<Int8>, zeroPoint: Int32, _ multiplier: Multiplier, channels: Int, at firstChannel: Int,
  of outputChannels: Int, _ quantization: Quantization, into y: View<Int8>, mask: View<UInt8>?
) {
  for index in 0..<x.count {
    let position = index / channels
    let target = position &* outputChannels &+ firstChannel &+ index % channels
    place(
      multiplier.requantize(Int32(x[index]) &- zeroPoint), target, quantization, into: y,
      mask: mask)
  }
}

/// The part of g that belongs to one input of a concatenation (SPEC 6.7, backward).
public func concatenateGradient(
  _ g: View<Int8>, channels: Int, at firstChannel: Int, of outputChannels: Int,
  into gradient: View<Int32>
) {
  for index in 0..<gradient.count {
    let source = index / channels &* outputChannels &+ firstChannel &+ index % channels
    gradient[index] = Int32(g[source])
  }
}

/// y = T[x + 128] (SPEC 6.8). `table` holds 256 values.
public func lookUp(_ x: View<Int8>, in table: View<Int8>, into y: View<Int8>) {
  for index in 0..<x.count { y[index] = table[Int(x[index]) &+ 128] }
}

/// dx = g·D[x + 128], D in Q12 (SPEC 6.8, backward).
public func lookUpGradient(
  _ x: View<Int8>, _ g: View<Int8>, slopes: View<Int16>, into gradient: View<Int32>
) {
  for index in 0..<x.count {
    gradient[index] = Int32(g[index]) &* Int32(slopes[Int(x[index]) &+ 128])
  }
}

/// y = place(requant(x̂)) (SPEC 6.9). Its gradient passes unchanged.
public func rescale(
  _ x: View<Int8>, zeroPoint: Int32, _ multiplier: Multiplier, _ quantization: Quantization,
  into y: View<Int8>, mask: View<UInt8>?
) {
  for index in 0..<x.count {
    place(
      multiplier.requantize(Int32(x[index]) &- zeroPoint), index, quantization, into: y,
      mask: mask)
  }
}
