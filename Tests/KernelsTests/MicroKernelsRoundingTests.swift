import MicroKernels
import Testing

// ---- The clauses of SPEC §3.3, §3.4 and §4, in integers wide enough to need no care

/// sat32(⌊value / 2^shift⌋), and value·2^-shift for a negative shift.
private func saturated(_ value: Int128, rightBy shift: Int) -> Int32 {
  // A value beyond ±2^62 saturates anyway, and none of the values here needs 2^63 · 2^63.
  Int32(clamping: shift >= 0 ? value >> Int128(shift) : value << Int128(min(-shift, 62)))
}

private func requantized(_ v: Int32, _ mantissa: Int32, _ shift: Int) -> Int32 {
  if shift > 62 { return 0 }
  let p = Int128(v) * Int128(mantissa)
  return saturated(shift >= 1 ? p + (Int128(1) << Int128(shift - 1)) : p, rightBy: shift)
}

private func requantizedStochastically(
  _ v: Int32, _ mantissa: Int32, _ shift: Int, _ r: UInt16
) -> Int32 {
  if shift > 62 { return 0 }
  let p = Int128(v) * Int128(mantissa)
  if shift <= 0 { return saturated(p, rightBy: shift) }
  if shift <= 16 { return saturated(p + Int128(r) % (Int128(1) << Int128(shift)), rightBy: shift) }
  return saturated((p >> Int128(shift - 16)) + Int128(r), rightBy: 16)
}

private func shiftedStochastically(_ v: Int32, _ shift: Int, _ r: UInt16) -> Int {
  if shift <= 16 { return (Int(v) + Int(r) % (1 << shift)) >> shift }
  return ((Int(v) >> (shift - 16)) + Int(r)) >> 16
}

/// Philox4x32-10 on full-width products.
func microKernelsPhilox(_ counter: [UInt32], _ key: [UInt32]) -> [UInt32] {
  var c = counter, k = key
  for _ in 0..<10 {
    let (a, b) = (UInt64(c[0]) * 0xD251_1F53, UInt64(c[2]) * 0xCD9E_8D57)
    c = [
      UInt32(b >> 32) ^ c[1] ^ k[0], UInt32(truncatingIfNeeded: b),
      UInt32(a >> 32) ^ c[3] ^ k[1], UInt32(truncatingIfNeeded: a),
    ]
    k = [k[0] &+ 0x9E37_79B9, k[1] &+ 0xBB67_AE85]
  }
  return c
}

/// Lanes of consecutive elements of a stream.
private func lanes(
  _ first: UInt32, _ count: Int, _ key: [UInt32], _ counter: [UInt32]
) -> [UInt16] {
  var block: [UInt32] = []
  return (0..<count).map { i in
    let e = first + UInt32(i)
    if i == 0 || e % 8 == 0 { block = microKernelsPhilox([e / 8] + counter, key) }
    let word = block[Int(e % 8 / 2)]
    return UInt16(truncatingIfNeeded: e % 2 == 0 ? word : word >> 16)
  }
}

/// Bit i%8 of byte i/8.
private func packedBits(_ bits: [Bool]) -> [UInt8] {
  var bytes = [UInt8](repeating: 0, count: (bits.count + 7) / 8)
  for (i, bit) in bits.enumerated() where bit { bytes[i / 8] |= 1 << UInt8(i % 8) }
  return bytes
}

extension MicroKernels {
  static let counts = [0, 1, 7, 8, 9, 15, 16, 17, 31, 63, 64, 65, 119, 127, 128, 129, 300]

