import Importers
import Tally
import TallyHost
import Testing

@Suite("Exact numbers of the host") struct HostNumbersTests {
  /// The definition: the one normalised (m, e) with m the nearest integer to v·2^(31−e), by trying all.
  func reference(_ above: Int64, _ below: Int64) -> Scale {
    if above == 0 { return .zero }
    for exponent in -70...70 {
      // 2^(e−1) ≤ above/below < 2^e, in integers.
      let left = Wide(above) << max(0, -(exponent - 1))
      let right = Wide(below) << max(0, exponent - 1)
      let upperLeft = Wide(above) << max(0, -exponent)
      let upperRight = Wide(below) << max(0, exponent)
      guard left >= right, upperLeft < upperRight else { continue }
      let shift = 31 - exponent
      let numerator = Wide(above) << max(0, shift)
      let denominator = Wide(below) << max(0, -shift)
      let mantissa = Int64((2 * numerator + denominator) / (2 * denominator))
      return mantissa == 1 << 31
        ? Scale(mantissa: 1 << 30, exponent: Int32(exponent) + 1)!
        : Scale(mantissa: Int32(mantissa), exponent: Int32(exponent))!
    }
    preconditionFailure("no exponent fits")
  }

  /// Holds a 63-bit number shifted by a hundred places in two halves; enough for comparison.
  typealias Wide = BitList

  @Test("a ratio becomes the nearest Scale")
  func scales() throws {
    for above in Int64(0)...60 {
      for below in Int64(1)...60 {
        let ratio = ExactRatio(above, below)!
        #expect(Scale(rounding: ratio) == reference(above, below), "\(ratio)")
      }
    }
    // Just below a power of two, where rounding the wrong half first would be off by one.
    for k in 1...62 {
      for delta in Int64(-3)...3 where k > 3 {
        let value = Int64(1) << Int64(k) + delta
        for below in [1, 3, 1 << 31, (1 << 31) - 1, (1 << 62) - 1] as [Int64] {
          let ratio = ExactRatio(value, below)!
          #expect(
            Scale(rounding: ratio) == reference(ratio.numerator, ratio.denominator), "\(ratio)")
        }
      }
    }
    #expect(Scale(rounding: ExactRatio(Int64.max)) == .powerOfTwo(63))
    #expect(Scale(rounding: ExactRatio(1, Int64.max)!) == .powerOfTwo(-63))
  }

  @Test("a Scale's decimal is read back as the same Scale")
  func decimals() throws {
    for (text, shown) in [
      ("0.05", "0.05"), ("1/3", "0.3333333333"), ("2", "2"), ("1000000", "1000000"), ("0", "0"),
      ("1/256", "0.00390625"), ("0.003", "0.003"), ("123456.789", "123456.789"),
    ] {
      let scale = Scale(rounding: ExactRatio(parsing: text)!)
      #expect(Scale(rounding: ExactRatio(parsing: scale.decimalText)!) == scale, "\(text)")
      if text != "1/3" { #expect(scale.decimalText == shown) }
    }
    for mantissa in stride(from: Int32(1 << 30), to: Int32.max - 99_999_999, by: 99_999_999) {
      for exponent in Int32(-25)...31 {
        let scale = Scale(mantissa: mantissa | 1, exponent: exponent)!
        let ratio = try #require(ExactRatio(parsing: scale.decimalText), "\(scale)")
        #expect(Scale(rounding: ratio) == scale)
      }
    }
  }

  @Test("decimals are cut by integer division, half up")
  func text() {
    #expect(DecimalText.ratio(1, 3, places: 4) == "0.3333")
    #expect(DecimalText.ratio(2, 3, places: 4) == "0.6667")
    #expect(DecimalText.ratio(1, 2, places: 0) == "1")
    #expect(DecimalText.ratio(5, 100, places: 1) == "0.1")
    #expect(DecimalText.ratio(UInt64.max, 1, places: 4) == "18446744073709551615.0000")
    #expect(DecimalText.share(342, of: 360) == "0.9500")
    #expect(DecimalText.percent(342, of: 360) == "95.00 %")
    #expect(DecimalText.share(0, of: 0) == "0.0000")
    #expect(DecimalText.meanLoss(3 << 16, count: 2) == "1.5000")
    #expect(DecimalText.meanLoss(-(1 << 16), count: 3) == "-0.3333")
    #expect(DecimalText.bytes(1023) == "1023 B")
    #expect(DecimalText.bytes(1536) == "1.5 KiB")
    #expect(DecimalText.grouped(1_234_567) == "1,234,567")
    #expect(DecimalText.grouped(-123_456) == "-123,456")
    #expect(DecimalText.grouped(12) == "12")
  }

  @Test("JSON that is written is JSON")
  func json() {
    let value: JSONOutput = [
      "a": 1, "b": ["x", true, nil], "c": [:], "quote\"\\\n\u{1}é": .unsigned(UInt64.max),
      "nested": [["k": -5]],
    ]
    #expect(
      value.text
        == #"{"a": 1, "b": ["x", true, null], "c": {}, "quote\"\\\n\u0001é": 18446744073709551615, "nested": [{"k": -5}]}"#
    )
    #expect(
      value.indentedText == """
        {
          "a": 1,
          "b": ["x", true, null],
          "c": {},
          "quote\\"\\\\\\n\\u0001é": 18446744073709551615,
          "nested": [
            {
              "k": -5
            }
          ]
        }
        """)
  }
}

/// Non-negative integers of any size as lists of bits, for the reference only.
struct BitList: Comparable {
  /// Lowest first, no leading zero.
  private var bits: [Bool]

  init(_ value: Int64) {
    bits = []
    var rest = value
    while rest > 0 {
      bits.append(rest & 1 == 1)
      rest >>= 1
    }
  }

  private init(bits: [Bool]) {
    self.bits = bits
    while self.bits.last == false { self.bits.removeLast() }
  }

  static func < (a: Self, b: Self) -> Bool {
    if a.bits.count != b.bits.count { return a.bits.count < b.bits.count }
    return a.bits.reversed().lexicographicallyPrecedes(b.bits.reversed()) { !$0 && $1 }
  }

  static func << (a: Self, places: Int) -> Self {
    Self(bits: Array(repeating: false, count: places) + a.bits)
  }

  static func * (two: Int, a: Self) -> Self {
    precondition(two == 2)
    return a << 1
  }

  static func + (a: Self, b: Self) -> Self {
    var sum: [Bool] = []
    var carry = false
    for index in 0...max(a.bits.count, b.bits.count) {
      let x = index < a.bits.count && a.bits[index]
      let y = index < b.bits.count && b.bits[index]
      sum.append((x != y) != carry)
      carry = (x && y) || (carry && (x || y))
    }
    return Self(bits: sum)
  }

  static func - (a: Self, b: Self) -> Self {
    var difference: [Bool] = []
    var borrow = false
    for index in a.bits.indices {
      let x = a.bits[index]
      let y = index < b.bits.count && b.bits[index]
      difference.append((x != y) != borrow)
      borrow = (!x && (y || borrow)) || (y && borrow)
    }
    return Self(bits: difference)
  }

  /// Long division, bit by bit; the quotient fits 64 bits.
  static func / (a: Self, b: Self) -> UInt64 {
    var rest = Self(0)
    var quotient: UInt64 = 0
    for bit in a.bits.reversed() {
      rest = Self(bits: [bit] + rest.bits)
      quotient <<= 1
      if rest >= b {
        rest = rest - b
        quotient |= 1
      }
    }
    return quotient
  }
}
