public import FixedPoint
public import Tensors

// Index letters: c class.

/// Softmax cross-entropy in integers, base 2 (SPEC 7.1).
public struct SoftmaxCrossEntropy: Sendable {
  /// S_z·log₂e·2¹⁶: logits to base-2 exponents in Q16.
  let multiplier: Multiplier

  /// - Parameter logitScale: S_z, the real value of one unit of the logits.
  public init(logitScale: Scale) {
    // log₂e; Scale's own rounding of 1.4426950408889634.
    guard let log2e = Scale(mantissa: 1_549_082_005, exponent: 1) else {
      preconditionFailure("the constant is normalised")
    }
    multiplier = (logitScale * log2e).multiplied(byPowerOfTwo: 16).multiplier
  }

  /// Scale of the gradient for a step of `samples` samples: 2⁻¹⁵ / B.
  public static func gradientScale(samples: Int) -> Scale {
    Scale.powerOfTwo(-15) / Scale(UInt64(truncatingIfNeeded: samples))
  }

  /// The loss of one sample and, if asked for, its gradient.
  ///
  /// - Parameters:
  ///   - logits: int32 [classes], at least 1 and at most 2¹⁴ classes.
  ///   - label: 0..<classes.
  ///   - gradient: int32 [classes], Q15: p − onehot(y); the sum is exactly 0.
  /// - Returns: nats in Q16, ≥ 0.
  public func loss(_ logits: View<Int32>, label: Int, gradient: View<Int32>?) -> Int64 {
    precondition(label >= 0 && label < logits.count, "the label is outside the classes")
    let largest = logits[argmax(logits)]
    var sum: Int64 = 0
    for c in 0..<logits.count { sum &+= exponential(largest, logits[c]) }
    if let gradient {
      var total: Int32 = 0
      for c in 0..<logits.count {
        let e = exponential(largest, logits[c])
        let p = Int32(truncatingIfNeeded: ((e &<< 15) &+ (sum &>> 1)) / sum)
        gradient[c] = p
        total &+= p
      }
      gradient[label] &-= total
    }
    let target = exponent(largest, logits[label])
    let base2 = Int64(logarithmBase2(sum)) &- (30 &<< 16) &+ target
    return (base2 &* 45_426 &+ (1 &<< 15)) &>> 16
  }

  /// t_c: how many octaves (Q16) a logit lies below the largest, at most 31.
  func exponent(_ largest: Int32, _ logit: Int32) -> Int64 {
    let cap: Int64 = 31 &<< 16
    let distance = UInt64(UInt32(truncatingIfNeeded: Int64(largest) &- Int64(logit)))
    if distance == 0 || multiplier.mantissa == 0 || multiplier.shift > 62 { return 0 }
    if multiplier.shift <= 0 { return cap }
    let shift = UInt64(truncatingIfNeeded: multiplier.shift)
    // Below 2⁶³ + 2⁶¹: needs the unsigned range.
    let product = distance &* UInt64(UInt32(bitPattern: multiplier.mantissa))
    let t = (product &+ (1 &<< (shift &- 1))) &>> shift
    return Int64(truncatingIfNeeded: min(t, UInt64(truncatingIfNeeded: cap)))
  }

  private func exponential(_ largest: Int32, _ logit: Int32) -> Int64 {
    exponentialBase2(negative: exponent(largest, logit))
  }
}

/// The lowest index of the largest value (SPEC 5.7).
@inlinable
public func argmax(_ values: View<Int32>) -> Int {
  var best = 0
  for index in 1..<max(values.count, 1) where values[index] > values[best] { best = index }
  return best
}
