import Foundation
import Importers
import Tally
import TallyHost
import TallyTestSupport
import Testing

@Suite("Golden training runs (SPEC 8, 9)") struct RunVectors {
  /// A run NAME is the files `runs/NAME.*`; NAME.txt is what happens in between.
  static let names = VectorFolder.files("runs").filter { $0.hasSuffix(".txt") }
    .map { String($0.dropLast(4)) }

  /// The files of a run that the tests of this suite read.
  static func files(_ name: String) -> [String] {
    [".txt", ".tally", ".json", ".npz", "-validation.npz", ".tlj", "-trained.tally"]
      .map { name + $0 }
  }

  @Test("the recipe a user writes becomes the canonical bytes", arguments: names)
  func recipe(name: String) throws {
    let run = try GoldenRun(name)
    let text = try VectorFolder.bytes(name + ".json")
    let fields = try RecipeDocument(text[...], file: name + ".json")
      .resolved(for: run.model, hasLabels: run.samples.samples.labels != nil)
    #expect(fields.bytes == run.recipe)
  }

  @Test("journal and trained model are the reference's, byte for byte", arguments: names)
  func bytes(name: String) throws {
    let golden = try GoldenRun(name)
    #expect(golden.samples.digest.hexadecimal == (try golden.text("data digest")))
    let (journal, trained) = try golden.train()
    let isSame = journal == golden.journal
    #expect(isSame, "\(golden.difference(journal))")
    #expect(hexadecimalDigest(journal) == (try golden.text("journal sha256")))
    let isSameModel = trained == (try golden.trained())
    #expect(isSameModel, "\(name): the trained models differ")
  }

  @Test("every gradient and every record in between", arguments: names)
  func trace(name: String) throws {
    let golden = try GoldenRun(name)
    // A file without gradients was written without a trace.
    let isTraced = golden.block.lines.contains { $0.key.hasPrefix("step 0 micro-batch") }
    let found = try TracedRun(golden).lines.filter { isTraced || !$0.key.contains("micro-batch") }
    let unchanged = golden.nodesWithoutWeightUpdates
    let expected = golden.block.lines.dropFirst(2).dropLast().filter { line in
      // The engine computes no weight gradient for a node whose biases alone are updated.
      !unchanged.contains { line.key.hasSuffix(" dw of node \($0)") }
    }
    for (found, expected) in zip(found, expected)
    where found.key != expected.key || found.value != expected.value {
      Issue.record("\(name): found \(found), expected \(expected)")
      return
    }
    #expect(found.count == expected.count)
  }

  @Test("verification reproduces the journal", arguments: names)
  func verification(name: String) throws {
    let golden = try GoldenRun(name)
    let steps = UInt32(golden.block.lines.count { $0.key == "step" })
    #expect(try golden.verdict(of: golden.journal) == .reproduced(steps: steps))
  }
}

@Suite("Golden journals (SPEC 9.4, Formats/journal.md)") struct JournalVectors {
  static let list = "journals/journals.txt"

  @Test("each is read as far as it goes, and verified as far as it goes")
  func list() throws {
    let golden = try GoldenRun("runs/mlp")
    for row in try VectorFile(Self.list).rows {
      let bytes = try VectorFolder.bytes(try row.text("file"))
      let memory = AlignedMemory(bytes)
      var reader = try JournalReader(memory.view(of: UInt8.self))
      var count = 0
      var isTorn = false
      do throws(JournalError) {
        while try reader.next() != nil { count += 1 }
      } catch {
        isTorn = error.code == .torn
        #expect(isTorn, "\(row): \(error)")
      }
      #expect(count == (try row.number("records")), "\(row)")
      #expect(isTorn == (try row.number("torn", Int.self) == 1), "\(row)")
      switch (try golden.verdict(of: bytes), try row.text("verdict")) {
      case (.reproduced, "reproduced"): break
      case (.unfinished(_, let error), "unfinished"): #expect((error != nil) == isTorn, "\(row)")
      case (let verdict, _): Issue.record("\(row): \(verdict)")
      }
    }
  }

  @Test("the list names every file of the folder")
  func completeness() throws {
    let listed = try VectorFile(Self.list).rows.map { try $0.text("file") } + [Self.list]
    #expect(listed.sorted() == VectorFolder.files("journals"))
  }
}

