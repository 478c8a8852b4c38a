public import FixedPoint
public import Tensors

/// Multipliers of an operation's output channels: one for all, or one each (SPEC 3.3, 6.1).
///
/// Mantissas and shifts are kept as two rows so that a vector unit can load them.
public struct Multipliers {
  public let mantissas: View<Int32>
  public let shifts: View<Int32>

  public init(mantissas: View<Int32>, shifts: View<Int32>) {
    self.mantissas = mantissas
    self.shifts = shifts
  }

  public var isPerChannel: Bool { mantissas.count > 1 }

  @inlinable
  public subscript(channel: Int) -> Multiplier {
    let index = mantissas.count == 1 ? 0 : channel
    return Multiplier(mantissa: mantissas[index], shift: shifts[index])
  }
}

/// What becomes of a requantized value: `place` and the mask of SPEC 6.
///
/// One row per sample; a sample's mask starts at a byte of its own, bit i in byte i/8, low bit first.
@inlinable
public func place(
  _ value: Int32, _ index: Int, _ quantization: Quantization, into output: View<Int8>,
  mask: View<UInt8>?
) {
  // |value| + 128 may pass int32 at the very ends, where the clamp decides anyway.
  let shifted = value.addingReportingOverflow(quantization.zeroPoint)
  let placed = shifted.overflow ? value : shifted.partialValue
  output[index] = Int8(
    truncatingIfNeeded: min(max(placed, quantization.low), quantization.high))
  guard let mask else { return }
  let inside = placed >= quantization.low && placed <= quantization.high
  let bit = UInt8(truncatingIfNeeded: 1 &<< (index & 7))
  if inside { mask[index &>> 3] |= bit } else { mask[index &>> 3] &= ~bit }
}

/// Bytes of one sample's mask.
@inlinable
public func maskByteCount(_ elements: Int) -> Int { (elements &+ 7) &>> 3 }

/// Requantizes accumulators [rows, channels] of one sample into elements `first…` of its output.
///
/// - Parameters:
///   - accumulators: int32, |acc + bias| < 2³¹ (SPEC 5.6).
///   - bias: int32 per channel, added first; zero-point terms are in it.
@inlinable
public func requantize(
  _ accumulators: View<Int32>, bias: View<Int32>, _ multipliers: Multipliers,
  _ quantization: Quantization, first: Int, into output: View<Int8>, mask: View<UInt8>?
) {
  let channels = bias.count
  var index = 0
  while index < accumulators.count {
    for o in 0..<channels {
      let value = multipliers[o].requantize(accumulators[index] &+ bias[o])
      place(value, first &+ index, quantization, into: output, mask: mask)
      index &+= 1
    }
  }
}
