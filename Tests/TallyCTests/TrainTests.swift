import CTally
import Tally
import TallyHost
import TallyTestSupport
import Testing

@Suite("A run through the C interface")
struct TrainTests {
  static let recipe = """
    {"epochs": 3, "batch": 6, "microBatch": 3, "learningRate": "1/8", "rootEvery": 2}
    """

  /// The host's own run of the same inputs: its journal, and the run.
  private func hostRun(
    _ instance: CInstance, _ samples: CSamples, _ validation: CSamples
  ) throws -> (journal: [UInt8], head: Digest, model: [UInt8]) {
    let run = try TrainingRun(
      LoadedModel(instance.model), recipe: instance.recipe ?? [], samples: samples.prepared,
      validation: validation.prepared)
    var writer = JournalWriter(MemorySink())
    run.finish(&writer)
    return (writer.sink.bytes, writer.chain.head, run.modelBytes)
  }

  @Test("is the host's run, byte for byte", arguments: [false, true])
  func isTheHostsRun(isConvolutional: Bool) throws {
    let builder = isConvolutional ? SmallNetworks.convolutional() : SmallNetworks.dense()
    let instance = try CInstance(builder, recipe: TrainTests.recipe)
    let (samples, validation) = (CSamples(builder, count: 12), CSamples(builder, count: 7))
    defer { withExtendedLifetime((samples, validation)) {} }
    let expected = try hostRun(instance, samples, validation)
    let journal = Collector()
    var (training, judged) = (samples.fields, validation.fields)
    #expect(
      tally_train(
        instance.pointer, &training, &judged, Collector.write, journal.context, nil) == TALLY_OK)
    let steps = tally_planned_steps(instance.pointer)
    #expect(steps == 6)
    var step = tally_step_result()
    for index in 0..<steps {
      #expect(tally_step(instance.pointer, &step) == TALLY_OK)
      #expect(step.step == index && step.samples == 6)
      #expect(step.is_last == (index == steps - 1 ? 1 : 0))
    }
    #expect(tally_step(instance.pointer, &step) == TALLY_NO_RUN)
    #expect(journal.bytes == expected.journal)
    #expect(instance.journalHead == expected.head.array)
    let saved = Collector()
    #expect(tally_save(instance.pointer, Collector.write, saved.context) == TALLY_OK)
    #expect(saved.bytes == expected.model)
    #expect(Array(saved.bytes.suffix(32)) == instance.digest)
    #expect(instance.digest != Array(instance.model.suffix(32)))
  }

  @Test("needs no journal and no validation; evaluation between steps changes nothing")
  func evaluatesBetweenSteps() throws {
    let builder = SmallNetworks.dense()
    let samples = CSamples(builder, count: 12)
    defer { withExtendedLifetime(samples) {} }
    var heads: [[UInt8]] = []
    var losses: [Int64] = []
    for evaluates in [false, true] {
      let instance = try CInstance(builder, recipe: TrainTests.recipe)
      var fields = samples.fields
      #expect(tally_train(instance.pointer, &fields, nil, nil, nil, nil) == TALLY_OK)
      while tally_step(instance.pointer, nil) == TALLY_OK {
        var result = tally_result()
        guard evaluates else { continue }
        #expect(tally_evaluate(instance.pointer, &fields, &result, nil) == TALLY_OK)
        #expect(result.samples == 12)
        losses.append(result.loss)
      }
      heads.append(instance.journalHead)
    }
    #expect(heads[0] == heads[1] && heads[0].count == 32)
    // It learns: the data is easy.
    #expect(losses.count == 6 && losses[5] < losses[0])
  }

  @Test("stops when the journal cannot be written", arguments: [0, 1, 5, 9])
  func stopsWithoutJournal(successes: Int) throws {
    let builder = SmallNetworks.dense()
    let instance = try CInstance(builder, recipe: TrainTests.recipe)
    let samples = CSamples(builder, count: 12)
    defer { withExtendedLifetime(samples) {} }
    var fields = samples.fields
    let journal = Collector()
    journal.successes = successes
    var status = tally_train(
      instance.pointer, &fields, nil, Collector.write, journal.context, nil)
    for _ in 0..<6 where status == TALLY_OK { status = tally_step(instance.pointer, nil) }
    #expect(status == TALLY_WRITE_FAILED)
    #expect(tally_step(instance.pointer, nil) == TALLY_WRITE_FAILED)
  }

  @Test("is refused without a recipe, twice, and with samples that do not fit")
  func isRefused() throws {
    let builder = SmallNetworks.dense()
    let samples = CSamples(builder, count: 12)
    defer { withExtendedLifetime(samples) {} }
    var fields = samples.fields
    let inferring = try CInstance(builder)
    #expect(tally_train(inferring.pointer, &fields, nil, nil, nil, nil) == TALLY_NO_RUN)
    #expect(tally_step(inferring.pointer, nil) == TALLY_NO_RUN)
    #expect(inferring.journalHead.isEmpty && tally_planned_steps(inferring.pointer) == 0)

    let instance = try CInstance(builder, recipe: TrainTests.recipe)
    var fault = tally_fault()
    var labels = (0..<12).map { Int32($0 % 3) }
    labels[7] = 3
    labels.withUnsafeBufferPointer {
      var wrong = fields
      wrong.labels = $0.baseAddress
      #expect(
        tally_train(instance.pointer, &wrong, nil, nil, nil, &fault) == TALLY_BAD_SAMPLES)
      #expect(fault.place == 7)
      // Cross-entropy needs classes.
      wrong.labels = nil
      wrong.targets = fields.labels
      wrong.count = 4
      #expect(
        tally_train(instance.pointer, &wrong, nil, nil, nil, &fault) == TALLY_BAD_SAMPLES)
      wrong.targets = nil
      #expect(
        tally_train(instance.pointer, &wrong, nil, nil, nil, &fault) == TALLY_BAD_ARGUMENT)
    }
    #expect(tally_train(instance.pointer, &fields, nil, nil, nil, nil) == TALLY_OK)
    #expect(tally_train(instance.pointer, &fields, nil, nil, nil, nil) == TALLY_BAD_ARGUMENT)
  }
}
