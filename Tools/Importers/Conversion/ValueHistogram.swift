/// Counts of a tensor's values by their leading bits: enough to choose where to clamp.
///
/// A bin holds the floats of one sign, exponent and eight fraction bits, so its ends differ by less
/// than half a percent. Bins stand in the order of the numbers.
struct ValueHistogram {
  private static let droppedBits: UInt32 = 15
  private var counts = [UInt64](repeating: 0, count: 1 << 17)

  mutating func include(_ values: [Float]) {
    for value in values { counts[Self.bin(value)] += 1 }
  }

  /// The order of the numbers as that of unsigned integers.
  private static func bin(_ value: Float) -> Int {
    let bits = value.bitPattern
    return Int((bits >> 31 == 1 ? ~bits : bits | 1 << 31) >> droppedBits)
  }

  private static func value(ordered: UInt32) -> Float {
    Float(bitPattern: ordered >> 31 == 1 ? ordered & ~(1 << 31) : ~ordered)
  }

  /// The smallest and the largest number of a bin.
  private static func ends(_ bin: Int) -> (low: Float, high: Float) {
    let first = UInt32(bin) << droppedBits
    return (value(ordered: first), value(ordered: first | ((1 << droppedBits) - 1)))
  }

  /// The range that `method` asks for, inside what was seen.
  func range(within seen: TensorRange, _ method: ConversionOptions.Method) -> TensorRange {
    switch method {
    case .minMax: seen
    case .percentile(let share): percentile(share, seen)
    case .meanSquaredError: leastError(seen)
    }
  }

  /// Cuts (1 − share) / 2 of the values off each end, or all of it off one if the other is at zero.
  private func percentile(_ share: ExactRatio, _ seen: TensorRange) -> TensorRange {
    let total = counts.reduce(0, +)
    let outside = ExactNumber(1) - ExactNumber(share)
    let isOneSided = seen.low >= 0 || seen.high <= 0
    let part = ExactNumber(Int64(total)) * outside / ExactNumber(isOneSided ? 1 : 2)
    let allowed = UInt64(max(0, part.floor()))
    var result = seen
    if seen.high > 0 {
      var cut: UInt64 = 0
      for bin in counts.indices.reversed() where counts[bin] > 0 {
        if cut + counts[bin] > allowed {
          result.high = min(seen.high, max(0, Self.ends(bin).high))
          break
        }
        cut += counts[bin]
      }
    }
    if seen.low < 0 {
      var cut: UInt64 = 0
      for bin in counts.indices where counts[bin] > 0 {
        if cut + counts[bin] > allowed {
          result.low = max(seen.low, min(0, Self.ends(bin).low))
          break
        }
        cut += counts[bin]
      }
    }
    return result
  }

  /// Tries the range seen times 1, 63/64 … 16/64 and keeps the one with the least squared error;
  /// of equals, the widest.
  private func leastError(_ seen: TensorRange) -> TensorRange {
    let bins: [(value: Double, count: Double)] = counts.indices.compactMap { bin in
      guard counts[bin] > 0 else { return nil }
      let ends = Self.ends(bin)
      return ((Double(ends.low) + Double(ends.high)) / 2, Double(counts[bin]))
    }
    var best = seen
    var least = Double.infinity
    for part in (16...64).reversed() {
      let factor = Float(part) / 64
      let tried = TensorRange(low: seen.low * factor, high: seen.high * factor)
      let low = Double(min(tried.low, 0))
      let high = Double(max(tried.high, 0))
      let step = (high - low) / 255
      guard step > 0 else { return seen }
      var error = 0.0
      for bin in bins {
        let clamped = min(max(bin.value, low), high)
        let position = (clamped / step).rounded(.toNearestOrEven) * step
        error += bin.count * (bin.value - position) * (bin.value - position)
      }
      if error < least {
        least = error
        best = tried
      }
    }
    return best
  }
}
