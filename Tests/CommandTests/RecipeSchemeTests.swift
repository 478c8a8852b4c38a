import Importers
import Tally
import TallyHost
import TallyTestSupport
import Testing

/// Update schemes as a recipe's words (Formats/recipe.md): conv1 (1 → 4 channels), conv2 (4 → 4), add,
/// pool, head with accumulators (36 elements).
@Suite("A recipe's update scheme") struct RecipeSchemeTests {
  let model: LoadedModel

  init() throws { model = try LoadedModel(SmallNetworks.convolutional(residual: true).bytes()) }

  func fields(_ text: String, _ sets: [String] = []) throws -> RecipeFields {
    var document = try RecipeDocument(Array(text.utf8)[...], file: "r.json")
    for assignment in sets { try document.set(assignment) }
    return try document.resolved(for: model, hasLabels: true)
  }

  @Test("words for what every layer changes")
  func words() throws {
    let all: UpdateSet = [.weights, .biases]
    for (text, expected) in [
      (#"{"biases": 1}"#, [[], [], [], [], .biases]),
      (#"{"biases": 2}"#, [[], .biases, [], [], .biases]),
      (#"{"biases": 3}"#, [.biases, .biases, [], [], .biases]),
      (#""scales""#, [.scales, .scales, [], [], []]),
      (#""scales+biases+last""#, [[.scales, .biases], [.scales, .biases], [], [], all]),
      (#"{"layers": {"conv2": ["scales"], "head": []}}"#, [[], .scales, [], [], []]),
      (
        #"{"layers": {"conv1": {"scales": true}, "conv2": {"weights": true, "biases": false}}}"#,
        [.scales, .weights, [], [], []]
      ),
      (
        #"{"layers": {"head": {"weights": false, "biases": true}}}"#, [[], [], [], [], .biases]
      ),
    ] as [(String, [UpdateSet])] {
      let fields = try fields("{\"update\": \(text)}")
      #expect(fields.updates == expected, "\(text)")
      #expect(fields.selections.isEmpty, "\(text)")
    }
  }

  @Test("a share of the channels is rounded half up, and is one channel at least")
  func shares() throws {
    for (share, expected) in [
      (#""1/4""#, 1), (#""3/8""#, 2), (#""0.37""#, 1), (#""1e-9""#, 1), (#""1""#, 4), ("3", 3),
    ] {
      let text = #"{"update": {"layers": {"conv2": {"weights": \#(share)}}}}"#
      let selection = try fields(text).selections[1]
      #expect(selection == ChannelFields(.magnitude, count: expected), "\(share)")
    }
    // 1/8 of 36 elements: 4.5, so 5.
    let head = #"{"update": {"layers": {"head": {"weights": "1/8", "rule": "random"}}}}"#
    #expect(try fields(head).selections == [4: ChannelFields(.random, count: 5)])
  }

  @Test("what keeps part of a gradient")
  func sparse() throws {
    let tinyProp = SparseGradients(minimum: 4915, maximum: 1 << 15)
    #expect(try fields(#"{"sparseGradients": {}}"#).sparseGradients == tinyProp)
    #expect(try fields("{}").sparseGradients == nil)
    let text = """
      {"sparseGradients": {"kind": "tinyprop", "minimum": "0", "maximum": "0.5", "zeta": "1/4",
       "decay": 10, "headMinimum": 3}}
      """
    let expected = SparseGradients(
      minimum: 0, maximum: 1 << 14, damping: 1 << 13, headMinimum: 3, decayShift: 10)
    #expect(try fields(text).sparseGradients == expected)
    let topK = #"{"sparseGradients": {"kind": "topk", "ratio": "0.25"}}"#
    #expect(
      try fields(topK).sparseGradients == SparseGradients(minimum: 1 << 13, maximum: 1 << 13))
    #expect(try fields(topK, ["sparseGradients.ratio=0.5"]).sparseGradients?.maximum == 1 << 14)
  }

  @Test(
    "bytes and words of every scheme come back",
    arguments: [
      #"{"update": "scales+biases+last", "sparseGradients": {"zeta": "0.3", "decay": 7}}"#,
      #"{"update": {"layers": {"conv2": {"weights": "1/2", "scales": true}, "head": ["weights"]}}}"#,
      #"{"update": {"layers": {"conv2": {"channels": [0, 3], "biases": true}}}}"#,
      #"{"update": {"layers": {"conv2": {"channels": [1]}, "head": {"channels": [0, 7, 35]}}},"#
        + #""sparseGradients": {"kind": "topk", "ratio": "1/3"}}"#,
      #"{"update": {"layers": {"head": {"weights": 7, "rule": "first"}}}}"#,
      #"{"update": {"layers": {"conv1": {"weights": 1, "rule": "random", "biases": true}}}}"#,
    ])
  func roundTrip(_ text: String) throws {
    let fields = try fields(text)
    let memory = try RecipeMemory(fields, model)
    #expect(RecipeFields(memory.recipe) == fields)
    let json = fields.json { model.name(ofNode: $0) }
    #expect(try self.fields(json.indentedText).bytes == fields.bytes, "\(json.text)")
  }

  @Test("the bytes are those of Formats/recipe.md")
  func bytes() throws {
    let text = """
      {"update": {"layers": {"conv2": {"channels": [1, 2, 3], "biases": true},
       "head": {"weights": 300e-1, "rule": "first"}}},
       "sparseGradients": {"minimum": "1/4", "maximum": "1/2", "decay": 3, "headMinimum": 4}}
      """.replacing("300e-1", with: "30")
    var expected = RecipeBytes(updates: [0, 3, 0, 0, 1])
    (expected.batch, expected.microBatch) = (32, 32)
    expected.rate = Scale(mantissa: 1_717_986_918, exponent: -4)!
    (expected.rangePeriod, expected.rootPeriod) = (64, 64)
    expected.selections = [1: (4, 3), 4: (2, 30)]
    expected.blocks = [
      (1, [0, 32, 0, 64, 0, 128, 4, 0, 3, 0, 0, 0]), (3, [1, 0, 2, 0, 3, 0]),
    ]
    #expect(try fields(text).bytes == expected.bytes)
  }

  @Test(
    "a wrong scheme is refused with its place",
    arguments: [
      (#"{"update": {"biases": 0}}"#, 802, "1 to 3"),
      (#"{"update": {"biases": 4}}"#, 802, "1 to 3"),
      (#"{"update": {"biases": 1, "layers": {}}}"#, 805, "layers and biases"),
      (#"{"update": {"layers": {"head": {"scales": true}}}}"#, 802, "no Scale to change"),
      (#"{"update": {"layers": {"conv2": {"weights": "0"}}}}"#, 802, "fractions above"),
      (#"{"update": {"layers": {"conv2": {"weights": "9/8"}}}}"#, 802, "fractions above"),
      (#"{"update": {"layers": {"conv2": {"weights": 5}}}}"#, 802, "1 to 4"),
      (#"{"update": {"layers": {"conv2": {"weights": 0}}}}"#, 802, "1 to 4"),
      (#"{"update": {"layers": {"conv2": {"weights": 2, "rule": "best"}}}}"#, 802, "magnitude"),
      (#"{"update": {"layers": {"conv2": {"weights": 2, "rule": "listed"}}}}"#, 802, "magnitude"),
      (#"{"update": {"layers": {"conv2": {"rule": "first"}}}}"#, 805, "a number of channels"),
      (
        #"{"update": {"layers": {"conv2": {"weights": true, "rule": "first"}}}}"#, 805,
        "a number of channels"
      ),
      (#"{"update": {"layers": {"conv2": {"channels": []}}}}"#, 802, "at least one"),
      (#"{"update": {"layers": {"conv2": {"channels": [2, 1]}}}}"#, 802, "ascending"),
      (#"{"update": {"layers": {"conv2": {"channels": [1, 1]}}}}"#, 802, "ascending"),
      (#"{"update": {"layers": {"conv2": {"channels": [4]}}}}"#, 802, "0 to 3"),
      (
        #"{"update": {"layers": {"conv2": {"channels": [1], "weights": true}}}}"#, 805,
        "nothing else says which"
      ),
      (#"{"update": {"layers": {"conv2": {"weight": true}}}}"#, 801, "weights"),
      (#"{"sparseGradients": {"kind": "meprop"}}"#, 802, "tinyprop"),
      (#"{"sparseGradients": {"kind": "topk"}}"#, 805, "which ratio"),
      (#"{"sparseGradients": {"ratio": "1"}}"#, 801, "minimum"),
      (#"{"sparseGradients": {"minimum": "1.1"}}"#, 802, "\"0\" to \"1\""),
      (#"{"sparseGradients": {"minimum": "0.5", "maximum": "0.4"}}"#, 802, "above the maximum"),
      (#"{"sparseGradients": {"decay": 31}}"#, 802, "0 to 30"),
      (#"{"sparseGradients": {"headMinimum": 1}}"#, 802, "2 to"),
    ])
  func refused(_ text: String, _ code: Int, _ words: String) {
    do {
      _ = try fields(text)
      Issue.record("\(text) was accepted")
    } catch let error as InputError {
      #expect(error.code == code && error.exit == 2, "\(text): \(error)")
      #expect(error.description.contains(words), "\(error)")
      #expect(error.place?.isEmpty == false)
    } catch {
      Issue.record(error)
    }
  }

  @Test("channels of a convolution with groups cannot be selected")
  func groups() throws {
    var builder = SmallNetworks.convolutional(residual: true)
    guard case .convolution(let shape) = builder.nodes[1].operation else { return }
    builder.nodes[1].operation = .convolution(
      Convolution(input: shape.input, output: shape.output, geometry: shape.geometry, groups: 2))
    builder.nodes[1].weights = Array(builder.nodes[1].weights.prefix(shape.weightCount / 2))
    let model = try LoadedModel(builder.bytes())
    let text = #"{"update": {"layers": {"conv2": {"weights": "1/2"}}}}"#
    let document = try RecipeDocument(Array(text.utf8)[...], file: "r.json")
    #expect {
      _ = try document.resolved(for: model, hasLabels: true)
    } throws: { error in
      (error as? InputError)?.code == 802 && "\(error)".contains("neither dense nor depthwise")
    }
  }
}
