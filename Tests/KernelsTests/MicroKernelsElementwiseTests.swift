import CounterRandom
import FixedPoint
import MicroKernels
import Testing

// Sums, masks and counts: every version against a plain loop.

extension MicroKernels {
  /// Lengths that straddle the pieces of 8, 64 and 256.
  private static let lengths = [0, 1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 100, 255, 256, 257, 600]

  private static func bit(_ mask: [UInt8], _ index: Int) -> Bool {
    mask[index / 8] >> (index % 8) & 1 != 0
  }

  private static func magnitude(_ values: some Sequence<Int32>) -> UInt32 {
    values.map(\.magnitude).max() ?? 0
  }

  @Test("masks: what they leave, and the largest of it")
  func masks() {
    var random = MicroKernelsRandom("masks")
    for count in Self.lengths {
      for isMasked in [false, true] {
        let bytes = random.bytes(count)
        let words = random.words(count)
        let mask = (0..<(count + 7) / 8).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        func keeps(_ index: Int) -> Bool { !isMasked || Self.bit(mask, index) }
        let expectedWords = words.indices.map { keeps($0) ? words[$0] : 0 }
        let expectedBytes = bytes.indices.map { keeps($0) ? bytes[$0] : 0 }
        let fencedMask = FencedMemory(mask)
        let fencedBytes = FencedMemory(bytes)
        Self.atEachLevel { level in
          let fencedWords = FencedMemory(words)
          let maskBase = isMasked ? UnsafePointer(fencedMask.base) : nil
          if isMasked {
            let largest = tally_masked_magnitude_s32(
              Int32(count), fencedMask.base, fencedWords.base)
            #expect(largest == Self.magnitude(expectedWords), "\(count) at level \(level)")
          }
          let out = GuardedOutput<Int8>(count, filledWith: 0x55)
          let most = tally_pass_s8(Int32(count), fencedBytes.base, maskBase, out.base)
          #expect(out.array == expectedBytes && out.guardsHold, "\(count) at level \(level)")
          #expect(most == Self.magnitude(expectedBytes.lazy.map { Int32($0) }), "level \(level)")
        }
      }
    }
  }

  @Test("additions, their masks and the sizes of their sums")
  func additions() {
    var random = MicroKernelsRandom("additions")
    for trial in 0..<200 {
      let count = Self.lengths[trial % Self.lengths.count]
      let x1 = random.bytes(count)
      let x2 = random.bytes(count)
      let fraction = random.int(1...21)
      var sum = tally_sum(
        zero1: Int32(random.int(-128...127)), zero2: Int32(random.int(-128...127)),
        first: Int32(random.int(0...1 << 21)), second: Int32(random.int(0...1 << 21)),
        fraction: Int32(fraction))
      let zero = Int32(random.int(-128...127))
      let low = Int32(random.int(-128...0))
      let high = Int32(random.int(Int(low)...127))
      let sums = (0..<count).map { index -> Int32 in
        let exact =
          (Int(x1[index]) - Int(sum.zero1)) * Int(sum.first)
          + (Int(x2[index]) - Int(sum.zero2)) * Int(sum.second) + (1 << (fraction - 1))
        return Int32(exact >> fraction)
      }
      let placed = sums.map { Int8(min(max($0 + zero, low), high)) }
      var mask = [UInt8](repeating: 0, count: (count + 7) / 8)
      for index in 0..<count where low <= sums[index] + zero && sums[index] + zero <= high {
        mask[index / 8] |= 1 << UInt8(index % 8)
      }
      let fenced = (FencedMemory(x1), FencedMemory(x2))
      Self.atEachLevel { level in
        let out = GuardedOutput<Int8>(count, filledWith: 0x55)
        let bits = GuardedOutput<UInt8>(mask.count, filledWith: 0x55)
        tally_add_s8(
          Int32(count), fenced.0.base, fenced.1.base, &sum, zero, low, high, out.base, bits.base)
        #expect(out.array == placed && out.guardsHold, "\(count) at level \(level)")
        #expect(bits.array == mask && bits.guardsHold, "\(count) at level \(level)")
        for isRectified in [false, true] {
          var counts = [Int64](repeating: 1, count: 33)
          tally_count_sizes_of_sums_s8(
            Int32(count), fenced.0.base, fenced.1.base, &sum, isRectified ? 1 : 0, &counts)
          #expect(counts == Self.sizes(sums, isRectified), "\(count) at level \(level)")
        }
      }
    }
  }