  @Test(
    "requantisation: the table of the arithmetic's text",
    arguments: [
      (7984, 1_583_594_044, 40, 11), (-7984, 1_583_594_044, 40, -11), (-5, 1 << 30, 31, -2),
      (5, 1 << 30, 31, 3), (.max, .max, 31, 2_147_483_646), (.min, .max, 31, -2_147_483_647),
      (1, 1 << 30, 62, 0), (28, 1_985_309_846, 33, 6), (1, 1, 0, 1), (1, 1, -31, .max),
      (-1, 1, -31, .min), (-1, 1, .min, .min), (0, .max, .min, 0), (3, 5, -2, 60),
      (.max, .max, 63, 0), (.max, .max, 1, .max), (.min, .max, 1, .min), (-1, 1, 1, 0),
    ] as [(Int32, Int32, Int32, Int32)])
  func requantizationTable(v: Int32, mantissa: Int32, shift: Int32, expected: Int32) {
    // 17 copies reach every lane and a remainder.
    Self.atEachLevel { level in
      var out = [Int8](repeating: 0, count: 17)
      tally_requantize_s8(
        17, [Int32](repeating: v, count: 17), mantissa, shift, 0, -128, 127, &out, nil)
      #expect(out.allSatisfy { $0 == Int8(clamping: expected) }, "level \(level)")
    }
  }

