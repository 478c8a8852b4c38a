import Importers
import Tally
import TallyHost
import TallyTestSupport
import Testing

@Suite("A recipe") struct RecipeTests {
  let initialized: LoadedModel
  /// The same network with the flag of a converted one.
  let converted: LoadedModel

  init() throws {
    var builder = SmallNetworks.convolutional()
    initialized = try LoadedModel(builder.bytes())
    builder.isInitialized = false
    converted = try LoadedModel(builder.bytes())
  }

  func fields(
    _ text: String, _ sets: [String] = [], for model: LoadedModel? = nil, hasLabels: Bool = true
  ) throws -> RecipeFields {
    var document = try RecipeDocument(Array(text.utf8)[...], file: "r.json")
    for assignment in sets { try document.set(assignment) }
    return try document.resolved(for: model ?? initialized, hasLabels: hasLabels)
  }

  func refusal(
    _ text: String, _ sets: [String] = [], for model: LoadedModel? = nil
  ) -> InputError? {
    do {
      _ = try fields(text, sets, for: model)
      return nil
    } catch { return error as? InputError }
  }

  @Test("defaults are those of Formats/recipe.md")
  func defaults() throws {
    let all: UpdateSet = [.weights, .biases]
    var expected = RecipeFields(
      rates: .init(all: Scale(1) / Scale(20)), updates: [all, [], all])
    expected.tracksRanges = true
    // 1/20 rounded once: 0.05·2³⁵ = 1717986918.4.
    expected.rates = .init(all: Scale(mantissa: 1_717_986_918, exponent: -4)!)
    #expect(try fields("{}") == expected)
    expected.tracksRanges = false
    // 0.01·2³⁷ = 1374389534.72, 0.0003·2⁴² = 1319413953.33.
    expected.trustRatio = Scale(mantissa: 1_374_389_535, exponent: -6)!
    expected.normClip = Scale(1)
    #expect(try fields("{}", for: converted) == expected)
    expected.trustRatio = Scale(mantissa: 1_319_413_953, exponent: -11)!
    // 0.9·2¹⁵ = 29491.2.
    expected.momentum = 29_491
    #expect(try fields(#"{"momentum": "0.9"}"#, for: converted) == expected)
    #expect(try fields("{}", hasLabels: false).loss == .meanSquaredError)
  }

  @Test("every key reaches its field")
  func keys() throws {
    let text = """
      {"epochs": 3, "steps": 100, "batch": 24, "microBatch": 8, "seed": 18446744073709551615,
       "learningRate": "1/4", "learningRates": {"biases": "1/2", "head": "2", "scales": "0"},
       "schedule": {"kind": "step", "factors": ["1", "0.1", 2], "warmup": 5}, "momentum": "0.99",
       "weightDecay": "0.5", "trustRatio": "0.25", "normClip": "8", "clip": 2, "weights": "int8",
       "loss": "meanSquaredError", "ranges": "frozen", "rangePeriod": 2, "rootEvery": 1,
       "update": "bias+last"}
      """
    var expected = RecipeFields(
      rates: .init(all: .powerOfTwo(-2)), updates: [.biases, [], [.weights, .biases]])
    (expected.epochs, expected.largestStepCount, expected.batch) = (3, 100, 24)
    (expected.microBatch, expected.seed) = (8, UInt64.max)
    expected.rates.biases = .powerOfTwo(-1)
    expected.rates.head = .powerOfTwo(1)
    expected.rates.scales = .zero
    (expected.schedule, expected.warmup) = (.step, 5)
    // 0.1·2³⁰ = 107374182.4.
    expected.factors = [1 << 30, 107_374_182, 2 << 30]
    expected.momentum = 32_440
    expected.weightDecay = .powerOfTwo(-1)
    expected.trustRatio = .powerOfTwo(-2)
    expected.normClip = .powerOfTwo(3)
    (expected.clip, expected.weights, expected.loss) = (2, .int8, .meanSquaredError)
    (expected.rangePeriod, expected.rootPeriod) = (2, 1)
    #expect(try fields(text) == expected)
  }

