import CounterRandom
public import FixedPoint
public import Tensors

/// Weights and Scales of a network that has not been trained (SPEC 8.10).
public enum InitialWeights {
  /// S_w = 2·√(6/K)/127 for `depth` weights per output.
  public static func scale(depth: Int) -> Scale {
    let ratio = Scale(6) / Scale(UInt64(truncatingIfNeeded: depth))
    return (ratio.squareRoot() / Scale(127)).multiplied(byPowerOfTwo: 1)
  }

  /// Fills a node's weights with −63…63, uniform up to 2⁻³².
  public static func fill(_ weights: View<Int8>, seed: UInt64, node: Int) {
    let stream = RandomKey(seed: seed).stream(
      .initialization, tensor: UInt32(truncatingIfNeeded: 4 * node), step: 0, query: 0)
    for index in 0..<weights.count {
      let draw = stream.uniform(UInt32(truncatingIfNeeded: index), below: 127)
      weights[index] = Int8(truncatingIfNeeded: Int32(truncatingIfNeeded: draw) - 63)
    }
  }

  /// A first guess of a weighted node's output Scale: a power of two that holds about four standard
  /// deviations. The range tracker's calibration replaces it.
  public static func outputScale(depth: Int, input: Scale, weights: Scale) -> Scale {
    let root = Scale(UInt64(truncatingIfNeeded: depth)).squareRoot()
    return atOrAbove(Scale(64) * root * input * weights)
  }

  /// A first guess of an addition's output Scale.
  public static func sumScale(_ first: Scale, _ second: Scale) -> Scale {
    atOrAbove((first < second ? second : first).multiplied(byPowerOfTwo: 1))
  }

  /// The smallest power of two that is not below `scale`.
  static func atOrAbove(_ scale: Scale) -> Scale {
    scale.mantissa == 1 << 30 ? scale : Scale.powerOfTwo(scale.exponent)
  }
}
