import CounterRandom
import Testing

private let seed: UInt64 = 0x0123_4567_89AB_CDEF

/// The order a second way: from the text of the specification, with arithmetic instead of masks.
private func plainOrder(count: Int, epoch: UInt32, position: Int) -> Int {
  var half = 2  // 2^h: the smallest with (2^h)² ≥ count
  while half * half < count { half *= 2 }
  var value = position
  repeat {
    var (left, right) = (value / half, value % half)
    for round: UInt32 in 0..<8 {
      let words = plainPhilox(
        [UInt32(right), round + 3 * 0x100_0000, epoch, 0],
        [UInt32(truncatingIfNeeded: seed), UInt32(seed >> 32)], rounds: 10)
      (left, right) = (right, left ^ (Int(words[0]) % half))
    }
    value = left * half + right
  } while value >= count
  return value
}

private func isPermutation(_ order: SampleOrder) -> Bool {
  var seen = [Bool](repeating: false, count: Int(order.count))
  for position in 0..<order.count {
    let sample = Int(order[position])
    if sample >= seen.count || seen[sample] { return false }
    seen[sample] = true
  }
  return true
}

@Test("A permutation for every count up to 300")
func smallCounts() {
  for count: UInt32 in 1...300 {
    let order = SampleOrder(key: RandomKey(seed: seed), count: count, epoch: count &* 77)
    if !isPermutation(order) { Issue.record("count \(count)") }
  }
}

@Test("A permutation at the borders of larger powers", arguments: [1023, 1024, 1025, 4097, 16385])
func largeCounts(count: UInt32) {
  #expect(isPermutation(SampleOrder(key: RandomKey(seed: 5), count: count, epoch: 0)))
}

@Test("Values computed by an independent program; epoch 7")
func orderVectors() {
  func order(_ count: UInt32) -> SampleOrder {
    SampleOrder(key: RandomKey(seed: seed), count: count, epoch: 7)
  }
  #expect(order(1)[0] == 0)
  #expect((0..<2).map { order(2)[$0] } == [0, 1])
  #expect((0..<3).map { order(3)[$0] } == [2, 1, 0])
  #expect((0..<5).map { order(5)[$0] } == [2, 1, 4, 0, 3])
  #expect((0..<10).map { order(10)[$0] } == [6, 1, 4, 0, 9, 7, 2, 8, 5, 3])
  #expect([0, 1, 2, 59999].map { order(60000)[$0] } == [58745, 28761, 8746, 47709])
  let top: UInt32 = 1 << 31
  #expect([0, 1, top - 1].map { order(top)[$0] } == [1_955_884_890, 1_098_883_661, 1_449_737_007])
}

@Test("The order equals its second definition")
func orderSecondDefinition() {
  for count in [1, 2, 3, 4, 5, 16, 17, 64, 65, 100, 1797, 60000, 0x8000_0000] {
    let order = SampleOrder(key: RandomKey(seed: seed), count: UInt32(count), epoch: 41)
    for step in 0..<20 {
      let position = step * 7919 % count
      let found = order[UInt32(position)]
      if Int(found) != plainOrder(count: count, epoch: 41, position: position) {
        Issue.record("count \(count), position \(position)")
      }
    }
  }
}

@Test("Another epoch or seed gives another order, the same address the same")
func addresses() {
  func all(_ seed: UInt64, _ epoch: UInt32) -> [UInt32] {
    let order = SampleOrder(key: RandomKey(seed: seed), count: 100, epoch: epoch)
    return (0..<100).map { order[$0] }
  }
  #expect(all(1, 0) == all(1, 0))
  #expect(all(1, 0) != all(1, 1))
  #expect(all(1, 0) != all(2, 0))
  #expect(all(1, 0) != Array(0..<100))
}

@Test("No count and no position beyond the end")
func orderBreaches() async {
  await #expect(processExitsWith: .failure) {
    _ = SampleOrder(key: RandomKey(seed: 1), count: 0, epoch: 0)
  }
  await #expect(processExitsWith: .failure) {
    _ = SampleOrder(key: RandomKey(seed: 1), count: 1 << 31 + 1, epoch: 0)
  }
  await #expect(processExitsWith: .failure) {
    _ = SampleOrder(key: RandomKey(seed: 1), count: 10, epoch: 0)[10]
  }
}
