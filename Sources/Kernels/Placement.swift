public import FixedPoint
import MicroKernels
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

/// Counts the sizes of requantized accumulators, before the zero point is added (SPEC 8.9).
///
/// - Parameters:
///   - accumulators: int32 [rows, channels], of one sample.
///   - bias: int32 per channel, added first; zero-point terms are in it.
///   - histogram: 33 counts, by bit length.
public func countSizes(
  _ accumulators: View<Int32>, bias: View<Int32>, _ multipliers: Multipliers, isRectified: Bool,
  into histogram: View<Int64>
) {
  // All views have the lengths the microkernel reads: rows × channels.
  unsafe tally_count_sizes_s32(
    Int32(truncatingIfNeeded: accumulators.count / bias.count),
    Int32(truncatingIfNeeded: bias.count), accumulators.pointer, bias.pointer,
    multipliers.mantissas.pointer, multipliers.shifts.pointer, multipliers.isPerChannel ? 1 : 0,
    isRectified ? 1 : 0, histogram.pointer)
}

/// Requantizes accumulators [rows, channels] of one sample into elements `first…` of its output.
///
/// - Parameters:
///   - accumulators: int32, |acc + bias| < 2³¹ (SPEC 5.6).
///   - bias: int32 per channel, added first; zero-point terms are in it.
///   - first: a multiple of 8 if there is a mask.
public func requantize(
  _ accumulators: View<Int32>, bias: View<Int32>, _ multipliers: Multipliers,
  _ quantization: Quantization, first: Int, into output: View<Int8>, mask: View<UInt8>?
) {
  let rows = Int32(truncatingIfNeeded: accumulators.count / bias.count)
  let channels = Int32(truncatingIfNeeded: bias.count)
  let target = output.slice(first, accumulators.count)
  let bits = mask.map { $0.slice(first &>> 3, maskByteCount(accumulators.count)) }
  assert(mask == nil || first & 7 == 0, "a mask is written by whole bytes")
  // All views have the lengths the microkernels read and write: rows × channels.
  if multipliers.isPerChannel {
    unsafe tally_requantize_channels_s8(
      rows, channels, accumulators.pointer, bias.pointer, multipliers.mantissas.pointer,
      multipliers.shifts.pointer, quantization.zeroPoint, quantization.low, quantization.high,
      target.pointer, bits?.pointer)
  } else {
    unsafe tally_requantize_bias_s8(
      rows, channels, accumulators.pointer, bias.pointer, multipliers.mantissas[0],
      multipliers.shifts[0], quantization.zeroPoint, quantization.low, quantization.high,
      target.pointer, bits?.pointer)
  }
}
