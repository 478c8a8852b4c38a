import Importers
import Testing

@testable import Importers

@Suite("Checksums and text")
struct ChecksumTests {
  @Test("CRC-32 of the check string, and against the polynomial at every length")
  func crc() {
    #expect(crc32(ascii("123456789")[...]) == 0xcbf4_3926)
    #expect(crc32([]) == 0)
    let bytes = (0..<67).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) }
    for start in 0..<8 {
      for end in start...bytes.count {
        #expect(crc32(bytes[start..<end]) == slowCRC32(Array(bytes[start..<end])))
      }
    }
  }

  /// The second definition: the standard library's own decoder repairs what is ill-formed.
  @Test("UTF-8 validation agrees with the standard library")
  func utf8() {
    var cases = 0
    func check(_ bytes: [UInt8]) {
      let isValid = String(decoding: bytes, as: UTF8.self).utf8.elementsEqual(bytes)
      #expect((firstInvalidUTF8(bytes[...]) == nil) == isValid, "\(bytes)")
      cases += 1
    }
    let edges: [UInt8] = [
      0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1,
      0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff,
    ]
    for a in UInt8.min ... .max { check([a]) }
    for a in edges {
      for b in edges {
        check([a, b])
        for c in edges { check([a, b, c]) }
      }
    }
    for a in [0xf0, 0xf1, 0xf4, 0xf5] as [UInt8] {
      for b in edges {
        for c in [0x7f, 0x80, 0xbf, 0xc0] as [UInt8] {
          for d in [0x7f, 0x80, 0xbf, 0xc0] as [UInt8] { check([a, b, c, d]) }
        }
      }
    }
    #expect(cases > 12_000)
    #expect(firstInvalidUTF8([65, 66, 0xff, 67][1...]) == 2)
  }
}

@Suite("Gzip")
struct GzipTests {
  private func unpack(_ bytes: [UInt8]) throws -> [UInt8] {
    try Gzip.decompressed(bytes[...], file: "a.gz", inflate: SlowInflate.inflater)
  }

  @Test("a member with every header field")
  func header() throws {
    let bytes = Array(0..<200) as [UInt8]
    #expect(try unpack(gzipMember(bytes)) == bytes)
    #expect(try unpack(gzipMember([])) == [])
    let fields = [3, 0, 9, 9, 9] + ascii("name\0comment\0")
    let head: [UInt8] = [0x1f, 0x8b, 8, 0x1e, 0, 0, 0, 0, 0, 255] + fields
    let check = little(Int(slowCRC32(head) & 0xffff), 2)
    #expect(try unpack(gzipMember(bytes, flags: 0x1e, extra: fields + check)) == bytes)
    #expect(try unpack(gzipMember(bytes, flags: 1)) == bytes)  // "text" is a remark
  }

  @Test("what deflate can really reach is unpacked")
  func ratio() throws {
    let bytes = [UInt8](repeating: 0, count: 1 + 258 * 2000)
    let deflate = zeroRunDeflate(repeats: 2000)
    #expect(bytes.count / deflate.count > 900 && bytes.count / deflate.count <= 1032)
    #expect(try unpack(gzipMember(bytes, deflate: deflate)) == bytes)
  }

  @Test("several members are named as such")
  func members() throws {
    let error = try #require(
      fault { () throws(InputError) in
        _ = try Gzip.decompressed(
          (gzipMember([1, 2]) + gzipMember([3, 4]))[...], file: "a.gz",
          inflate: SlowInflate.inflater)
      })
    #expect(error.message == "holds several gzip members")
  }
}

@Suite("Zip archives")
struct ZipArchiveTests {
  private func contents(_ bytes: [UInt8]) throws -> [String: [UInt8]] {
    let archive = try ZipArchive(bytes[...], file: "a.zip")
    var found: [String: [UInt8]] = [:]
    for member in archive.members {
      found[member.name] = Array(
        try archive.contents(of: member, inflate: SlowInflate.inflater))
    }
    return found
  }

  @Test("stored and deflated members, a comment, zip64, lengths that follow the data")
  func variants() throws {
    let run = [UInt8](repeating: 0, count: 1 + 258 * 40)
    var fixture = ZipFixture(members: [
      .init("a", [1, 2, 3]), .init("dir/b", run, deflate: zeroRunDeflate(repeats: 40)),
      .init("empty", []),
    ])
    let expected: [String: [UInt8]] = ["a": [1, 2, 3], "dir/b": run, "empty": []]
    #expect(try contents(fixture.bytes) == expected)
    fixture.comment = ascii("a comment with PK\u{5}\u{6} in it")
    #expect(try contents(fixture.bytes) == expected)
    fixture.comment = []
    fixture.members[1].isWideLocally = true
    fixture.isWide = true
    #expect(try contents(fixture.bytes) == expected)
    // Not from the start of an array: offsets are relative to the slice.
    let shifted = [0, 0, 0] + fixture.bytes
    #expect(try ZipArchive(shifted[3...], file: "a").members.count == 3)
  }

  @Test("a small constant array may pack as well as it likes")
  func smallRatio() throws {
    let run = [UInt8](repeating: 0, count: 1 + 258 * 3000)
    let deflate = zeroRunDeflate(repeats: 3000)
    #expect(run.count / deflate.count > ZipArchive.ratioLimit)
    #expect(run.count < ZipArchive.ratioFloor)
    #expect(
      try contents(ZipFixture(members: [.init("y", run, deflate: deflate)]).bytes) == ["y": run])
  }

  @Test("what is written is read again, and is the same bytes every time")
  func roundTrip() throws {
    let members: [(name: String, bytes: [UInt8])] = [
      ("x.npy", try NumpyArray.encoded(tinyImages)), ("größe.npy", []), ("y.npy", [1]),
    ]
    let bytes = ZipArchive.stored(members)
    #expect(bytes == ZipArchive.stored(members))
    let archive = try ZipArchive(bytes[...], file: "a.npz")
    #expect(archive.members.map(\.name) == members.map(\.name))
    for (member, original) in zip(archive.members, members) {
      #expect(
        try archive.contents(of: member, inflate: SlowInflate.inflater)
          .elementsEqual(original.bytes))
    }
    #expect(try ZipArchive(ZipArchive.stored([])[...], file: "e").members.isEmpty)
  }
}
