import Importers
import Tally
import TallyHost

/// A reader under fuzzing: what it is given are bytes of nobody's making.
///
/// A reader may refuse, with an exit status of its kind; it may not trap, hang, or take memory that its
/// input does not pay for. What it accepts must also work: networks run, journals are shown.
struct Reader: Sendable {
  let name: String
  let read: @Sendable (ArraySlice<UInt8>) throws(InputError) -> Void

  static let all: [Reader] = [
    onnx, safetensors, npy, npz, gzip, idx, csv, cifar, json, network, recipe, kind, model, journal,
    report, canonicalRecipe, checkpoint, trace,
  ]

  private static let onnx = Reader(name: "onnx") { (bytes) throws(InputError) in
    let model = try ONNXModel(parsing: Array(bytes), fileName: "f")
    _ = try FloatNetwork(importing: model, options: ONNXImportOptions())
  }

  private static let safetensors = Reader(name: "safetensors") { (bytes) throws(InputError) in
    let file = try Safetensors(bytes, file: "f")
    for tensor in file.tensors { _ = try file.array(named: tensor.name) }
  }

  private static let npy = Reader(name: "npy") { (bytes) throws(InputError) in
    _ = try NumpyArray.read(bytes, file: "f")
  }

  private static let npz = Reader(name: "npz") { (bytes) throws(InputError) in
    let archive = try ZipArchive(bytes, file: "f")
    for member in archive.members {
      let contents = try archive.contents(of: member, inflate: Inflate.raw)
      _ = try NumpyArray.read(contents[...], file: "f")
    }
  }

  private static let gzip = Reader(name: "gzip") { (bytes) throws(InputError) in
    _ = try Gzip.decompressed(bytes, file: "f", inflate: Inflate.raw)
  }

  private static let idx = Reader(name: "idx") { (bytes) throws(InputError) in
    _ = try IDX.read(bytes, file: "f")
  }

  private static let csv = Reader(name: "csv") { (bytes) throws(InputError) in
    _ = try CSV(bytes, file: "f")
  }

  private static let cifar = Reader(name: "cifar") { (bytes) throws(InputError) in
    _ = try CIFAR.read(bytes, file: "f")
  }

  private static let json = Reader(name: "json") { (bytes) throws(InputError) in
    _ = try JSONElement.userWritten(bytes, file: "f")
  }

  private static let network = Reader(name: "network") { (bytes) throws(InputError) in
    _ = try NetworkDescription(parsing: bytes, file: "f")
  }

  private static let recipe = Reader(name: "recipe") { (bytes) throws(InputError) in
    let fields = try RecipeDocument(bytes, file: "f").resolved(for: smallModel, hasLabels: true)
    do throws(RecipeError) {
      _ = try RecipeMemory(fields, smallModel)
    } catch {
      preconditionFailure("resolved fields that are no recipe: \(error)")
    }
  }

  private static let canonicalRecipe = Reader(name: "recipe-bytes") { (bytes) throws(InputError) in
    let memory: RecipeMemory
    do throws(RecipeError) {
      memory = try RecipeMemory(Array(bytes), smallModel)
    } catch {
      throw InputError(902, "\(error)", exit: 3)
    }
    // Canonical means: one recipe, one byte string.
    precondition(RecipeFields(memory.recipe).bytes == Array(bytes), "two spellings of a recipe")
  }

  private static let kind = Reader(name: "kind") { (bytes) throws(InputError) in
    _ = try FileKind.detect(bytes, file: "f")
  }

  private static let model = Reader(name: "model") { (bytes) throws(InputError) in
    let model: LoadedModel
    do throws(ModelError) {
      model = try LoadedModel(resealed(Array(bytes)))
    } catch {
      throw InputError(902, "\(error)", exit: 3)
    }
    try infer(model)
  }

  private static let journal = Reader(name: "journal") { (bytes) throws(InputError) in
    let journal = try loadedJournal(bytes)
    _ = RunLog.lines(journal, RunHistory(journal))
    _ = journal.firstMisfit(nil)
  }

  /// Apart from the reader, which is fifty times as quick.
  private static let report = Reader(name: "report") { (bytes) throws(InputError) in
    let journal = try loadedJournal(bytes)
    let report: RunReport
    do throws(RecipeError) {
      report = try RunReport(journal, name: "f", model: smallModel)
    } catch {
      throw InputError(903, "\(error)", exit: 2)
    }
    _ = try report.page()
  }

  private static func loadedJournal(
    _ bytes: ArraySlice<UInt8>
  ) throws(InputError) -> LoadedJournal {
    do throws(JournalError) {
      return try LoadedJournal(Array(bytes))
    } catch {
      throw InputError(904, "\(error)", exit: 3)
    }
  }

