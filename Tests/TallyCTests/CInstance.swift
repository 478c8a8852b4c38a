import CTally
import Importers
import Tally
import TallyHost
import TallyTestSupport

/// A model, a recipe and samples as a C program sees them, and an instance in memory of exact size.
final class CInstance {
  let model: [UInt8]
  let recipe: [UInt8]?
  let modelMemory: AlignedMemory
  let recipeMemory: AlignedMemory
  let memory: AlignedMemory
  let sizes: tally_sizes
  private(set) var pointer: OpaquePointer?

  /// - Parameters:
  ///   - json: the recipe as a user writes it; `nil` for inference only.
  ///   - passes: samples in one pass of inference.
  init(_ builder: ModelBuilder, recipe json: String? = nil, samples passes: UInt32 = 0) throws {
    let bytes = try builder.bytes()
    model = bytes
    recipe = try json.map {
      try RecipeDocument(Array($0.utf8)[...], file: "recipe")
        .resolved(for: LoadedModel(bytes), hasLabels: true).bytes
    }
    modelMemory = AlignedMemory(model)
    recipeMemory = AlignedMemory(recipe ?? [])
    var setup = CInstance.setup(modelMemory, recipe == nil ? nil : recipeMemory, passes)
    // Generous for planning; what it says is what the instance then gets.
    let scratch = AlignedMemory(byteCount: 1 << 17)
    var sizes = tally_sizes()
    var fault = tally_fault()
    let status = tally_plan(
      &setup, scratch.bytes.baseAddress, UInt32(scratch.bytes.count), &sizes, &fault)
    guard status == TALLY_OK else { throw Failure(fault: fault) }
    self.sizes = sizes
    memory = AlignedMemory(byteCount: Int(sizes.memory))
    let opened = tally_open(
      &setup, memory.bytes.baseAddress, sizes.memory, &pointer, &fault)
    guard opened == TALLY_OK else { throw Failure(fault: fault) }
  }

  struct Failure: Error { let fault: tally_fault }

  static func setup(
    _ model: AlignedMemory, _ recipe: AlignedMemory?, _ samples: UInt32 = 0
  ) -> tally_setup {
    tally_setup(
      model: UnsafeRawPointer(model.bytes.baseAddress), model_bytes: UInt32(model.bytes.count),
      recipe: recipe.flatMap { UnsafeRawPointer($0.bytes.baseAddress) },
      recipe_bytes: UInt32(recipe?.bytes.count ?? 0), samples: samples)
  }

  var digest: [UInt8] { bytes(tally_digest) }
  var journalHead: [UInt8] { bytes(tally_journal_head) }

  private func bytes(
    _ read: (OpaquePointer?, UnsafeMutablePointer<UInt8>?) -> tally_status
  ) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: Int(TALLY_DIGEST_BYTES))
    return read(pointer, &digest) == TALLY_OK ? digest : []
  }
}

/// Samples that both sides can read.
final class CSamples {
  let prepared: PreparedSamples
  private let values: AlignedMemory
  private let labels: AlignedMemory
  let count: Int

  /// Class k lights up the inputs i with i mod classes = k.
  init(_ builder: ModelBuilder, count: Int) {
    let size = builder.inputShape.count
    let classes = builder.nodes[builder.nodes.count - 1].output.count
    var pixels: [Int8] = []
    for sample in 0..<count {
      for index in 0..<size {
        let noise = (sample * 31 + index * 17) % 41
        pixels.append(Int8(clamping: (index % classes == sample % classes ? 60 : -100) + noise))
      }
    }
    let goals = (0..<count).map { Int32($0 % classes) }
    self.count = count
    values = AlignedMemory(pixels)
    labels = AlignedMemory(goals)
    prepared = PreparedSamples(values: pixels, labels: goals, targets: nil, count: count)
  }

  var fields: tally_samples {
    tally_samples(
      values: UnsafePointer(values.view(of: Int8.self).pointer),
      labels: UnsafePointer(labels.view(of: Int32.self).pointer), targets: nil,
      count: UInt32(count))
  }
}

/// What a C program's `tally_write` collects; the context is this object.
final class Collector {
  var bytes: [UInt8] = []
  /// Writes that succeed before the first that does not.
  var successes = Int.max

  static let write: tally_write = { context, bytes, count in
    let collector = Unmanaged<Collector>.fromOpaque(context!).takeUnretainedValue()
    guard collector.successes > 0 else { return 1 }
    collector.successes -= 1
    collector.bytes += UnsafeRawBufferPointer(start: bytes, count: Int(count))
    return 0
  }

  var context: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }
}

extension Digest {
  var array: [UInt8] { (0..<Digest.byteCount).map { self[$0] } }
}
