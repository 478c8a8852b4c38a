import FixedPoint
import Foundation
import Testing

/// The tables a second way: from the host's floating point, whose error is far below the distance
/// of any entry to a rounding boundary.
private func table(_ count: Int, _ value: (Double) -> Double) -> [Int64] {
  (0..<count).map { Int64((value(Double($0)) + 0.5).rounded(.down)) }
}

private let exponentials = table(65) { exp2(-$0 / 64) * 0x1p30 }
private let logarithms = table(257) { log2(1 + $0 / 256) * 0x1p16 }
private let cosines = table(257) { cos(Double.pi * $0 / 256) * 0x1p30 }

private func floorDivide(_ a: Int64, _ n: Int64) -> Int64 {
  Int64(floorQuotient(Int128(a), Int128(n)))
}

@Test("2^−t: the vectors of the method notes")
func exponentialVectors() {
  let vectors: [(Int64, Int64)] = [
    (0, 1_073_741_824), (1, 1_073_730_529), (65535, 536_876_622), (65536, 536_870_912),
    (100_000, 372_881_040), (31 << 16, 0), (359_284, 24_020_639), (661_839, 979_140),
    (586_200, 2_179_127), (.max, 0),
  ]
  for (t, expected) in vectors { #expect(exponentialBase2(negative: t) == expected) }
}

@Test("2^−t interpolates the table, floors, and stays within 1.6e-5 of the real value")
func exponentialInterpolation() {
  var previous = Int64.max
  for t in stride(from: Int64(0), to: 32 << 16, by: 13) {
    let (octaves, rest) = (t / 65536, t % 65536)
    let (index, part) = (Int(rest / 1024), rest % 1024)
    let drop = floorDivide((exponentials[index] - exponentials[index + 1]) * part, 1024)
    let expected = octaves > 30 ? 0 : floorDivide(exponentials[index] - drop, 1 << octaves)
    let found = exponentialBase2(negative: t)
    require(found, expected, "t \(t)")
    require(abs(Double(found) / 0x1p30 - exp2(-Double(t) / 65536)) < 1.6e-5, true, "t \(t)")
    require(found <= previous, true, "t \(t) rises")
    previous = found
  }
}

@Test("log2: the vectors of the method notes")
func logarithmVectors() {
  #expect(logarithmBase2(1) == 0)
  #expect(logarithmBase2(3) == 103_872)
  #expect(logarithmBase2(1000) == 653_118)
  #expect(logarithmBase2(10 << 30) == 2_183_786)
  #expect(logarithmBase2(.max) == 63 << 16 - 1)
  // The loss of the softmax example: log2 of the sum, in units of the target's distance.
  #expect(logarithmBase2(1_100_920_730) - 30 << 16 + 359_284 == 361_646)
}

@Test("log2 interpolates the table, floors, and stays within 4.3e-5 of the real value")
func logarithmInterpolation() {
  var generator = Generator(seed: 0x35)
  var values = [Int64](1...20_000)
  for bit in 1...62 { values += [1 << bit - 1, 1 << bit, 1 << bit + 1] }
  for _ in 0..<5000 { values.append(generator.anyMagnitude() & .max | 1) }
  values.sort()
  var previous: Int32 = 0
  for v in values {
    let octave = Int64(bitLength(UInt64(v))) - 1
    let fraction = Int64(((Int128(v) << 16) >> Int128(octave)) - 65536)
    let (index, part) = (Int(fraction / 256), fraction % 256)
    let rise = floorDivide((logarithms[index + 1] - logarithms[index]) * part, 256)
    let found = logarithmBase2(v)
    require(Int64(found), octave * 65536 + logarithms[index] + rise, "seed \(generator.seed): \(v)")
    // Below 2^17 the mantissa is exact; above, up to 1/65536 of it is cut off.
    let bound = v < 1 << 17 ? 2.4e-5 : 4.3e-5
    require(abs(Double(found) / 65536 - log2(Double(v))) < bound, true, "\(v)")
    require(found >= previous, true, "\(v) falls")
    previous = found
  }
}

@Test("log2 of a scale adds its exponent")
func logarithmOfScale() throws {
  #expect(logarithmBase2(Scale(1)) == 0)
  #expect(logarithmBase2(Scale.powerOfTwo(-20)) == -20 << 16)
  #expect(logarithmBase2(Scale(3)) == 103_872)
  #expect(logarithmBase2(Scale.powerOfTwo(.max)) == 8191 << 16)
  #expect(logarithmBase2(Scale.powerOfTwo(.min)) == -8193 << 16)
  let s = try #require(Scale(mantissa: 1_374_389_535, exponent: -5))
  #expect(abs(Double(logarithmBase2(s)) / 65536 - log2(0.02)) < 4.3e-5)
}

@Test("The half cosine: a schedule of 50 steps with 5 of warm-up, and the direction of its floors")
func cosineVectors() {
  func factor(_ t: Int64) -> Int64 { halfCosine(index: ((t - 5) << 24) / 45) }
  #expect(factor(5) == 1_073_741_824)
  #expect(factor(27) == 555_607_315)
  #expect(factor(49) == 1_316_441)
  #expect(factor(50) == 0)
  // Flooring the falling step's magnitude instead would give one more at each of these.
  #expect(halfCosine(index: 393_245) == 1_072_286_916)
  #expect(halfCosine(index: 589_867) == 1_070_470_150)
  #expect(halfCosine(index: 1_572_977) == 1_050_620_978)
}

@Test("The half cosine interpolates the table, floors, never rises, and is within 1e-5")
func cosineInterpolation() {
  var previous = Int64.max
  for index in stride(from: Int64(0), through: 1 << 24, by: 128) {
    let (entry, part) = (Int(index / 65536), index % 65536)
    let next = cosines[min(entry + 1, 256)]
    let cosine = cosines[entry] + floorDivide((next - cosines[entry]) * part, 65536)
    let found = halfCosine(index: index)
    require(found, floorDivide(0x4000_0000 + cosine, 2), "index \(index)")
    let real = (1 + cos(Double.pi * Double(index) / 0x1p24)) / 2
    require(abs(Double(found) / 0x1p30 - real) < 1e-5, true, "index \(index)")
    require(found <= previous, true, "index \(index) rises")
    previous = found
  }
}

@Test("Arguments outside a table are contract breaches")
func tableArguments() async {
  await #expect(processExitsWith: .failure) { _ = exponentialBase2(negative: -1) }
  await #expect(processExitsWith: .failure) { _ = logarithmBase2(Int64(0)) }
  await #expect(processExitsWith: .failure) { _ = logarithmBase2(Scale.zero) }
  await #expect(processExitsWith: .failure) { _ = halfCosine(index: 1 << 24 + 1) }
}
