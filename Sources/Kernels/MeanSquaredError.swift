public import FixedPoint
public import Tensors

// Index letters: j output.

/// Mean squared error of int32 outputs against Q16 targets (SPEC 7.2).
public struct MeanSquaredError: Sendable {
  let target: Multiplier
  let square: Multiplier

  /// - Parameter logitScale: S_z, the real value of one unit of the outputs.
  public init(logitScale: Scale) {
    target = (Scale.powerOfTwo(-16) / logitScale).multiplier
    square = (logitScale * logitScale).multiplied(byPowerOfTwo: 16).multiplier
  }

  /// Scale of the gradient for `samples` samples of `outputs` outputs.
  public static func gradientScale(logitScale: Scale, samples: Int, outputs: Int) -> Scale {
    logitScale.multiplied(byPowerOfTwo: 1) / Scale(UInt64(truncatingIfNeeded: samples &* outputs))
  }

  /// The loss of one sample and, if asked for, its gradient r = z − ŷ.
  ///
  /// - Parameters:
  ///   - logits: int32 [outputs].
  ///   - targetOf: the Q16 target of output j.
  ///   - gradient: int32 [outputs].
  /// - Returns: squared real units in Q16.
  public func loss(
    _ logits: View<Int32>, targetOf: (Int) -> Int32, gradient: View<Int32>?
  ) -> Int64 {
    var sum: UInt64 = 0
    for j in 0..<logits.count {
      let goal = target.requantize(targetOf(j))
      let exact = Int64(logits[j]) &- Int64(goal)
      let residual = Int32(truncatingIfNeeded: min(max(exact, Int64(Int32.min)), Int64(Int32.max)))
      gradient?[j] = residual
      let bounded = Int64(min(max(residual, -(1 &<< 24)), 1 &<< 24))
      // At most 2²⁴ outputs of 2⁴⁸: 2⁷² saturates, as SPEC 7.2 says, after the sum.
      let (next, overflow) = sum.addingReportingOverflow(
        UInt64(truncatingIfNeeded: bounded &* bounded))
      sum = overflow ? .max : next
    }
    let bounded = Int64(truncatingIfNeeded: min(sum, UInt64(truncatingIfNeeded: Int64.max)))
    return square.requantizeWide(bounded / Int64(truncatingIfNeeded: logits.count))
  }
}
