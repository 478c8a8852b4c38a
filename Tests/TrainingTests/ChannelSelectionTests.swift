import CounterRandom
import Importers
import Kernels
import Tally
import TallyHost
import TallyTestSupport
import Tensors
import Testing

@testable import Layers
@testable import Training

@Suite("Channel selection (SPEC 8.11)") struct ChannelSelectionTests {
  /// conv 3×3 → depthwise 3×3 → conv 1×1 → add → pool → head: every kind that a selection knows.
  static func builder() -> ModelBuilder {
    var builder = SmallNetworks.convolutional(filters: 6, residual: true)
    let map = builder.nodes[0].output
    let window = Tensors.WindowGeometry(
      kernelHeight: 3, kernelWidth: 3, padTop: 1, padLeft: 1, padBottom: 1, padRight: 1)
    let head = builder.nodes.removeLast()
    let tail = builder.nodes.suffix(2)
    builder.nodes.removeLast(2)
    var tensor = builder.addWeighted(
      "depthwise",
      .convolution(Convolution(input: map, output: map, geometry: window, groups: 6)),
      from: 2, rectified: true, seed: 5)
    tensor = builder.addWeighted(
      "pointwise",
      .convolution(
        Convolution(
          input: map, output: map, geometry: .init(kernelHeight: 1, kernelWidth: 1), groups: 1)),
      from: tensor, rectified: false, seed: 6)
    var (add, pool) = (tail[tail.startIndex], tail[tail.startIndex + 1])
    add.inputs = [1, tensor]
    builder.nodes.append(add)
    pool.inputs = [tensor + 1]
    builder.nodes.append(pool)
    var last = head
    last.inputs = [tensor + 2]
    builder.nodes.append(last)
    // One Scale per channel in the depthwise and the pointwise convolution.
    for index in [2, 3] {
      let scale = builder.nodes[index].weightScales[0]
      builder.nodes[index].weightScales = (0..<6).map { scale * Scale(UInt64(9 - $0)) / Scale(7) }
    }
    return builder
  }

  static func recipe(_ rule: UInt8) -> RecipeBytes {
    var recipe = RecipeBytes(updates: [2, 3, 3, 3, 0, 0, 3])
    (recipe.epochs, recipe.batch, recipe.microBatch) = (2, 5, 2)
    recipe.selections = [1: (rule, 2), 2: (rule, 3), 3: (rule, 4), 6: (rule, 11)]
    recipe.rate = .powerOfTwo(-3)
    recipe.weightDecay = .powerOfTwo(-9)
    recipe.trustRatio = .powerOfTwo(-5)
    recipe.normClip = .powerOfTwo(0)
    return recipe
  }

  // MARK: - The rules

  @Test("each rule chooses the channels that sorting its keys chooses")
  func rules() throws {
    let builder = ChannelSelectionTests.builder()
    for rule: UInt8 in 1...3 {
      let run = try TestRun(builder, ChannelSelectionTests.recipe(rule))
      for (index, selection) in ChannelSelectionTests.recipe(rule).selections {
        let node = run.network.node(index)
        let shape = node.operation.weighted!
        let keys = (0..<shape.input.channels).map { key(rule, $0, index, node, run) }
        let sorted = keys.indices.sorted { (keys[$0], -$0) > (keys[$1], -$1) }
        let expected = sorted.prefix(Int(selection.count)).sorted().map { Int32($0) }
        #expect(run.session.weightSelection(index, shape)!.channels.array == expected)
      }
    }
  }

  private func key(_ rule: UInt8, _ channel: Int, _ index: Int, _ node: Node, _ run: TestRun)
    -> Int128
  {
    if rule == 2 { return -Int128(channel) }
    if rule == 3 {
      return Int128(
        RandomKey(seed: 1).stream(.channelChoice, tensor: UInt32(4 * index), step: 0, query: 0)
          .word(UInt32(channel)))
    }
    let shape = node.operation.weighted!
    let weights = run.network.weights(of: node).array
    let scales = (0..<node.scaleCount).map { run.network.weightScale(of: node, $0) }
    let largest = scales.reduce(.zero) { $0 < $1 ? $1 : $0 }
    var sum: Int128 = 0
    for (element, weight) in weights.enumerated() {
      let o = element / shape.depth
      let reads = shape.isDepthwise ? o : element % shape.inputsPerGroup
      guard reads == channel else { continue }
      let ratio =
        node.scalesPerChannel ? (scales[o] / largest).roundedToInteger(fractionBits: 15) : 1
      sum += Int128(ratio * ratio) * Int128(weight) * Int128(weight)
    }
    return sum
  }

  @Test("equal keys: the lower channels; all weights zero: the first")
  func ties() throws {
    var builder = SmallNetworks.dense(inputs: 9)
    for o in 0..<8 {
      for i in 0..<9 {
        builder.nodes[0].weights[o * 9 + i] = [3, 5, 5, 1, 5, 5, 0, 5, 7][i]
        builder.nodes[1].weights[o % 3 * 8 + i % 8] = 0
      }
    }
    var fields = RecipeBytes(updates: [1, 1])
    fields.selections = [0: (1, 4), 1: (1, 3)]
    let run = try TestRun(builder, fields)
    #expect(list(run, 0) == [1, 2, 4, 8])
    #expect(list(run, 1) == [0, 1, 2])
  }

  private func list(_ run: TestRun, _ index: Int) -> [Int32] {
    run.session.weightSelection(index, run.network.node(index).operation.weighted!)!.channels.array
  }

  @Test("listed channels are those of the recipe; lists that cannot be are refused")
  func listed() throws {
    var fields = RecipeBytes(updates: [1, 1])
    func run(_ words: [UInt16]) throws -> TestRun {
      fields.blocks = [(3, words.flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] })]
      return try TestRun(SmallNetworks.dense(inputs: 9), fields)
    }
    fields.selections = [0: (4, 3), 1: (4, 2)]
    let good = try run([0, 5, 8, 2, 7])
    #expect(list(good, 0) == [0, 5, 8])
    #expect(list(good, 1) == [2, 7])
    for bad: [UInt16] in [
      [0, 5, 9, 2, 7], [0, 5, 5, 2, 7], [5, 0, 8, 2, 7], [0, 5, 8, 2], [0, 5, 8, 2, 7, 7],
      [0, 5, 8, 7, 2], [0, 5, 8, 2, 8], [],
    ] {
      #expect(throws: RecipeError.self) { try run(bad) }
    }
    fields.selections = [0: (1, 3)]
    #expect(throws: RecipeError.self) { try run([0, 5, 8]) }
    fields.blocks = []
    fields.selections = [0: (4, 3)]
    #expect(throws: RecipeError.self) {
      try TestRun(SmallNetworks.dense(inputs: 9), fields)
    }
  }

  @Test("selections that a node cannot have are refused")
  func refused() throws {
    func attempt(
      _ updates: [UInt8], _ selections: [Int: (rule: UInt8, count: UInt16)],
      _ builder: ModelBuilder = ChannelSelectionTests.builder()
    ) throws {
      var fields = RecipeBytes(updates: updates)
      fields.selections = selections
      _ = try TestRun(builder, fields)
    }
    #expect(throws: Never.self) { try attempt([3, 3, 3, 3, 0, 0, 3], [1: (1, 6), 6: (2, 54)]) }
    for bad: [Int: (rule: UInt8, count: UInt16)] in [
      [1: (1, 7)], [1: (1, 0)], [1: (0, 1)], [1: (5, 1)], [2: (1, 7)], [4: (1, 1)], [6: (1, 55)],
    ] {
      #expect(throws: RecipeError.self) { try attempt([3, 3, 3, 3, 0, 0, 3], bad) }
    }
    #expect(throws: RecipeError.self) { try attempt([3, 2, 3, 3, 0, 0, 3], [1: (1, 2)]) }
    // Two groups of three channels: neither one group nor one each.
    var grouped = ChannelSelectionTests.builder()
    let shape = grouped.nodes[1].operation.weighted!
    grouped.nodes[1].operation = .convolution(
      Convolution(
        input: shape.input, output: shape.output, geometry: shape.geometry, groups: 2))
    grouped.nodes[1].weights.removeLast(grouped.nodes[1].weights.count / 2)
    #expect(throws: RecipeError.self) { try attempt([3, 3, 3, 3, 0, 0, 3], [1: (1, 2)], grouped) }
  }

  // MARK: - Training

  @Test(
    "compact gradients are the selected part of the whole ones, and only selected weights move",
    arguments: [1, 3] as [UInt8])
  func gradients(rule: UInt8) throws {
    let builder = ChannelSelectionTests.builder()
    var fields = ChannelSelectionTests.recipe(rule)
    fields.tracks = false
    let selected = try TestRun(builder, fields)
    fields.selections = [:]
    let whole = try TestRun(builder, fields)
    var blocks: [Int: [Int32]] = [:]
    func collect(_ run: TestRun, _ body: @escaping (Int, [Int32]) -> Void) {
      run.trainer.takeStep(
        onNode: { backward, index in
          guard index < run.network.nodeCount, backward.query == 0, index != 0,
            let shape = run.network.node(index).operation.weighted
          else { return }
          let node = run.network.node(index)
          let tiling = Tiling(index, node, run.session.request)
          let db = backward.biasGradient(index, node, shape, tiling)
          var dw: [Int32] = []
          backward.forEachBlock(index, node, shape, db, tiling) { block, _ in dw += block.array }
          body(index, dw)
        }, onEvent: { _ in })
    }
    collect(whole) { blocks[$0] = $1 }
    var compared = 0
    collect(selected) { index, dw in
      let shape = selected.network.node(index).operation.weighted!
      let channels = self.list(selected, index)
      var expected: [Int32] = []
      for (element, value) in blocks[index]!.enumerated() {
        let reads = shape.isDepthwise ? element / shape.depth : element % shape.inputsPerGroup
        if channels.contains(Int32(reads)) { expected.append(value) }
      }
      #expect(dw == expected)
      #expect(dw.contains { $0 != 0 })
      compared += 1
    }
    #expect(compared == 4)
    _ = selected.finish()
    var moved = 0
    for index in [1, 2, 3, 6] {
      let node = selected.network.node(index)
      let shape = node.operation.weighted!
      let channels = list(selected, index)
      let before = selected.network.weights(of: node).array
      let after = selected.session.weights(index, node).array
      for element in before.indices {
        let reads = shape.isDepthwise ? element / shape.depth : element % shape.inputsPerGroup
        if channels.contains(Int32(reads)) {
          if before[element] != after[element] { moved += 1 }
        } else {
          #expect(before[element] == after[element])
        }
      }
    }
    #expect(moved > 20)
  }

  @Test(
    "a step's masters, a second way: whole rows of dw, clip, decay and lanes of the compact tensor")
  func masters() throws {
    let builder = ChannelSelectionTests.builder()
    var fields = ChannelSelectionTests.recipe(1)
    (fields.batch, fields.microBatch, fields.tracks) = (2, 2, false)
    (fields.trustRatio, fields.normClip) = (.zero, .zero)
    fields.schedule = .constant
    let run = try TestRun(builder, fields)
    var expected: [Int: [Int32]] = [:]
    for index in [1, 2, 3, 6] {
      let node = run.network.node(index)
      let weights = run.network.weights(of: node).array
      let shape = node.operation.weighted!
      let channels = list(run, index)
      let masters = weights.indices.filter {
        channels.contains(
          Int32(shape.isDepthwise ? $0 / shape.depth : $0 % shape.inputsPerGroup))
      }.map { Int32(weights[$0]) << 16 }
      #expect(run.session.masters(index)!.array == masters)
      let decay = (fields.rate * fields.weightDecay).multiplier
      expected[index] = masters.map { $0 - decay.requantize($0) }
    }
    run.trainer.takeStep(
      onNode: { backward, index in
        guard let masters = expected[index] else { return }
        let node = run.network.node(index)
        let shape = node.operation.weighted!
        let tiling = Tiling(index, node, run.session.request)
        let db = backward.biasGradient(index, node, shape, tiling)
        var dw: [Int32] = []
        backward.forEachBlock(index, node, shape, db, tiling) { block, _ in dw += block.array }
        let channels = self.list(run, index)
        let depth = dw.count / (shape.isDepthwise ? channels.count : node.output.channels)
        let session = run.session
        expected[index] = dw.indices.map { element in
          let row = element / depth
          let channel = shape.isDepthwise ? Int(channels[row]) : row
          let unit =
            (fields.rate * session.table.scale(node.firstInput)
            * session.table.gradientScale(index + 1)
            / session.weightScale(index, node, node.scalesPerChannel ? channel : 0))
            .multiplied(byPowerOfTwo: 16)
          let lane = RandomKey(seed: 1)
            .stream(.weightRounding, tensor: UInt32(4 * index), step: 0, query: 0)
            .bits16(UInt32(element))
          let change = unit.multiplier.requantizeStochastically(dw[element], bits: lane)
          return masters[element] - min(max(change, -16 << 16), 16 << 16)
        }
      }, onEvent: { _ in })
    for (index, masters) in expected {
      let limit: Int32 = 127 << 16
      #expect(
        run.session.masters(index)!.array == masters.map { min(max($0, -limit), limit) },
        "node \(index)")
    }
  }

  @Test(
    "compact and fast sessions give the same journal, with and without masters and momentum",
    arguments: [Recipe.Weights.masters, .int8], [0, 16_384] as [UInt16])
  func compact(weights: Recipe.Weights, momentum: UInt16) throws {
    let builder = ChannelSelectionTests.builder()
    var fields = ChannelSelectionTests.recipe(1)
    fields.weights = weights
    fields.momentum = momentum
    let fast = try TestRun(builder, fields)
    let compact = try TestRun(builder, fields, isCompact: true)
    #expect(fast.finish() == compact.finish())
    #expect(fast.host.modelBytes() == compact.host.modelBytes())
  }

  @Test("selecting every channel is selecting none")
  func all() throws {
    let builder = ChannelSelectionTests.builder()
    var fields = ChannelSelectionTests.recipe(1)
    fields.tracks = false
    fields.selections = [:]
    let plain = try TestRun(builder, fields)
    _ = plain.finish()
    fields.selections = [1: (1, 6), 2: (2, 6), 3: (3, 6), 6: (1, 54)]
    let selected = try TestRun(builder, fields)
    _ = selected.finish()
    #expect(plain.host.modelBytes() == selected.host.modelBytes())
  }

  @Test("a selection of a quarter keeps a quarter of the input and of the masters")
  func memory() throws {
    let builder = SmallNetworks.convolutional(filters: 8, residual: true)
    var fields = RecipeBytes(updates: [0, 1, 0, 0, 0])
    fields.tracks = false
    let whole = try TestRun(builder, fields)
    fields.selections = [1: (1, 2)]
    let part = try TestRun(builder, fields)
    let saved = whole.host.plannedByteCount - part.host.plannedByteCount
    // Masters of 8·9·6 weights; of the input only a quarter outlives the forward pass.
    #expect(saved >= 4 * 8 * 9 * 6)
    #expect(part.session.masters(1)!.count == 8 * 9 * 2)
  }
}
