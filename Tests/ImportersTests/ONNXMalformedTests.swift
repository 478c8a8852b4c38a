import Foundation
import Importers
import TallyTestSupport
import Testing

@Suite("ONNX: malformed and hostile files")
struct ONNXMalformedTests {
  /// Reads bytes as a whole file, down to the network.
  private func read(_ bytes: [UInt8]) -> InputError? {
    fault { () throws(InputError) in
      _ = try FloatNetwork(importing: ONNXModel(parsing: bytes, fileName: "m.onnx"))
    }
  }

  @Test("the sketch the others are made from is accepted")
  func baseline() throws {
    #expect(code(.dense) == nil)
  }

  // MARK: - Protobuf

  @Test("cut off anywhere")
  func truncated() throws {
    let bytes = ONNXSketch.dense.bytes
    for count in 0..<bytes.count {
      let error = try #require(read(Array(bytes[..<count])), "\(count) bytes were accepted")
      // 306: the graph is whole and the operator set, which follows it, is gone.
      #expect([102, 106, 301, 306].contains(error.code))
    }
  }

  @Test("a real export cut at every sixteenth", arguments: ["cnn-legacy", "mlp-dynamo", "qdq-mlp"])
  func truncatedExports(_ name: String) throws {
    let path = "\(onnxFixtures)/\(name).onnx"
    let bytes = [UInt8](try #require(FileManager.default.contents(atPath: path)))
    for sixteenth in 0..<16 {
      let count = bytes.count * sixteenth / 16
      let error = try #require(read(Array(bytes[..<count])))
      #expect(sixteenth == 0 ? error.code == 102 : error.code == 301, "\(count) bytes")
      #expect(error.exit == 3)
    }
  }

  @Test(
    "protobuf that no writer makes",
    arguments: [
      ("varint of eleven bytes", [0x08] + [UInt8](repeating: 0x80, count: 10) + [0]),
      ("varint beyond 64 bits", [0x08] + [UInt8](repeating: 0xff, count: 9) + [2]),
      ("varint cut off", [0x08, 0x80]), ("start of a group", [0x3b]), ("end of a group", [0x3c]),
      ("wire type 6", [0x3e]), ("wire type 7", [0x3f]), ("field number 0", [0x02, 0x00]),
      ("length past the end", [0x3a, 0x7f, 0x00]),
      ("length of 2⁶³", [0x3a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]),
      ("graph as a number", [0x38, 0x01]), ("fixed64 cut off", [0x61, 0, 0, 0]),
      ("fixed32 cut off", [0x65, 0]), ("name that is not UTF-8", [0x3a, 4, 0x12, 2, 0xc3, 0x28]),
      ("two graphs", [0x3a, 0, 0x3a, 0]),
    ] as [(String, [UInt8])])
  func protobuf(_ name: String, _ bytes: [UInt8]) throws {
    let error = try #require(read(bytes))
    #expect(error.code == 301)
    #expect(error.exit == 3)
    #expect(error.place?.contains("byte") == true)
  }

  @Test("bytes behind the model: a warning, and the network is read")
  func trailing() throws {
    let bytes = ONNXSketch.dense.bytes
    for tail in [[0], [0xff, 0xff], Array("<html>".utf8), [0x3b, 0x00]] as [[UInt8]] {
      let model = try ONNXModel(parsing: bytes + tail)
      #expect(model.trailingByteCount == tail.count)
      let network = try FloatNetwork(importing: model)
      #expect(network.warnings.map(\.code) == [107])
    }
  }

  @Test("messages inside messages: 33 levels are too many, 30 are not")
  func nesting() throws {
    // Graph, node, attribute, graph, …: three levels per turn.
    func nested(_ turns: Int) -> [UInt8] {
      func wrapped(_ field: UInt8, _ inner: [UInt8]) -> [UInt8] {
        var length = inner.count
        var prefix = [field << 3 | 2]
        while length >= 0x80 {
          prefix.append(UInt8(length & 0x7f) | 0x80)
          length >>= 7
        }
        return prefix + [UInt8(length)] + inner
      }
      var graph: [UInt8] = []
      for _ in 0..<turns { graph = wrapped(1, wrapped(5, wrapped(6, graph))) }
      return wrapped(7, graph)
    }
    #expect(read(nested(12))?.code == 301)
    #expect(read(nested(10))?.code == 306)
    #expect(read(nested(2_000))?.code == 301)
  }

  @Test("one byte changed: an answer, never a trap")
  func mutations() throws {
    var generator = SplitMix64(seed: 0x0e14)
    var accepted = 0
    for name in ["squeeze-excite-legacy", "qdq-mlp", "branches-dynamo", "keras-style"] {
      let path = "\(onnxFixtures)/\(name).onnx"
      let bytes = [UInt8](try #require(FileManager.default.contents(atPath: path)))
      for _ in 0..<250 {
        var changed = bytes
        let position = Int.random(in: 0..<bytes.count, using: &generator)
        changed[position] = UInt8.random(in: 0...255, using: &generator)
        if let error = read(changed) {
          #expect([2, 3, 4].contains(error.exit), "\(name) byte \(position): \(error)")
        } else {
          accepted += 1
        }
      }
    }
    // Most bytes are weights: a reader that refused everything would not pass.
    #expect(accepted > 250)
  }

  // MARK: - Tensors

  private func dense(_ change: (inout ONNXTensor) -> Void) -> ONNXSketch {
    var sketch = ONNXSketch.dense
    change(&sketch.initializers[0])
    return sketch
  }

  @Test("elements and shape disagree")
  func elementCounts() {
    #expect(code(dense { $0.dimensions = [4, 4] }) == 309)
    #expect(code(dense { $0.dimensions = [4, -3] }) == 309)
    #expect(code(dense { $0.dimensions = [1 << 40, 1 << 40] }) == 309)
    #expect(code(dense { $0.dimensions = [65_536, 65_536] }) == 309)
    #expect(code(dense { $0.dimensions = [Int64](repeating: 1, count: 9) }) == 301)
    #expect(code(dense { $0.raw = $0.raw?.dropLast() }) == 309)
    #expect(code(dense { $0.elementType = .double }) == 309)
    #expect(code(dense { $0.elementType = .float16 }) == 309)
  }

  @Test("elements stored twice, in the wrong list, or as text")
  func elementLists() {
    #expect(code(dense { $0.floats = [1] }) == 309)
    #expect(code(dense { $0.raw = nil }) == 309)
    #expect(
      code(
        dense {
          $0.raw = nil
          $0.doubles = [Double](repeating: 0, count: 12)
        }) == 309)
    #expect(
      code(
        dense {
          $0.raw = nil
          $0.elementType = .int8
          $0.int32s = [Int64](repeating: 200, count: 12)
        }) == 309)
    #expect(code(dense { $0.elementType = .string }) == 309)
    #expect(code(dense { $0.elementType = ONNXElementType(rawValue: 17) }) == 206)
    #expect(
      code(
        dense {
          $0.raw = nil
          $0.elementType = .double
          $0.doubles = [Double](repeating: 1e300, count: 12)
        }) == 606)
  }

  @Test("numbers that are none")
  func notFinite() {
    for value in [Float.nan, .infinity, -.infinity] {
      var sketch = ONNXSketch.dense
      sketch.floats("bad", [3], [0, value, 0])
      sketch.nodes[0].inputs[2] = "bad"
      #expect(code(sketch) == 601)
    }
    var normalized = ONNXSketch.dense
    normalized.nodes[0].outputs = ["h"]
    normalized.floats("one", [3], [1, 1, 1])
    normalized.floats("variance", [3], [1, -1, 1])
    normalized.add("BatchNormalization", ["h", "one", "b", "b", "one"], "y")
    #expect(code(normalized) == nil)
    normalized.nodes[1].inputs[4] = "variance"
    #expect(code(normalized) == 604)
    // In range one by one, out of range when folded together.
    var huge = ONNXSketch.dense
    huge.nodes[0].outputs = ["h"]
    huge.floats("huge", [3], [3e38, 3e38, 3e38])
    huge.add("Mul", ["h", "huge"], "g")
    huge.add("Mul", ["g", "huge"], "y")
    #expect(code(huge) == 601)
  }

  // MARK: - Graph

  @Test("names that lead nowhere, or to two places")
  func names() {
    var undefined = ONNXSketch.dense
    undefined.nodes[0].inputs[0] = "nothing"
    #expect(code(undefined) == 307)
    var noOutput = ONNXSketch.dense
    noOutput.outputs = ["z"]
    #expect(code(noOutput) == 307)
    var none = ONNXSketch.dense
    none.outputs = []
    #expect(code(none) == 307)
    var twice = ONNXSketch.dense
    twice.add("Relu", ["x"], "y")
    #expect(code(twice) == 307)
    var shadowing = ONNXSketch.dense
    shadowing.add("Relu", ["x"], "w")
    #expect(code(shadowing) == 307)
    var initializers = ONNXSketch.dense
    initializers.floats("w", [1], [0])
    #expect(code(initializers) == 307)
    var constant = ONNXSketch.dense
    constant.nodes = []
    constant.add("Identity", ["b"], "y")
    #expect(code(constant) == 307)
  }

  @Test("a cycle, and a node that reads itself")
  func cycles() {
    var cycle = ONNXSketch()
    cycle.add("Add", ["x", "b"], "a")
    cycle.add("Relu", ["a"], "b")
    cycle.add("Relu", ["b"], "y")
    #expect(code(cycle) == 307)
    var own = ONNXSketch()
    own.add("Add", ["x", "y"], "y")
    #expect(code(own) == 307)
  }

  @Test("nodes in any order, and 5 000 of them in a chain")
  func order() throws {
    var chain = ONNXSketch.dense
    chain.nodes[0].outputs = ["h0"]
    for index in 0..<5_000 { chain.add("Identity", ["h\(index)"], "h\(index + 1)") }
    chain.add("Identity", ["h5000"], "y")
    let reversed = chain.nodes.reversed()
    #expect(try chain.network().nodes.count == 1)
    chain.nodes = Array(reversed)
    #expect(try chain.network().nodes.count == 1)
  }

  @Test("several outputs: the error lists them, the option chooses")
  func outputs() throws {
    var two = ONNXSketch.dense
    two.add("Relu", ["y"], "z")
    two.outputs = ["y", "z"]
    let error = try #require(fault { () throws(InputError) in _ = try two.network() })
    #expect(error.code == 307)
    #expect(error.exit == 2)
    #expect(error.message.contains("y, z"))
    #expect(try two.network(ONNXImportOptions(output: "y")).nodes.count == 1)
    #expect(try two.network(ONNXImportOptions(output: "z")).nodes.count == 2)
    #expect(code(two, ONNXImportOptions(output: "nothing")) == 307)
  }

  @Test("versions", arguments: [(0, 306), (6, 306), (7, nil), (13, nil), (23, nil), (24, 306)])
  func versions(_ opset: Int64, _ expected: Int?) {
    var sketch = ONNXSketch.dense
    sketch.opset = opset
    #expect(code(sketch) == expected)
  }

  @Test("no operator set, another one, an unknown IR")
  func operatorSets() {
    func code(_ change: (inout ONNXModel) -> Void) -> Int? {
      var model = ONNXSketch.dense.model
      change(&model)
      return read(model.serialized())?.code
    }
    #expect(code { $0.operatorSets = [] } == 306)
    #expect(code { $0.operatorSets = [.init(domain: "com.example", version: 17)] } == 306)
    // Declared and not used: no reason to refuse.
    #expect(code { $0.operatorSets.append(.init(domain: "com.microsoft", version: 1)) } == nil)
    #expect(code { $0.irVersion = 2 } == 306)
    #expect(code { $0.irVersion = 14 } == 306)
  }

  @Test("constants that would fill the memory")
  func bombs() {
    for (type, inputs) in [
      ("ConstantOfShape", ["big"]), ("Expand", ["b1", "big"]), ("Tile", ["m", "times"]),
      ("Range", ["zero", "limit", "step"]),
    ] {
      var sketch = ONNXSketch.dense
      sketch.integers("big", [2_000_000_000, 2_000_000_000])
      sketch.floats("b1", [1, 1], [1])
      sketch.floats("m", [1, 1], [1])
      sketch.integers("times", [65_536, 65_536])
      sketch.integers("zero", [0])
      sketch.integers("limit", [1 << 39])
      sketch.integers("step", [1])
      sketch.add(type, inputs, "bomb")
      sketch.add("Add", ["y", "bomb"], "z")
      sketch.outputs = ["z"]
      #expect(code(sketch) == 307, "\(type)")
    }
  }

  @Test("tensors beyond the limit, and sizes whose product overflows")
  func largeTensors() {
    var padded = ONNXSketch()
    padded.input = [.symbol("N"), .size(1), .size(8), .size(8)]
    padded.integers("p", [0, 0, 1_000_000, 1_000_000, 0, 0, 0, 0])
    padded.add("Pad", ["x", "p"], "y")
    #expect(code(padded) == 305)
    var input = ONNXSketch.dense
    input.input = [.symbol("N"), .size(70_000), .size(70_000)]
    #expect(code(input) == 308)
    // No element at all, and yet the product of three of its sizes overflows.
    var empty = ONNXSketch.dense
    empty.initializers.append(
      ONNXTensor(
        "empty", elementType: .float, dimensions: [0, 2_000_000_000, 2_000_000_000, 2_000_000_000],
        integers: []))
    empty.add("Flatten", ["empty"], "f")
    empty.add("Add", ["y", "f"], "z")
    empty.outputs = ["z"]
    #expect(code(empty) == 309)
    var pool = ONNXSketch()
    pool.input = [.symbol("N"), .size(1), .size(8), .size(8)]
    pool.add(
      "MaxPool", ["x"], "y",
      [
        ONNXAttribute("kernel_shape", .integers([1_000_000, 1_000_000])),
        ONNXAttribute("pads", .integers([500_000, 500_000, 500_000, 500_000])),
      ])
    #expect(code(pool) == 307)
  }

  @Test("attributes of the wrong type")
  func attributeTypes() {
    var sketch = ONNXSketch.dense
    sketch.nodes[0].attributes = [ONNXAttribute("alpha", .integer(1))]
    #expect(code(sketch) == 307)
    sketch.nodes[0].attributes = [ONNXAttribute("transB", .string("yes"))]
    #expect(code(sketch) == 307)
  }
}
