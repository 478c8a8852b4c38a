import Importers
import Tally
import TallyHost
import TallyTestSupport
import Testing

@Suite("Invalid files: each is refused for its own fault (Formats)") struct InvalidVectors {
  /// The files that faults were put into.
  static let valid = [
    "valid-base.tally", "valid-base.tlj", "valid-base.recipe.bin", "valid-base-step.recipe.bin",
  ]

  /// The files that this suite reads, as paths.
  static var files: [String] {
    let models = InvalidFaults.models.flatMap(\.files).map { "\($0).tally" }
    let journals = InvalidFaults.journals.flatMap(\.files).map { "\($0).tlj" }
    let recipes = InvalidFaults.recipes.map { "\($0.file).recipe.bin" }
    return (models + journals + recipes + valid).map { "invalid/\($0)" }
  }

  static func bytes(_ name: String) throws -> [UInt8] { try VectorFolder.bytes("invalid/\(name)") }

  @Test("the files that faults were put into are valid")
  func bases() throws {
    #expect(modelFault(try Self.bytes(Self.valid[0])) == nil)
    #expect(journalFault(try Self.bytes(Self.valid[1])) == nil)
    #expect(try recipeFault(try Self.bytes(Self.valid[2])) == nil)
    #expect(try recipeFault(try Self.bytes(Self.valid[3])) == nil)
  }

  @Test("models", arguments: InvalidFaults.models)
  func models(_ code: ModelError.Code, _ files: [String]) throws {
    for file in files {
      let fault = modelFault(try Self.bytes("\(file).tally"))
      expectEqual(fault?.code, code, file)
    }
  }

  @Test("journals", arguments: InvalidFaults.journals)
  func journals(_ code: JournalError.Code, _ files: [String]) throws {
    for file in files {
      let fault = journalFault(try Self.bytes("\(file).tlj"))
      expectEqual(fault?.code, code, file)
    }
  }

  @Test("recipes", arguments: InvalidFaults.recipes)
  func recipes(_ file: String, _ code: RecipeError.Code, _ offset: Int) throws {
    #expect(try recipeFault(try Self.bytes("\(file).recipe.bin")) == RecipeError(code, offset))
  }

  @Test("a model or a recipe cut off anywhere is refused")
  func prefixes() throws {
    let model = try Self.bytes(Self.valid[0])
    for count in model.indices {
      let isRefused = modelFault(Array(model.prefix(count))) != nil
      if !isRefused { Issue.record("a model of \(count) bytes is accepted") }
    }
    for name in Self.valid.suffix(2) {
      let recipe = try Self.bytes(name)
      for count in recipe.indices {
        #expect(try recipeFault(Array(recipe.prefix(count)))?.code == .truncated, "\(count) bytes")
      }
    }
  }

  @Test("a journal cut off anywhere is torn, or ends with a record")
  func journalPrefixes() throws {
    let journal = try Self.bytes(Self.valid[1])
    let ends = try recordEnds(journal)
    #expect(ends.last == journal.count && ends.count > 20)
    for count in journal.indices {
      let fault = journalFault(Array(journal.prefix(count)))
      expectEqual(fault?.code, ends.contains(count) ? nil : .torn, "\(count) bytes")
    }
  }

  // MARK: - Readers

  private func modelFault(_ bytes: [UInt8]) -> ModelError? {
    do throws(ModelError) {
      _ = try LoadedModel(bytes)
      return nil
    } catch {
      return error
    }
  }

  private func journalFault(_ bytes: [UInt8]) -> JournalError? {
    let memory = AlignedMemory(bytes)
    do throws(JournalError) {
      var reader = try JournalReader(memory.view(of: UInt8.self))
      while try reader.next() != nil {}
      return nil
    } catch {
      return error
    }
  }

  private func recordEnds(_ bytes: [UInt8]) throws -> [Int] {
    let memory = AlignedMemory(bytes)
    var reader = try JournalReader(memory.view(of: UInt8.self))
    var ends: [Int] = []
    while try reader.next() != nil { ends.append(reader.offset) }
    return ends
  }

  /// Recipes are for three nodes of which the first and the last have weights.
  private func recipeFault(_ bytes: [UInt8]) throws -> RecipeError? {
    let model = try LoadedModel(SmallNetworks.convolutional().bytes())
    try #require(
      (0..<3).map { model.network.node($0).operation.weighted != nil } == [true, false, true])
    let memory = AlignedMemory(bytes)
    do throws(RecipeError) {
      _ = try Recipe(validating: memory.view(of: UInt8.self), for: model.network)
      return nil
    } catch {
      return error
    }
  }
}
