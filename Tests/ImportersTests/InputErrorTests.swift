import Importers
import Testing

@Suite("InputError")
struct InputErrorTests {
  @Test("prints code, place, note and help, and only those it has")
  func text() {
    var error = InputError(
      307, "the graph has a cycle", place: "m.onnx, node 3", note: "nodes 3, 5",
      help: "tally inspect m.onnx", exit: 3)
    #expect(
      error.description == """
        error[TLY0307]: the graph has a cycle
          --> m.onnx, node 3
          note: nodes 3, 5
          help: tally inspect m.onnx
        """)
    error.place = nil
    error.note = nil
    error.help = nil
    #expect("\(error)" == "error[TLY0307]: the graph has a cycle")
    #expect(InputError(1002, "m", exit: 6).codeName == "TLY1002")
    #expect(
      InputWarning(code: 104, message: "m", place: "p", help: "h").description
        == "warning[TLY0104]: m\n  --> p\n  help: h")
  }

  @Test(
    "near names, nearest first",
    arguments: [
      ("epcohs", ["batch", "epochs", "method"], ["epochs"]),  // a swap is one edit
      ("learning_rate", ["learningRate"], ["learningRate"]),
      ("Seed", ["seed"], ["seed"]),
      ("digits.npy", ["digits.npz", "digit.npz", "fsdd.npz"], ["digits.npz", "digit.npz"]),
      ("lr", ["learningRate", "seed"], []),
      ("ab", ["cd", "ac"], ["ac"]),  // two of two letters would be another word
      ("x", ["x"], []),
      ("abc", ["abe", "abd", "abf", "abg"], ["abd", "abe", "abf"]),
    ])
  func near(_ name: String, _ candidates: [String], _ expected: [String]) {
    #expect(nearestNames(to: name, among: candidates) == expected)
  }
}
