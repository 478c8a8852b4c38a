import Bytes
import Foundation
import Testing

/// Element i is (7i + 3) mod 251.
func pattern(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(($0 * 7 + 3) % 251) } }

func hexadecimal(_ digest: Digest) -> String {
  (0..<32).map { String(format: "%02x", digest[$0]) }.joined()
}

private func hash(_ bytes: [UInt8]) -> String {
  var hash = SHA256()
  hash.update(bytes.span.bytes)
  return hexadecimal(hash.finalize())
}

/// SHA-256 a second way: the whole message padded at once, the full schedule of 64 words, and the
/// constants from the fractions of roots of primes.
private func plainHash(_ message: [UInt8]) -> String {
  let primes = (2..<312).filter { n in !(2..<n).contains { n % $0 == 0 } }
  func fraction(_ x: Double) -> UInt32 { UInt32((x - x.rounded(.down)) * 0x1p32) }
  let k = primes.map { fraction(cbrt(Double($0))) }
  var state = primes.prefix(8).map { fraction(Double($0).squareRoot()) }
  var padded = message + [0x80]
  while padded.count % 64 != 56 { padded.append(0) }
  padded += (0..<8).map { UInt8(truncatingIfNeeded: (message.count * 8) >> (56 - 8 * $0)) }
  func rotate(_ x: UInt32, _ n: UInt32) -> UInt32 { x >> n | x << (32 - n) }
  for start in stride(from: 0, to: padded.count, by: 64) {
    var w = (0..<16).map { t in
      (0..<4).reduce(UInt32(0)) { $0 << 8 | UInt32(padded[start + 4 * t + $1]) }
    }
    for t in 16..<64 {
      let s0 = rotate(w[t - 15], 7) ^ rotate(w[t - 15], 18) ^ w[t - 15] >> 3
      let s1 = rotate(w[t - 2], 17) ^ rotate(w[t - 2], 19) ^ w[t - 2] >> 10
      w.append(s1 &+ w[t - 7] &+ s0 &+ w[t - 16])
    }
    var v = state
    for t in 0..<64 {
      let big1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25)
      let choose = v[4] & v[5] | ~v[4] & v[6]
      let t1 = v[7] &+ big1 &+ choose &+ k[t] &+ w[t]
      let big0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22)
      let majority = v[0] & v[1] | v[0] & v[2] | v[1] & v[2]
      v = [t1 &+ big0 &+ majority, v[0], v[1], v[2], v[3] &+ t1, v[4], v[5], v[6]]
    }
    for i in 0..<8 { state[i] &+= v[i] }
  }
  return state.map { String(format: "%08x", $0) }.joined()
}

@Test("The FIPS 180-4 examples")
func fips() {
  #expect(
    hash(Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  #expect(
    hash(Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8))
      == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
  #expect(hash([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
}

/// Digests of `pattern(count)`, computed with another implementation.
private let patternDigests: [(Int, String)] = [
  (3, "6ab0dba1f4f1dfbb37b4f9eeb092c09fca4900ad32bdcd147d8dde35d6c87c35"),
  (55, "1deace58c745f3ecadde68a5923f494c3703fa73f0306483ccb898a5826e8d70"),
  (56, "06dbe23685750e4d3881ded95047abaf93fa8f9c5d3501dc57c717a72ff1398e"),
  (63, "47fb38b12335c9298d09280515c0666489a189d1554bb0ac1a0740806ce9d8b6"),
  (64, "dfa798724b1a8014994f363e5da7474ed26ce3757fb29e07aa47ad5a9352d37b"),
  (65, "dd2eab5a5507d7717c63ce953d9ac61752c21e664425ad1227054722a0d97f69"),
  (119, "c6e0f435df5d7d265baacca31e0602c00aa22fa6d3819aed664649294c743756"),
  (120, "17eb8960823a644bde3065620bb9d45931fe8993fd8eb692a17aff0fd725db6a"),
  (1 << 20, "1ac437f476c488acba4000af7ae89ef53f7ffbeef2e937850985f5ceb8b5ae6f"),
]

