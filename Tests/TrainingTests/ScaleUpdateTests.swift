import Importers
import Kernels
import Tally
import TallyHost
import TallyTestSupport
import Testing

@testable import Layers
@testable import Training

@Suite("Scales as targets (SPEC 8.11)") struct ScaleUpdateTests {
  /// A residual network, with one weight Scale per channel in its convolutions if asked for.
  static func builder(perChannel: Bool) -> ModelBuilder {
    var builder = SmallNetworks.convolutional(residual: true)
    guard perChannel else { return builder }
    for index in builder.nodes.indices where !builder.nodes[index].weights.isEmpty {
      if builder.nodes[index].hasAccumulators { continue }
      let scale = builder.nodes[index].weightScales[0]
      builder.nodes[index].weightScales = (0..<builder.nodes[index].output.channels).map {
        scale * Scale(UInt64(5 + $0)) / Scale(6)
      }
    }
    return builder
  }

  static func recipe(_ builder: ModelBuilder, _ update: UpdateSet) -> RecipeBytes {
    var recipe = RecipeBytes(
      updates: builder.nodes.map {
        $0.weights.isEmpty ? 0 : $0.hasAccumulators ? 3 : update.rawValue
      })
    recipe.scaleRate = .powerOfTwo(-5)
    recipe.tracks = false
    return recipe
  }

  /// ⌊γ·S·2³⁰ + ½⌋ with S exact, clamped.
  private func contribution(_ gamma: Int64, _ scale: Scale, most: Int64) -> Int64 {
    let product = Int128(gamma) * Int128(scale.mantissa)
    let shift = Int(31 - scale.exponent - 30)
    let rounded = shift <= 0 ? product << -shift : (product + (1 << (shift - 1))) >> shift
    return Int64(max(-Int128(most), min(Int128(most), rounded)))
  }

  @Test(
    "velocities and Scales after each step are what the sums over y and g give",
    arguments: [false, true], [0, 24_576] as [UInt16])
  func steps(perChannel: Bool, momentum: UInt16) throws {
    let builder = ScaleUpdateTests.builder(perChannel: perChannel)
    var fields = ScaleUpdateTests.recipe(builder, [.scales, .biases])
    (fields.epochs, fields.batch, fields.microBatch) = (2, 5, 2)
    fields.momentum = momentum
    let run = try TestRun(builder, fields)
    let session = run.session
    let nodes = (0..<run.network.nodeCount).filter { session.scaleVelocities($0) != nil }
    #expect(nodes.count == 2)
    var velocities = nodes.map { [Int64](repeating: 0, count: run.network.node($0).scaleCount) }
    var moved = 0
    while !run.trainer.isDone {
      for k in nodes.indices {
        velocities[k] = velocities[k].map { $0 * Int64(momentum) / (1 << 15) }
      }
      let before = nodes.map { index in
        (0..<run.network.node(index).scaleCount).map {
          session.weightScale(index, run.network.node(index), $0)
        }
      }
      run.trainer.takeStep(
        onNode: { backward, index in
          guard let k = nodes.firstIndex(of: index) else { return }
          let node = run.network.node(index)
          let channels = node.output.channels
          var sums = [Int64](repeating: 0, count: channels)
          for sample in 0..<backward.samples {
            let g = backward.gradient(index + 1, sample: sample)
            let y = session.activation(index + 1, sample: sample)
            for element in 0..<g.count {
              sums[element % channels] +=
                Int64(g[element]) * (Int64(y[element]) - Int64(node.quantization.zeroPoint))
            }
          }
          if !perChannel { sums = [sums.reduce(0, +)] }
          let unit =
            backward.rates.scales * session.table.gradientScale(index + 1)
            * session.table.scale(index + 1)
          for c in sums.indices {
            // Three micro-batches make a batch of five.
            velocities[k][c] += contribution(sums[c], unit, most: (1 << 30) / 3)
          }
        }, onEvent: { _ in })
      for (k, index) in nodes.enumerated() {
        for c in velocities[k].indices {
          let v = max(-5_368_709, min(5_368_709, velocities[k][c]))
          velocities[k][c] = momentum == 0 ? 0 : v
          let factor = Scale(UInt64((1 << 30) - v)).multiplied(byPowerOfTwo: -30)
          let scale = v == 0 ? before[k][c] : before[k][c] * factor
          #expect(session.weightScale(index, run.network.node(index), c) == scale)
          if scale != before[k][c] { moved += 1 }
          #expect(Int64(session.scaleVelocities(index)![c]) == velocities[k][c])
        }
      }
    }
    #expect(moved > 10)
  }

  @Test("a gain's gradient predicts how the loss changes with the gain")
  func gradientIsTheSlope() throws {
    // dL/d(log S) from one backward pass against the loss at S·(1 ± 1/16).
    let builder = ScaleUpdateTests.builder(perChannel: false)
    var fields = ScaleUpdateTests.recipe(builder, [.scales])
    (fields.epochs, fields.batch, fields.microBatch) = (1, 12, 12)
    let run = try TestRun(builder, fields)
    var slope: Int64 = 0
    run.trainer.takeStep(
      onNode: { backward, index in
        guard index == 0 else { return }
        let gains = backward.gainGradient(
          index, run.network.node(index),
          Tiling(index, run.network.node(index), run.session.request))
        let scale =
          run.session.table.gradientScale(1) * run.session.table.scale(1)
        let gamma = (0..<gains.count).reduce(Int64(0)) { $0 + Int64(gains[$1]) }
        // Q16, of the sum over the batch of 12.
        slope = scale.multiplied(byPowerOfTwo: 16).multiplier.requantizeWide(gamma * 12)
      }, onEvent: { _ in })
    func loss(_ factor: Scale) throws -> Int64 {
      var changed = builder
      changed.nodes[0].weightScales = [changed.nodes[0].weightScales[0] * factor]
      let other = try TestRun(changed, fields)
      return Trainer.evaluate(other.session, .crossEntropy, other.trainer.samples).loss
    }
    let difference = try loss(Scale(17) / Scale(16)) - loss(Scale(15) / Scale(16))
    // An eighth in all; rounding to int8 blurs both sides.
    #expect(abs(difference - slope / 8) * 4 < abs(slope / 8), "\(difference) \(slope / 8)")
  }

  @Test("compact and fast sessions give the same journal", arguments: [false, true])
  func compact(perChannel: Bool) throws {
    let builder = ScaleUpdateTests.builder(perChannel: perChannel)
    var fields = ScaleUpdateTests.recipe(builder, [.scales, .weights])
    (fields.epochs, fields.batch, fields.microBatch) = (2, 5, 2)
    fields.momentum = 16_384
    let fast = try TestRun(builder, fields)
    let compact = try TestRun(builder, fields, isCompact: true)
    #expect(fast.finish() == compact.finish())
    #expect(fast.host.modelBytes() == compact.host.modelBytes())
    #expect(fast.host.modelBytes() != fast.model.bytes)
  }

  @Test("half a percent is the most a step changes, and zero changes nothing")
  func limits() {
    let scale = Scale(mantissa: 0x7FFF_FFFF, exponent: 3)!
    #expect(Gain.step(scale, velocity: 0) == scale)
    for velocity in [Gain.limit, -Gain.limit] {
      let ratio = Gain.step(scale, velocity: velocity) / scale
      let parts = ratio.roundedToInteger(fractionBits: 30) - (1 << 30)
      #expect(abs(parts + Int64(velocity)) <= 4)
    }
    #expect(Gain.limit == (1 << 30) / 200)
    let edge = Scale(mantissa: 0x7FFF_FFFF, exponent: 512)!
    #expect(Gain.step(edge, velocity: -Gain.limit) == edge)
    #expect(Gain.step(edge, velocity: Gain.limit) != edge)
  }

  @Test("Scales of raw logits are refused")
  func headRefused() throws {
    let builder = SmallNetworks.dense()
    #expect(throws: RecipeError.self) {
      try TestRun(builder, RecipeBytes(updates: [7, 7]))
    }
    #expect(throws: Never.self) { try TestRun(builder, RecipeBytes(updates: [7, 3])) }
  }
}
