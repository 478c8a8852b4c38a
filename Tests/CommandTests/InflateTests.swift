import Importers
import TallyHost
import Testing

/// Streams written down from RFC 1951, byte by byte, and what zlib makes of them.
@Suite("Inflate")
struct InflateTests {
  /// A stored block: last, type 0, length, its complement, bytes.
  private let stored: [UInt8] = [1, 3, 0, 0xfc, 0xff, 7, 8, 9]
  /// "hello, hello, hello\n" in the fixed code, as zlib 1.2.13 packs it.
  private let fixed: [UInt8] = [
    0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0xd7, 0x51, 0xc8, 0x40, 0xa2, 0xb8, 0x00,
  ]

  private func failure(_ input: [UInt8], _ expected: Int) -> InflateFailure? {
    do throws(InflateFailure) {
      _ = try Inflate.raw(input[...], expected)
      return nil
    } catch {
      return error
    }
  }

  @Test("exactly the input, exactly the output")
  func whole() throws {
    #expect(try Inflate.raw(stored[...], 3) == [7, 8, 9])
    #expect(try Inflate.raw(fixed[...], 20) == Array("hello, hello, hello\n".utf8))
    #expect(try Inflate.raw([3, 0], 0) == [])  // the end mark alone
    #expect(try Inflate.raw(([0xee] + stored)[1...], 3) == [7, 8, 9])
  }

  @Test("a wrong length, a cut, a surplus and damage are told apart")
  func refused() {
    #expect(failure(stored, 2) == .tooLong)
    #expect(failure(stored, 0) == .tooLong)
    #expect(failure(fixed, 19) == .tooLong)
    #expect(failure(stored, 4) == .streamEnded(produced: 3, consumed: 8))
    #expect(failure(stored + [1, 2], 3) == .streamEnded(produced: 3, consumed: 8))
    #expect(failure(Array(stored.dropLast()), 3) == .inputEnded(produced: 2))
    #expect(failure([], 0) == .inputEnded(produced: 0))
    #expect(failure([], 5) == .inputEnded(produced: 0))
    #expect(failure([7, 7, 7], 3) == .corrupt)
    #expect(failure([1, 3, 0, 0, 0, 7, 8, 9], 3) == .corrupt)  // the complement is wrong
    for count in 0..<fixed.count {
      #expect(failure(Array(fixed.prefix(count)), 20) != nil, "the first \(count) bytes")
    }
  }

  @Test("through gzip and zip, as the command uses it")
  func containers() throws {
    let text = Array("hello, hello, hello\n".utf8)
    let crc: [UInt8] = [0xe7, 0x42, 0x6e, 0x52]
    let head: [UInt8] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]
    let member = head + fixed + crc + [20, 0, 0, 0]
    #expect(try Gzip.decompressed(member[...], file: "a.gz", inflate: Inflate.raw) == text)
    for (bytes, words) in [
      (member + member, "several gzip members"),
      (head + fixed + crc + [21, 0, 0, 0], "ends after"),
      (head + fixed + [0, 0, 0, 0, 20, 0, 0, 0], "checksum"),
    ] {
      let error = try #require(throws: InputError.self) {
        try Gzip.decompressed(bytes[...], file: "a.gz", inflate: Inflate.raw)
      }
      #expect(error.code == 707 && error.exit == 3 && error.message.contains(words), "\(error)")
    }
  }
}