@Test("Lengths around the padding borders, and 1 MiB", arguments: patternDigests)
func lengths(count: Int, expected: String) {
  #expect(hash(pattern(count)) == expected)
}

@Test("Every length up to 200 equals the second definition")
func hashSecondDefinition() {
  for count in 0...200 {
    let message = pattern(count)
    if hash(message) != plainHash(message) { Issue.record("length \(count)") }
  }
}

@Test("Pieces do not matter: every pair of cuts of 140 bytes")
func pieces() {
  let message = pattern(140)
  let whole = hash(message)
  for first in stride(from: 0, through: 140, by: 3) {
    for second in stride(from: first, through: 140, by: 5) {
      var hash = SHA256()
      hash.update(message.span.bytes.extracting(0..<first))
      hash.update(message.span.bytes.extracting(first..<second))
      hash.update(message.span.bytes.extracting(second..<140))
      if hexadecimal(hash.finalize()) != whole { Issue.record("cuts \(first), \(second)") }
    }
  }
}

@Test("Numbers are hashed as their little-endian bytes, at every alignment")
func hashedNumbers() {
  for lead in 0..<70 {
    var hash = SHA256()
    for byte in pattern(lead) { hash.update(littleEndian: byte) }
    hash.update(littleEndian: 0x0403_0201 as UInt32)
    hash.update(littleEndian: 0x0C0B_0A09_0807_0605 as UInt64)
    hash.update(littleEndian: 13 as UInt8)
    if hexadecimal(hash.finalize()) != plainHash(pattern(lead) + (1...13)) {
      Issue.record("after \(lead) bytes")
    }
  }
}

@Test("finalize leaves the hash as it was")
func finalizeIsRepeatable() {
  var hash = SHA256()
  hash.update(pattern(70).span.bytes)
  #expect(hash.finalize() == hash.finalize())
  hash.update(littleEndian: 1 as UInt8)
  #expect(hexadecimal(hash.finalize()) == plainHash(pattern(70) + [1]))
}

@Test("A digest's bytes, words and storage agree, and equality sees every bit")
func digests() {
  var hash = SHA256()
  hash.update(pattern(5).span.bytes)
  let digest = hash.finalize()
  let bytes = (0..<32).map { digest[$0] }
  #expect(digest.words[0] == bytes[0..<4].reduce(0) { $0 << 8 | UInt32($1) })
  #expect(Digest(words: digest.words) == digest)

  var memory = [UInt8](repeating: 0xEE, count: 40)
  memory.withUnsafeMutableBytes { buffer in
    var span = buffer.mutableBytes
    digest.write(into: &span, at: 3)
  }
  #expect(memory == [0xEE, 0xEE, 0xEE] + bytes + [UInt8](repeating: 0xEE, count: 5))
  #expect(Digest(reading: memory.span.bytes, at: 3) == digest)
  for bit in 0..<256 {
    var changed = bytes
    changed[bit / 8] ^= 1 << UInt8(bit % 8)
    if Digest(reading: changed.span.bytes, at: 0) == digest { Issue.record("bit \(bit)") }
  }
}

@Test("A digest outside the memory is a contract breach")
func digestBreaches() async {
  await #expect(processExitsWith: .failure) {
    _ = Digest(reading: [UInt8](repeating: 0, count: 32).span.bytes, at: 1)
  }
  await #expect(processExitsWith: .failure) {
    var memory = [UInt8](repeating: 0, count: 31)
    memory.withUnsafeMutableBytes { buffer in
      var span = buffer.mutableBytes
      SHA256().finalize().write(into: &span, at: 0)
    }
  }
  await #expect(processExitsWith: .failure) { _ = SHA256().finalize()[32] }
}
