import Tally
import Testing

@testable import Importers

@Suite("Exact arithmetic of the converter") struct ConversionExactTests {
  @Test("natural numbers agree with 128-bit integers", arguments: [UInt64(0x2a), 7, 99])
  func natural(seed: UInt64) {
    print("seed \(seed)")
    var random = SplitMix64(seed: seed)
    func word(_ natural: Natural) -> UInt128 {
      let (high, low) = natural.divided(by: Natural(1) << 64)
      return UInt128(high.word!) << 64 | UInt128(low.word!)
    }
    for _ in 0..<400 {
      // Every length of operand, not only full words.
      let a = random.next() >> (random.next() % 64)
      let b = random.next() >> (random.next() % 64)
      let product = UInt128(a) * UInt128(b)
      #expect(word(Natural(a) * Natural(b)) == product)
      #expect(word(Natural(a) + Natural(b)) == UInt128(a) + UInt128(b))
      #expect(word(Natural(max(a, b)) - Natural(min(a, b))) == UInt128(max(a, b) - min(a, b)))
      #expect((Natural(a) < Natural(b)) == (a < b))
      #expect(Natural(a).bitLength == 64 - a.leadingZeroBitCount)
      if b != 0 {
        let (quotient, remainder) = (Natural(a) * Natural(b) + Natural(b - 1))
          .divided(by: Natural(b))
        #expect(word(quotient) == UInt128(a) && word(remainder) == UInt128(b - 1))
      }
      let shift = Int(random.next() % 64)
      #expect(word(Natural(a) << shift) == UInt128(a) << UInt128(shift))
    }
  }

  @Test("a Scale is the nearest 31 bits, ties up")
  func scale() {
    // Written out: 1/3 = 0.0101…b has mantissa ⌊2³¹·2/3 + ½⌋ and exponent −1.
    #expect(ExactNumber(ExactRatio(1, 3)!).scale() == Scale(mantissa: 1_431_655_765, exponent: -1))
    #expect(ExactNumber(1).scale() == .powerOfTwo(0))
    #expect(ExactNumber(0).scale() == .zero)
    #expect(
      ExactNumber(ExactRatio(1, 255)!).scale() == Scale(mantissa: 1_077_952_576, exponent: -7))
    // 2³¹ + 1 needs 32 bits and lies between two Scales: up.
    #expect(
      ExactNumber((1 << 31) + 1).scale() == Scale(mantissa: (1 << 30) + 1, exponent: 32))
    // 2³² − 1 rounds up to a power of two.
    #expect(ExactNumber((1 << 32) - 1).scale() == .powerOfTwo(32))
    #expect(ExactNumber(exactly: 0x1p-149).scale() == .powerOfTwo(-149))
    var random = SplitMix64(seed: 5)
    for _ in 0..<500 {
      let a = Int64(random.next() >> (1 + random.next() % 62)) + 1
      let b = Int64(random.next() >> (1 + random.next() % 62)) + 1
      let scale = ExactNumber(ExactRatio(a, b)!).scale()
      // m·2^(e−31) ≤ a/b + half a unit and > a/b − half a unit, cleared of fractions.
      let value = ExactNumber(ExactRatio(a, b)!)
      let half = ExactNumber(1).scaled(byPowerOfTwo: Int(scale.exponent) - 32)
      #expect((ExactNumber(scale) - value - half).sign <= 0, "\(a)/\(b)")
      #expect((value - half - ExactNumber(scale)).sign < 0, "\(a)/\(b)")
    }
  }

  @Test("floor and rounding follow the signs")
  func rounding() {
    let cases: [(Int64, Int64, Int64, Int64)] = [
      (-5, 2, -3, -2), (-9, 4, -3, -2), (-3, 2, -2, -1), (-1, 2, -1, 0), (1, 2, 0, 1), (3, 2, 1, 2),
      (5, 2, 2, 3), (-4, 2, -2, -2), (0, 7, 0, 0),
    ]
    for (a, b, floor, rounded) in cases {
      let value = ExactNumber(ExactRatio(a, b)!)
      #expect(value.floor() == floor && value.rounded() == rounded, "\(a)/\(b)")
    }
    #expect(ExactNumber(1).scaled(byPowerOfTwo: 2000).floor() == .max)
    #expect(ExactNumber(-1).scaled(byPowerOfTwo: 2000).floor() == .min)
    #expect(ExactNumber(1).scaled(byPowerOfTwo: -2000).floor() == 0)
    #expect(ExactNumber(-1).scaled(byPowerOfTwo: -2000).floor() == -1)
    #expect(ExactNumber(-1).scaled(byPowerOfTwo: -2000).rounded() == 0)
    #expect(ExactNumber(ExactDecimal(parsing: "1e-19")!).scaled(byPowerOfTwo: 64).floor() == 1)
    #expect(ExactNumber(ExactDecimal(parsing: "-25e-1")!).rounded() == -2)
  }

  @Test("a step divides floats as the definition says", arguments: [UInt64(1), 2])
  func step(seed: UInt64) {
    print("seed \(seed)")
    var random = SplitMix64(seed: seed)
    for round in 0..<600 {
      let a = Scale(random.next() >> (random.next() % 60) | 1)
        .multiplied(byPowerOfTwo: Int32(random.next() % 40) - 60)
      let b = Scale(random.next() | 1).multiplied(byPowerOfTwo: -70)
      let isProduct = round % 2 == 0
      let step = isProduct ? QuantizationStep(a, b) : QuantizationStep(a)
      let unit = isProduct ? ExactNumber(a) * ExactNumber(b) : ExactNumber(a)
      let size = Int(random.next() % 60) - 30
      let value =
        Double(Int64(bitPattern: random.next()))
        * Double(sign: .plus, exponent: size - 63, significand: 1)
        * (isProduct ? a.double * b.double : a.double)
      let expected = (ExactNumber(exactly: value) / unit).rounded()
      #expect(step.rounded(value) == expected, "\(value) by \(a) \(b)")
      let single = Float(value)
      if single.isFinite {
        #expect(
          step.rounded(single) == (ExactNumber(exactly: Double(single)) / unit).rounded())
      }
    }
    let one = QuantizationStep(Scale(1))
    #expect(one.rounded(-0.5 as Float) == 0 && one.rounded(0.5 as Float) == 1)
    #expect(one.rounded(-1.5 as Float) == -1 && one.rounded(2.5 as Float) == 3)
    #expect(one.rounded(1e30 as Float) == 1 << 40 && one.rounded(-1e30 as Float) == -1 << 40)
    #expect(one.rounded(Float.leastNonzeroMagnitude) == 0)
  }

  @Test("the parts of a float give the float back")
  func parts() {
    for bits in stride(from: UInt32(0), through: 0x7F7F_FFFF, by: 65_521) {
      for value in [Float(bitPattern: bits), -Float(bitPattern: bits)] {
        let parts = BinaryParts(value)
        #expect(
          Float(
            Double(parts.significand)
              * Double(sign: .plus, exponent: parts.exponent, significand: 1))
            == value)
        let wide = BinaryParts(Double(value))
        #expect(ExactNumber(exactly: Double(value)).sign == (value > 0 ? 1 : value < 0 ? -1 : 0))
        #expect(wide.significand.signum() == parts.significand.signum())
      }
    }
  }
}
