import Foundation

extension BadInput {
  /// Rows 55 to 63, 79 and 80: what the user wrote.
  static let usage: [BadInput] = [
    recipe(55, "an unknown key in a recipe", 801, #"{"epoch": 3}"#),
    BadInput(55, "an unknown option", 801, 2) { $0.run("eval", "m.tally", "--dta", "d.npz") },
    BadInput(55, "an unknown verb", 801, 2) { $0.run("trian", "m.tally") },
    recipe(56, "a number out of range", 802, #"{"momentum": "2"}"#),
    recipe(57, "a layer that is not there", 803, #"{"update": {"layers": {"nose": ["weights"]}}}"#),
    BadInput(58, "a budget that nothing fits", 804, 6) {
      $0.run("plan", "m.tally", "--train", "--budget", "10")
    },
    BadInput(59, "an option without its value", 805, 2) { $0.run("eval", "m.tally", "--data") },
    BadInput(59, "an option given twice", 805, 2) {
      $0.run("eval", "m.tally", "--data", "d.npz", "--data", "v.npz")
    },
    BadInput(60, "an output that exists", 806, 5) { box in
      try box.write([1], "out.tally")
      return box.train()
    },
    BadInput(60, "an output that is the input", 806, 5) {
      $0.train("m.tally", "run.tlj", ["--force"])
    },
    BadInput(60, "an output in a folder that is not there", 806, 5) {
      $0.train($0.path("none/out.tally"))
    },
    BadInput(60, "a full disk", 806, 5) { box in
      // Every write to this device says that there is no space left.
      try FileManager.default.createSymbolicLink(
        atPath: box.path("full.tlj"), withDestinationPath: "/dev/full")
      return box.train("out.tally", "full.tlj", ["--force"])
    },
    recipe(61, "a micro-batch that makes too many", 807, #"{"batch": 4096, "microBatch": 1}"#),
    recipe(61, "a batch of 0", 807, #"{"batch": 0}"#),
    BadInput(63, "a name of 4,096 bytes", 101, 5) {
      $0.run("inspect", String(repeating: "n", count: 4096) + ".npz")
    },
    BadInput(63, "a name that is not there, with a line break", 101, 5) {
      $0.run("inspect", $0.path("two\nlines.npz"))
    },
    BadInput(74, "a model larger than a board's memory", 804, 6) {
      $0.run("plan", "m.tally", "--budget", "10")
    },
    BadInput(79, "a network description with an unknown layer", 808, 2) { box in
      try box.write(text(#"{"input": [4], "layers": [{"kind": "convolutoin"}]}"#), "n.json")
      return box.run("init", "n.json", "-o", "out.tally")
    },
    BadInput(79, "a network description with a dangling name", 808, 2) { box in
      try box.write(
        text(
          #"{"input": [4], "layers": [{"kind": "fullyConnected", "outputs": 2, "from": "a"}]}"#),
        "n.json")
      return box.run("init", "n.json", "-o", "out.tally")
    },
    recipe(80, "a bare fraction", 809, #"{"learningRate": 0.1}"#),
  ]
}
