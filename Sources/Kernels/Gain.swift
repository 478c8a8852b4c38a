public import FixedPoint
public import Tensors

// Scales as targets of training: the gain of a layer or of each channel (SPEC 8.11).
// Index letters: p position, c channel.

/// γ_c += Σₚ g[p, c]·(y[p, c] − Z): the gradient of the logarithm of each channel's gain, one sample.
///
/// - Parameters:
///   - y: int8 [positions, channels], the node's own output.
///   - g: int8 [positions, channels], the gradient of that output, 0 where the output was clamped.
///   - gains: int32 [channels], added to; at most 66 311 positions in all keep it in range.
public func gainGradient(
  _ y: View<Int8>, _ g: View<Int8>, zeroPoint: Int32, into gains: View<Int32>
) {
  var first = 0
  while first < g.count {
    for c in 0..<gains.count {
      gains[c] &+= Int32(g[first &+ c]) &* (Int32(y[first &+ c]) &- zeroPoint)
    }
    first &+= gains.count
  }
}

/// A change of a Scale's logarithm, in units of 2⁻³⁰.
public enum Gain {
  /// The largest change in one step: half a percent, 2³⁰ / 200 rounded down.
  @inlinable public static var limit: Int32 { 5_368_709 }

  /// d = clamp(requantWide(γ), ±most): what one micro-batch adds to a velocity.
  ///
  /// - Parameters:
  ///   - multiplier: of η·S_g·S_y·2³⁰.
  ///   - most: 2³⁰ / micro-batches, so that a step's sum stays inside int32.
  @inlinable
  public static func contribution(_ gamma: Int64, _ multiplier: Multiplier, most: Int32) -> Int32 {
    let change = multiplier.requantizeWide(gamma)
    return Int32(truncatingIfNeeded: min(max(change, -Int64(most)), Int64(most)))
  }

  /// A bias whose real value stays while its Scale changes.
  ///
  /// - Parameter ratio: of the old Scale to the new one.
  @inlinable
  public static func rescaled(bias: Int32, _ ratio: Multiplier) -> Int32 {
    min(max(ratio.requantize(bias), -UpdateLimit.bias), UpdateLimit.bias)
  }

  /// S·(2³⁰ − v)·2⁻³⁰, or S itself where v is 0 or the exponent would leave −512…512.
  ///
  /// - Parameter velocity: above −2³⁰ and below 2³⁰.
  @inlinable
  public static func step(_ scale: Scale, velocity: Int32) -> Scale {
    // Multiplying by one is not free: it rounds an odd mantissa.
    if velocity == 0 { return scale }
    let factor = Scale(UInt64(truncatingIfNeeded: (1 << 30) &- Int64(velocity)))
    let result = (scale * factor).multiplied(byPowerOfTwo: -30)
    return abs(result.exponent) <= 512 ? result : scale
  }
}