  /// A checkpoint file; and its bytes laid over a good state, which a run goes on from if it takes it.
  private static let checkpoint = Reader(name: "checkpoint") { (bytes) throws(InputError) in
    let run = try smallRun()
    var writer = JournalWriter(MemorySink())
    run.begin(&writer)
    run.takeStep(&writer)
    let good = run.checkpointBytes(writer.chain)
    let first = Checkpoint.headerByteCount
    var laid = good
    for (index, byte) in bytes.prefix(good.count - first - Digest.byteCount).enumerated() {
      laid[first + index] ^= byte
    }
    for candidate in [resealed(Array(bytes)), sealed(laid)] {
      let loaded: LoadedCheckpoint
      do throws(CheckpointError) {
        loaded = try LoadedCheckpoint(candidate)
      } catch {
        continue
      }
      let again = try smallRun()
      var run = again.run
      guard run.resume(loaded.checkpoint, epoch: Trainer.Evaluation()) else { continue }
      var sink = JournalWriter(MemorySink())
      if !run.isDone { run.takeStep(&sink) }
    }
  }

  /// A trace; what it says of a golden model's run is worked out by hand.
  private static let trace = Reader(name: "trace") { (bytes) throws(InputError) in
    let trace = try LoadedTrace(resealed(Array(bytes)), file: "f")
    guard case .none = TraceDifference(trace, trace) else {
      preconditionFailure("a trace differs from itself")
    }
    let recipe = Array(trace.begin.dropFirst(JournalFormat.beginByteCount))
    guard trace.hasValues, let model = try? LoadedModel(FileContents(path: tracedModel).bytes),
      let memory = try? RecipeMemory(recipe, model)
    else { return }
    let count = trace.entries.count
    for position in stride(from: 0, to: count, by: max(1, count / 8)) {
      let elements = trace.entries[position].header.count
      guard elements > 0 else { continue }
      let deriver = Deriver(trace, model, memory.recipe, at: position)
      _ = deriver.derive(elements - 1)
    }
    withExtendedLifetime(memory) {}
  }

  /// The model of the seed that every operation is in; the fuzzer runs in the repository.
  private static let tracedModel = "Formats/vectors/runs/every-kind.tally"

  /// Two steps of the small model's training, with every part that a state may have.
  private static func smallRun() throws(InputError) -> TrainingRun {
    let text = """
      {"epochs": 2, "batch": 2, "microBatch": 1, "learningRate": "0.1", "momentum": "0.5",
      "rangePeriod": 2}
      """
    let recipe = try RecipeDocument(Array(text.utf8)[...], file: "small")
      .resolved(for: smallModel, hasLabels: true)
    let values = (0..<144).map { Int8($0 * 7 % 251 - 125) }
    return try TrainingRun(
      smallModel, recipe: recipe.bytes,
      samples: PreparedSamples(values: values, labels: [0, 2], targets: nil, count: 2))
  }

  /// Behind the digest lies everything else, so the digest is made right.
  private static func resealed(_ bytes: [UInt8]) -> [UInt8] {
    bytes.count > Digest.byteCount && bytes.count % 2 == 0 ? sealed(bytes) : bytes
  }

  private static func sealed(_ bytes: [UInt8]) -> [UInt8] {
    let content = Array(bytes.dropLast(Digest.byteCount))
    var hash = SHA256()
    hash.update(content.span.bytes)
    let digest = hash.finalize()
    return content + (0..<Digest.byteCount).map { digest[$0] }
  }

  /// One sample through a network that was accepted, if it is small enough to be quick.
  private static func infer(_ model: LoadedModel) throws(InputError) {
    let request = SessionRequest(samples: 1, isCompact: true)
    let memory = try PlannedMemory(model, request)
    guard model.multiplyCount < 1 << 20, memory.byteCount < 1 << 22 else { return }
    let host: HostSession
    do throws(MemoryPlanError) {
      host = try HostSession(model, request)
    } catch {
      throw InputError(error, model)
    }
    host.session.forward(samples: 1)
    _ = host.session.logits(sample: 0)[0]
  }

  // Read by one thread, and never changed.
  nonisolated(unsafe) static let smallModel: LoadedModel = {
    let text = """
      {"input": [6, 6, 2], "layers": [
        {"kind": "convolution", "filters": 4, "kernel": 3, "activation": "relu", "name": "a"},
        {"kind": "maxPool", "size": 2},
        {"kind": "fullyConnected", "outputs": 3, "name": "b"}]}
      """
    do {
      let description = try NetworkDescription(parsing: Array(text.utf8)[...], file: "small")
      return try LoadedModel(description.initialModel(seed: 1))
    } catch {
      preconditionFailure("\(error)")
    }
  }()
}
