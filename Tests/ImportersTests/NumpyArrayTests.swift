import Importers
import Testing

@Suite("NumPy arrays")
struct NumpyArrayTests {
  private func read(_ bytes: [UInt8]) throws -> NumericArray {
    try NumpyArray.read(bytes[...], file: "a.npy")
  }

  /// Two elements in big-endian bytes, and what they must be.
  static let elements: [(type: String, size: Int, bytes: [UInt8], storage: NumericArray.Storage)] =
    [
      ("u1", 1, [0, 255], .uint8([0, 255])),
      ("i1", 1, [0x80, 0x7f], .int8([-128, 127])),
      ("b1", 1, [0, 1], .uint8([0, 1])),
      ("u2", 2, [0xff, 0xff, 0, 1], .int32([65535, 1])),
      ("i2", 2, [0x80, 0, 0x12, 0x34], .int16([-32768, 0x1234])),
      ("u4", 4, [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1], .int64([4_294_967_295, 1])),
      ("i4", 4, [0x80, 0, 0, 0, 1, 2, 3, 4], .int32([.min, 0x0102_0304])),
      (
        "u8", 8, [0x7f] + Array(repeating: 0xff, count: 7) + [0, 0, 0, 0, 0, 0, 0, 9],
        .int64([.max, 9])
      ),
      (
        "i8", 8, [0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8],
        .int64([.min, 0x0102_0304_0506_0708])
      ),
      ("f2", 2, [0x3c, 0, 0x80, 1], .float32([1, -0x1p-24])),
      ("f4", 4, [0x3f, 0xc0, 0, 0, 0x80, 0, 0, 1], .float32([1.5, -0x1p-149])),
      (
        "f8", 8, [0x3f, 0xf8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], .float64([1.5, 0x1p-1074])
      ),
    ]

