import FixedPoint
import Testing

@Test("SR(±13, 3, r): the vectors of the method notes")
func stochasticShiftVectors() {
  let negative = (0..<8).map { shiftedStochastically(-13, by: 3, bits: $0) }
  let positive = (0..<8).map { shiftedStochastically(13, by: 3, bits: $0) }
  #expect(negative == [-2, -2, -2, -2, -2, -1, -1, -1])
  #expect(positive == [1, 1, 1, 2, 2, 2, 2, 2])
}

@Test("Summed over all lanes, the stochastic shift gives back the value", arguments: Int32(0)...8)
func stochasticShiftIsUnbiased(s: Int32) {
  let lanes = Int32(1) << s
  for v in Int32(-300)...300 {
    var sum: Int32 = 0
    for lane in 0..<lanes { sum += shiftedStochastically(v, by: s, bits: UInt16(lane)) }
    require(sum, v, "v \(v), s \(s)")
  }
}

@Test("The stochastic shift is the stochastic requantisation with mantissa 1")
func stochasticShiftAgainstMultiplier() {
  var generator = Generator(seed: 0x2D)
  let edges: [Int32] = [.min, .min + 1, -1, 0, 1, 32767, 65536, .max - 1, .max]
  for index in 0..<20_000 {
    let v =
      index < 9 * 130
      ? edges[index % 9] : Int32(truncatingIfNeeded: generator.anyMagnitude())
    let s = Int32(index / 9 % 130) - 40
    let bits: UInt16 = [0, 0xFFFF, UInt16(truncatingIfNeeded: generator.next())][index % 3]
    require(
      shiftedStochastically(v, by: s, bits: bits),
      Multiplier(mantissa: 1, shift: s).requantizeStochastically(v, bits: bits),
      "seed \(generator.seed): v \(v), s \(s), bits \(bits)")
  }
  #expect(shiftedStochastically(3, by: .min, bits: 0) == .max)
  #expect(shiftedStochastically(-3, by: .min, bits: 0) == .min)
  #expect(shiftedStochastically(-3, by: .max, bits: 0) == 0)
}
