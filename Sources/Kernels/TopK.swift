import MicroKernels
public import Tensors

// Which output channels of a sample's gradient are kept (SPEC 8.12). Index letters: c channel.

/// V_c = Σₚ |g[p, c]| of one sample.
///
/// - Parameters:
///   - g: int8 [positions, channels], at most 2²⁴ elements.
///   - magnitudes: int32 [channels], overwritten.
/// - Returns: Σ V_c < 2³¹.
public func channelMagnitudes(_ g: View<Int8>, into magnitudes: View<Int32>) -> Int32 {
  magnitudes.fill(0)
  let channels = magnitudes.count
  // g holds whole positions.
  unsafe tally_sum_magnitudes_s8(
    Int32(truncatingIfNeeded: g.count / channels), Int32(truncatingIfNeeded: channels), g.pointer,
    magnitudes.pointer)
  var total: Int32 = 0
  for c in 0..<channels { total &+= magnitudes[c] }
  return total
}

/// The number of channels whose magnitude is not 0.
public func activeCount(_ magnitudes: View<Int32>) -> Int {
  var count = 0
  for c in 0..<magnitudes.count where magnitudes[c] != 0 { count &+= 1 }
  return count
}

/// Marks the `count` channels with the largest magnitudes that are not 0; among equal ones those that come
/// first from channel `start` on, cyclically.
///
/// - Parameters:
///   - magnitudes: int32 [channels], ≥ 0.
///   - count: at most the number of channels.
///   - kept: a bit per channel, low bit first; every bit is written.
public func keepLargest(
  _ count: Int, of magnitudes: View<Int32>, startingAt start: Int, into kept: View<UInt8>
) {
  kept.fill(0)
  guard count > 0 else { return }
  let channels = magnitudes.count
  let (threshold, above) = threshold(count, of: magnitudes)
  var ties = count &- above
  var c = start
  for _ in 0..<channels {
    let value = magnitudes[c]
    if value > threshold || (value == threshold && value != 0 && ties > 0) {
      if value == threshold { ties &-= 1 }
      kept[c &>> 3] |= 1 &<< UInt8(truncatingIfNeeded: c & 7)
    }
    c = c &+ 1 == channels ? 0 : c &+ 1
  }
}

/// The `count`-th largest magnitude, and how many are larger.
private func threshold(_ count: Int, of magnitudes: View<Int32>) -> (value: Int32, above: Int) {
  var largest: Int32 = 0
  for c in 0..<magnitudes.count { largest = max(largest, magnitudes[c]) }
  if largest < 128 {
    // Gradients of single elements: exact by counting, without comparisons.
    var histogram = InlineArray<128, Int32>(repeating: 0)
    for c in 0..<magnitudes.count { histogram[Int(magnitudes[c])] &+= 1 }
    var above = 0
    var value = Int(largest)
    while above &+ Int(histogram[value]) < count {
      above &+= Int(histogram[value])
      value &-= 1
    }
    return (Int32(truncatingIfNeeded: value), above)
  }
  var above: Int32 = 0
  // `count` is at least 1 and at most the number of magnitudes.
  let value = unsafe tally_kth_largest_s32(
    Int32(truncatingIfNeeded: magnitudes.count), magnitudes.pointer,
    Int32(truncatingIfNeeded: count), &above)
  return (value, Int(above))
}

/// The marked channels, ascending.
/// - Returns: how many there are.
public func listKept(_ kept: View<UInt8>, channels: Int, into list: View<Int32>) -> Int {
  var count = 0
  for c in 0..<channels where isKept(c, kept) {
    list[count] = Int32(truncatingIfNeeded: c)
    count &+= 1
  }
  return count
}

/// Whether a channel is marked.
@inlinable
public func isKept(_ c: Int, _ kept: View<UInt8>) -> Bool {
  kept[c &>> 3] &>> UInt8(truncatingIfNeeded: c & 7) & 1 != 0
}

/// g ← 0 at the channels that are not marked, one sample.
///
/// - Parameter g: int8 [positions, channels].
public func clearOthers(_ g: View<Int8>, channels: Int, keeping kept: View<UInt8>) {
  // g holds whole positions, `kept` a bit for each channel.
  unsafe tally_keep_columns_s8(
    Int32(truncatingIfNeeded: g.count / channels), Int32(truncatingIfNeeded: channels),
    kept.pointer, g.pointer)
}
