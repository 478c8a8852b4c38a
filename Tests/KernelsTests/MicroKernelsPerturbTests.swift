import Foundation
import CounterRandom
import MicroKernels
import Testing

extension MicroKernels {
  @Test("perturbed dot products: signs by address, weights at the end of the range unmoved")
  func perturbedDots() {
    var random = MicroKernelsRandom("perturbed dots")
    for trial in 0..<120 {
      // The long rows run through several refills of the sign buffers; from element 1 on they meet
      // its last bit.
      let isLong = trial % 30 == 0
      let m = isLong ? 1 : random.int(0...6), n = isLong ? 2 : random.int(0...7)
      let k = isLong ? 2200 : Self.sizes[trial % Self.sizes.count]
      let lda = k + random.int(0...2), ldb = k + random.int(0...2), ldc = n + random.int(0...2)
      let sigma = trial % 5 == 1 ? [-127, 0, 127][trial / 5 % 3] : random.int(-40...40)
      let first = isLong ? 1 : UInt32(random.int(0...3000))
      let rowElements = trial % 2 == 0 ? k : random.int(0...5000)
      let key = (0..<2).map { _ in UInt32(truncatingIfNeeded: random.next()) }
      let counter = (0..<3).map { _ in UInt32(truncatingIfNeeded: random.next()) }
      let a = random.bytes(max(0, (m - 1) * lda + k)), b = random.bytes(max(0, (n - 1) * ldb + k))

      var perturbed = [Int32](repeating: 0, count: n * k)
      var block: [UInt32] = []
      for row in 0..<n {
        for depth in 0..<k {
          let e = first + UInt32(row * rowElements + depth)
          if depth == 0 || e % 128 == 0 { block = microKernelsPhilox([e / 128] + counter, key) }
          let isNegative = block[Int(e / 32 % 4)] >> (e % 32) & 1 == 1
          let w = Int(b[row * ldb + depth])
          let moved = abs(w) + abs(sigma) > 127 ? w : w + (isNegative ? -sigma : sigma)
          perturbed[row * k + depth] = Int32(moved)
        }
      }
      var expected: [Int32] = []
      for row in 0..<m {
        for column in 0..<n {
          var sum: Int32 = 0
          for depth in 0..<k {
            sum &+= Int32(a[row * lda + depth]) &* perturbed[column * k + depth]
          }
          expected.append(sum)
        }
      }
      let fencedA = FencedMemory(a, atStart: random.next() & 1 == 0)
      let fencedB = FencedMemory(b, atStart: random.next() & 1 == 0)
      Self.atEachLevel { level in
        let c = GuardedOutput<Int32>(max(0, (m - 1) * ldc + n), filledWith: 0x5555_5555)
        tally_perturb_dot_s8(
          Int32(m), Int32(n), Int32(k), fencedA.base, lda, fencedB.base, ldb, Int32(sigma), first,
          UInt32(rowElements), key, counter, c.base, ldc)
        let found = c.array
        let values = (0..<m).flatMap { found[$0 * ldc..<$0 * ldc + n] }
        #expect(values == expected, "\(m)×\(n)×\(k) sigma \(sigma) at level \(level)")
        #expect(c.guardsHold, "\(m)×\(n)×\(k) at level \(level) wrote outside")
      }
    }
  }

  @Test(
    "SHA-256: the FIPS 180-4 examples, and a million letters",
    arguments: [
      ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
      ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
      (
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
      ),
      (
        String(repeating: "a", count: 1_000_000),
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
      ),
    ])
  func sha256(message: String, expected: String) {
    var padded = Array(message.utf8) + [0x80]
    while padded.count % 64 != 56 { padded.append(0) }
    withUnsafeBytes(of: UInt64(message.utf8.count * 8).bigEndian) { padded += $0 }
    Self.atEachLevel { level in
      for unaligned in [0, 1] {
        let fenced = FencedMemory([UInt8](repeating: 0, count: unaligned) + padded)
        var state: [UInt32] = [
          0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c,
          0x1f83_d9ab, 0x5be0_cd19,
        ]
        // In two calls where there is more than one block: the state carries over.
        let head = padded.count / 64 / 2
        tally_sha256_blocks(&state, fenced.base + unaligned, head)
        tally_sha256_blocks(
          &state, fenced.base + unaligned + head * 64, padded.count / 64 - head)
        let found = state.map { String(format: "%08x", $0) }.joined()
        #expect(found == expected, "level \(level)")
      }
    }
  }
}

extension MicroKernels {
  @Test("perturbed weights, from any element on")
  func perturbedWeights() {
    var random = MicroKernelsRandom("perturbed weights")
    for trial in 0..<120 {
      let count = Self.signedCounts[trial % Self.signedCounts.count]
      let first = random.int(0...1000)
      let sigma = Int32(random.int(-127...127))
      let w = random.bytes(count)
      let directions = Self.directions(count, first, query: 35)
      let expected = (0..<count).map { index -> Int8 in
        let value = Int32(w[index])
        return Int8(abs(value) + abs(sigma) > 127 ? value : value + sigma * directions[index])
      }
      let fenced = FencedMemory(w)
      Self.atEachLevel { level in
        let target = GuardedOutput<Int8>(count, filledWith: 0x55)
        let total = tally_perturb_s8(
          Int32(count), fenced.base, sigma, UInt32(first), Self.signKey, Self.signCounter,
          target.base)
        #expect(target.array == expected && target.guardsHold, "\(count) at level \(level)")
        #expect(total == expected.reduce(0) { $0 + Int32($1) }, "\(count) at level \(level)")
      }
    }
  }

