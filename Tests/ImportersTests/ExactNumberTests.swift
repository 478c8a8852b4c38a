import Foundation
import Importers
import Testing

@Suite("Exact numbers")
struct ExactNumberTests {
  @Test(
    "a decimal is its digits and its power of ten",
    arguments: [
      ("0", "0"), ("-0", "0"), ("0.000", "0"), ("0e999999", "0"), ("1.50", "15e-1"),
      ("15e-1", "15e-1"), ("+001.5", "15e-1"), (".5", "5e-1"), ("5.", "5"), ("-2e3", "-2e3"),
      ("2000", "2e3"), ("1E+2", "1e2"), ("1e-3", "1e-3"), ("100.0100", "10001e-2"),
      ("18446744073709551615", "18446744073709551615"),
      ("9.300000000000000711e+00", "9300000000000000711e-18"),
      ("0.1000000000000000055", "1000000000000000055e-19"),
      ("1e999", "1e999"), ("1.5e-998", "15e-999"),
      ("1" + String(repeating: "0", count: 400), "1e400"),
      // Long digits and a large exponent may cancel, and only exactly.
      ("1" + String(repeating: "0", count: 100_000) + "e-100500", "1e-500"),
      ("0." + String(repeating: "0", count: 100_000) + "1e100001", "1"),
    ])
  func decimal(_ text: String, _ expected: String) throws {
    let value = try #require(ExactDecimal(parsing: text))
    #expect(value.description == expected)
    #expect(ExactDecimal(parsing: expected) == value)
  }

  @Test(
    "what is no decimal, or not exact in 64 bits",
    arguments: [
      "", "-", "+", ".", "e5", "1e", "1e+", "1.2.3", "1,5", " 1", "1 ", "0x10", "nan", "inf", "--1",
      "1e5.0", "18446744073709551616", "0.18446744073709551616", "1e1000", "1e-1000",
      "1e99999999999999999999", "123456789012345678901", "１", "1/2",
    ])
  func notDecimal(_ text: String) { #expect(ExactDecimal(parsing: text) == nil) }

  /// The second definition: Foundation's decimal arithmetic, good for 38 digits.
  @Test("agrees with Foundation's Decimal on random texts")
  func againstDecimal() throws {
    let seed: UInt64 = 7
    var random = SplitMix64(seed: seed)
    for round in 0..<2000 {
      let whole = UInt64.random(in: 0...999_999_999, using: &random)
      let fraction = UInt64.random(in: 0...9_999_999, using: &random)
      let zeros = String(repeating: "0", count: .random(in: 0...2, using: &random))
      let exponent = Int.random(in: -12...12, using: &random)
      let sign = Bool.random(using: &random) ? "-" : ""
      let text = "\(sign)\(whole).\(zeros)\(fraction)\(zeros)e\(exponent)"
      let value = try #require(ExactDecimal(parsing: text))
      let magnitude = Decimal(string: String(value.magnitude))!
      let scaled = Decimal(
        sign: value.isNegative ? .minus : .plus, exponent: value.exponent, significand: magnitude)
      #expect(scaled == Decimal(string: text)!, "seed \(seed), round \(round): \(text)")
      #expect(value.magnitude == 0 || value.magnitude % 10 != 0)
    }
  }

  @Test("an integer is one only when it is whole and fits")
  func integers() {
    #expect(ExactDecimal(parsing: "-9223372036854775808")?.integer == .min)
    #expect(ExactDecimal(parsing: "9223372036854775807")?.integer == .max)
    #expect(ExactDecimal(parsing: "9223372036854775808")!.integer == nil)
    #expect(ExactDecimal(parsing: "9.2e18")?.integer == 9_200_000_000_000_000_000)
    #expect(ExactDecimal(parsing: "92e18")!.integer == nil)
    #expect(ExactDecimal(parsing: "1e999")!.integer == nil)
    #expect(ExactDecimal(parsing: "0.5")!.integer == nil)
    #expect(ExactDecimal(parsing: "1.0")?.integer == 1)
    #expect(ExactDecimal(parsing: "-0.0")?.integer == 0)
    for integer in [0, -1, 10, .min, .max] as [Int64] {
      #expect(ExactDecimal(integer).integer == integer)
    }
  }

  @Test(
    "a ratio is in lowest terms",
    arguments: [
      ("0.1", 1, 10), ("1e-3", 1, 1000), ("1/256", 1, 256), ("-6/4", -3, 2), ("6/-4", -3, 2),
      ("0.00390625", 1, 256), ("0/7", 0, 1), ("12", 12, 1), ("2.5e1", 25, 1), ("-0.75", -3, 4),
      ("1e18", 1_000_000_000_000_000_000, 1), ("1e-18", 1, 1_000_000_000_000_000_000),
      // 5 · 10⁻¹⁹ has a denominator of 2 · 10¹⁸ although 10¹⁹ does not fit.
      ("5e-19", 1, 2_000_000_000_000_000_000),
      // 2²⁰ and 5²⁰ over 10²⁰, which does not fit either.
      ("1048576e-20", 1, 95_367_431_640_625), ("95367431640625e-20", 1, 1_048_576),
      ("-9223372036854775808", .min, 1), ("-9223372036854775808/2", -4_611_686_018_427_387_904, 1),
    ] as [(String, Int64, Int64)])
  func ratio(_ text: String, _ numerator: Int64, _ denominator: Int64) throws {
    let value = try #require(ExactRatio(parsing: text))
    #expect(value.numerator == numerator && value.denominator == denominator)
    #expect(ExactRatio(parsing: value.description) == value)
  }

  @Test(
    "what is no ratio, or needs more than 64 bits",
    arguments: [
      "1/0", "0/0", "1/2/3", "/2", "1/", "1/0.5", "1e-19", "1e19", "9223372036854775808", "a/b", "",
      "1/-9223372036854775808", "0.1234567890123456789",
    ])
  func notRatio(_ text: String) { #expect(ExactRatio(parsing: text) == nil) }

  /// The second definition: cross multiplication in Foundation's decimals.
  @Test("a ratio times its denominator is its numerator")
  func ratioValue() throws {
    let seed: UInt64 = 8
    var random = SplitMix64(seed: seed)
    for round in 0..<2000 {
      let mantissa = Int64.random(in: -999_999_999...999_999_999, using: &random)
      let text = "\(mantissa)e\(Int.random(in: -9...9, using: &random))"
      let ratio = try #require(ExactRatio(parsing: text), "seed \(seed), round \(round): \(text)")
      #expect(Decimal(string: text)! * Decimal(ratio.denominator) == Decimal(ratio.numerator))
      var (a, b) = (ratio.numerator.magnitude, ratio.denominator.magnitude)
      while b != 0 { (a, b) = (b, a % b) }
      #expect(a == 1)
    }
  }
}