  /// Counts by bit length, on top of 1.
  private static func sizes(_ values: [Int32], _ isRectified: Bool) -> [Int64] {
    var counts = [Int64](repeating: 1, count: 33)
    for value in values {
      let size = isRectified ? UInt32(max(value, 0)) : value.magnitude
      counts[32 - size.leadingZeroBitCount] += 1
    }
    return counts
  }

  @Test("sizes of requantized accumulators, at every kind of shift")
  func sizesOfAccumulators() {
    var random = MicroKernelsRandom("sizes")
    for trial in 0..<200 {
      let channels = [1, 2, 3, 8, 15, 16, 17, 64, 65][trial % 9]
      let rows = random.int(0...40)
      let isPerChannel = trial % 2 == 0
      let widest = trial % 5 == 0
      let acc = random.words(rows * channels)
      let bias = random.words(channels).map { $0 >> 8 }
      let mantissas = (0..<channels).map { _ in Int32(random.int(0...Int(Int32.max))) }
      let shifts = (0..<channels).map { _ in
        Int32(widest ? random.int(-40...70) : random.int(20...50))
      }
      let values = acc.indices.map { index -> Int32 in
        let channel = index % channels
        let m = isPerChannel ? channel : 0
        return Multiplier(mantissa: mantissas[m], shift: shifts[m])
          .requantize(acc[index] &+ bias[channel])
      }
      let fenced = FencedMemory(acc)
      for isRectified in [false, true] {
        Self.atEachLevel { level in
          var counts = [Int64](repeating: 1, count: 33)
          tally_count_sizes_s32(
            Int32(rows), Int32(channels), fenced.base, bias, mantissas, shifts,
            isPerChannel ? 1 : 0, isRectified ? 1 : 0, &counts)
          #expect(counts == Self.sizes(values, isRectified), "\(rows)×\(channels), level \(level)")
        }
      }
    }
  }

  @Test("joined gradients: their size and their rounding")
  func merges() {
    var random = MicroKernelsRandom("merges")
    let key: [UInt32] = [11, 12]
    let counter: [UInt32] = [13, 14, 15]
    for count in Self.lengths + [1023, 1024, 1025, 2100] {
      let g1 = random.bytes(count)
      let g2 = random.bytes(count)
      let (m1, m2) = (Int32(1 << 15), Int32(random.int(0...1 << 15)))
      let shift = Int32(random.int(0...24))
      let first = UInt32(random.int(0...40))
      let sums = (0..<count).map { Int32(g1[$0]) * m1 + Int32(g2[$0]) * m2 }
      var rounded = [Int8](repeating: 0, count: count)
      tally_set_simd_level(0)
      tally_shift_stochastic_s8(Int32(count), sums, shift, first, key, counter, &rounded, nil)
      Self.atEachLevel { level in
        let size = tally_merge_size_s8(Int32(count), g1, m1, g2, m2)
        #expect(size == Self.magnitude(sums), "\(count) at level \(level)")
        let target = FencedMemory(g1)
        tally_merge_s8(Int32(count), target.base, m1, g2, m2, shift, first, key, counter)
        #expect(target.array == rounded, "\(count) at level \(level)")
      }
    }
  }

