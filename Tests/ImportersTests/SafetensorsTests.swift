import Importers
import Testing

@Suite("safetensors")
struct SafetensorsTests {
  /// Two elements in little-endian bytes, and what they must be.
  static let elements: [(type: String, bytes: [UInt8], storage: NumericArray.Storage)] = [
    ("BOOL", [0, 1], .uint8([0, 1])), ("U8", [0, 255], .uint8([0, 255])),
    ("I8", [0x80, 1], .int8([-128, 1])), ("I16", [0, 0x80, 2, 0], .int16([.min, 2])),
    ("U16", [0xff, 0xff, 2, 0], .int32([65535, 2])),
    ("I32", [0, 0, 0, 0x80, 2, 1, 0, 0], .int32([.min, 258])),
    ("U32", [255, 255, 255, 255, 2, 0, 0, 0], .int64([4_294_967_295, 2])),
    ("I64", [0, 0, 0, 0, 0, 0, 0, 0x80, 2, 1, 0, 0, 0, 0, 0, 0], .int64([.min, 258])),
    ("U64", [1, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0], .int64([1, 258])),
    ("F16", [0, 0x3c, 1, 0x80], .float32([1, -0x1p-24])),
    ("BF16", [0x80, 0x3f, 0, 0xc0], .float32([1, -2])),
    ("F32", [0, 0, 0x80, 0x3f, 0, 0, 0x80, 0x7f], .float32([1, .infinity])),
    ("F64", [0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0x80], .float64([1, -0.0])),
  ]

  @Test("every type", arguments: elements.indices)
  func types(_ index: Int) throws {
    let (type, bytes, storage) = Self.elements[index]
    let header = "{\(tensorEntry("x", type, "[2,1]", 0, bytes.count))}"
    let file = try Safetensors(safetensors(header, bytes)[...], file: "f")
    #expect(try file.array(named: "x") == NumericArray(shape: [2, 1], storage: storage))
    #expect(try file.array(named: "y") == nil)
  }

  @Test("tensors in any order of the header, empty ones, scalars, metadata, padding")
  func layout() throws {
    let entries = [
      tensorEntry("b", "U8", "[]", 2, 3), tensorEntry("empty", "F32", "[0,3]", 2, 2),
      tensorEntry("a", "U8", "[2]", 0, 2),
      tensorEntry("huge by nothing", "F64", "[0,4294967296,4294967296]", 3, 3),
    ]
    let header =
      "{\"__metadata__\":{\"format\":\"pt\",\"note\":\"\"},\(entries.joined(separator: ","))}  \n"
    let file = try Safetensors(safetensors(header, [1, 2, 3])[...], file: "f")
    #expect(file.tensors.map(\.name) == ["a", "empty", "b", "huge by nothing"])
    #expect(try file.array(named: "b") == NumericArray(shape: [], storage: .uint8([3])))
    #expect(try file.array(named: "empty")?.shape == [0, 3])
    #expect(file.metadata.map(\.key) == ["format", "note"])
    #expect(try Safetensors(safetensors("{}", [])[...], file: "f").tensors.isEmpty)
  }

