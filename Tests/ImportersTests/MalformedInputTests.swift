import Importers
import Testing

/// Bytes that a reader must refuse, with the code and the exit status it must give.
struct MalformedInput: Sendable, CustomTestStringConvertible {
  let name: String
  let code: Int
  let exit: Int32
  let read: @Sendable () throws(InputError) -> Void

  init(
    _ name: String, _ code: Int, _ exit: Int32 = 3,
    _ read: @escaping @Sendable () throws(InputError) -> Void
  ) {
    self.name = name
    self.code = code
    self.exit = exit
    self.read = read
  }

  var testDescription: String { "\(code): \(name)" }
}

private func readNpy(_ bytes: [UInt8]) throws(InputError) {
  _ = try NumpyArray.read(bytes[...], file: "a.npy")
}
private func readTensors(_ header: String, _ buffer: [UInt8] = []) throws(InputError) {
  _ = try Safetensors(safetensors(header, buffer)[...], file: "a.safetensors")
}
private func readZip(_ fixture: ZipFixture) throws(InputError) {
  let archive = try ZipArchive(fixture.bytes[...], file: "a.npz")
  for member in archive.members {
    _ = try archive.contents(of: member, inflate: SlowInflate.inflater)
  }
}
private func readGzip(_ bytes: [UInt8]) throws(InputError) {
  _ = try Gzip.decompressed(bytes[...], file: "a.gz", inflate: SlowInflate.inflater)
}
private func readIDX(_ bytes: [UInt8]) throws(InputError) {
  _ = try IDX.read(bytes[...], file: "a.idx")
}
private func readCSV(_ text: String, label: CSV.LabelColumn = .last) throws(InputError) {
  _ = try CSV(ascii(text)[...], label: label, file: "a.csv")
}
private func readJSON(_ text: String) throws(InputError) {
  _ = try JSONElement.userWritten(ascii(text)[...], file: "r.json")
}

private let a4 = [UInt8](repeating: 7, count: 4)
private let f4 = npyHeader("<f4", "(1,)")

