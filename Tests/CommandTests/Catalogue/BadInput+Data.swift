import Importers

extension BadInput {
  /// Rows 50 to 54: data sets.
  static let data: [BadInput] = [
    data(50, "a label beyond the outputs", 701, 3) { try npz(goodInputs, labels([0, 1, 9])) },
    data(50, "a negative label", 701, 3) {
      try npz(goodInputs, NumericArray(shape: [3], storage: .int8([0, 1, -1])))
    },
    data(51, "samples of another shape", 702, 2) {
      try npz(NumericArray(shape: [3, 11], storage: bytes(33)), labels([0, 1, 2]))
    },
    data(51, "fewer labels than samples", 702, 3) { try npz(goodInputs, labels([0, 1])) },
    BadInput(51, "images with the channels first", 702, 2) { box in
      try box.write(
        text(#"{"input": [4, 4, 3], "layers": [{"kind": "fullyConnected", "outputs": 2}]}"#),
        "n.json")
      _ = box.run("init", "n.json", "-o", "i.tally")
      try box.write(
        npz(NumericArray(shape: [2, 3, 4, 4], storage: bytes(96)), labels([0, 1])), "bad-data.npz")
      return box.run("eval", "i.tally", "--data", "bad-data.npz")
    },
    BadInput(52, "a range beyond the last sample", 703, 2) {
      $0.run("eval", "m.tally", "--data", "d.npz[100..<200]")
    },
    data(52, "an array without samples", 703, 3) {
      try npz(NumericArray(shape: [0, 12], storage: .uint8([])), labels([]))
    },
    BadInput(
      53, "CSV with ragged rows", 704, 3, text("1,2,0\n1,2,3,1\n"), "inspect", "bad-rows.csv"),
    BadInput(
      53, "CSV with decimal commas", 704, 3, text("1,5;2,5;0\n3,5;4,5;1\n"), "inspect",
      "bad-commas.csv"),
    BadInput(
      53, "CSV with an open quote", 704, 3, text("\"1,2,0\n1,2,1\n"), "inspect", "bad-quote.csv"),
    BadInput(54, "validation data that are also trained on", 705, 0) { box in
      box.train("out.tally", "run.tlj", ["--validate", "d.npz[0..<3]"])
    },
  ]
}
