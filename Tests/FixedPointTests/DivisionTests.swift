import FixedPoint
import Testing

@Test("Half-up division: 2a lies in [2qn − n, 2qn + n)")
func halfUpDivisionSmall() {
  for n in Int64(1)...40 {
    for a in Int64(-200)...200 {
      let q = dividedRoundingHalfUp(a, by: n)
      let holds = 2 * q * n - n <= 2 * a && 2 * a < 2 * q * n + n
      require(holds, true, "\(a) / \(n) gave \(q)")
      let floor = floorDivided(a, by: n)
      require(floor * n <= a && a < (floor + 1) * n, true, "⌊\(a) / \(n)⌋ gave \(floor)")
    }
  }
}

@Test("Half-up division of large values equals ⌊(2a + n) / 2n⌋ in 128 bits")
func halfUpDivisionLarge() {
  var generator = Generator(seed: 0x2E)
  let edges: [Int64] = [.min, .min + 1, -(1 << 62), -1, 0, 1, 1 << 62, .max - 1, .max]
  for index in 0..<10_000 {
    let a = index < 90 ? edges[index % 9] : generator.anyMagnitude()
    var n = index < 90 ? edges[index / 10] : generator.anyMagnitude()
    n = n == .min ? .max : max(1, abs(n))
    let wide = Int128(n)
    require(
      Int128(dividedRoundingHalfUp(a, by: n)), floorQuotient(2 * Int128(a) + wide, 2 * wide),
      "seed \(generator.seed): \(a) / \(n)")
    require(
      Int128(floorDivided(a, by: n)), floorQuotient(Int128(a), wide),
      "seed \(generator.seed): ⌊\(a) / \(n)⌋")
  }
}

@Test("Ties go up")
func ties() {
  #expect([-5, -3, -1, 1, 3, 5].map { dividedRoundingHalfUp($0, by: 2) } == [-2, -1, 0, 1, 2, 3])
}

@Test("A divisor below one is a contract breach")
func divisorMustBePositive() async {
  await #expect(processExitsWith: .failure) { _ = floorDivided(1, by: 0) }
  await #expect(processExitsWith: .failure) { _ = dividedRoundingHalfUp(1, by: -3) }
}
