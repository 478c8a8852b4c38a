import CounterRandom
import Testing

/// Philox4x32 a second way: the key of each round from its number, words in arrays, any rounds.
func plainPhilox(_ counter: [UInt32], _ key: [UInt32], rounds: Int) -> [UInt32] {
  var c = counter
  for round in 0..<rounds {
    let k0 = key[0] &+ UInt32(truncatingIfNeeded: round * 0x9E37_79B9)
    let k1 = key[1] &+ UInt32(truncatingIfNeeded: round * 0xBB67_AE85)
    let a = c[0].multipliedFullWidth(by: 0xD251_1F53)
    let b = c[2].multipliedFullWidth(by: 0xCD9E_8D57)
    c = [b.high ^ c[1] ^ k0, b.low, a.high ^ c[3] ^ k1, a.low]
  }
  return c
}

func array(_ words: (UInt32, UInt32, UInt32, UInt32)) -> [UInt32] {
  [words.0, words.1, words.2, words.3]
}

@Test("Philox4x32-10: the known answers of Random123")
func knownAnswers() {
  let ones = UInt32.max
  let vectors: [([UInt32], [UInt32], [UInt32])] = [
    ([0, 0, 0, 0], [0, 0], [0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8]),
    (
      [ones, ones, ones, ones], [ones, ones],
      [0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD]
    ),
    (
      [0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344], [0xA409_3822, 0x299F_31D0],
      [0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1]
    ),
  ]
  for (c, k, expected) in vectors {
    #expect(array(philox4x32(counter: (c[0], c[1], c[2], c[3]), key: (k[0], k[1]))) == expected)
    #expect(plainPhilox(c, k, rounds: 10) == expected)
  }
  // The second definition is checked with another number of rounds as well.
  #expect(
    plainPhilox([0, 0, 0, 0], [0, 0], rounds: 7)
      == [0x5F6F_B709, 0x0D89_3F64, 0x4F12_1F81, 0x4F73_0A48])
}

@Test("Philox4x32-10 equals its second definition on chained inputs")
func philoxSecondDefinition() {
  var words: [UInt32] = [0, 1, 2, 3]
  var key: [UInt32] = [4, 5]
  for _ in 0..<2000 {
    let next = array(
      philox4x32(counter: (words[0], words[1], words[2], words[3]), key: (key[0], key[1])))
    guard next == plainPhilox(words, key, rounds: 10) else {
      Issue.record("counter \(words), key \(key)")
      return
    }
    key = [words[1], next[2]]
    words = next
  }
}
