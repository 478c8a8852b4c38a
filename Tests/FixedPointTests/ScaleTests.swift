import FixedPoint
import Testing

private func scale(_ mantissa: Int32, _ exponent: Int32) throws -> Scale {
  try #require(Scale(mantissa: mantissa, exponent: exponent))
}

@Test("Scales: the vectors of the method notes")
func scaleVectors() throws {
  let two = try scale(1_374_389_535, -5)  // 0.02
  let log2e = try scale(1_549_082_005, 1)
  #expect(try (two * log2e).multiplied(byPowerOfTwo: 16) == scale(1_982_824_966, 11))
  #expect((two * log2e).multiplied(byPowerOfTwo: 16).multiplier.shift == 20)
  #expect(try scale(1 << 30, 0) * scale(1 << 30, 0) == scale(1 << 30, -1))
  #expect(try scale(.max, 0) / scale(1 << 30, 0) == scale(.max, 1))
  let bound = (Scale(6) / Scale(784)).squareRoot()
  #expect(try bound == scale(1_502_925_476, -3))
  #expect(try bound / Scale(127) == scale(1_514_759_534, -10))
}

@Test("A product keeps the nearest 31-bit number to the exact one")
func products() throws {
  var generator = Generator(seed: 0x30)
  for index in 0..<10_000 {
    let a = try scale(index == 0 ? .max : generator.mantissa(), Int32(index % 90) - 45)
    let b = try scale(index < 2 ? .max : generator.mantissa(), Int32(index % 71) - 35)
    let c = a * b
    let lost = a.exponent + b.exponent - c.exponent  // 0 or 1
    // Undo the normalisation; p is the half-up rounding of the product of mantissas by 2^31.
    let p = Int128(c.mantissa >> lost)
    let exact = Int128(a.mantissa) * Int128(b.mantissa)
    let nearest = floorQuotient(2 * exact + (1 << 31), 1 << 32)
    require(p == nearest && (p < 1 << 30) == (lost == 1), true, "seed \(generator.seed): \(a)·\(b)")
    require(c.mantissa >= 1 << 30 && (lost == 0 || lost == 1), true, "\(a)·\(b) = \(c)")
    // Relative error ≤ 2^−30: |c − ab|·2^30 ≤ ab, with c brought to the unit of ab.
    let error = (Int128(c.mantissa) << Int128(31 - lost)) - exact
    require(Int128(error.magnitude) << 30 <= exact, true, "error of \(a)·\(b)")
  }
}

@Test("A quotient floors, then rounds its carry bit up")
func quotients() throws {
  var generator = Generator(seed: 0x31)
  for index in 0..<10_000 {
    let a = try scale(index == 0 ? .max : generator.mantissa(), Int32(index % 90) - 45)
    let b = try scale(index == 1 ? .max : generator.mantissa(), Int32(index % 71) - 35)
    let c = a / b
    let carry = c.exponent - (a.exponent - b.exponent)  // 0 or 1
    let numerator = Int128(a.mantissa) << 31
    let m = Int128(c.mantissa)
    let divisor = Int128(b.mantissa)
    let holds =
      carry == 0
      ? m * divisor <= numerator && numerator < (m + 1) * divisor
      : (2 * m - 1) * divisor <= numerator && numerator < (2 * m + 1) * divisor
    require(
      holds && m >= 1 << 30 && carry == (a.mantissa >= b.mantissa ? 1 : 0), true,
      "seed \(generator.seed): \(a) / \(b) = \(c)")
  }
}

@Test("A square root is the largest mantissa whose square fits")
func squareRoots() throws {
  var generator = Generator(seed: 0x32)
  for index in 0..<5000 {
    let a = try scale(index < 100 ? (1 << 30) : generator.mantissa(), Int32(index % 100) - 50)
    let r = a.squareRoot()
    // value(a) = m·2^(e−31), value(r)² = n²·2^(2f−62): compare n² with m·2^(e−2f+31).
    let places = a.exponent - 2 * r.exponent + 31
    let radicand = Int128(a.mantissa) << Int128(places)
    let n = Int128(r.mantissa)
    require(
      n * n <= radicand && radicand < (n + 1) * (n + 1) && n >= 1 << 30 && n < 1 << 31, true,
      "seed \(generator.seed): √\(a) = \(r)")
  }
  #expect(Scale(49).squareRoot() == Scale(7))
  #expect(Scale(2).squareRoot().exponent == 1)
}