  @Test("requantisation: every shift, one multiplier or one per channel, bias, mask")
  func requantization() {
    var random = MicroKernelsRandom("requantisation")
    for trial in 0..<400 {
      let channels = [1, 2, 3, 5, 8, 10, 15, 16, 17, 24, 31, 32, 40, 64, 65][trial % 15]
      let rows = trial % 7 == 0 ? 1 : random.int(0...5)
      let count = rows * channels
      let acc = random.words(count), bias = random.words(channels)
      let mantissas = (0..<channels).map { _ in Int32(truncatingIfNeeded: random.next() >> 33) }
      // All ordinary, some below 31, or any at all.
      let range = [31...62, 1...62, -35...70][trial % 3]
      let shifts = (0..<channels).map { _ in Int32(random.int(range)) }
      let zeroPoint = Int32(random.int(-128...127))
      let ends = [Int32(random.int(-128...127)), Int32(random.int(-128...127))].sorted()
      let usesBias = random.next() & 1 == 0, usesMask = random.next() & 1 == 0

      for perChannel in [false, true] {
        var expected: [Int8] = []
        var inside: [Bool] = []
        for (i, v) in acc.enumerated() {
          let c = i % channels, at = perChannel ? c : 0
          let sum = usesBias ? v &+ bias[c] : v
          let y =
            Int(requantized(sum, mantissas[at], Int(shifts[at]))) + Int(zeroPoint)
          expected.append(Int8(max(Int(ends[0]), min(Int(ends[1]), y))))
          inside.append(y >= Int(ends[0]) && y <= Int(ends[1]))
        }
        let fencedAcc = FencedMemory(acc, atStart: random.next() & 1 == 0)
        let fencedBias = FencedMemory(bias, atStart: random.next() & 1 == 0)
        let fencedMantissas = FencedMemory(mantissas, atStart: random.next() & 1 == 0)
        let fencedShifts = FencedMemory(shifts, atStart: random.next() & 1 == 0)
        Self.atEachLevel { level in
          let out = GuardedOutput<Int8>(count, filledWith: 0x55)
          let mask = GuardedOutput<UInt8>((count + 7) / 8, filledWith: 0x55)
          if perChannel {
            tally_requantize_channels_s8(
              Int32(rows), Int32(channels), fencedAcc.base, usesBias ? fencedBias.base : nil,
              fencedMantissas.base, fencedShifts.base, zeroPoint, ends[0], ends[1], out.base,
              usesMask ? mask.base : nil)
          } else {
            tally_requantize_bias_s8(
              Int32(rows), Int32(channels), fencedAcc.base, usesBias ? fencedBias.base : nil,
              mantissas[0], shifts[0], zeroPoint, ends[0], ends[1], out.base,
              usesMask ? mask.base : nil)
          }
          let name = "\(rows)×\(channels), \(perChannel ? "shifts" : "shift") \(shifts.prefix(3))"
          #expect(out.array == expected, "\(name) at level \(level)")
          if usesMask { #expect(mask.array == packedBits(inside), "\(name) at level \(level)") }
          #expect(out.guardsHold && mask.guardsHold, "\(name) at level \(level) wrote outside")
          if !perChannel && !usesBias {
            let flat = GuardedOutput<Int8>(count, filledWith: 0x55)
            tally_requantize_s8(
              Int32(count), fencedAcc.base, mantissas[0], shifts[0], zeroPoint, ends[0], ends[1],
              flat.base, nil)
            #expect(flat.array == expected, "\(name) flat at level \(level)")
          }
        }
      }
    }
  }

  @Test(
    "the reference Philox gives the Random123 known answers",
    arguments: [
      (
        [0, 0, 0, 0], [0, 0], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
      ),
      (
        [.max, .max, .max, .max], [.max, .max],
        [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
      ),
      (
        [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0],
        [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
      ),
    ] as [([UInt32], [UInt32], [UInt32])])
  func philox(counter: [UInt32], key: [UInt32], expected: [UInt32]) {
    #expect(microKernelsPhilox(counter, key) == expected)
  }

  @Test("the random bits of an element are those of its address, wherever a call begins")
  func addressedLanes() {
    // SR of 0 and of −1 by 16 shows one bit, so take v = 2^16·k − r: here the lane itself, through
    // the update: 0·m + r, shift 16, is 0; a gradient of 2^16 − 1 adds a carry for r ≥ 1.
    var random = MicroKernelsRandom("addressed lanes")
    let key = (0..<2).map { _ in UInt32(truncatingIfNeeded: random.next()) }
    let counter = (0..<3).map { _ in UInt32(truncatingIfNeeded: random.next()) }
    for first in [0, 1, 5, 8, 120, 127, 128, 1001, UInt32.max - 400] {
      let expected = lanes(first, 300, key, counter)
      for threshold: Int32 in [1, 0x1234, 0x8000, 0xffff] {
        // (2^16 − t + r) >> 16 is 1 exactly when r ≥ t.
        let gradient = [Int32](repeating: 65_536 - threshold, count: 300)
        Self.atEachLevel { level in
          var master = [Int32](repeating: 0, count: 300)
          _ = tally_contribute_q16(
            300, gradient, 1, 16, first, key, counter, 1 << 30, 1, &master, nil)
          #expect(
            master == expected.map { Int32($0) >= threshold ? -1 : 0 },
            "from \(first), threshold \(threshold), level \(level)")
        }
      }
    }
  }

  @Test("stochastic shift to int8: every shift, any first element, masked")
  func stochasticShift() {
    var random = MicroKernelsRandom("stochastic shift")
    for trial in 0..<128 {
      let shift = trial % 32
      let count = Self.counts[trial % Self.counts.count]
      let first = trial % 3 == 0 ? UInt32(random.int(0...4) * 8) : UInt32(random.int(0...100_000))
      let key = (0..<2).map { _ in UInt32(truncatingIfNeeded: random.next()) }
      let counter = (0..<3).map { _ in UInt32(truncatingIfNeeded: random.next()) }
      // The documented range, scaled so that some results fall inside ±127.
      let acc = random.words(count).enumerated().map { i, v in
        let bounded = max(-0x7fff_0000, min(0x7fff_0000, v))
        return i % 2 == 0 ? bounded : bounded >> Int32(max(0, 23 - shift))
      }
      let bits = (0..<count).map { _ in random.next() & 3 != 0 }
      let usesMask = trial % 2 == 0
      let r = lanes(first, count, key, counter)
      let expected = (0..<count).map { i -> Int8 in
        if usesMask && !bits[i] { return 0 }
        return Int8(max(-127, min(127, shiftedStochastically(acc[i], shift, r[i]))))
      }
      let fencedAcc = FencedMemory(acc, atStart: random.next() & 1 == 0)
      let fencedMask = FencedMemory(packedBits(bits))
      Self.atEachLevel { level in
        let out = GuardedOutput<Int8>(count, filledWith: 0x55)
        tally_shift_stochastic_s8(
          Int32(count), fencedAcc.base, Int32(shift), first, key, counter, out.base,
          usesMask ? fencedMask.base : nil)
        #expect(out.array == expected, "\(count) from \(first) by \(shift), level \(level)")
        #expect(out.guardsHold, "\(count) from \(first), level \(level) wrote outside")
      }
    }
  }

  @Test("contributions: every shift, clipped and counted, both directions; then the refresh")
  func contributions() {
    var random = MicroKernelsRandom("contributions")
    for trial in 0..<210 {
      let shift = trial % 105 - 36
      let count = Self.counts[trial % Self.counts.count]
      let first = UInt32(random.int(0...1_000_000))
      let key = (0..<2).map { _ in UInt32(truncatingIfNeeded: random.next()) }
      let counter = (0..<3).map { _ in UInt32(truncatingIfNeeded: random.next()) }
      let gradient = random.words(count), start = random.words(count)
      let mantissa = Int32(truncatingIfNeeded: random.next() >> 33)
      let clip = (Int32(1) << 30) >> Int32(random.int(0...30))
      let r = lanes(first, count, key, counter)
      let updates = (0..<count).map {
        requantizedStochastically(gradient[$0], mantissa, shift, r[$0])
      }
      let bounded = updates.map { max(-clip, min(clip, $0)) }
      let clipped = zip(updates, bounded).filter { $0 != $1 }.count
      let taken = zip(start, bounded).map { $0 &- $1 }
      let added = zip(start, bounded).map { $0 &+ $1 }
      let clamped = taken.map { max(-127 << 16, min(127 << 16, $0)) }
      let fencedGradient = FencedMemory(gradient, atStart: random.next() & 1 == 0)
      Self.atEachLevel { level in
        let name: Comment = "\(count) by \(shift), level \(level)"
        for (subtract, expected) in [(Int32(0), added), (1, taken)] {
          let target = GuardedOutput<Int32>(count, filledWith: 0x5555_5555)
          if count > 0 { target.base.update(from: start, count: count) }
          let counted = tally_contribute_q16(
            Int32(count), fencedGradient.base, mantissa, Int32(shift), first, key, counter, clip,
            subtract, target.base, nil)
          #expect(target.array == expected, name)
          #expect(Int(counted) == clipped, name)
          #expect(target.guardsHold, name)
        }
        let master = GuardedOutput<Int32>(count, filledWith: 0x5555_5555)
        if count > 0 { master.base.update(from: taken, count: count) }
        let weights = GuardedOutput<Int8>(count, filledWith: 0x55)
        tally_refresh_s8(Int32(count), master.base, weights.base)
        #expect(master.array == clamped, name)
        #expect(weights.array == clamped.map { Int8(($0 + 32_768) >> 16) }, name)
        #expect(master.guardsHold && weights.guardsHold, name)
      }
    }
  }

  @Test("contributions of values of every size, each with the way that suits it, and the refresh")
  func contributionsBySize() {
    var random = MicroKernelsRandom("contributions by size")
    for trial in 0..<620 {
      let shift = trial % 62 + 1
      // Where 15, 16 and 31 bits of a value or of a result begin.
      let bits = [0, 1, 9, 14, 15, 16, 18, 24, 30, 31][trial / 62]
      let count = random.int(0...300)
      let first = UInt32(random.int(0...1 << 24)) &* (trial % 3 == 0 ? 1 : 8)
      let key = (0..<2).map { _ in UInt32(truncatingIfNeeded: random.next()) }
      let counter = (0..<3).map { _ in UInt32(truncatingIfNeeded: random.next()) }
      let largest = (Int64(1) << Int64(bits)) - 1
      let gradient = (0..<count).map { _ -> Int32 in
        switch random.next() & 7 {
        case 0: Int32(largest)
        case 1: Int32(-largest)
        case 2: bits == 31 ? .min : 0
        default: Int32(Int64.random(in: -largest...largest, using: &random))
        }
      }
      // The largest have an upper half that does not fit 16 bits once the lower one is signed.
      let mantissa =
        trial % 4 == 0
        ? Int32(random.int(0x7fff_7ff0...0x7fff_ffff)) : Int32(random.int(1 << 30...0x7fff_ffff))
      let clip = (Int32(1) << 30) >> Int32(random.int(0...30))
      let start = (0..<count).map { _ in Int32(random.int(-127 << 16...127 << 16)) }
      func weights(_ masters: [Int32]) -> [Int8] { masters.map { Int8(($0 + 32_768) >> 16) } }
      let r = lanes(first, count, key, counter)
      let updates = (0..<count).map {
        requantizedStochastically(gradient[$0], mantissa, shift, r[$0])
      }
      let bounded = updates.map { max(-clip, min(clip, $0)) }
      let clipped = zip(updates, bounded).filter { $0 != $1 }.count
      let added = zip(start, bounded).map { $0 &+ $1 }
      let taken = zip(start, bounded).map { $0 &- $1 }
      let clamped = taken.map { max(-127 << 16, min(127 << 16, $0)) }
      let fencedGradient = FencedMemory(gradient, atStart: random.next() & 1 == 0)
      Self.atEachLevel { level in
        let name: Comment = "\(count) of \(bits) bits by \(shift), level \(level)"
        for (subtract, refreshes, expected) in [
          (Int32(0), false, added), (1, false, taken), (1, true, clamped),
        ] {
          let target = GuardedOutput<Int32>(count, filledWith: 0x5555_5555)
          let shown = GuardedOutput<Int8>(count, filledWith: 0x55)
          if count > 0 {
            target.base.update(from: start, count: count)
            shown.base.update(from: weights(start), count: count)
          }
          let counted = tally_contribute_q16(
            Int32(count), fencedGradient.base, mantissa, Int32(shift), first, key, counter, clip,
            subtract, target.base, refreshes ? shown.base : nil)
          #expect(target.array == expected, name)
          #expect(shown.array == weights(refreshes ? clamped : start), name)
          #expect(Int(counted) == clipped, name)
          #expect(target.guardsHold && shown.guardsHold, name)
        }
      }
    }
  }

  @Test("norms: largest magnitude and sums of squares")
  func norms() {
    var random = MicroKernelsRandom("norms")
    for count in Self.counts + [1000] {
      let words = random.words(count), bytes = random.bytes(count)
      let fencedWords = FencedMemory(words, atStart: random.next() & 1 == 0)
      let fencedBytes = FencedMemory(bytes, atStart: random.next() & 1 == 0)
      let ordinary = words.map { $0 >> 8 }
      Self.atEachLevel { level in
        #expect(
          tally_max_magnitude_s32(Int32(count), fencedWords.base)
            == words.map(\.magnitude).max() ?? 0, "\(count), level \(level)")
        #expect(
          tally_max_magnitude_s32(Int32(count), ordinary)
            == ordinary.map(\.magnitude).max() ?? 0, "\(count), level \(level)")
        let squares = words.map { UInt64($0.magnitude) * UInt64($0.magnitude) }
        var halves: [UInt64] = [3, 5]
        tally_sum_squares_s32(Int32(count), fencedWords.base, &halves)
        #expect(
          halves == [
            squares.reduce(3) { $0 + $1 & 0xffff_ffff }, squares.reduce(5) { $0 + $1 >> 32 },
          ], "\(count), level \(level)")
        #expect(
          tally_sum_squares_s8(Int32(count), fencedBytes.base)
            == bytes.map { UInt64(Int($0) * Int($0)) }.reduce(0, +), "\(count), level \(level)")
      }
    }
    // Past every run that is summed in 32 bits.
    let extreme = [Int8](repeating: -128, count: 400_000)
    Self.atEachLevel { level in
      #expect(tally_sum_squares_s8(400_000, extreme) == 400_000 * 16_384, "level \(level)")
    }
  }
}
