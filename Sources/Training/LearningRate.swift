public import FixedPoint

extension Recipe {
  /// Planned steps T for `samples` training samples (SPEC 8.2).
  public func plannedSteps(samples: UInt32) -> UInt32 {
    let perEpoch = UInt64(stepsPerEpoch(samples: samples))
    var steps = min(perEpoch * UInt64(epochs), UInt64(UInt32.max - 1))
    if largestStepCount > 0 { steps = min(steps, UInt64(largestStepCount)) }
    return UInt32(truncatingIfNeeded: steps)
  }

  /// ⌈n / B⌉.
  public func stepsPerEpoch(samples: UInt32) -> UInt32 { (samples - 1) / batch + 1 }

  /// f_t in Q30 (SPEC 8.8).
  public func rateFactor(step: UInt32, of planned: UInt32, epoch: UInt32) -> UInt64 {
    let one: UInt64 = 1 << 30
    if step < warmup { return (UInt64(step) + 1) * one / UInt64(warmup) }
    switch schedule {
    case .constant: return one
    case .cosine:
      let index = (Int64(step) - Int64(warmup)) << 24 / (Int64(planned) - Int64(warmup))
      return UInt64(truncatingIfNeeded: halfCosine(index: index))
    case .step:
      let index = min(Int(truncatingIfNeeded: epoch), factorCount - 1)
      return UInt64(factor(index))
    }
  }

  /// η_t of a group.
  public func rate(_ group: Group, factor: UInt64) -> Scale {
    factor == 0
      ? .zero : (learningRate(group) * Scale(factor)).multiplied(byPowerOfTwo: -30)
  }
}
