import Importers
import Tally
import TallyHost
import TallyTestSupport
import Testing

@testable import Layers
@testable import Training

@Suite("Zeroth-order estimates") struct ZerothOrderEstimateTests {
  /// One linear layer, whose gradient is known: dw = g·x̂, db = g.
  @Test("cosine to the gradient is within 5 % of √(Q/(Q + d − 1))")
  func cosine() throws {
    let inputs = 100
    let classes = 10
    let unit = Scale(1) / Scale(255)
    var builder = ModelBuilder(
      inputShape: Shape(vector: inputs),
      inputQuantization: Quantization(scale: unit, zeroPoint: -128),
      inputMaps: [.init(scale: .powerOfTwo(0), offset: -128 << 32)])
    builder.isInitialized = true
    _ = builder.addHead("head", classes: classes, seed: 5)
    let model = try LoadedModel(builder.bytes())
    var fields = RecipeFields(rates: .init(all: .powerOfTwo(-4)), updates: [[]])
    fields.method = .zerothOrder
    fields.batch = 1
    fields.microBatch = 1
    fields.seed = 11
    var block = ZerothOrderFields()
    block.queries = 1024
    block.groups = [CoordinateGroup(node: 0, kind: .weights)]
    fields.zerothOrder = block
    let memory = AlignedMemory(fields.bytes)
    let recipe = try Recipe(validating: memory.view(of: UInt8.self), for: model.network)
    let host = try HostSession(model, SessionRequest(samples: 1, training: recipe.needs))
    let session = host.session
    for j in 0..<inputs { session.input[j] = Int8(truncatingIfNeeded: (j * 37) % 251 - 125) }
    session.forward(samples: 1)
    let loss = SoftmaxCrossEntropy(logitScale: session.logitScale)
    let gradient = AlignedMemory(byteCount: 4 * classes)
    let g = gradient.view(of: Int32.self)
    _ = loss.loss(session.logits(sample: 0), label: 3, gradient: g)

    let d = inputs * classes + classes
    // Mean squares of the cosine over all parts of Q queries of the runs.
    var squares = [Double](repeating: 0, count: 11)
    let runs = 4
    for step in 0..<UInt32(runs) {
      let part = ZerothOrderStep(
        session, recipe, recipe.zerothOrder!, key: RandomKey(seed: recipe.seed), step: step,
        batch: 1)
      part.beginMeasuring(first: 0)
      for pass in part.passes {
        part.run(pass, first: 0, samples: 1)
        let measured = loss.loss(session.logits(sample: 0), label: 3, gradient: nil)
        part.note(measured, position: 0, pass: pass)
      }
      part.endMeasuring()
      part.finish(first: 0, samples: 1)
      // The gradient in units of the perturbation of each coordinate.
      let node = model.network.node(0)
      let biasSigma = part.perturbation.biasSigma(node)
      let truth = (0..<d).map { i -> Double in
        i < inputs * classes
          ? Double(g[i / inputs]) * Double(Int32(session.input[i % inputs]) + 128) * 4
          : Double(g[i - inputs * classes]) * Double(biasSigma)
      }
      let truthNorm = truth.reduce(0) { $0 + $1 * $1 }.squareRoot()
      // Sums of 1, 2, 4 … queries.
      var sums = (0..<1024).map { query -> [Double] in
        let weights = part.perturbation.stream(0, .weights, position: 0, query: query)
        let biases = part.perturbation.stream(0, .biases, position: 0, query: query)
        let difference = Double(part.differences[query])
        return (0..<d).map {
          difference
            * Double(
              $0 < inputs * classes
                ? weights.sign(UInt32($0)) : biases.sign(UInt32($0 - inputs * classes)))
        }
      }
      for level in 0...10 {
        let mean = sums.reduce(0.0) { total, sum in
          let dot = zip(sum, truth).reduce(0) { $0 + $1.0 * $1.1 }
          let norm = sum.reduce(0) { $0 + $1 * $1 }.squareRoot()
          return norm == 0 ? total : total + (dot / norm / truthNorm) * (dot / norm / truthNorm)
        }
        squares[level] += mean / Double(sums.count) / Double(runs)
        sums = stride(from: 0, to: sums.count - 1, by: 2).map { zip(sums[$0], sums[$0 + 1]).map(+) }
      }
    }
    for level in 0...10 {
      let queries = Double(1 << level)
      let measured = squares[level].squareRoot()
      let expected = (queries / (queries + Double(d) - 1)).squareRoot()
      #expect(abs(measured / expected - 1) < 0.05, "Q \(queries): \(measured), \(expected)")
    }
  }

  @Test("a sequence of signs has the stream's, from any element on")
  func signSequence() {
    let stream = RandomKey(seed: 3).stream(.perturbation, tensor: 9, step: 2, query: 1)
    for (first, count) in [(0, 128), (128, 1), (160, 96), (37, 200), (255, 1), (31, 66)] {
      var signs = SignSequence(stream, startingAt: UInt32(first))
      for index in 0..<count { #expect(signs.next() == stream.sign(UInt32(first + index))) }
    }
  }

  /// The chain of SPEC 8.14, kind 3, on conv 3×3 → max pooling → head.
  @Test("the smallest tensor up to the next weighted node")
  func smallestTensor() throws {
    let model = try LoadedModel(SmallNetworks.convolutional().bytes())
    let group = CoordinateGroup(node: 0, kind: .inputs)
    #expect(model.network.perturbedTensor(group) == 2)
    #expect(model.network.dimension(group) == 3 * 3 * 4)
    #expect(model.network.dimension(CoordinateGroup(node: 0, kind: .nodes)) == 6 * 6 * 4)
    #expect(model.network.dimension(CoordinateGroup(node: 0, kind: .weights)) == 9 * 4 + 4)
    // Two reads of conv1's output end the chain at once.
    let residual = try LoadedModel(SmallNetworks.convolutional(residual: true).bytes())
    #expect(residual.network.perturbedTensor(group) == 1)
  }
}
