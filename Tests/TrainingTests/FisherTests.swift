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

@Suite("Fisher potentials (SPEC 8.13)") struct FisherTests {
  /// One weighted node's potentials by the equations, with wide integers and plain loops.
  private struct Expected {
    var outputs: [Int128] = []
    var channels: [Int128] = []
  }

  private static func run(_ builder: ModelBuilder) throws -> TestRun {
    var recipe = RecipeBytes(
      updates: builder.nodes.map { node in
        node.weights.isEmpty ? 0 : node.hasAccumulators ? 1 : 5
      })
    (recipe.batch, recipe.microBatch, recipe.rate, recipe.tracks) = (1, 1, .zero, false)
    return try TestRun(builder, recipe)
  }

  private static func potentials(_ run: TestRun, count: Int) -> (FisherPotentials, AlignedMemory) {
    let memory = AlignedMemory(byteCount: 8 * FisherPotentials.wordCount(run.network))
    let potentials = FisherPotentials(run.network, memory: memory.view(of: Int64.self))
    potentials.measure(run.session, run.recipe, run.trainer.samples, count: count)
    return (potentials, memory)
  }

  /// ⌊v·S·2²⁰ + ½⌋², v clamped to 31 bits after it.
  private func square(_ value: Int128, _ scale: Scale) -> Int128 {
    let shift = 31 - Int(scale.exponent) - 20
    let product = value * Int128(scale.mantissa)
    let rounded = shift > 0 ? (product + 1 << (shift - 1)) >> shift : product << -shift
    let most = Int128(Int32.max)
    let t = max(-most, min(most, rounded))
    return t * t
  }

  @Test("every kind of layer: sums over y and g, over w and dw", arguments: [1, 4])
  func equations(count: Int) throws {
    let run = try FisherTests.run(ChannelSelectionTests.builder())
    let (potentials, memory) = FisherTests.potentials(run, count: count)
    let network = run.network
    var expected = [Expected](repeating: Expected(), count: network.nodeCount)
    // Another session, so that nothing of the measured one is read.
    let other = try FisherTests.run(ChannelSelectionTests.builder())
    let session = other.session
    for sample in 0..<count {
      session.input.copy(from: other.trainer.samples.values(sample))
      session.forward(samples: 1)
      _ = Trainer.loss(
        session, .crossEntropy, other.trainer.samples, sample, slot: 0,
        gradient: session.logitGradient)
      let rates = Backward.Rates(
        weights: .zero, biases: .zero, head: .zero, scales: .zero, microBatches: 1)
      Backward(
        session: session, recipe: other.recipe, key: RandomKey(seed: 1), step: UInt32(sample),
        query: 0, samples: 1, rates: rates
      ).run(lossScale: SoftmaxCrossEntropy.gradientScale(samples: 1)) { backward, index in
        guard index < network.nodeCount, network.node(index).operation.weighted != nil else {
          return
        }
        add(backward, index, into: &expected[index])
      }
    }
    for index in 0..<network.nodeCount {
      #expect(potentials.outputs(ofNode: index).array.map { Int128($0) } == expected[index].outputs)
      #expect(
        potentials.channels(ofNode: index).array.map { Int128($0) } == expected[index].channels)
    }
    #expect(expected[6].outputs.contains { $0 > 0 } && expected[2].channels.contains { $0 > 0 })
    withExtendedLifetime(memory) {}
  }

  private func add(_ backward: Backward, _ index: Int, into expected: inout Expected) {
    let session = backward.session
    let node = session.network.node(index)
    let shape = node.operation.weighted!
    let g = backward.gradient(index + 1, sample: 0).array.map { Int128($0) }
    let gradientScale = session.table.gradientScale(index + 1)
    let outputs = shape.output.channels
    let y: [Int128] =
      node.hasAccumulators
      ? session.logits(sample: 0).array.map { Int128($0) }
      : session.activation(index + 1, sample: 0).array.map {
        Int128($0) - Int128(node.quantization.zeroPoint)
      }
    if expected.outputs.isEmpty {
      expected.outputs = Array(repeating: 0, count: outputs)
      expected.channels = Array(repeating: 0, count: shape.input.channels)
    }
    for c in 0..<outputs {
      let gamma = stride(from: c, to: g.count, by: outputs).reduce(Int128(0)) { $0 + g[$1] * y[$1] }
      expected.outputs[c] += square(gamma, gradientScale * session.table.scale(index + 1))
    }
    // q = Σ w·dw, with dw spelled out: Σ ρ·w·(x − Z)·g over positions and taps.
    let weights = session.weights(index, node).array.map { Int128($0) }
    let scales = (0..<node.scaleCount).map { session.weightScale(index, node, $0) }
    let largest = scales.reduce(.zero) { $0 < $1 ? $1 : $0 }
    let zero = Int128(session.network.quantization(ofTensor: node.firstInput).zeroPoint)
    let x = session.activation(node.firstInput, sample: 0).array.map { Int128($0) - zero }
    var sums = [Int128](repeating: 0, count: shape.input.channels)
    let window = shape.geometry
    let perGroup = shape.input.channels / shape.groups
    for r in 0..<shape.output.height {
      for c in 0..<shape.output.width {
        for o in 0..<outputs {
          for tap in 0..<window.kernelHeight * window.kernelWidth {
            let row =
              r * window.strideHeight - window.padTop
              + tap / window.kernelWidth * window.dilationHeight
            let column =
              c * window.strideWidth - window.padLeft
              + tap % window.kernelWidth * window.dilationWidth
            guard (0..<shape.input.height).contains(row), (0..<shape.input.width).contains(column)
            else { continue }
            for i in 0..<perGroup {
              let channel = o / (outputs / shape.groups) * perGroup + i
              let ratio =
                node.scalesPerChannel ? (scales[o] / largest).roundedToInteger(fractionBits: 15) : 1
              sums[channel] +=
                Int128(ratio)
                * weights[(o * window.kernelHeight * window.kernelWidth + tap) * perGroup + i]
                * x[(row * shape.input.width + column) * shape.input.channels + channel]
                * g[(r * shape.output.width + c) * outputs + o]
            }
          }
        }
      }
    }
    var unit = largest * session.table.scale(node.firstInput)
    if node.scalesPerChannel {
      unit = largest.multiplied(byPowerOfTwo: -15) * session.table.scale(node.firstInput)
    }
    for i in sums.indices { expected.channels[i] += square(sums[i], unit * gradientScale) }
  }

  @Test("measuring changes no parameter and gives the same again")
  func unchanged() throws {
    let run = try FisherTests.run(ChannelSelectionTests.builder())
    let before = run.session.modelDigest
    let (first, memory) = FisherTests.potentials(run, count: 6)
    #expect(run.session.modelDigest == before)
    let (second, other) = FisherTests.potentials(run, count: 6)
    for index in 0..<run.network.nodeCount {
      #expect(first.outputs(ofNode: index).array == second.outputs(ofNode: index).array)
      #expect(first.score(ofNode: index) == second.score(ofNode: index))
    }
    withExtendedLifetime((memory, other)) {}
  }

  @Test("a score is the logarithm of the potential less those of weights and products")
  func scores() throws {
    let run = try FisherTests.run(ChannelSelectionTests.builder())
    let (potentials, memory) = FisherTests.potentials(run, count: 6)
    func log2(_ v: Int64) -> Int32 { Tally.logarithmBase2(v) }
    for index in [0, 1, 2, 3, 6] {
      let shape = run.network.node(index).operation.weighted!
      let sum = potentials.outputs(ofNode: index).array.reduce(0, +)
      guard sum > 0 else {
        #expect(potentials.score(ofNode: index) == nil)
        continue
      }
      let positions = shape.output.height * shape.output.width
      let whole =
        log2(sum) - log2(Int64(shape.weightCount)) - log2(Int64(positions * shape.weightCount))
      #expect(potentials.score(ofNode: index) == whole)
      let one = shape.weightCount / shape.input.channels
      #expect(
        potentials.score(ofNode: index, selecting: 1)
          == log2(sum) - log2(Int64(one)) - log2(Int64(positions * one)))
    }
    #expect(potentials.score(ofNode: 4) == nil)
    withExtendedLifetime(memory) {}
  }
}