/// The files of a golden run.
struct GoldenRun {
  let name: String
  private let folder: URL
  let block: VectorBlock
  let model: LoadedModel
  let recipe: [UInt8]
  let samples: PreparedSamples
  let validation: PreparedSamples?
  let journal: [UInt8]

  /// - Parameter folder: where the files `NAME.*` are; Formats/vectors unless said.
  init(_ name: String, in folder: URL = VectorFolder.url("")) throws {
    self.name = name
    self.folder = folder
    func url(_ suffix: String) -> URL { folder.appending(path: name + suffix) }
    func contents(_ suffix: String) throws -> [UInt8] { Array(try Data(contentsOf: url(suffix))) }
    let text = String(decoding: try contents(".txt"), as: UTF8.self)
    let file = try VectorFile(name + ".txt", text: text)
    block = try #require(file.blocks.count == 1 ? file.blocks.first : nil)
    model = try LoadedModel(contents(".tally"))
    recipe = try bytes(hexadecimal: block.text("recipe"))
    samples = try ExactPreparation.load(url(".npz").path, for: model)
    let path = url("-validation.npz").path
    validation =
      FileManager.default.fileExists(atPath: path)
      ? try ExactPreparation.load(path, for: model) : nil
    journal = try contents(".tlj")
  }

  /// The reference's trained model.
  func trained() throws -> [UInt8] {
    Array(try Data(contentsOf: folder.appending(path: name + "-trained.tally")))
  }

  /// Journal and trained model of the run in Swift.
  func train() throws -> (journal: [UInt8], trained: [UInt8]) {
    let run = try TrainingRun(model, recipe: recipe, samples: samples, validation: validation)
    var writer = JournalWriter(MemorySink())
    run.finish(&writer)
    return (writer.sink.bytes, run.modelBytes)
  }

  func text(_ key: String) throws -> String { try block.text(key) }

  /// Weighted nodes whose biases alone are updated.
  var nodesWithoutWeightUpdates: [Int] {
    // Entries of 8 bytes follow the fixed part and the factors of a step schedule.
    let factorCount = (0..<4).reduce(0) { $0 | Int(recipe[108 + $1]) << (8 * $1) }
    let flags = recipe.dropFirst(Recipe.fixedByteCount + 4 * factorCount)
    return (0..<model.network.nodeCount).filter { flags[flags.startIndex + 8 * $0] & 1 == 0 }
  }

  /// Where a journal leaves the golden one.
  func difference(_ other: [UInt8]) -> String {
    let place = zip(other, journal).enumerated().first { $1.0 != $1.1 }?.offset
    return "\(name): \(other.count) and \(journal.count) bytes, first difference at "
      + "\(place.map { "\($0)" } ?? "the end")"
  }

  /// Runs again and compares.
  func verdict(of journal: [UInt8]) throws -> Verdict? {
    let memory = AlignedMemory(journal)
    let run = try TrainingRun(model, recipe: recipe, samples: samples, validation: validation)
    var comparison = Comparison(
      try JournalReader(memory.view(of: UInt8.self)), checkingValidation: true)
    run.finish(&comparison)
    return comparison.verdict
  }
}

/// Bytes from pairs of hexadecimal digits.
func bytes(hexadecimal text: String) throws -> [UInt8] {
  let digits = Array(text)
  return try stride(from: 0, to: digits.count - 1, by: 2).map {
    try #require(UInt8(String(digits[$0...$0 + 1]), radix: 16))
  }
}
