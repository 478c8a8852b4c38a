import Importers
import Testing

/// One whole valid file per reader; each must survive being cut and being changed anywhere.
struct FuzzSubject: Sendable, CustomTestStringConvertible {
  let name: String
  let bytes: [UInt8]
  /// Cutting the end off is always noticed; a CSV or JSON text may still be whole.
  var isSelfDelimiting = true
  let read: @Sendable (ArraySlice<UInt8>) throws(InputError) -> Void
  var testDescription: String { name }
}

private let subjects: [FuzzSubject] = [
  FuzzSubject(
    name: "npy", bytes: npy(npyHeader(">i2", "(2, 3)", fortran: true), Array(0..<12)),
    read: { (bytes) throws(InputError) in _ = try NumpyArray.read(bytes, file: "f") }),
  FuzzSubject(
    name: "safetensors",
    bytes: Safetensors.encoded(
      [("b", NumericArray(shape: [2], storage: .int8([1, -1]))), ("a", tinyLabels)],
      metadata: [("k", "v")]),
    read: { (bytes) throws(InputError) in
      let file = try Safetensors(bytes, file: "f")
      for tensor in file.tensors { _ = try file.array(named: tensor.name) }
    }),
  FuzzSubject(
    name: "zip",
    bytes: ZipFixture(members: [
      .init("x.npy", [1, 2, 3]), .init("y.npy", [4, 5], deflate: storedDeflate([4, 5])),
    ]).bytes,
    read: { (bytes) throws(InputError) in
      let archive = try ZipArchive(bytes, file: "f")
      for member in archive.members {
        _ = try archive.contents(of: member, inflate: SlowInflate.inflater)
      }
    }),
  FuzzSubject(
    name: "zip64",
    bytes: {
      var fixture = ZipFixture(members: [.init("x.npy", [1, 2, 3])])
      fixture.members[0].isWideLocally = true
      fixture.isWide = true
      return fixture.bytes
    }(),
    read: { (bytes) throws(InputError) in
      let archive = try ZipArchive(bytes, file: "f")
      for member in archive.members {
        _ = try archive.contents(of: member, inflate: SlowInflate.inflater)
      }
    }),
  FuzzSubject(
    name: "gzip", bytes: gzipMember(Array(0..<40), flags: 8, extra: ascii("name\0")),
    read: { (bytes) throws(InputError) in
      _ = try Gzip.decompressed(bytes, file: "f", inflate: SlowInflate.inflater)
    }),
  FuzzSubject(
    name: "idx", bytes: idx(0x0b, [2, 2], Array(0..<8)),
    read: { (bytes) throws(InputError) in _ = try IDX.read(bytes, file: "f") }),
  FuzzSubject(
    name: "csv", bytes: ascii("a,b,kind\n1.5,-2e3,x\n0.25,4,y\n"), isSelfDelimiting: false,
    read: { (bytes) throws(InputError) in _ = try CSV(bytes, file: "f") }),
  FuzzSubject(
    name: "json",
    bytes: ascii(
      "{\"a\": [1, -2.5e3, \"x\\u00e9\\ud83d\\ude00\"], /* c */ \"b\": {\"c\": null,},}"),
    isSelfDelimiting: false,
    read: { (bytes) throws(InputError) in _ = try JSONElement.userWritten(bytes, file: "f") }),
  FuzzSubject(
    name: "kind", bytes: ascii("PK\u{3}\u{4}") + [8, 8, 0x12, 2, 65, 66, 0x3a, 1, 0],
    isSelfDelimiting: false,
    read: { (bytes) throws(InputError) in _ = try FileKind.detect(bytes, file: "f") }),
]

@Suite("Readers under damage")
struct ReaderFuzzTests {
  @Test("the undamaged file is read", arguments: subjects)
  func whole(_ subject: FuzzSubject) throws { try subject.read(subject.bytes[...]) }

  @Test("a file cut anywhere is refused, never trapped on", arguments: subjects)
  func cut(_ subject: FuzzSubject) {
    for count in 0..<subject.bytes.count {
      let error = fault { () throws(InputError) in
        try subject.read(subject.bytes.prefix(count))
      }
      if subject.isSelfDelimiting {
        #expect(error != nil, "accepted the first \(count) bytes of \(subject.bytes.count)")
      }
      if let error { #expect([2, 3, 4].contains(error.exit), "\(error)") }
    }
  }

  @Test("any byte may be anything", arguments: subjects)
  func changed(_ subject: FuzzSubject) {
    for index in subject.bytes.indices {
      for byte in [0, 1, 0x22, 0x2c, 0x7f, 0x80, 0xff, subject.bytes[index] ^ 4] as [UInt8] {
        var bytes = subject.bytes
        bytes[index] = byte
        let error = fault { () throws(InputError) in try subject.read(bytes[...]) }
        if let error { #expect([2, 3, 4].contains(error.exit), "\(error)") }
      }
    }
  }

  @Test("several changes at once", arguments: subjects)
  func changedAtRandom(_ subject: FuzzSubject) {
    let seed: UInt64 = 0x2a
    var random = SplitMix64(seed: seed)
    for round in 0..<300 {
      var bytes = subject.bytes
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(
          in: 0...255, using: &random)
      }
      if Bool.random(using: &random) {
        bytes.removeSubrange(Int.random(in: 0..<bytes.count, using: &random)...)
      }
      let error = fault { () throws(InputError) in try subject.read(bytes[...]) }
      if let error {
        #expect([2, 3, 4].contains(error.exit), "seed \(seed), round \(round): \(error)")
      }
    }
  }
}