  @Test("every type in both byte orders", arguments: elements.indices)
  func types(_ index: Int) throws {
    let (type, size, bytes, storage) = Self.elements[index]
    let swapped = stride(from: 0, to: bytes.count, by: size)
      .flatMap { bytes[$0..<$0 + size].reversed() }
    let expected = NumericArray(shape: [2], storage: storage)
    #expect(try read(npy(npyHeader(">\(type)", "(2,)"), bytes)) == expected)
    #expect(try read(npy(npyHeader("<\(type)", "(2,)"), swapped)) == expected)
    if size == 1 { #expect(try read(npy(npyHeader("|\(type)", "(2,)"), bytes)) == expected) }
  }

  @Test("versions 1, 2 and 3")
  func versions() throws {
    for major in 1...3 as ClosedRange<UInt8> {
      let bytes = npy(npyHeader("|u1", "(2,)"), [1, 2], version: [major, 0])
      #expect(try read(bytes) == NumericArray(shape: [2], storage: .uint8([1, 2])))
    }
  }

  @Test("Fortran order is turned into C order")
  func fortran() throws {
    // [[1, 2, 3], [4, 5, 6]] by columns.
    let bytes = npy(npyHeader("|u1", "(2, 3)", fortran: true), [1, 4, 2, 5, 3, 6])
    #expect(try read(bytes) == NumericArray(shape: [2, 3], storage: .uint8([1, 2, 3, 4, 5, 6])))
    let line = npy(npyHeader("|u1", "(3,)", fortran: true), [1, 2, 3])
    #expect(try read(line) == NumericArray(shape: [3], storage: .uint8([1, 2, 3])))
  }

  @Test(
    "other spellings of the same dictionary",
    arguments: [
      "{\"descr\":\"|u1\",\"fortran_order\":False,\"shape\":(2,)}",
      "{'shape': (2,), 'fortran_order': False, 'descr': '|u1'}",
      "  { 'descr' : '|u1' , 'fortran_order' : False , 'shape' : ( 2 , ) }   ",
    ])
  func spellings(_ header: String) throws {
    #expect(try read(npy(header, [1, 2])) == NumericArray(shape: [2], storage: .uint8([1, 2])))
  }

  @Test("no axes, an axis of no extent")
  func degenerate() throws {
    #expect(
      try read(npy(npyHeader("|u1", "()"), [7])) == NumericArray(shape: [], storage: .uint8([7])))
    #expect(
      try read(npy(npyHeader("<f4", "(0, 3)"), []))
        == NumericArray(shape: [0, 3], storage: .float32([])))
  }

  @Test("what is written is read again")
  func roundTrip() throws {
    let storages: [NumericArray.Storage] = [
      .uint8([0, 1, 254, 255, 7, 8]), .int8([-128, -1, 0, 1, 2, 127]),
      .int16([.min, -1, 0, 1, 256, .max]), .int32([.min, -1, 0, 1, 65536, .max]),
      .int64([.min, -1, 0, 1, 1 << 40, .max]),
      .float32([0, -0.0, .infinity, Float(bitPattern: 0x7fc0_1234), 0x1p-149, 3.25]),
      .float64([0, -0.0, -.infinity, Double(bitPattern: 0x7ff8_0000_0000_1234), 0x1p-1074, 0.1]),
    ]
    for storage in storages {
      for shape in [[6], [2, 3], [1, 6, 1], [3, 1, 1, 2]] {
        let array = NumericArray(shape: shape, storage: storage)
        let bytes = try NumpyArray.encoded(array)
        #expect(try read(bytes) == array)
        // The header's length, its end, and the alignment of the data behind it.
        let headerEnd = 10 + Int(bytes[8]) + Int(bytes[9]) << 8
        #expect(headerEnd % 64 == 0 && bytes[headerEnd - 1] == 10)
      }
    }
    #expect(
      try read(try NumpyArray.encoded(NumericArray(shape: [], storage: .int8([3])))).shape == [])
  }

  @Test("decimals cannot be written")
  func decimals() {
    let array = NumericArray(shape: [1], storage: .decimal([ExactDecimal(1)]))
    let error = fault { () throws(InputError) in _ = try NumpyArray.encoded(array) }
    #expect(error?.code == 505)
  }

  /// The bytes of `numpy.save` of `numpy.arange(3, dtype='<i2')`, as NumPy 2.4 writes them.
  @Test("the writer's bytes are NumPy's own")
  func numpyBytes() throws {
    let header = "{'descr': '<i2', 'fortran_order': False, 'shape': (3,), }"
    let padding = String(repeating: " ", count: 128 - 10 - header.utf8.count - 1)
    let expected =
      [0x93] + ascii("NUMPY") + [1, 0, 118, 0] + ascii(header + padding + "\n") + [
        0, 0, 1, 0, 2, 0,
      ]
    #expect(
      try NumpyArray.encoded(NumericArray(shape: [3], storage: .int16([0, 1, 2]))) == expected)
  }

  /// Every one of the 65 536 halves, defined a second time by its formula in double precision.
  @Test("halves and brain floats are widened exactly")
  func halves() throws {
    let words = (0...65535).map { UInt16($0) }
    let bytes = words.flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] }
    guard case .float32(let halves) = try read(npy(npyHeader("<f2", "(65536,)"), bytes)).storage
    else {
      Issue.record("the type is not float32")
      return
    }
    let header = "{\(tensorEntry("x", "BF16", "[65536]", 0, 131_072))}"
    let file = try Safetensors(safetensors(header, bytes)[...], file: "s")
    guard case .float32(let brains)? = try file.array(named: "x")?.storage else {
      Issue.record("the type is not float32")
      return
    }
    var powers: [Int: Double] = [:]
    for exponent in -24...15 {
      powers[exponent] = exponent < 0 ? 1 / Double(1 << -exponent) : Double(1 << exponent)
    }
    var wrong = 0
    for word in words {
      let sign: Double = word >> 15 == 1 ? -1 : 1
      let (exponent, fraction) = (Int(word >> 10 & 31), Double(word & 1023))
      let value = halves[Int(word)]
      let isRight: Bool
      if exponent == 31 {
        isRight = fraction == 0 ? Double(value) == sign * .infinity : value.isNaN
      } else if exponent == 0 {
        isRight = Double(value) == sign * fraction * powers[-24]!
      } else {
        isRight = Double(value) == sign * (1 + fraction / 1024) * powers[exponent - 15]!
      }
      let hasSign = (value.sign == .minus) == (word >> 15 == 1)
      if !isRight || !hasSign { wrong += 1 }
      if brains[Int(word)].bitPattern != UInt32(word) << 16 { wrong += 1 }
    }
    #expect(wrong == 0)
  }
}
