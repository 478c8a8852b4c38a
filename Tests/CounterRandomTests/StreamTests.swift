import CounterRandom
import Testing

private let seed: UInt64 = 0x0123_4567_89AB_CDEF
private let key = RandomKey(seed: seed)
private let stream = key.stream(.perturbation, tensor: 0x1234, step: 9, query: 11)

/// A block of `stream`, straight from the counter of the specification.
private func block(_ number: UInt32) -> [UInt32] {
  plainPhilox([number, 0x0200_1234, 9, 11], [0x89AB_CDEF, 0x0123_4567], rounds: 10)
}

@Test("The counter is (block, tensor + purpose·2^24, step, query), the key the seed's halves")
func addressing() {
  for number: UInt32 in [0, 1, 5, 1000, .max] {
    #expect(array(stream.words(block: number)) == block(number))
  }
  // Computed by an independent program.
  #expect(array(stream.words(block: 5)) == [0xB466_F14A, 0x3DF5_DFA2, 0x78EB_AD9D, 0x57BD_B15F])
  let last = RandomKey(seed: .max).stream(.evolution, tensor: 0xFF_FFFF, step: .max, query: .max)
  #expect(
    array(last.words(block: .max))
      == plainPhilox([.max, 0x07FF_FFFF, .max, .max], [.max, .max], rounds: 10))
}

@Test("Purposes have their numbers of the file format")
func purposes() {
  let all: [Purpose] = [
    .gradientRounding, .weightRounding, .perturbation, .shuffle, .dropout, .initialization,
    .foldRounding, .evolution, .channelChoice,
  ]
  #expect(all.map(\.rawValue) == Array(0...8))
  #expect(Purpose(rawValue: 9) == nil)
  let first = all.map { key.stream($0, tensor: 0, step: 0, query: 0).word(0) }
  #expect(Set(first).count == 9)
}

@Test("word, bits16 and sign read the blocks in the written order")
func elementOrder() {
  // 300 elements of 1, 16 and 32 bits, unpacked from whole blocks seen as little-endian bits.
  let words = (0..<80).flatMap { block(UInt32($0)) }
  for element in 0..<300 {
    let index = UInt32(element)
    let lane = UInt16(words[element / 2] / (element % 2 == 0 ? 1 : 65536) % 65536)
    let bit = (words[element / 32] >> UInt32(element % 32)) % 2
    if stream.word(index) != words[element] { Issue.record("word \(element)") }
    if stream.bits16(index) != lane { Issue.record("lane \(element)") }
    if stream.sign(index) != (bit == 0 ? 1 : -1) { Issue.record("sign \(element)") }
  }
  let top = UInt32.max
  #expect(stream.word(top) == block(top / 4)[3])
  #expect(stream.bits16(top) == UInt16(block(top / 8)[3] >> 16))
  #expect(stream.sign(top) == (block(top / 128)[3] >> 31 == 0 ? 1 : -1))
}

@Test("Rounding lanes are bits16 of consecutive elements, from every start")
func lanes() {
  for start in [UInt32](0...17) + [1000, 65535, .max - 20, .max - 7, .max] {
    var lanes = RoundingLanes(stream, startingAt: start)
    for offset: UInt32 in 0..<30 {
      let found = lanes.next()
      if found != stream.bits16(start &+ offset) { Issue.record("start \(start) + \(offset)") }
    }
  }
}

@Test("uniform is ⌊word·bound / 2^32⌋")
func uniform() {
  for bound in [UInt32](1...20) + [255, 65536, 1 << 31, .max] {
    for element: UInt32 in 0..<40 {
      let expected = stream.word(element).multipliedFullWidth(by: bound).high
      let found = stream.uniform(element, below: bound)
      if found != expected || found >= bound { Issue.record("element \(element), bound \(bound)") }
    }
  }
  // Every result of a small bound occurs: 2000 draws, 7 results, each 285.7 ± 5·15.6.
  var counts = [Int](repeating: 0, count: 7)
  for element: UInt32 in 0..<2000 { counts[Int(stream.uniform(element, below: 7))] += 1 }
  #expect(counts.allSatisfy { $0 > 207 && $0 < 364 }, "\(counts)")
}

@Test("Signs are balanced: 8192 of them sum to less than five standard deviations")
func balance() {
  var sum: Int32 = 0
  for element: UInt32 in 0..<8192 { sum += stream.sign(element) }
  #expect(abs(sum) < 453, "\(sum)")
}

@Test("A tensor number beyond 24 bits and an empty range are contract breaches")
func streamBreaches() async {
  await #expect(processExitsWith: .failure) {
    _ = RandomKey(seed: 1).stream(.shuffle, tensor: 1 << 24, step: 0, query: 0)
  }
  await #expect(processExitsWith: .failure) {
    _ = RandomKey(seed: 1).stream(.shuffle, tensor: 0, step: 0, query: 0).uniform(0, below: 0)
  }
}