private let malformedArrays: [MalformedInput] = [
  .init("npy: cut in the mark", 106) { () throws(InputError) in try readNpy([0x93, 0x4e]) },
  .init("npy: wrong mark", 505) { () throws(InputError) in try readNpy(ascii("NUMPYx\u{1}")) },
  .init("npy: version 4", 505) { () throws(InputError) in
    try readNpy(npy(f4, a4, version: [4, 0]))
  },
  .init("npy: header reaches past the end", 106) { () throws(InputError) in
    try readNpy([0x93] + ascii("NUMPY") + [1, 0, 200, 0] + ascii("{'descr'"))
  },
  .init("npy: header of 4 GB", 505) { () throws(InputError) in
    try readNpy([0x93] + ascii("NUMPY") + [2, 0, 255, 255, 255, 255])
  },
  .init("npy: objects", 505) { () throws(InputError) in
    try readNpy(npy(npyHeader("|O", "(1,)"), a4))
  },
  .init("npy: records", 505) { () throws(InputError) in
    try readNpy(
      npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", a4))
  },
  .init("npy: text elements", 505) { () throws(InputError) in
    try readNpy(npy(npyHeader("<U1", "(1,)"), a4))
  },
  .init("npy: native byte order", 505) { () throws(InputError) in
    try readNpy(npy(npyHeader("=f4", "(1,)"), a4))
  },
  .init("npy: complex", 606, 4) { () throws(InputError) in
    try readNpy(npy(npyHeader("<c8", "(1,)"), a4 + a4))
  },
  .init("npy: header is an expression", 505) { () throws(InputError) in
    try readNpy(npy("dict(descr='<f4', fortran_order=False, shape=(1,))", a4))
  },
  .init("npy: key twice", 505) { () throws(InputError) in
    try readNpy(
      npy("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", a4))
  },
  .init("npy: unknown key", 505) { () throws(InputError) in
    try readNpy(
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 'y'}", a4))
  },
  .init("npy: no shape", 505) { () throws(InputError) in
    try readNpy(npy("{'descr': '<f4', 'fortran_order': False}", a4))
  },
  .init("npy: shape is a number", 505) { () throws(InputError) in
    try readNpy(npy(npyHeader("<f4", "(1)"), a4))
  },
  .init("npy: negative size", 505) { () throws(InputError) in
    try readNpy(npy(npyHeader("<f4", "(-1,)"), a4))
  },
  .init("npy: size overflows", 505) { () throws(InputError) in
    try readNpy(npy(npyHeader("<f4", "(99999999999999999999,)"), a4))
  },
  .init("npy: product overflows", 505) { () throws(InputError) in
    try readNpy(npy(npyHeader("<f4", "(4294967296, 4294967296)"), a4))
  },
  .init("npy: nine axes", 505) { () throws(InputError) in
    try readNpy(npy(npyHeader("<f4", "(1, 1, 1, 1, 1, 1, 1, 1, 1)"), a4))
  },
  .init("npy: text after the dictionary", 505) { () throws(InputError) in
    try readNpy(npy(f4 + " + {}", a4))
  },
  .init("npy: data too short", 106) { () throws(InputError) in
    try readNpy(npy(npyHeader("<f4", "(2,)"), a4))
  },
  .init("npy: data too long", 107) { () throws(InputError) in try readNpy(npy(f4, a4 + a4)) },
  .init("npy: a Boolean of 2", 606) { () throws(InputError) in
    try readNpy(npy(npyHeader("|b1", "(4,)"), [0, 1, 2, 0]))
  },
  .init("npy: above 2^63", 606, 4) { () throws(InputError) in
    try readNpy(npy(npyHeader("<u8", "(1,)"), [UInt8](repeating: 255, count: 8)))
  },
  .init("idx: a type that is not", 706) { () throws(InputError) in try readIDX(idx(7, [1], [0])) },
  .init("idx: no axes", 706) { () throws(InputError) in try readIDX([0, 0, 8, 0]) },
  .init("idx: nine axes", 706) { () throws(InputError) in
    try readIDX(idx(8, [1, 1, 1, 1, 1, 1, 1, 1, 1], [0]))
  },
  .init("idx: does not begin with zeros", 706) { () throws(InputError) in
    try readIDX([0, 1, 8, 1, 0, 0, 0, 0])
  },
  .init("idx: data too short", 706) { () throws(InputError) in try readIDX(idx(8, [3], [1, 2])) },
  .init("idx: data too long", 706) { () throws(InputError) in try readIDX(idx(8, [1], [1, 2])) },
  .init("idx: product overflows", 706) { () throws(InputError) in
    try readIDX(idx(8, [1 << 31, 1 << 31, 1 << 31], [1]))
  },
  .init("idx: sizes cut off", 106) { () throws(InputError) in try readIDX([0, 0, 8, 2, 0, 0]) },
  .init("CIFAR: no whole row", 708) { () throws(InputError) in
    _ = try CIFAR.read([UInt8](repeating: 0, count: 3072)[...], file: "a.bin")
  },
  .init("CIFAR: nothing", 708) { () throws(InputError) in
    _ = try CIFAR.read([], file: "a.bin")
  },
  .init("CIFAR-10: label 10", 701) { () throws(InputError) in
    _ = try CIFAR.read(([10] + [UInt8](repeating: 0, count: 3072))[...], file: "a.bin")
  },
  .init("CIFAR-100: label 100", 701) { () throws(InputError) in
    _ = try CIFAR.read(([0, 100] + [UInt8](repeating: 0, count: 3072))[...], file: "a.bin")
  },
]

private let x = tensorEntry("x", "F32", "[1]", 0, 4)

private let malformedTensors: [MalformedInput] = [
  .init("safetensors: shorter than its length field", 106) { () throws(InputError) in
    _ = try Safetensors([1, 0, 0], file: "a.safetensors")
  },
  .init("safetensors: header above 100 MB", 201) { () throws(InputError) in
    _ = try Safetensors(safetensors("{}", [], headerCount: 100_000_001)[...], file: "a.safetensors")
  },
  .init("safetensors: header length of 2^64 - 1", 201) { () throws(InputError) in
    _ = try Safetensors(([UInt8](repeating: 255, count: 8) + ascii("{}"))[...], file: "s")
  },
  .init("safetensors: header longer than the file", 201) { () throws(InputError) in
    _ = try Safetensors(safetensors("{}", [], headerCount: 3)[...], file: "a.safetensors")
  },
  .init("safetensors: header is an array", 202) { () throws(InputError) in try readTensors("[]") },
  .init("safetensors: header begins with a space", 202) { () throws(InputError) in
    try readTensors(" {}")
  },
  .init("safetensors: header of no bytes", 202) { () throws(InputError) in try readTensors("") },
  .init("safetensors: bytes that are not UTF-8", 202) { () throws(InputError) in
    _ = try Safetensors((little(4, 8) + ascii("{\"") + [0xff] + ascii("}"))[...], file: "s")
  },
  .init("safetensors: trailing comma", 202) { () throws(InputError) in
    try readTensors("{\(x),}", a4)
  },
  .init("safetensors: comment", 202) { () throws(InputError) in try readTensors("{/**/\(x)}", a4) },
  .init("safetensors: text after the header's end", 202) { () throws(InputError) in
    try readTensors("{\(x)} {}", a4)
  },
  .init("safetensors: unknown field", 202) { () throws(InputError) in
    try readTensors("{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"a\":1}}", a4)
  },
  .init("safetensors: no dtype", 202) { () throws(InputError) in
    try readTensors("{\"x\":{\"shape\":[1],\"data_offsets\":[0,4]}}", a4)
  },
  .init("safetensors: three offsets", 202) { () throws(InputError) in
    try readTensors("{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", a4)
  },
  .init("safetensors: metadata is a number", 202) { () throws(InputError) in
    try readTensors("{\"__metadata__\":{\"a\":1},\(x)}", a4)
  },
  .init("safetensors: nesting of 65", 202) { () throws(InputError) in
    try readTensors("{\"x\":" + String(repeating: "[", count: 65))
  },
  .init("safetensors: tensor twice", 203) { () throws(InputError) in
    try readTensors("{\(x),\(x)}", a4)
  },
  .init("safetensors: dtype twice", 203) { () throws(InputError) in
    try readTensors(
      "{\"x\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", a4)
  },
  .init("safetensors: name twice by an escape", 203) { () throws(InputError) in
    try readTensors("{\(x),\(tensorEntry("\\u0078", "F32", "[1]", 4, 8))}", a4 + a4)
  },
  .init("safetensors: overlap", 204) { () throws(InputError) in
    try readTensors(
      "{\(x),\(tensorEntry("y", "F32", "[1]", 2, 6))}", [UInt8](repeating: 0, count: 6))
  },
  .init("safetensors: two tensors over the same bytes", 204) { () throws(InputError) in
    try readTensors("{\(x),\(tensorEntry("y", "F32", "[1]", 0, 4))}", a4)
  },
  .init("safetensors: hole", 204) { () throws(InputError) in
    try readTensors("{\(x),\(tensorEntry("y", "F32", "[1]", 8, 12))}", a4 + a4 + a4)
  },
  .init("safetensors: hole at the start", 204) { () throws(InputError) in
    try readTensors("{\(tensorEntry("y", "F32", "[1]", 4, 8))}", a4 + a4)
  },
  .init("safetensors: ends before it begins", 204) { () throws(InputError) in
    try readTensors("{\(tensorEntry("y", "F32", "[1]", 4, 0))}", a4)
  },
  .init("safetensors: length and shape differ", 205) { () throws(InputError) in
    try readTensors("{\(tensorEntry("y", "F32", "[2]", 0, 4))}", a4)
  },
  .init("safetensors: shape overflows", 205) { () throws(InputError) in
    try readTensors("{\(tensorEntry("y", "F32", "[4294967296,4294967296]", 0, 4))}", a4)
  },
  .init("safetensors: bytes overflow", 205) { () throws(InputError) in
    try readTensors("{\(tensorEntry("y", "F64", "[4611686018427387904]", 0, 4))}", a4)
  },
  .init("safetensors: negative size", 205) { () throws(InputError) in
    try readTensors("{\(tensorEntry("y", "F32", "[-1]", 0, 4))}", a4)
  },
  .init("safetensors: size of minus zero", 205) { () throws(InputError) in
    try readTensors("{\(tensorEntry("y", "F32", "[-0]", 0, 0))}")
  },
  .init("safetensors: fractional size", 205) { () throws(InputError) in
    try readTensors("{\(tensorEntry("y", "F32", "[1.0]", 0, 4))}", a4)
  },
  .init("safetensors: size beyond 64 bits", 205) { () throws(InputError) in
    try readTensors("{\(tensorEntry("y", "F32", "[99999999999999999999]", 0, 4))}", a4)
  },
  .init("safetensors: eight-bit float", 206, 4) { () throws(InputError) in
    try readTensors("{\(tensorEntry("y", "F8_E4M3", "[4]", 0, 4))}", a4)
  },
  .init("safetensors: cut in the buffer", 106) { () throws(InputError) in
    try readTensors("{\(tensorEntry("y", "F32", "[2]", 0, 8))}", a4)
  },
  .init("safetensors: bytes after the last tensor", 107) { () throws(InputError) in
    try readTensors("{\(x)}", a4 + [0])
  },
  .init("index: shard missing", 208) { () throws(InputError) in
    _ = try SafetensorsIndex(
      ascii("{\"weight_map\":{\"x\":\"a-1.safetensors\"}}")[...], path: "m/i.json",
      fileExists: { _ in false })
  },
  .init("index: shard in another folder", 202) { () throws(InputError) in
    _ = try SafetensorsIndex(
      ascii("{\"weight_map\":{\"x\":\"../a.safetensors\"}}")[...], path: "m/i.json",
      fileExists: { _ in true })
  },
]

/// An archive of one stored member, changed by `change`.
private func zip(_ change: (inout ZipFixture) -> Void) -> ZipFixture {
  var fixture = ZipFixture(members: [.init("x.npy", [1, 2, 3])])
  change(&fixture)
  return fixture
}

private let malformedContainers: [MalformedInput] = [
  .init("zip: no end record", 406) { () throws(InputError) in
    _ = try ZipArchive(zip { _ in }.bytes.dropLast(22), file: "a.npz")
  },
  .init("zip: encrypted", 406) { () throws(InputError) in
    try readZip(zip { $0.members[0].flags = 1 })
  },
  .init("zip: names twice", 406) { () throws(InputError) in
    try readZip(zip { $0.members.append($0.members[0]) })
  },
  .init("zip: climbs out", 406) { () throws(InputError) in
    try readZip(zip { $0.members[0].name = "a/../../x.npy" })
  },
  .init("zip: absolute name", 406) { () throws(InputError) in
    try readZip(zip { $0.members[0].name = "/x.npy" })
  },
  .init("zip: backslash in a name", 406) { () throws(InputError) in
    try readZip(zip { $0.members[0].name = "..\\x.npy" })
  },
  .init("zip: wrong CRC", 406) { () throws(InputError) in try readZip(zip { $0.members[0].crc = 1 })
  },
  .init("zip: unknown method", 406) { () throws(InputError) in
    try readZip(zip { $0.members[0].method = 12 })
  },
  .init("zip: stored member with two lengths", 406) { () throws(InputError) in
    _ = try ZipArchive(zip { $0.members[0].count = 9 }.bytes[...], file: "a.npz")
  },
  .init("zip: several disks", 406) { () throws(InputError) in try readZip(zip { $0.disk = 1 }) },
  .init("zip: member on another disk", 406) { () throws(InputError) in
    try readZip(zip { $0.members[0].disk = 1 })
  },
  .init("zip: wrong number of members", 406) { () throws(InputError) in
    try readZip(zip { $0.memberCount = 2 })
  },
  .init("zip: directory elsewhere", 406) { () throws(InputError) in
    try readZip(zip { $0.directoryShift = 1 })
  },
  .init("zip: local header of another name", 406) { () throws(InputError) in
    try readZip(zip { $0.members[0].localName = "y.npy" })
  },
  .init("zip: local header of another length", 406) { () throws(InputError) in
    try readZip(zip { $0.members[0].localCount = 4 })
  },
  .init("zip: no local header", 406) { () throws(InputError) in
    try readZip(zip { $0.members[0].headerOffset = 1 })
  },
  .init("zip: member beyond the file", 406) { () throws(InputError) in
    try readZip(zip { $0.members[0].headerOffset = 1 << 30 })
  },
  .init("zip: two members over the same bytes", 406) { () throws(InputError) in
    try readZip(
      zip {
        $0.members.append($0.members[0])
        $0.members[1].name = "y.npy"
        $0.members[1].headerOffset = 0
      })
  },
  .init("zip: a whole member inside another's data", 406) { () throws(InputError) in
    let inner = ZipFixture.Member("y.npy", [4, 5])
    let local = Array(ZipFixture(members: [inner]).bytes.prefix(30 + 5 + 2))
    var fixture = ZipFixture(members: [.init("x.npy", local), inner])
    fixture.members[1].headerOffset = 30 + 5
    try readZip(fixture)
  },
  .init("zip: local header of another checksum", 406) { () throws(InputError) in
    try readZip(zip { $0.members[0].localCRC = 1 })
  },
  .init("zip: 64-bit sizes beyond the file", 406) { () throws(InputError) in
    try readZip(
      zip {
        $0.isWide = true
        $0.wideDirectoryByteCount = 1 << 40
      })
  },
  .init("zip: bytes between directory and end record", 406) { () throws(InputError) in
    try readZip(zip { $0.gap = [0] })
  },
  .init("zip: unpacks 1 000 to 1, seen before it is unpacked", 406) { () throws(InputError) in
    var fixture = zip { $0.members[0] = .init("x.npy", [], deflate: zeroRunDeflate(repeats: 5000)) }
    fixture.members[0].count = 1 + 258 * 5000
    _ = try ZipArchive(fixture.bytes[...], file: "a.npz")
  },
  .init("zip: deflate data damaged", 406) { () throws(InputError) in
    try readZip(zip { $0.members[0].deflate = [7, 7, 7] })
  },
  .init("zip: deflate data too short", 406) { () throws(InputError) in
    try readZip(zip { $0.members[0].deflate = storedDeflate([1, 2]) })
  },
  .init("zip: deflate data too long", 406) { () throws(InputError) in
    try readZip(zip { $0.members[0].deflate = storedDeflate([1, 2, 3, 4]) })
  },
  .init("gzip: wrong CRC", 707) { () throws(InputError) in
    try readGzip(gzipMember([1, 2, 3], crc: 0))
  },
  .init("gzip: length field too small", 707) { () throws(InputError) in
    try readGzip(gzipMember([1, 2, 3], count: 2))
  },
  .init("gzip: length field too large", 707) { () throws(InputError) in
    try readGzip(gzipMember([1, 2, 3], count: 4))
  },
  .init("gzip: two members", 707) { () throws(InputError) in
    try readGzip(gzipMember([1, 2]) + gzipMember([3, 4]))
  },
  .init("gzip: bytes after the end", 707) { () throws(InputError) in
    try readGzip(gzipMember([1, 2, 3]) + [0, 0, 0])
  },
  .init("gzip: claims 4 GB", 707) { () throws(InputError) in
    try readGzip(gzipMember([1, 2, 3], count: 0xffff_ffff))
  },
  .init("gzip: claims more than deflate can pack", 707) { () throws(InputError) in
    // No inflater is asked for what cannot be: this one would be believed.
    _ = try Gzip.decompressed(
      gzipMember([UInt8](repeating: 0, count: 1101), deflate: [0])[...], file: "a.gz",
      inflate: { (_, count) throws(InflateFailure) in
        [UInt8](repeating: 0, count: count)
      })
  },
  .init("gzip: reserved flag", 707) { () throws(InputError) in
    try readGzip(gzipMember([1], flags: 0x20))
  },
  .init("gzip: other method", 707) { () throws(InputError) in
    try readGzip(gzipMember([1], method: 7))
  },
  .init("gzip: wrong header checksum", 707) { () throws(InputError) in
    try readGzip(gzipMember([1], flags: 2, extra: [0, 0]))
  },
  .init("gzip: cut in the header", 106) { () throws(InputError) in
    try readGzip([0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 255] + ascii("name"))
  },
  .init("gzip: deflate data damaged", 707) { () throws(InputError) in
    try readGzip(gzipMember([1], deflate: [7, 7, 7]))
  },
]

private let malformedText: [MalformedInput] = [
  .init("csv: ragged row", 704) { () throws(InputError) in try readCSV("1,2,0\n1,0\n") },
  .init("csv: quotes", 704) { () throws(InputError) in try readCSV("1,2,\"a\"\n") },
  .init("csv: decimal comma", 704) { () throws(InputError) in try readCSV("1.5,2,0\n3,5,2,0\n") },
  .init("csv: semicolons", 704) { () throws(InputError) in try readCSV("1;2;0\n3;4;1\n") },
  .init("csv: semicolons and decimal commas", 704) { () throws(InputError) in
    try readCSV("1,5;2,5;0\n3,5;4,5;1\n")
  },
  .init("csv: word in a feature", 704) { () throws(InputError) in try readCSV("1,2,0\n1,n/a,0\n") },
  .init("csv: word in the first row", 704) { () throws(InputError) in
    try readCSV("1,2.O,0\n1,2,0\n")
  },
  .init("csv: empty field", 704) { () throws(InputError) in try readCSV("1,2,0\n1,,0\n") },
  .init("csv: empty label", 704) { () throws(InputError) in try readCSV("1,2,a\n1,2,\n") },
  .init("csv: one column", 704) { () throws(InputError) in try readCSV("1\n2\n") },
  .init("csv: 21 digits", 704) { () throws(InputError) in
    try readCSV("0.123456789012345678912,0\n")
  },
  .init("csv: exponent of a million", 704) { () throws(InputError) in
    try readCSV("1e1000000,0\n")
  },
  .init("csv: not a number", 704) { () throws(InputError) in try readCSV("1,0\nnan,0\n") },
  .init("csv: bare CR", 704) { () throws(InputError) in try readCSV("1,2,0\r3,4,0\r") },
  .init("csv: header of numbers", 704) { () throws(InputError) in
    try readCSV("0,1,label\n5,6,1\n7,8,0\n")
  },
  .init("csv: header only", 703) { () throws(InputError) in try readCSV("a,b,c\n") },
  .init("csv: blank lines only", 703) { () throws(InputError) in try readCSV("\n \r\n") },
  .init("csv: no such column", 805, 2) { () throws(InputError) in
    try readCSV("a,b,c\n1,2,0\n", label: .named("d"))
  },
  .init("csv: column 3 of 3", 805, 2) { () throws(InputError) in
    try readCSV("1,2,0\n", label: .index(3))
  },
  .init("recipe: not JSON", 202, 2) { () throws(InputError) in try readJSON("{epochs: 5}") },
  .init("recipe: key twice", 203, 2) { () throws(InputError) in try readJSON("{\"a\":1,\"a\":1}") },
  .init("recipe: single quotes", 202, 2) { () throws(InputError) in try readJSON("{'a':1}") },
  .init("recipe: hexadecimal", 202, 2) { () throws(InputError) in try readJSON("{\"a\":0x10}") },
  .init("recipe: leading zero", 202, 2) { () throws(InputError) in try readJSON("[01]") },
  .init("recipe: comment without end", 202, 2) { () throws(InputError) in try readJSON("[1] /* x")
  },
  .init("recipe: half a surrogate pair", 202, 2) { () throws(InputError) in
    try readJSON("[\"\\ud800x\"]")
  },
  .init("recipe: empty", 202, 2) { () throws(InputError) in try readJSON("") },
]

private let allMalformed =
  malformedArrays + malformedTensors + malformedContainers + malformedText

@Suite("Malformed input")
struct MalformedInputTests {
  @Test("is refused with its code and exit status", arguments: allMalformed)
  func refused(_ input: MalformedInput) throws {
    let error = try #require(fault(input.read), "accepted")
    #expect(error.code == input.code, "\(error)")
    #expect(error.exit == input.exit, "\(error)")
    #expect(error.place != nil, "every refusal names its place")
  }

  @Test("the table has no case twice and covers the catalogue's rows")
  func tableIsComplete() {
    #expect(Set(allMalformed.map(\.name)).count == allMalformed.count)
    let codes = Set(allMalformed.map(\.code))
    for code in [106, 107, 201, 202, 203, 204, 205, 206, 208, 406, 505, 606, 701, 703, 704, 706] {
      #expect(codes.contains(code), "\(code)")
    }
    #expect(codes.isSuperset(of: [707, 708, 805]))
  }
}
