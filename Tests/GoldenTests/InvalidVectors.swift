import Importers
import Tally
import TallyHost
import TallyTestSupport
import Testing

@Suite("Invalid files: each is refused for its own fault") struct InvalidVectors {
  @Test("dump") func dump() throws {
    for path in VectorFolder.files("invalid") {
      let bytes = try VectorFolder.bytes(path)
      print("DUMP", path, Fault(path, bytes).description)
    }
  }
}

/// What a reader finds wrong with a file, if anything.
enum Fault: Equatable, CustomStringConvertible {
  case none
  case model(ModelError)
  case journal(JournalError)
  case recipe(RecipeError)

  init(_ path: String, _ bytes: [UInt8]) {
    if path.hasSuffix(".tally") {
      do throws(ModelError) {
        _ = try LoadedModel(bytes)
        self = .none
      } catch { self = .model(error) }
    } else if path.hasSuffix(".tlj") {
      let memory = AlignedMemory(bytes)
      do throws(JournalError) {
        var reader = try JournalReader(memory.view(of: UInt8.self))
        while try reader.next() != nil {}
        self = .none
      } catch { self = .journal(error) }
    } else {
      let memory = AlignedMemory(bytes)
      let model = try! LoadedModel(VectorFolder.bytes("invalid/valid-base.tally"))
      do throws(RecipeError) {
        _ = try Recipe(validating: memory.view(of: UInt8.self), for: model.network)
        self = .none
      } catch { self = .recipe(error) }
    }
  }
  var description: String {
    switch self {
    case .none: "-"
    case .model(let e): "\(e.code) \(e.offset)"
    case .journal(let e): "\(e.code) \(e.offset) \(e.step.map{"\($0)"} ?? "nil")"
    case .recipe(let e): "\(e.code) \(e.offset)"
    }
  }
}