  @Test("sums of signed differences, from any element on, within 32 bits and beyond")
  func signedSums() {
    var random = MicroKernelsRandom("signed sums")
    for trial in 0..<120 {
      let count = Self.signedCounts[trial % Self.signedCounts.count]
      let first = trial % 3 == 0 ? random.int(0...20) * 128 : random.int(0...3000)
      let entries = random.int(1...5)
      // Every other time their sum may leave 32 bits.
      let differences = (0..<entries).map { _ -> Int32 in
        let value = Int32(truncatingIfNeeded: random.next()) >> (trial % 2 == 0 ? 4 : 0)
        return random.int(0...4) == 0 ? 0 : max(value, -.max)
      }
      let w = random.bytes(count)
      let reach = Int32(random.int(0...127))
      let isMasked = trial % 4 != 0
      var exact = [Int64](repeating: 0, count: count)
      for entry in 0..<entries {
        let directions = Self.directions(count, first, query: 35 + UInt32(entry))
        for index in 0..<count {
          exact[index] += Int64(differences[entry]) * Int64(directions[index])
        }
      }
      let expected = (0..<count).map {
        isMasked && abs(Int32(w[$0])) > reach ? 0 : Int32(clamping: exact[$0])
      }
      let (fenced, entered) = (FencedMemory(w), FencedMemory(differences))
      Self.atEachLevel { level in
        let sums = GuardedOutput<Int32>(count, filledWith: 0x5555_5555)
        tally_signed_sums_s32(
          Int32(count), UInt32(first), Int32(entries), entered.base, Self.signKey,
          Self.signCounter, isMasked ? fenced.base : nil, reach, sums.base)
        #expect(sums.array == expected && sums.guardsHold, "\(count) at level \(level)")
      }
    }
  }

  @Test("the update by one direction: signed sums, contributions and a refresh in one")
  func contributedSigns() {
    var random = MicroKernelsRandom("contributed signs")
    for trial in 0..<160 {
      let count = Self.signedCounts[trial % Self.signedCounts.count]
      let first = UInt32(trial % 3 == 0 ? random.int(0...20) * 128 : random.int(0...3000))
      let difference = max(Int32(truncatingIfNeeded: random.next()) >> random.int(0...20), -.max)
      let mantissa = Int32(truncatingIfNeeded: random.next() >> 34 | 1 << 30)
      // Every size of step, beyond the clip and beyond 32 bits too.
      let shift = Int32(trial % 8 == 0 ? random.int(-3...66) : random.int(25...50))
      let clip = Int32(trial % 4 == 0 ? random.int(1...1 << 18) : 1 << 20)
      let reach = Int32(random.int(64...127))
      let lanes: [UInt32] = [40, 41, 42]
      var masters = (0..<count).map { _ in Int32(random.int(-127 << 16...127 << 16)) }
      let weights = masters.map { Int8(($0 + 32768) >> 16) }
      let before = masters
      var sums = [Int32](repeating: 0, count: count)
      var next = weights
      tally_set_simd_level(0)
      tally_signed_sums_s32(
        Int32(count), first, 1, [difference], Self.signKey, Self.signCounter, weights, reach, &sums)
      let clipped = tally_contribute_q16(
        Int32(count), sums, mantissa, shift, first, Self.signKey, lanes, clip, 1, &masters,
        &next)
      Self.atEachLevel { level in
        let (master, weight) = (FencedMemory(before), FencedMemory(weights))
        let found = tally_contribute_signs_q16(
          Int32(count), difference, mantissa, shift, first, Self.signKey, Self.signCounter, lanes,
          reach, clip, master.base, weight.base)
        let matches = found == clipped && master.array == masters && weight.array == next
        #expect(matches, "\(count) from \(first), shift \(shift), at level \(level)")
      }
    }
  }

  private static let signKey: [UInt32] = [31, 32]
  private static let signCounter: [UInt32] = [33, 34, 35]
  private static let signedCounts = [
    0, 1, 31, 32, 63, 64, 65, 127, 128, 129, 300, 2048, 2200, 4500,
  ]

  /// u of elements `first`… of the stream with that last counter word, by the definition.
  private static func directions(_ count: Int, _ first: Int, query: UInt32) -> [Int32] {
    (0..<count).map { index in
      let element = UInt32(first + index)
      let block = philox4x32(
        counter: (element >> 7, signCounter[0], signCounter[1], query),
        key: (signKey[0], signKey[1]))
      let words = [block.0, block.1, block.2, block.3]
      return words[Int(element >> 5 & 3)] >> (element & 31) & 1 == 0 ? 1 : -1
    }
  }
}