  @Test("what is written is read again, aligned and in a fixed order")
  func roundTrip() throws {
    let tensors: [(name: String, array: NumericArray)] = [
      ("z\"\\\n", NumericArray(shape: [3], storage: .int8([1, -2, 3]))),
      ("a", NumericArray(shape: [2, 1], storage: .int16([.min, .max]))),
      (
        "layer.weight",
        NumericArray(shape: [2], storage: .float32([-0.0, Float(bitPattern: 0x7fc0_0001)]))
      ),
      ("d", NumericArray(shape: [1], storage: .float64([0.1]))),
      ("é", NumericArray(shape: [], storage: .int64([.min]))),
      ("i", NumericArray(shape: [0], storage: .int32([]))),
      ("B", NumericArray(shape: [1], storage: .uint8([9]))),
    ]
    let metadata = [(key: "scale", value: "0.1"), (key: "by", value: "tally \u{1}")]
    let bytes = Safetensors.encoded(tensors, metadata: metadata)
    #expect(bytes == Safetensors.encoded(tensors.reversed(), metadata: metadata.reversed()))
    let headerCount = Int(bytes[0]) | Int(bytes[1]) << 8
    #expect((8 + headerCount) % 64 == 0)
    let header = String(decoding: bytes[8..<8 + headerCount], as: UTF8.self)
    #expect(
      header.hasPrefix(
        #"{"__metadata__":{"by":"tally \u0001","scale":"0.1"},"B":{"dtype":"U8","shape":[1],"#))

    let file = try Safetensors(bytes[...], file: "f")
    #expect(file.tensors.count == tensors.count)
    for (name, array) in tensors { #expect(try file.array(named: name) == array) }
    for tensor in file.tensors where !tensor.byteRange.isEmpty {
      #expect(tensor.byteRange.lowerBound % tensor.type.byteCount == 0, "\(tensor.name)")
    }
    #expect(file.metadata.first { $0.key == "by" }?.value == "tally \u{1}")
  }

  @Test("a header fault has its line and column")
  func place() throws {
    let header = "{\n \"x\": {\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}"
    let error = try #require(
      fault { () throws(InputError) in
        _ = try Safetensors(safetensors(header, [0, 0, 0, 0])[...], file: "f")
      })
    #expect(error.code == 205 && error.place == "f:2:31", "\(error)")
  }

  @Test("an index names its shards once each, in its own folder")
  func index() throws {
    let text = #"{"metadata":{"total_size":3},"weight_map":{"a":"m-1","b":"m-2","c":"m-1"}}"#
    let index = try SafetensorsIndex(
      ascii(text)[...], path: "dir/i.json", fileExists: { _ in true })
    #expect(index.shardPaths == ["dir/m-1", "dir/m-2"])
    #expect(index.shardOfTensor.map(\.tensor) == ["a", "b", "c"])
    let error = try #require(
      fault { () throws(InputError) in
        _ = try SafetensorsIndex(
          ascii(text)[...], path: "dir/i.json", fileExists: { $0 == "dir/m-1" })
      })
    #expect(error.code == 208 && error.message.contains("‘m-2’"), "\(error)")
  }

  @Test("the parts of a split checkpoint are one; a tensor in two of them, or in none, is refused")
  func parts() throws {
    func part(_ name: String, _ value: UInt8) throws -> Safetensors {
      try Safetensors(
        safetensors("{\(tensorEntry(name, "U8", "[1]", 0, 1))}", [value])[...], file: "m-\(value)")
    }
    let text = #"{"weight_map":{"a":"m-1","b":"m-2"}}"#
    let index = try SafetensorsIndex(ascii(text)[...], path: "i.json", fileExists: { _ in true })
    let whole = try Safetensors(joining: [part("a", 7), part("b", 9)], index, file: "i.json")
    #expect(whole.tensors.map(\.name) == ["a", "b"])
    for (name, value) in [("a", 7), ("b", 9)] as [(String, UInt8)] {
      #expect(
        try whole.array(named: name) == NumericArray(shape: [1], storage: .uint8([value])))
    }
    for (second, code) in [("a", 203), ("c", 208)] {
      let error = fault { () throws(InputError) in
        _ = try Safetensors(
          joining: [
            try Safetensors(
              safetensors("{\(tensorEntry("a", "U8", "[1]", 0, 1))}", [1])[...], file: "m-1"),
            try Safetensors(
              safetensors("{\(tensorEntry(second, "U8", "[1]", 0, 1))}", [1])[...], file: "m-2"),
          ], index, file: "i.json")
      }
      #expect(error?.code == code && error?.exit == 3, "\(second)")
    }
  }

  @Test(
    "real checkpoints",
    .enabled(if: SharedData.has("models"), "no data at ../shared/data"),
    arguments: [
      ("models/dscnn-kws/dscnn-kws.safetensors", 56, "L0.kernel", [10, 4, 1, 64]),
      ("models/resnet20-cifar10/resnet20.safetensors", 97, "conv1.weight", [16, 3, 3, 3]),
      ("models/resnet8-cifar10/resnet8-cifar10.safetensors", 48, "conv2d.kernel", [3, 3, 3, 16]),
    ])
  func real(_ name: String, _ count: Int, _ tensor: String, _ shape: [Int]) throws {
    let path = SharedData.path(name)
    let file = try Safetensors(try FileContents(path: path).bytes[...], file: path)
    #expect(file.tensors.count == count)
    let array = try #require(try file.array(named: tensor))
    #expect(array.shape == shape)
    for tensor in file.tensors { try file.array(named: tensor.name)!.requireFinite(tensor.name) }
  }
}