@Test("Integers become scales exactly, or rounded half up to 31 bits")
func integers() {
  var generator = Generator(seed: 0x33)
  var values = [UInt64](1...3000)
  for bit in 1...63 { values += [1 << bit - 1, 1 << bit, 1 << bit + 1] }
  values += [.max, .max - 1, 0xFFFF_FFFF, 0xFFFF_FFFE, 0xFFFF_FFFD, (1 << 33) + 2, (1 << 33) + 6]
  for _ in 0..<3000 { values.append(UInt64(bitPattern: generator.anyMagnitude())) }
  for value in values where value > 0 {
    let s = Scale(value)
    let m = Int128(s.mantissa)
    require(m >= 1 << 30, true, "\(value) → \(s)")
    if s.exponent <= 31 {
      require(m, Int128(value) << Int128(31 - s.exponent), "\(value) → \(s)")
    } else {
      // Half up on the grid of the value's own octave: unit 2^(bits − 31).
      let unit = Int128(1) << Int128(Int(bitLength(value)) - 31)
      let nearest = floorQuotient(2 * Int128(value) + unit, 2 * unit) * unit
      require(m << Int128(s.exponent - 31), nearest, "seed \(generator.seed): \(value) → \(s)")
    }
  }
  #expect(Scale(0) == .zero)
  #expect(Scale(UInt64.max) == .powerOfTwo(64))
}

@Test("Only canonical fields make a scale")
func storedFields() {
  #expect(Scale(mantissa: 0, exponent: 0) == .zero)
  #expect(Scale(mantissa: 1 << 30, exponent: 512) != nil)
  #expect(Scale(mantissa: .max, exponent: -512) != nil)
  #expect(Scale(mantissa: 0, exponent: 1) == nil)
  #expect(Scale(mantissa: 0, exponent: -1) == nil)
  #expect(Scale(mantissa: (1 << 30) - 1, exponent: 0) == nil)
  #expect(Scale(mantissa: 1, exponent: 0) == nil)
  #expect(Scale(mantissa: -1, exponent: 0) == nil)
  #expect(Scale(mantissa: .min, exponent: 0) == nil)
  #expect(Scale(mantissa: 1 << 30, exponent: 513) == nil)
  #expect(Scale(mantissa: 1 << 30, exponent: -513) == nil)
  #expect(Scale(mantissa: 1 << 30, exponent: .min) == nil)
}

@Test("The order is that of the values, zero first")
func order() throws {
  let ascending = try [
    .zero, scale(1 << 30, -512), scale(.max, -512), scale(1 << 30, -3), scale(1 << 30, -1),
    scale(1 << 30, 0), scale(1_500_000_000, 0), scale(.max, 0), Scale(1), Scale(2), Scale(3),
    scale(.max, 512),
  ]
  for (i, a) in ascending.enumerated() {
    for (j, b) in ascending.enumerated() {
      require(a < b, i < j, "\(a) < \(b)")
      require(a == b, i == j, "\(a) == \(b)")
    }
  }
}

@Test("roundedToInteger rounds half up and saturates")
func roundedIntegers() throws {
  var generator = Generator(seed: 0x34)
  for index in 0..<8000 {
    let s = try scale(index % 3 == 0 ? 1 << 30 : generator.mantissa(), Int32(index % 60) - 30)
    let bits = Int32(index / 60 % 90) - 45
    let places = s.exponent - 31 + bits  // −106…44
    let expected: Int64
    if places >= 0 {
      expected = Int64(clamping: Int128(s.mantissa) << Int128(places))
    } else {
      let unit = Int128(1) << Int128(-places)
      expected = Int64(floorQuotient(2 * Int128(s.mantissa) + unit, 2 * unit))
    }
    require(
      s.roundedToInteger(fractionBits: bits), expected, "seed \(generator.seed): \(s), Q\(bits)")
  }
  #expect(Scale(3).multiplied(byPowerOfTwo: -1).roundedToInteger(fractionBits: 0) == 2)
  #expect(Scale.zero.roundedToInteger(fractionBits: .max) == 0)
  #expect(Scale(1).roundedToInteger(fractionBits: .max) == .max)
  #expect(Scale(1).roundedToInteger(fractionBits: .min) == 0)
  #expect(Scale(1).roundedToInteger(fractionBits: 62) == 1 << 62)
  #expect(Scale(1).roundedToInteger(fractionBits: 63) == .max)
  #expect(Scale(1).roundedToInteger(fractionBits: -1) == 1)
  #expect(Scale(1).roundedToInteger(fractionBits: -2) == 0)
}

@Test("Zero absorbs, and exponents stop at ±8192")
func zeroAndLimits() {
  let one = Scale(1)
  #expect(one * .zero == .zero && .zero * one == .zero && .zero / one == .zero)
  #expect(Scale.zero.squareRoot() == .zero)
  #expect(Scale.zero.multiplied(byPowerOfTwo: .max) == .zero)
  #expect(Scale.powerOfTwo(0) == one)
  #expect(Scale.powerOfTwo(-1) * Scale(6) == Scale(3))
  #expect(Scale.powerOfTwo(.max).exponent == 8192)
  #expect(Scale.powerOfTwo(.min).exponent == -8192)
  #expect(Scale(3).multiplied(byPowerOfTwo: .min) < one)
  #expect(Scale(3).multiplied(byPowerOfTwo: .min).mantissa == Scale(3).mantissa)
  let huge = Scale.powerOfTwo(8000)
  #expect((huge * huge).exponent == 8192)
  #expect((one / huge / huge).exponent == -8192)
}

@Test("Division by zero is a contract breach")
func divisionByZero() async {
  await #expect(processExitsWith: .failure) { _ = Scale(1) / .zero }
}
