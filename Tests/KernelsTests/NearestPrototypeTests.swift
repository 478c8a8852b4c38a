import Importers
import Kernels
import Tally
import TallyTestSupport
import Tensors
import Testing

@Suite("Nearest prototypes (SPEC 7.4)") struct NearestPrototypeTests {
  /// Features of samples by rule, over the whole range of int8.
  static func features(_ sample: Int, count: Int, seed: Int) -> [Int8] {
    (0..<count).map { Int8(truncatingIfNeeded: (sample &* 97 &+ $0 &* 61 &+ seed) &* 40_503 >> 5) }
  }

  /// ⌊(2a + n) / 2n⌋, by searching.
  private func rounded(_ sum: Int, _ count: Int) -> Int {
    var value = -129
    while 2 * sum + count >= 2 * count * (value + 1) { value += 1 }
    return value
  }

  @Test(
    "prototypes, logits and gradients are those of the equations",
    arguments: [(3, 1, 7), (4, 5, 1), (2, 40, 12), (6, 33, 20)])
  func equations(classes: Int, count: Int, samples: Int) {
    let memory = AlignedMemory(byteCount: 4 * (classes * count + 3 * classes + count))
    let words = memory.view(of: Int32.self)
    let prototypes = NearestPrototype(
      sums: words.slice(0, classes * count), counts: words.slice(classes * count, classes))
    let logits = words.slice(classes * (count + 1), classes)
    let g = words.slice(classes * (count + 2), classes)
    let dx = words.slice(classes * (count + 3), count)
    // The last class has no sample.
    let labels = (0..<samples).map { $0 * 7 % (classes - 1) }
    let data = labels.indices.map { Self.features($0, count: count, seed: classes) }
    for (label, values) in zip(labels, data) {
      let one = AlignedMemory(values)
      prototypes.add(one.view(of: Int8.self), label: label)
    }
    prototypes.finish()
    let present = Set(labels)
    var means = [[Int]](repeating: [], count: classes)
    for c in present {
      let own = labels.indices.filter { labels[$0] == c }
      means[c] = (0..<count).map { d in
        rounded(own.reduce(0) { $0 + Int(data[$1][d]) }, own.count)
      }
      #expect((0..<count).map { Int(prototypes.sums[c * count + $0]) } == means[c])
      #expect(prototypes.counts[c] == own.count)
    }
    let query = Self.features(1000, count: count, seed: 5)
    let asked = AlignedMemory(query)
    prototypes.logits(asked.view(of: Int8.self), into: logits)
    for c in 0..<classes {
      let distance =
        present.contains(c)
        ? zip(query, means[c]).reduce(0) { $0 + (Int($1.0) - $1.1) * (Int($1.0) - $1.1) } : 1 << 31
      #expect(Int(logits[c]) == -distance)
    }
    // Σ g = 0 over the classes that are there: then Σ g·(p − Z) is −Σ g·(f − p), for any f and Z.
    for c in 0..<classes { g[c] = 0 }
    for c in present.sorted() { g[c] = Int32(c * 911 - 300) }
    g[labels[0]] -= present.reduce(Int32(0)) { $0 + g[$1] }
    for zeroPoint: Int32 in [-128, 0, 9] {
      prototypes.gradient(g, zeroPoint: zeroPoint, into: dx)
      for d in 0..<count {
        let slope = present.reduce(0) { $0 - Int(g[$1]) * (Int(query[d]) - means[$1][d]) }
        #expect(Int(dx[d]) == slope)
      }
    }
  }

  @Test("the largest distance that features can have stays in range")
  func extremes() {
    let count = NearestPrototype.largestFeatureCount
    let memory = AlignedMemory(byteCount: 4 * (count + 2))
    let words = memory.view(of: Int32.self)
    let prototypes = NearestPrototype(sums: words.slice(0, count), counts: words.slice(count, 1))
    let low = AlignedMemory([Int8](repeating: -128, count: count))
    let high = AlignedMemory([Int8](repeating: 127, count: count))
    prototypes.add(low.view(of: Int8.self), label: 0)
    prototypes.finish()
    prototypes.logits(high.view(of: Int8.self), into: words.slice(count + 1, 1))
    #expect(Int(words[count + 1]) == -65_025 * count)
  }
}
