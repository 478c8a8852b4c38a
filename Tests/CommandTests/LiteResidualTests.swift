import Importers
import Tally
import TallyTestSupport
import Tensors
import Testing

@testable import TallyHost

@Suite("Lite residual modules and prototypes") struct LiteResidualTests {
  @Test("a builder of a model gives the model's bytes again")
  func roundTrip() throws {
    var models = [
      SmallNetworks.convolutional(), SmallNetworks.convolutional(channels: 3, residual: true),
      SmallNetworks.dense(),
    ]
    models[1].classNames = ["a", "bee", ""]
    models[1].readsChannelsFirst = true
    models[2].isInitialized = false
    for builder in models {
      let model = try LoadedModel(builder.bytes())
      #expect(try ModelBuilder(model).bytes() == model.bytes)
    }
  }

  /// conv1 6 × 6, conv2 of stride 2 behind it, then the head.
  private func builder() -> ModelBuilder {
    var builder = SmallNetworks.convolutional(filters: 4)
    let head = builder.nodes.removeLast()
    builder.nodes.removeLast()
    let map = builder.nodes[0].output
    let half = Shape(height: 3, width: 3, channels: 4)
    let window = Tensors.WindowGeometry(
      kernelHeight: 3, kernelWidth: 3, strideHeight: 2, strideWidth: 2, padTop: 0, padLeft: 0,
      padBottom: 1, padRight: 1)
    _ = builder.addWeighted(
      "conv2", .convolution(Convolution(input: map, output: half, geometry: window, groups: 1)),
      from: 1, rectified: true, seed: 3)
    var last = head
    last.inputs = [2]
    last.quantization.scale = builder.quantization(2).scale * last.weightScales[0]
    builder.nodes.append(last)
    builder.isInitialized = false
    return builder
  }

  @Test("modules change nothing until they are trained, and are what training changes")
  func modules() throws {
    let plain = try LoadedModel(builder().bytes())
    var changed = ModelBuilder(plain)
    #expect(changed.addLiteResiduals() == 2)
    let model = try LoadedModel(changed.bytes())
    let names = model.nodes.indices.map { model.name(ofNode: $0) }
    #expect(
      names == [
        "conv1", "conv1.lite mean", "conv1.lite", "conv1.lite spread", "conv1.lite sum", "conv2",
        "conv2.lite mean", "conv2.lite", "conv2.lite sum", "head",
      ])
    // One input channel allows one group only.
    #expect(model.nodes[2].operation.weighted?.groups == 1)
    #expect(model.nodes[7].operation.weighted?.groups == 2)
    let samples = SchemeChoiceTests.samples(plain, count: 9)
    let (before, after) = (
      try ModelEvaluation(plain, samples), try ModelEvaluation(model, samples)
    )
    #expect(before == after && before.sums.loss > 0)

    let text = #"{"update": "lite+biases+last", "batch": 3, "epochs": 2, "learningRate": "0.5"}"#
    let document = try RecipeDocument(Array(text.utf8)[...], file: "r.json")
    let fields = try document.resolved(for: model, hasLabels: true)
    let all: UpdateSet = [.weights, .biases]
    #expect(fields.updates == [.biases, [], all, [], [], .biases, [], all, [], all])
    let run = try TrainingRun(model, recipe: fields.bytes, samples: samples)
    var sink = JournalWriter(MemorySink())
    run.finish(&sink)
    let trained = try LoadedModel(run.modelBytes)
    for index in [2, 7] {
      let weights = trained.network.weights(of: trained.nodes[index])
      #expect((0..<weights.count).contains { weights[$0] != 0 })
    }
    for index in [0, 5] {
      let (old, new) = (
        model.network.weights(of: model.nodes[index]),
        trained.network.weights(of: trained.nodes[index])
      )
      #expect((0..<old.count).allSatisfy { old[$0] == new[$0] })
    }
    #expect(throws: InputError.self) { try document.resolved(for: plain, hasLabels: true) }
  }

  @Test("prototypes of the command are those of the features before the head")
  func prototypes() throws {
    let sandbox = try Sandbox()
    let outcome = sandbox.run(
      "eval", "m.tally", "--data", "v.npz", "--prototypes", "d.npz[0..<9]", "--json")
    #expect(outcome.status == 0, "\(outcome.error)")
    let model = try LoadedModel(sandbox.bytes("m.tally"))
    // The same again with float means of the hidden layer: far apart classes agree.
    let support = SchemeChoiceTests.samples(model, count: 9)
    let asked = SchemeChoiceTests.samples(model, first: 200, count: 12)
    let evaluation = try PrototypeEvaluation(model, support: support, asked)
    #expect(evaluation.featureCount == 8)
    let (means, queries) = (
      try features(model, support), try features(model, asked)
    )
    var correct: UInt32 = 0
    for (query, label) in zip(queries, 0..<12) {
      let distances = (0..<3).map { c in
        let own = stride(from: c, to: 9, by: 3).map { means[$0] }
        return query.indices.reduce(0.0) { sum, d in
          let mean = own.reduce(0.0) { $0 + Double($1[d]) } / Double(own.count)
          let rounded = (mean + 0.5).rounded(.down)
          return sum + (Double(query[d]) - rounded) * (Double(query[d]) - rounded)
        }
      }
      let predicted = distances.indices.min { distances[$0] < distances[$1] }
      if predicted == (200 + label) % 3 { correct += 1 }
    }
    #expect(evaluation.sums.correct == correct && evaluation.sums.samples == 12)
  }

  private func features(_ model: LoadedModel, _ samples: PreparedSamples) throws -> [[Int]] {
    let host = try HostSession(model, SessionRequest(samples: 1))
    let size = model.network.inputShape.count
    return (0..<samples.samples.count).map { sample in
      for index in 0..<size {
        host.session.input[index] = samples.samples.values[sample * size + index]
      }
      host.session.forward(samples: 1)
      // fc1's output is what the head reads last: nothing has overwritten it.
      let hidden = host.session.activation(1, sample: 0)
      return (0..<hidden.count).map { Int(hidden[$0]) }
    }
  }
}
