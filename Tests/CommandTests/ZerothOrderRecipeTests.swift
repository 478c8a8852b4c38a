import Importers
import Tally
import TallyHost
import TallyTestSupport
import Testing

@Suite("A zeroth-order recipe") struct ZerothOrderRecipeTests {
  let recipes: RecipeTests

  init() throws { recipes = try RecipeTests() }

  @Test("defaults: closed-form head, the fewest coordinates for every other layer")
  func defaults() throws {
    let fields = try recipes.fields(#"{"method": "zerothOrder"}"#)
    #expect(fields.method == .zerothOrder && !fields.tracksRanges)
    // conv1, its pooling, head.
    #expect(fields.updates == [[], [], [.weights, .biases]])
    var block = ZerothOrderFields()
    block.groups = [CoordinateGroup(node: 0, kind: .inputs)]
    #expect(fields.zerothOrder == block)
    // 0.01 twice rounded is 0.01 once: 1374389534.72.
    #expect(fields.rates.scales == Scale(mantissa: 1_374_389_535, exponent: -6))
  }

  @Test("every key reaches its field")
  func keys() throws {
    let fields = try recipes.fields(
      """
      {"method": "hybrid", "update": "last", "zerothOrder": {
        "queries": 3, "directions": "shared", "difference": "forward", "sign": true,
        "adaptSigma": true,
        "sigma": {"weights": 7, "nodes": 9, "gains": "1/8", "logits": "1/4"},
        "groups": [{"layer": "conv1", "coordinates": "gain", "steps": 5}]}}
      """)
    #expect(fields.method == .hybrid)
    var block = ZerothOrderFields()
    block.queries = 3
    block.directions = .shared
    block.difference = .forward
    block.usesSign = true
    block.adaptsSigma = true
    block.weightSigma = 7
    block.nodeSigma = 9
    block.gainSigma = .powerOfTwo(-3)
    block.logitSigma = .powerOfTwo(-2)
    block.groups = [CoordinateGroup(node: 0, kind: .gain, steps: 5)]
    #expect(fields.zerothOrder == block)
    let memory = try RecipeMemory(fields, recipes.initialized)
    #expect(RecipeFields(memory.recipe) == fields)
  }

  @Test(
    "in words it gives the same bytes again",
    arguments: [
      #""head": "frozen""#, #""head": "closedForm""#, #""head": "zerothOrder", "sign": true"#,
      #""head": "frozen", "groups": [{"layer": "conv1", "coordinates": "weights", "span": 2}]"#,
      #""adaptSigma": true, "sigma": {"gains": "1/7", "logits": "0.3"}, "queries": 9"#,
    ])
  func words(_ keys: String) throws {
    for rate in ["0.01", "0.3"] {
      let first = try recipes.fields(
        #"{"method": "zerothOrder", "learningRate": "\#(rate)", "zerothOrder": {\#(keys)}}"#)
      let json = first.json { recipes.initialized.name(ofNode: $0) }
      let again = try recipes.fields(json.indentedText)
      #expect(again.bytes == first.bytes, "\(json.text)")
    }
  }

  @Test(
    "a wrong one is refused",
    arguments: [
      #"{"zerothOrder": {}}"#,
      #"{"method": "zerothOrder", "momentum": "0.9"}"#,
      #"{"method": "zerothOrder", "ranges": "track"}"#,
      #"{"method": "zerothOrder", "sparseGradients": {"kind": "topk", "ratio": "0.25"}}"#,
      #"{"method": "zerothOrder", "zerothOrder": {"groups": "all"}}"#,
      #"{"method": "zerothOrder", "zerothOrder": {"groups": [{"layer": "conv1"}]}}"#,
      #"{"method": "zerothOrder", "zerothOrder": {"groups": [{"layer": "x", "coordinates": "gain"}]}}"#,
      #"{"method": "zerothOrder", "zerothOrder": {"head": "open"}}"#,
      #"{"method": "zerothOrder", "zerothOrder": {"queries": 0}}"#,
      #"{"method": "zerothOrder", "zerothOrder": {"sigma": {"weights": 64}}}"#,
      #"{"method": "firstOrder"}"#,
    ])
  func refused(_ text: String) {
    #expect(recipes.refusal(text)?.exit == 2, "\(text)")
  }
}