  @Test("what parts of the network it updates")
  func updates() throws {
    let all: UpdateSet = [.weights, .biases]
    for (text, expected) in [
      (#""full""#, [all, [], all]), (#""last""#, [[], [], all]),
      (#""biases""#, [.biases, [], .biases]), (#""bias+last""#, [.biases, [], all]),
      (#"{"layers": {"conv1": ["weights"], "head": ["biases", "weights"]}}"#, [.weights, [], all]),
      (#"{"layers": {"head": ["biases"], "conv1": []}}"#, [[], [], .biases]),
    ] as [(String, [UpdateSet])] {
      #expect(try fields("{\"update\": \(text)}").updates == expected, "\(text)")
    }
  }

  @Test("the bytes are canonical: the engine accepts them and reads the same fields back")
  func bytes() throws {
    for text in [
      "{}", #"{"update": "last", "clip": 1, "batch": 7, "microBatch": 2, "seed": 12345678901234}"#,
      #"{"schedule": {"kind": "step", "factors": ["1", "1/3"]}, "momentum": "0.5"}"#,
      #"{"schedule": {"kind": "constant", "warmup": 9}, "weights": "int8", "steps": 4}"#,
    ] {
      for model in [initialized, converted] {
        let fields = try fields(text, for: model)
        let memory = try RecipeMemory(fields, model)
        #expect(RecipeFields(memory.recipe) == fields)
      }
    }
    // Field by field against the test support's own writer.
    var other = RecipeBytes(updates: [3, 0, 3])
    other.batch = 32
    other.microBatch = 32
    other.rate = Scale(mantissa: 1_717_986_918, exponent: -4)!
    other.rangePeriod = 64
    other.rootPeriod = 64
    #expect(try fields("{}").bytes == other.bytes)
  }

  @Test("the resolved recipe in words gives the same bytes again")
  func roundTrip() throws {
    var generator = SystemRandomNumberGenerator()
    let seed = UInt64.random(in: 0...UInt64.max, using: &generator)
    let random = RandomKey(seed: seed).stream(.initialization, tensor: 0, step: 0, query: 0)
    for index in 0..<200 {
      func draw(_ slot: Int, _ below: UInt32) -> Int64 {
        Int64(random.uniform(UInt32(16 * index + slot), below: below))
      }
      let text = """
        {"learningRate": "\(draw(0, 1_000_000) + 1)/\(draw(1, 1_000_000_000) + 1)",
         "momentum": "\(draw(2, 9900))e-4", "weightDecay": "\(draw(3, 1000))e-7",
         "learningRates": {"head": "\(draw(4, 5000) + 1)/777"}, "seed": \(draw(5, 1 << 31)),
         "schedule": {"kind": "step", "factors": ["\(draw(6, 2000))/1000", "\(draw(7, 7))/7"]},
         "update": {"layers": {"head": ["weights"], "conv1": ["biases"]}}}
        """
      let first = try fields(text)
      let json = first.json { initialized.name(ofNode: $0) }
      let again = try fields(json.indentedText)
      #expect(again.bytes == first.bytes, "seed \(seed), \(index): \(json.text)")
    }
  }

  @Test("--set puts values over the file, key by key")
  func sets() throws {
    let text =
      #"{"learningRate": "0.5", "schedule": {"kind": "constant", "warmup": 3}, "epochs": 2}"#
    var fields = try fields(
      text, ["learningRate=0.25", "schedule.warmup=10", "epochs=7", "weights=int8", "epochs=8"])
    #expect(fields.rates.weights == .powerOfTwo(-2))
    #expect(fields.warmup == 10 && fields.schedule == .constant && fields.epochs == 8)
    #expect(fields.weights == .int8)
    fields = try self.fields(
      text, [#"schedule={"kind": "cosine"}"#, "schedule.warmup=1", "update=last"])
    #expect(fields.schedule == .cosine && fields.warmup == 1)
    #expect(fields.updates == [[], [], [.weights, .biases]])
    #expect(refusal(text, ["epoch=3"])?.code == 801)
    #expect(refusal(text, ["epochs"])?.code == 805)
    #expect(refusal(text, ["=3"])?.code == 805)
    #expect(refusal(text, ["epochs="])?.code == 805)
    #expect(refusal(text, ["epochs=three"])?.code == 802)
    #expect(refusal(text, ["update={"])?.code == 202)
    #expect(refusal(text, ["schedule.wormup=3"])?.help == "did you mean \u{2018}warmup\u{2019}?")
  }

  @Test(
    "a wrong recipe is refused with its place",
    arguments: [
      (#"{"epoch": 3}"#, 801, "epochs"), (#"{"learningrate": "0.1"}"#, 801, "learningRate"),
      (#"{"schedule": {"kin": "cosine"}}"#, 801, "kind"),
      (#"{"learningRates": {"weigths": "1"}}"#, 801, "weights"),
      (#"{"epochs": 1, "epochs": 2}"#, 203, "epochs"), (#"{"epochs": 1"#, 202, "ends"),
      (#"[]"#, 802, "an object"), (#"{"learningRate": 0.1}"#, 809, "\"0.1\" or \"1/10\""),
      (#"{"momentum": 1e-1}"#, 809, "1/10"), (#"{"learningRate": "fast"}"#, 802, "fast"),
      (#"{"learningRate": "-0.1"}"#, 802, "from 0"),
      (#"{"learningRate": "1e-30"}"#, 802, "64 bits"),
      (#"{"learningRate": null}"#, 802, "null"), (#"{"epochs": "3"}"#, 802, "integer"),
      (#"{"epochs": 3.0}"#, 802, "write 3"), (#"{"epochs": -1}"#, 802, "0 to 1000000"),
      (#"{"epochs": 1000001}"#, 802, "1000000"), (#"{"batch": 0}"#, 807, "1 to"),
      (#"{"batch": 4, "microBatch": 5}"#, 807, "1 to 4"),
      (#"{"batch": 4096, "microBatch": 1}"#, 807, "microBatch=4"),
      (#"{"batch": 1024, "microBatch": 1, "clip": 17}"#, 802, "clip=16"),
      (#"{"seed": -1}"#, 802, "0 to"),
      (#"{"seed": 18446744073709551616}"#, 802, "18446744073709551615"),
      (#"{"momentum": "1"}"#, 802, "0.99"), (#"{"clip": 0}"#, 802, "1 to 128"),
      (#"{"clip": 129}"#, 802, "1 to 128"), (#"{"weights": "float"}"#, 802, "masters"),
      (#"{"weights": "mastres"}"#, 802, "did you mean"), (#"{"loss": "mse"}"#, 802, "crossEntropy"),
      (#"{"ranges": "yes"}"#, 802, "track"), (#"{"rangePeriod": 1}"#, 802, "2 to"),
      (#"{"rootEvery": 0}"#, 802, "1 to"), (#"{"schedule": "cosine"}"#, 802, "an object"),
      (#"{"schedule": {"kind": "linear"}}"#, 802, "cosine"),
      (#"{"schedule": {"kind": "step"}}"#, 805, "factors"),
      (#"{"schedule": {"kind": "step", "factors": []}}"#, 802, "factors"),
      (#"{"schedule": {"kind": "step", "factors": ["2.5"]}}"#, 802, "\"0\" to \"2\""),
      (#"{"schedule": {"kind": "cosine", "factors": ["1"]}}"#, 805, "step schedule"),
      (#"{"update": "head"}"#, 802, "bias+last"), (#"{"update": {}}"#, 805, "layers"),
      (#"{"update": {"layer": {}}}"#, 801, "layers"),
      (#"{"update": {"layers": {}}}"#, 802, "nothing"),
      (#"{"update": {"layers": {"conv2": ["weights"]}}}"#, 803, "conv1"),
      (#"{"update": {"layers": {"pool": ["weights"]}}}"#, 803, "has no weights"),
      (#"{"update": {"layers": {"head": ["scale"]}}}"#, 802, "biases"),
      (#"{"update": {"layers": {"head": ["scales"]}}}"#, 802, "no Scale to change"),
      (#"{"update": {"layers": {"head": "weights"}}}"#, 802, "an array"),
    ])
  func refused(_ text: String, _ code: Int, _ words: String) throws {
    let error = try #require(refusal(text), "\(text) was accepted")
    #expect(error.code == code && error.exit == 2, "\(text): \(error)")
    #expect(error.description.contains(words), "\(error)")
    #expect(error.place?.isEmpty == false)
  }

  @Test("ranges of a converted model cannot be tracked")
  func tracking() throws {
    let error = try #require(refusal(#"{"ranges": "track"}"#, for: converted))
    #expect(error.code == 802 && error.description.contains("frozen"))
  }

  @Test("two layers of one name are refused by that name")
  func ambiguous() throws {
    var builder = SmallNetworks.dense()
    builder.nodes[1].name = "fc1"
    let model = try LoadedModel(builder.bytes())
    let error = try #require(refusal(#"{"update": {"layers": {"fc1": ["weights"]}}}"#, for: model))
    #expect(error.code == 803 && error.description.contains("2 layers are named"))
  }
}
