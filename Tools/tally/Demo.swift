import Importers
import Tally
import TallyHost

extension Verb {
  static let demo = Verb(
    name: "demo", summary: "convert, evaluate, adapt and verify on bundled real data",
    options: [
      .value("--keep", nil, "FOLDER", "write the demo's files there, to try the verbs on"),
      .flag("--force", nil, "replace existing files"),
    ],
    details: """
      A small float network (ONNX) that reads handwritten digits becomes integers; the digits are
      then turned by 30°, which it was never trained for, and it adapts in integers; the run is
      done a second time and held against its journal. The digest at the end is the same on every
      machine.

      JSON: floatCorrect, integerCorrect, turnedBefore, turnedAfter (each of total), verdict,
      modelDigest, journalHead.
      """
  ) { arguments, console in
    let files = try DemoFiles(arguments["--keep"], force: arguments.has("--force"))
    let demo = try Demo()
    console.print("1. Convert. \(demo.conversionText)")
    console.print("   \(demo.floatText)")
    console.print("   \(demo.integerText)")
    console.print("2. Adapt. The same digits turned by 30°, \(demo.beforeText) unadapted.")
    let (run, journal) = try demo.adapt { epoch in
      console.note("   epoch \(epoch.index + 1)  \(epoch.training.summary())")
    }
    let adapted = try LoadedModel(run.modelBytes)
    let after = try demo.turnedEvaluation(adapted)
    console.print(
      "   \(run.plannedSteps) steps in integers, \(DecimalText.bytes(run.arenaByteCount)) of RAM: "
        + "\(Demo.percent(after)) right.")
    let verdict = try demo.verify(journal)
    guard case .reproduced(let steps) = verdict else {
      console.print("3. Verify. The run did not come out the same. Please report it.")
      console.result(["verdict": "diverged"])
      return 1
    }
    console.print("3. Verify. Done again from the journal: \(steps) steps, every record the same.")
    console.print()
    console.print("model    \(adapted.digest.hexadecimal)")
    console.print("journal  \(journal.chain.head.hexadecimal)")
    try files?.write(demo, adapted, journal, console)
    console.result([
      "total": JSONOutput(after.sums.samples), "floatCorrect": JSONOutput(demo.float.correct),
      "integerCorrect": JSONOutput(demo.upright.sums.correct),
      "turnedBefore": JSONOutput(demo.before.sums.correct),
      "turnedAfter": JSONOutput(after.sums.correct), "verdict": "reproduced",
      "steps": JSONOutput(steps), "modelDigest": .string(adapted.digest.hexadecimal),
      "journalHead": .string(journal.chain.head.hexadecimal),
    ])
    return 0
  }
}

/// The parts of the demo that have results.
struct Demo {
  /// What adapts the model. Rate and ratio were chosen on a fifth of the training images held back.
  static let recipeText =
    #"{"epochs": 10, "batch": 16, "learningRate": "0.1", "trustRatio": "0.01", "seed": 1}"#

  let model: LoadedModel
  let float: FloatEvaluation
  let upright: ModelEvaluation
  let before: ModelEvaluation
  let turned: DataSet
  private let network: FloatNetwork
  private let training: PreparedSamples
  private let test: PreparedSamples
  private let recipe: RecipeFields

  /// Converts and evaluates; `adapt` and `verify` do the rest.
  init(recipe text: String = Demo.recipeText) throws {
    let digits = try DemoData.digits()
    let split = DemoData.trainingCount
    network = try DemoData.network()
    let preparation = InputPreparation(scale: ExactRatio(1, 16)!)
    let conversion = try FloatConversion.convert(
      network, calibration: .data(try digits.selecting(0..<DemoData.calibrationCount)),
      options: ConversionOptions(input: preparation))
    model = try LoadedModel(conversion.modelBytes)
    let uprightTest = try digits.selecting(split..<digits.count)
    float = try FloatEvaluation(network, uprightTest, preparation)
    upright = try ModelEvaluation(model, PreparedSamples(uprightTest, for: model))
    turned = DemoData.rotated(digits)
    test = try PreparedSamples(try turned.selecting(split..<turned.count), for: model)
    before = try ModelEvaluation(model, test)
    training = try PreparedSamples(try turned.selecting(0..<split), for: model)
    recipe = try RecipeDocument(Array(text.utf8)[...], file: "the demo's recipe")
      .resolved(for: model, hasLabels: true)
  }

  /// Runs the recipe; the journal stays in memory.
  func adapt(onEpoch: (Run.Epoch) -> Void) throws -> (run: TrainingRun, journal: LoadedJournal) {
    let run = try TrainingRun(model, recipe: recipe.bytes, samples: training)
    var writer = JournalWriter(MemorySink())
    run.begin(&writer)
    var shown: UInt32?
    while !run.run.isDone {
      run.takeStep(&writer)
      if let epoch = run.run.lastEpoch, epoch.index != shown {
        shown = epoch.index
        onEpoch(epoch)
      }
    }
    run.end(&writer)
    return (run, try LoadedJournal(writer.sink.bytes))
  }

  /// Runs it again and compares.
  func verify(_ journal: LoadedJournal) throws -> Verdict? {
    let run = try TrainingRun(model, recipe: recipe.bytes, samples: training)
    var comparison = Comparison(journal.reader, checkingValidation: true)
    run.finish(&comparison)
    return comparison.verdict
  }

  func turnedEvaluation(_ model: LoadedModel) throws -> ModelEvaluation {
    try ModelEvaluation(model, test)
  }

  // MARK: - Words

  var conversionText: String {
    "\(DecimalText.grouped(network.parameterCount)) float parameters of an ONNX file, calibrated on "
      + "\(DemoData.calibrationCount) images: \(DecimalText.bytes(model.byteCount)) of flash."
  }

  var floatText: String {
    "float    \(DecimalText.percent(float.correct, of: float.total)) of \(float.total) test images"
  }

  var integerText: String { "integer  \(Demo.percent(upright))" }
  var beforeText: String { Demo.percent(before) }

  static func percent(_ evaluation: ModelEvaluation) -> String {
    DecimalText.percent(evaluation.sums.correct, of: evaluation.sums.samples)
  }
}
