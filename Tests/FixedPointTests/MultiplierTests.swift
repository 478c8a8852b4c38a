import FixedPoint
import Testing

private let edges: [Int32] = [
  .min, .min + 1, -(1 << 30), -65537, -7984, -5, -2, -1, 0, 1, 2, 3, 5, 28, 12345, 65535, 1 << 30,
  .max - 1, .max,
]
private let mantissas: [Int32] = [
  0, 1, 3, 1 << 30, 1_583_594_044, 1_985_309_846, .max - 1, .max,
]

/// value·2^−shift with one rounding half up, in rationals of 128 bits, saturated to `Narrow`.
private func rounded<Narrow: FixedWidthInteger>(
  _ product: Int128, shift: Int32, as: Narrow.Type
) -> Narrow {
  if shift >= 126 { return 0 }
  if shift > 0 {
    let unit = Int128(1) << Int128(shift)
    return Narrow(clamping: floorQuotient(2 * product + unit, 2 * unit))
  }
  var value = product
  // One doubling at a time; beyond 2^80 the result is saturated whatever follows.
  for _ in 0..<min(shift.magnitude, 200) where value.magnitude < 1 << 100 { value *= 2 }
  return Narrow(clamping: value)
}

@Test("requantize: the vectors of the method notes")
func requantizeVectors() {
  let vectors: [(Int32, Int32, Int32, Int32)] = [
    (7984, 1_583_594_044, 40, 11), (-7984, 1_583_594_044, 40, -11), (-5, 1 << 30, 31, -2),
    (5, 1 << 30, 31, 3), (.max, .max, 31, 2_147_483_646), (.min, .max, 31, -2_147_483_647),
    (1, 1 << 30, 62, 0), (28, 1_985_309_846, 33, 6),
  ]
  for (accumulator, mantissa, shift, expected) in vectors {
    #expect(Multiplier(mantissa: mantissa, shift: shift).requantize(accumulator) == expected)
  }
}

@Test("requantize is one rounding half up of the exact product")
func requantizeAgainstWideIntegers() {
  for mantissa in mantissas {
    for accumulator in edges {
      for shift in [Int32](-70...75) + [.min, .min + 1, -1000, 1000, .max] {
        let product = Int128(accumulator) * Int128(mantissa)
        require(
          Multiplier(mantissa: mantissa, shift: shift).requantize(accumulator),
          shift > 62 ? 0 : rounded(product, shift: shift, as: Int32.self),
          "\(accumulator)·\(mantissa)·2^−\(shift)")
      }
    }
  }
  var generator = Generator(seed: 0x2A)
  for _ in 0..<20_000 {
    let accumulator = Int32(truncatingIfNeeded: generator.anyMagnitude())
    let mantissa = generator.mantissa()
    let shift = Int32.random(in: 1...62, using: &generator)
    require(
      Multiplier(mantissa: mantissa, shift: shift).requantize(accumulator),
      rounded(Int128(accumulator) * Int128(mantissa), shift: shift, as: Int32.self),
      "seed \(generator.seed): \(accumulator)·\(mantissa)·2^−\(shift)")
  }
}

@Test("requantizeWide is one rounding half up of the exact 94-bit product")
func requantizeWideAgainstWideIntegers() {
  var accumulators = edges.map(Int64.init)
  accumulators += [
    .min, .min + 1, .max, .max - 1, -(1 << 62), 1 << 62, 1 << 32, -(1 << 32),
    (1 << 32) - 1, -(1 << 32) - 1, .max / 3, 0x1234_5678_9ABC_DEF0,
  ]
  for mantissa in mantissas {
    for accumulator in accumulators {
      for shift in [Int32](-100...130) + [.min, .min + 1, .max] {
        require(
          Multiplier(mantissa: mantissa, shift: shift).requantizeWide(accumulator),
          rounded(Int128(accumulator) * Int128(mantissa), shift: shift, as: Int64.self),
          "\(accumulator)·\(mantissa)·2^−\(shift)")
      }
    }
  }
  var generator = Generator(seed: 0x2B)
  for _ in 0..<20_000 {
    let accumulator = generator.anyMagnitude()
    let mantissa = generator.mantissa()
    let shift = Int32.random(in: -3...97, using: &generator)
    require(
      Multiplier(mantissa: mantissa, shift: shift).requantizeWide(accumulator),
      rounded(Int128(accumulator) * Int128(mantissa), shift: shift, as: Int64.self),
      "seed \(generator.seed): \(accumulator)·\(mantissa)·2^−\(shift)")
  }
}

