import Tally
import TallyTestSupport
import Testing

@testable import FixedPoint
@testable import Kernels

@Suite("Golden vectors of the scalar arithmetic (SPEC 3)") struct ArithmeticVectors {
  @Test("a file", arguments: VectorFolder.files("arithmetic"))
  func file(path: String) throws { try Golden.run(path) }
}

extension Golden {
  static let arithmeticChecks: [String: Check] = [
    "arithmetic/requantize.txt": { file in
      for row in file.rows {
        let found = Multiplier(mantissa: try row.number("m"), shift: try row.number("sh"))
          .requantize(try row.number("acc"))
        expectEqual(found, try row.number("expected"), row.description)
      }
    },
    "arithmetic/requantize_wide.txt": { file in
      for row in file.rows {
        let found = Multiplier(mantissa: try row.number("m"), shift: try row.number("sh"))
          .requantizeWide(try row.number("acc"))
        expectEqual(found, try row.number("expected"), row.description)
      }
    },
    "arithmetic/stochastic.txt": { file in
      for row in file.rows {
        let found = shiftedStochastically(
          try row.number("v"), by: try row.number("s"), bits: try row.number("r"))
        expectEqual(found, try row.number("expected"), row.description)
      }
    },
    "arithmetic/requantize_stochastic.txt": { file in
      for row in file.rows {
        let found = Multiplier(mantissa: try row.number("m"), shift: try row.number("sh"))
          .requantizeStochastically(try row.number("acc"), bits: try row.number("r"))
        expectEqual(found, try row.number("expected"), row.description)
      }
    },
    "arithmetic/scale_multiply.txt": { file in
      for row in file.rows {
        let found = try row.scale("a") * row.scale("b")
        expectEqual(found, try row.scale(), row.description)
      }
    },
    "arithmetic/scale_divide.txt": { file in
      for row in file.rows {
        let found = try row.scale("a") / row.scale("b")
        expectEqual(found, try row.scale(), row.description)
      }
    },
    "arithmetic/scale_sqrt.txt": { file in
      for row in file.rows {
        expectEqual(try row.scale("a").squareRoot(), try row.scale(), row.description)
      }
    },
    "arithmetic/scale_integer.txt": { file in
      for row in file.rows {
        expectEqual(Scale(try row.number("v", UInt64.self)), try row.scale(), row.description)
      }
    },
    "arithmetic/scale_integer_wide.txt": { file in
      // Only sums of squares are that wide; the halves stand where a long sum would bring them.
      for row in file.rows {
        let value: UInt128 = try row.number("v")
        var sum = SquareSum()
        sum.low = UInt64(truncatingIfNeeded: value) & 0xFFFF_FFFF
        sum.high = UInt64(value >> 32)
        expectEqual(sum.scale, try row.scale(), row.description)
      }
    },
    "arithmetic/scale_round.txt": { file in
      for row in file.rows {
        let found = try row.scale("a").roundedToInteger(fractionBits: try row.number("f"))
        expectEqual(found, try row.number("expected"), row.description)
      }
    },
    "arithmetic/scale_order.txt": { file in
      for row in file.rows {
        let (a, b) = (try row.scale("a"), try row.scale("b"))
        expectEqual(a < b, try row.number("less", Int.self) == 1, row.description)
        let logarithm = a == .zero ? 0 : logarithmBase2(a)
        expectEqual(logarithm, try row.number("log2"), row.description)
      }
    },
    "arithmetic/exp2.txt": { file in
      for row in file.rows {
        let found = exponentialBase2(negative: try row.number("t"))
        expectEqual(found, try row.number("expected"), row.description)
      }
      try checkTable(file, "E", exponentialTable.count) { exponentialTable[$0] }
      try checkBulk(file, "every seventh", stride(from: 0, to: 32 << 16, by: 7)) {
        exponentialBase2(negative: $0)
      }
    },
    "arithmetic/log2.txt": { file in
      for row in file.rows {
        expectEqual(
          logarithmBase2(try row.number("v", Int64.self)), try row.number("expected"),
          row.description)
      }
      try checkTable(file, "L", logarithmTable.count) { logarithmTable[$0] }
      try checkBulk(file, "first", stride(from: 1, to: 1 << 17, by: 1)) {
        Int64(logarithmBase2($0))
      }
    },
    "arithmetic/half_cosine.txt": { file in
      for row in file.rows {
        expectEqual(
          halfCosine(index: try row.number("x")), try row.number("expected"), row.description)
      }
      try checkTable(file, "C", cosineTable.count) { cosineTable[$0] }
      try checkBulk(file, "every 128th", stride(from: 0, to: (1 << 24) + 1, by: 128)) {
        halfCosine(index: $0)
      }
    },
    "arithmetic/divide_round.txt": { file in
      for row in file.rows {
        let found = dividedRoundingHalfUp(try row.number("a"), by: try row.number("n"))
        expectEqual(found, try row.number("expected"), row.description)
      }
    },
    "arithmetic/isqrt.txt": { file in
      for row in file.rows {
        expectEqual(
          integerSquareRoot(try row.number("v")), try row.number("expected"), row.description)
      }
    },
  ]

  private static func checkTable(
    _ file: VectorFile, _ name: String, _ count: Int, _ entry: (Int) -> Int32
  ) throws {
    let digest = hexadecimalDigest((0..<count).map(entry))
    expectEqual(digest, try file.values.text("\(name) sha256"), "\(file.path), table \(name)")
  }

  /// The digest of the int32 results at many places.
  private static func checkBulk(
    _ file: VectorFile, _ name: String, _ places: StrideTo<Int64>, _ function: (Int64) -> Int64
  ) throws {
    let digest = hexadecimalDigest(places.map { Int32(function($0)) })
    expectEqual(digest, try file.values.text("\(name) sha256"), "\(file.path), \(name)")
  }
}
