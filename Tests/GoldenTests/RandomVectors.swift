import Tally
import TallyTestSupport
import Testing

@Suite("Golden vectors of random bits and sample orders (SPEC 4, 8.2, 8.8)") struct RandomVectors {
  @Test("a file of random bits", arguments: VectorFolder.files("random"))
  func random(path: String) throws { try Golden.run(path) }

  @Test("a file of step orders", arguments: VectorFolder.files("order"))
  func order(path: String) throws { try Golden.run(path) }
}

extension Golden {
  static let randomChecks: [String: Check] = [
    "random/philox.txt": { file in
      for row in file.rows {
        func word(_ column: String) throws -> UInt32 { try row.number(column, radix: 16) }
        let found = philox4x32(
          counter: (try word("c0"), try word("c1"), try word("c2"), try word("c3")),
          key: (try word("k0"), try word("k1")))
        let expected = (try word("w0"), try word("w1"), try word("w2"), try word("w3"))
        #expect(found == expected, "\(row)")
      }
    },
    "random/lanes.txt": { file in
      for row in file.rows {
        let (stream, index) = (try stream(row), try row.number("index", UInt32.self))
        let lane: UInt16 = try row.number("lane")
        expectEqual(stream.bits16(index), lane, row.description)
        // The walk that kernels take, from the element itself and from a few before it.
        for before in 0..<min(index + 1, 10) {
          var lanes = RoundingLanes(stream, startingAt: index - before)
          for _ in 0..<before { _ = lanes.next() }
          expectEqual(lanes.next(), lane, "\(row), walking from \(before) before")
        }
      }
    },
    "random/words.txt": { file in
      for row in file.rows {
        expectEqual(
          try stream(row).word(try row.number("index")), try row.number("word"), row.description)
      }
    },
    "random/signs.txt": { file in
      for row in file.rows {
        expectEqual(
          try stream(row).sign(try row.number("index")), try row.number("sign"), row.description)
      }
    },
    "random/uniform.txt": { file in
      for row in file.rows {
        let found = try stream(row).uniform(try row.number("index"), below: try row.number("n"))
        expectEqual(found, try row.number("expected"), row.description)
      }
    },
    "random/sample_order.txt": { file in
      for block in file.blocks {
        let order = SampleOrder(
          key: RandomKey(seed: try block.number("seed")), count: try block.number("samples"),
          epoch: try block.number("epoch"))
        try block.expect("order", (0..<order.count).map { Int32(order[$0]) })
      }
    },
  ]

  private static func stream(_ row: VectorRow) throws -> RandomStream {
    let purpose = try #require(Purpose(rawValue: try row.number("purpose")))
    return RandomKey(seed: try row.number("seed")).stream(
      purpose, tensor: try row.number("tensor"), step: try row.number("step"),
      query: try row.number("query"))
  }

  static let orderChecks: [String: Check] = [
    "order/steps.txt": { file in
      for block in file.blocks { try checkSteps(block) }
    }
  ]

  private static func checkSteps(_ block: VectorBlock) throws {
    let samples: UInt32 = try block.number("samples")
    var bytes = RecipeBytes(updates: [3, 3])
    bytes.seed = try block.number("seed")
    bytes.batch = try block.number("batch")
    bytes.microBatch = try block.number("micro-batch")
    bytes.epochs = try block.number("epochs")
    bytes.largestStepCount = try block.number("largest steps")
    bytes.warmup = try block.number("warm-up")
    bytes.factors = try block.numbers("factors")
    bytes.rate = Scale(1) / Scale(20)
    bytes.schedule = try schedule(try block.text("schedule"))
    try withRecipe(bytes, for: SmallNetworks.dense()) { recipe in
      let planned = recipe.plannedSteps(samples: samples)
      expectEqual(planned, try block.number("expect planned steps"), "\(block), planned steps")
      for step in 0..<planned {
        let epoch = step / recipe.stepsPerEpoch(samples: samples)
        let order = SampleOrder(key: RandomKey(seed: recipe.seed), count: samples, epoch: epoch)
        let first = step % recipe.stepsPerEpoch(samples: samples) * recipe.batch
        let end = min(first + recipe.batch, samples)
        let cut = stride(from: first, to: end, by: Int(recipe.microBatch)).map { start in
          (start..<min(start + recipe.microBatch, end)).map { "\(order[$0])" }
            .joined(separator: " ")
        }
        expectEqual(
          cut.joined(separator: " | "), try block.text("expect step \(step) samples"),
          "\(block), samples of step \(step)")
        let factor = recipe.rateFactor(step: step, of: planned, epoch: epoch)
        expectEqual(
          factor, try block.number("expect step \(step) factor"), "\(block), factor of step \(step)"
        )
        try block.expect("step \(step) rate", recipe.rate(.weights, factor: factor))
      }
    }
  }

  private static func schedule(_ name: String) throws -> Recipe.Schedule {
    switch name {
    case "constant": .constant
    case "cosine": .cosine
    case "step": .step
    default: throw VectorError("no schedule \(name)")
    }
  }
}
