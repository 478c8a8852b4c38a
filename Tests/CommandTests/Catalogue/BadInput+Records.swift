import Importers

extension BadInput {
  /// Rows 64 to 71: models and journals.
  static let records: [BadInput] = [
    BadInput(64, "a model of a newer version", 901, 4) { box in
      var bytes = try box.bytes("m.tally")
      bytes[8] = 9
      try box.write(bytes, "bad-version.tally")
      return box.run("inspect", "bad-version.tally")
    },
    BadInput(64, "a journal of a newer version", 901, 4) { box in
      _ = box.train()
      var bytes = try box.bytes("run.tlj")
      bytes[8] = 9
      try box.write(bytes, "bad-version.tlj")
      return box.run("inspect", "bad-version.tlj")
    },
    BadInput(65, "a model with a changed byte", 902, 3) { box in
      var bytes = try box.bytes("m.tally")
      bytes[bytes.count / 2] ^= 1
      try box.write(bytes, "bad-byte.tally")
      return box.run("inspect", "bad-byte.tally")
    },
    BadInput(67, "resuming the journal of another run", 903, 2) { box in
      _ = box.train()
      return box.train("b.tally", "run.tlj", ["--resume", "--set", "seed=9"])
    },
    BadInput(68, "a journal with a changed byte", 904, 1) { box in
      _ = box.train()
      var bytes = try box.bytes("run.tlj")
      bytes[bytes.count / 2] ^= 1
      try box.write(bytes, "run.tlj")
      return box.verify()
    },
    journal(68, "a journal with two records exchanged, its chain made anew", 904) { parts in
      let steps = parts.parts.indices.filter { parts.parts[$0].type == 2 }
      parts.parts.swapAt(steps[1], steps[2])
    },
    journal(69, "an epoch's sums that are not those of its steps", 905) { parts in
      for index in parts.parts.indices where parts.parts[index].type == 5 {
        parts.parts[index].payload[8] ^= 1
        return
      }
    },
    BadInput(70, "verification without data", 906, 4) { box in
      _ = box.train()
      return box.run("verify", "run.tlj", "--model", "m.tally", "--json")
    },
    BadInput(71, "two runs that are different experiments", 907, 2) { box in
      _ = box.train("a.tally", "a.tlj")
      _ = box.train("b.tally", "b.tlj", ["--set", "seed=9"])
      return box.run("bisect", "a.tlj", "b.tlj")
    },
  ]

  /// `verify --structure` of a journal that was changed and whose every tag is right again.
  private static func journal(
    _ number: Int, _ input: String, _ code: Int,
    _ change: @escaping @Sendable (inout JournalParts) -> Void
  ) -> BadInput {
    BadInput(number, input, code, 1) { box in
      _ = box.train()
      var parts = JournalParts(try box.bytes("run.tlj"))
      change(&parts)
      parts.rechain()
      try box.write(parts.bytes, "run.tlj")
      return box.run("verify", "run.tlj", "--model", "m.tally", "--structure", "--json")
    }
  }
}