  @Test("sums over rows and columns, and counts of a value")
  func sums() {
    var random = MicroKernelsRandom("sums")
    for trial in 0..<150 {
      let rows = trial % 10 == 0 ? 600 : random.int(0...40)
      let columns = [1, 3, 8, 9, 16, 33, 64, 65, 130][trial % 9]
      let stride = columns + random.int(0...5)
      let x = random.bytes(rows * stride)
      let one = x.randomElement(using: &random) ?? 1
      let other = trial % 2 == 0 ? one : x.randomElement(using: &random) ?? 1
      let wanted = min(one, other)...max(one, other)
      let fenced = FencedMemory(x)
      var byColumn = [Int32](repeating: 5, count: columns)
      var byRow = [Int32](repeating: 0, count: rows)
      for r in 0..<rows {
        for c in 0..<columns {
          byColumn[c] += Int32(x[r * stride + c])
          byRow[r] += Int32(x[r * stride + c])
        }
      }
      Self.atEachLevel { level in
        var sums = [Int32](repeating: 5, count: columns)
        tally_sum_rows_s8(Int32(rows), Int32(columns), fenced.base, stride, &sums)
        #expect(sums == byColumn, "\(rows)×\(columns) at level \(level)")
        let out = GuardedOutput<Int32>(rows, filledWith: 0x5555_5555)
        tally_row_sums_s8(Int32(rows), Int32(columns), fenced.base, stride, out.base)
        #expect(out.array == byRow && out.guardsHold, "\(rows)×\(columns) at level \(level)")
        let count = tally_count_s8(
          Int32(x.count), fenced.base, Int32(wanted.lowerBound), Int32(wanted.upperBound))
        #expect(count == x.count(where: wanted.contains), "\(wanted) at level \(level)")
      }
    }
  }

  @Test("magnitudes by column, and columns that are kept")
  func columns() {
    var random = MicroKernelsRandom("columns")
    for trial in 0..<150 {
      let rows = trial % 10 == 0 ? 600 : random.int(0...40)
      let columns = [1, 3, 8, 9, 16, 32, 33, 64, 65, 130][trial % 10]
      let x =
        trial % 15 == 0
        ? [Int8](repeating: -128, count: rows * columns)
        : random.bytes(rows * columns)
      let kept = (0..<(columns + 7) / 8).map { _ in UInt8(random.int(0...255)) }
      let expected = (0..<columns).map { c in
        (0..<rows).reduce(Int32(5)) { $0 + Int32(x[$1 * columns + c].magnitude) }
      }
      let left = x.indices.map { i in
        kept[i % columns / 8] >> (i % columns % 8) & 1 == 1 ? x[i] : 0
      }
      let fenced = FencedMemory(x)
      Self.atEachLevel { level in
        var sums = [Int32](repeating: 5, count: columns)
        tally_sum_magnitudes_s8(Int32(rows), Int32(columns), fenced.base, &sums)
        #expect(sums == expected, "\(rows)×\(columns) at level \(level)")
        let out = GuardedOutput<Int8>(x.count, filledWith: 0x55)
        for i in x.indices { out.base[i] = x[i] }
        tally_keep_columns_s8(Int32(rows), Int32(columns), kept, out.base)
        #expect(out.array == left && out.guardsHold, "\(rows)×\(columns) at level \(level)")
      }
    }
  }

  @Test("the k-th largest, and how many are larger")
  func kthLargest() {
    var random = MicroKernelsRandom("k-th largest")
    for trial in 0..<200 {
      let count = [1, 2, 9, 16, 31, 64, 100][trial % 7]
      // Few and many values, none, and the largest there is.
      let most = [0, 3, 200, 1 << 20, Int(Int32.max)][trial / 7 % 5]
      let values = (0..<count).map { _ in
        trial % 11 == 0 ? Int32(most) : Int32(random.int(0...most))
      }
      let k = random.int(1...count)
      let expected = values.sorted(by: >)[k - 1]
      let fenced = FencedMemory(values)
      Self.atEachLevel { level in
        var above: Int32 = -1
        let value = tally_kth_largest_s32(Int32(count), fenced.base, Int32(k), &above)
        #expect(value == expected, "\(k) of \(count) at level \(level)")
        #expect(above == values.count { $0 > expected }, "\(k) of \(count) at level \(level)")
      }
    }
  }

