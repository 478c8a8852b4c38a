import Foundation
import Importers
import Sketches
import Tally
import TallyHost

// Runs the sketches on a model and data from the command line:
//
//     swift run Examples MODEL.tally DATA.npz RECIPE.json…
//
// Prints what each gives; the last lines are digests, the same on every machine.

/// A journal kept in memory.
struct Memory: ByteSink {
  final class Storage { var bytes: [UInt8] = [] }
  let storage = Storage()
  var hasFailed: Bool { false }
  mutating func write(_ bytes: RawSpan) {
    bytes.withUnsafeBytes { storage.bytes.append(contentsOf: $0) }
  }
}

func run(_ arguments: [String]) throws {
  guard arguments.count >= 3 else {
    print("usage: Examples MODEL.tally DATA.npz RECIPE.json…")
    exit(2)
  }
  let model = try LoadedModel(Array(Data(contentsOf: URL(fileURLWithPath: arguments[0]))))
  let image = AlignedMemory(model.bytes)
  let (inputs, outputs) = try describe(UnsafeRawBufferPointer(image.bytes))
  print("load      \(inputs) inputs, \(outputs) outputs")

  let shape = model.network.inputShape
  let data = try DataSet(
    parsing: arguments[1], layout: model.network.readsChannelsFirst ? .nchw : .nhwc,
    expected: SampleShape(height: shape.height, width: shape.width, channels: shape.channels),
    inflate: Inflate.raw)
  let prepared = try PreparedSamples(data, for: model)
  let first = (0..<inputs).map { prepared.samples.values[$0] }
  let memory = AlignedMemory(byteCount: 1 << 22)
  print("infer     sample 0 is a \(try classify(first, model.network, in: memory.bytes))")

  for path in arguments[2...] {
    let text = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    let fields = try RecipeDocument(text[...], file: path).resolved(for: model, hasLabels: true)
    // The recipe is a view of this memory, as the network is of the model's.
    let canonical = try RecipeMemory(fields, model)
    defer { withExtendedLifetime((canonical, prepared, model)) {} }
    let recipe = canonical.recipe
    let request = SessionRequest(
      samples: Int(recipe.microBatch), isCompact: true, training: recipe.needs)
    let sink = Memory()
    let session = try makeSession(model.network, request, in: memory.bytes)
    let digests = adapt(session, recipe, on: prepared.samples, journal: sink)
    print("adapt     model \(digests.model.hexadecimal)")
    print("          journal \(digests.journal.hexadecimal)")

    let log = AlignedMemory(sink.storage.bytes)
    defer { withExtendedLifetime(log) {} }
    let again = try makeSession(model.network, request, in: memory.bytes)
    let verdict = try check(log.view(of: UInt8.self), again, recipe, on: prepared.samples)
    guard case .reproduced(let steps) = verdict else {
      print("verify    \(verdict)")
      exit(1)
    }
    print("verify    reproduced, \(steps) steps")

    let third = try makeSession(model.network, request, in: memory.bytes)
    if let verdict = try rebuild(
      log.view(of: UInt8.self), third, recipe, samples: UInt32(prepared.samples.count),
      planned: recipe.plannedSteps(samples: UInt32(prepared.samples.count)))
    {
      guard case .reproduced = verdict, third.modelDigest == digests.model else {
        print("rebuild   \(verdict)")
        exit(1)
      }
      print("rebuild   the same model, without data")
    }
  }
}

do {
  try run(Array(CommandLine.arguments.dropFirst()))
} catch {
  FileHandle.standardError.write(Data("\(error)\n".utf8))
  exit(1)
}
