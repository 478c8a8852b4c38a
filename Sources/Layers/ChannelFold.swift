package import FixedPoint
package import Tensors

/// Per-channel weight Scales beside the largest of them (SPEC 6.1).
package struct ChannelFold {
  private let isPerChannel: Bool
  /// Mantissa and exponent of each.
  private let scales: View<Int32>
  /// S_M.
  package let largest: Scale

  package init(_ node: Node, _ scales: View<Int32>) {
    self.scales = scales
    isPerChannel = node.scalesPerChannel
    var largest = Scale.zero
    for o in 0..<node.scaleCount {
      let scale = storedScale(scales[2 * o], scales[2 * o + 1])
      if largest < scale { largest = scale }
    }
    self.largest = largest
  }

  /// ρ_o in Q15, at most 2¹⁵.
  package func ratio(_ channel: Int) -> Int32 {
    let ratio = storedScale(scales[2 * channel], scales[2 * channel + 1]) / largest
    return Int32(truncatingIfNeeded: ratio.roundedToInteger(fractionBits: 15))
  }

  /// ρ_o², or 1 with one weight Scale.
  package func squaredRatio(_ channel: Int) -> UInt64 {
    guard isPerChannel else { return 1 }
    let ratio = UInt64(truncatingIfNeeded: self.ratio(channel))
    return ratio * ratio
  }
}