  @Test("channels gathered from every position")
  func gathers() {
    var random = MicroKernelsRandom("gathers")
    for trial in 0..<200 {
      let stride = [1, 2, 8, 10, 16, 17, 32, 64, 70, 600][trial % 10]
      let positions = random.int(0...40)
      // None, few, half, nearly all; ascending but for a few.
      let share = trial / 10 % 4
      var channels = (0..<Int32(stride)).filter { _ in random.int(0...3) < share }
      if trial % 7 == 0 { channels.reverse() }
      let x = random.bytes(positions * stride)
      let expected = (0..<positions).flatMap { p in channels.map { x[p * stride + Int($0)] } }
      let fenced = (FencedMemory(x), FencedMemory(channels))
      Self.atEachLevel { level in
        let out = GuardedOutput<Int8>(expected.count, filledWith: 0x55)
        tally_gather_channels_s8(
          Int32(positions), Int32(stride), fenced.1.base, Int32(channels.count), fenced.0.base,
          out.base)
        #expect(
          out.array == expected && out.guardsHold,
          "\(positions)×\(stride) → \(channels.count) at level \(level)")
      }
    }
  }

  @Test("products that become updates are the updates of their products")
  func productUpdates() {
    var random = MicroKernelsRandom("product updates")
    let key: [UInt32] = [21, 22]
    let counter: [UInt32] = [23, 24, 25]
    for trial in 0..<360 {
      let rows = random.int(1...5)
      let count = [1, 7, 8, 64, 100, 256, 512, 513, 784, 1040][trial % 10]
      let samples = random.next() & 1 == 0 ? 1 : random.int(1...9)
      let zero = Int32(random.int(-128...127))
      var x = random.bytes(samples * count)
      if random.next() & 1 == 0 {
        // Nothing at the ends.
        let ends = [random.int(0...count), random.int(0...count)].sorted()
        for i in 0..<x.count where !(ends[0]..<ends[1]).contains(i % count) { x[i] = Int8(zero) }
      }
      // Gradients are within ±127; many are 0, and with them whole rows.
      let g = random.bytes(samples * rows).map { $0 == -128 || random.next() & 1 == 0 ? 0 : $0 }
      let mantissa = Int32(random.int(1 << 30...Int(Int32.max)))
      let shift = Int32(random.int(trial % 3 == 0 ? -2...64 : 25...40))
      let clip = Int32(random.int(1...1 << 20))
      let target = random.words(rows * count)
      let masters = target.map { max(-127 << 16, min(127 << 16, $0)) }
      func weights(_ masters: [Int32]) -> [Int8] { masters.map { Int8(($0 + 32_768) >> 16) } }
      var sums = [Int32](repeating: 0, count: rows * count)
      for r in 0..<rows {
        for k in 0..<count {
          for b in 0..<samples {
            sums[r * count + k] += Int32(g[b * rows + r]) * (Int32(x[b * count + k]) - zero)
          }
        }
      }
      for subtract in [Int32(0), 1] {
        var expected = target
        tally_set_simd_level(0)
        let clipped = tally_contribute_q16(
          Int32(sums.count), sums, mantissa, shift, 0, key, counter, clip, subtract, &expected,
          nil)
        Self.atEachLevel { level in
          let out = FencedMemory(target)
          let found = tally_contribute_product_q16(
            Int32(rows), Int32(count), Int32(samples), g, rows, x, count, zero, mantissa, shift,
            key, counter, clip, subtract, out.base, nil)
          #expect(out.array == expected, "\(rows)×\(count), \(samples), level \(level)")
          #expect(found == clipped, "\(rows)×\(count), \(samples), level \(level)")
        }
      }
      var expected = masters
      tally_set_simd_level(0)
      _ = tally_contribute_q16(
        Int32(sums.count), sums, mantissa, shift, 0, key, counter, clip, 1, &expected, nil)
      expected = expected.map { max(-127 << 16, min(127 << 16, $0)) }
      Self.atEachLevel { level in
        let out = FencedMemory(masters)
        let shown = FencedMemory(weights(masters))
        _ = tally_contribute_product_q16(
          Int32(rows), Int32(count), Int32(samples), g, rows, x, count, zero, mantissa, shift,
          key, counter, clip, 1, out.base, shown.base)
        #expect(out.array == expected, "\(rows)×\(count), \(samples), level \(level)")
        #expect(shown.array == weights(expected), "\(rows)×\(count), \(samples), level \(level)")
      }
    }
  }
}