@Test("requantizeStochastically: the vectors of the method notes")
func requantizeStochasticallyVectors() {
  let multiplier = Multiplier(mantissa: 1_583_594_044, shift: 40)
  #expect(multiplier.requantizeStochastically(-12345, bits: 0) == -18)
  // −17.78 + 0.5 = −17.28, so 0x8000 still floors to −18; 0.78·2^16 = 0xC7B8 is the first to go up.
  #expect(multiplier.requantizeStochastically(-12345, bits: 0x8000) == -18)
  #expect(multiplier.requantizeStochastically(-12345, bits: 0xC7B7) == -18)
  #expect(multiplier.requantizeStochastically(-12345, bits: 0xC7B8) == -17)
  #expect(multiplier.requantizeStochastically(-12345, bits: 0xFFFF) == -17)
}

@Test("requantizeStochastically goes up for exactly the dropped part's share of the 16-bit lanes")
func requantizeStochasticallyCounts() {
  // The result is ⌊x⌋ or ⌊x⌋ + 1; of the 65 536 lanes the ⌊frac(x)·65 536⌋ largest ones go up
  // (for shift ≤ 16 in each period of 2^shift). So check the lanes on both sides of the step.
  var generator = Generator(seed: 0x2C)
  for index in 0..<6000 {
    let accumulator =
      index < edges.count ? edges[index] : Int32(truncatingIfNeeded: generator.anyMagnitude())
    let shift = Int32(index % 62) + 1
    let mantissa = shift < 30 ? Int32(index % 97) : generator.mantissa()
    let product = Int128(accumulator) * Int128(mantissa)
    let low = floorQuotient(product, Int128(1) << Int128(shift))
    let kept = min(shift, 16)
    let period = Int128(1) << Int128(kept)
    let part = floorQuotient(product, Int128(1) << Int128(shift - kept)) - low * period
    for lane in [0, period - part - 1, period - part, period - 1] where lane >= 0 && lane < period {
      let expected = Int32(clamping: lane + part >= period ? low + 1 : low)
      for bits in [lane, 65535 - (65535 - lane) % period] {
        require(
          Multiplier(mantissa: mantissa, shift: shift)
            .requantizeStochastically(accumulator, bits: UInt16(bits)), expected,
          "seed \(generator.seed): \(accumulator)·\(mantissa)·2^−\(shift), bits \(bits)")
      }
    }
  }
}

@Test("requantizeStochastically outside 1…62 agrees with requantize")
func requantizeStochasticallyOutside() {
  for mantissa in mantissas {
    for accumulator in edges {
      for shift in [Int32](-40...0) + [63, 64, 100, .min, .max] {
        let multiplier = Multiplier(mantissa: mantissa, shift: shift)
        require(
          multiplier.requantizeStochastically(accumulator, bits: 0xABCD),
          multiplier.requantize(accumulator), "\(accumulator)·\(mantissa)·2^−\(shift)")
      }
    }
  }
}

@Test("A multiplier of a scale has the scale's value")
func multiplierOfScale() throws {
  let scale = try #require(Scale(mantissa: 1_374_389_535, exponent: -5))  // 0.02
  #expect(scale.multiplier == Multiplier(mantissa: 1_374_389_535, shift: 36))
  #expect(scale.multiplier.requantize(1000) == 20)
  #expect(Scale.zero.multiplier.requantize(.max) == 0)
  #expect(Scale.powerOfTwo(3).multiplier.requantize(-5) == -40)
  #expect(Scale.powerOfTwo(40).multiplier.requantize(-5) == .min)
}

@Test("A negative mantissa is a contract breach")
func negativeMantissa() async {
  await #expect(processExitsWith: .failure) { _ = Multiplier(mantissa: -1, shift: 31) }
}
