import Importers
import Tally
import TallyHost
import TallyTestSupport
import Testing

@testable import Layers

@Suite("What a session is planned for") struct SessionRequestTests {
  @Test("parts are 1…16, whatever is asked for; a compact session has one")
  func partCount() {
    var request = SessionRequest(samples: 4)
    for (threads, parts) in [(Int.min, 1), (-1, 1), (0, 1), (1, 1), (16, 16), (17, 16), (.max, 16)]
    {
      request.threads = threads
      request.isCompact = false
      #expect(request.partCount == parts)
      request.isCompact = true
      #expect(request.partCount == 1)
    }
  }

  @Test("a plan without threads is that of one", arguments: [0, -5])
  func noThreads(threads: Int) throws {
    let model = try LoadedModel(SmallNetworks.convolutional().bytes())
    var request = SessionRequest(samples: 4)
    let one = try HostSession(model, request)
    request.threads = threads
    let none = try HostSession(model, request)
    #expect(none.plannedByteCount == one.plannedByteCount)
    none.session.input.fill(3)
    none.session.forward(samples: 4)
  }

  /// Goal: where the samples' weight gradients are made in one part, others have no memory for theirs.
  @Test("the parameters' backward pass of a fully connected network takes no more with threads")
  func fullyConnected() throws {
    let model = try LoadedModel(SmallNetworks.dense().bytes())
    let memory = try RecipeMemory(RecipeBytes(updates: [3, 3]).bytes, model)
    var request = SessionRequest(samples: 32, training: memory.recipe.needs)
    func byteCounts() throws -> [Int32?] {
      let entries = AlignedMemory(
        byteCount: MemoryPlan.largestEntryCount(nodeCount: 2)
          * MemoryLayout<MemoryPlan.Entry>.stride)
      let plan = try MemoryPlan(
        model.network, request, entries: entries.view(of: MemoryPlan.Entry.self))
      defer { withExtendedLifetime(entries) {} }
      return [1, 2].map { plan.entry(row: $0, .backwardWorkspace)?.byteCount }
    }
    let one = try byteCounts()
    request.threads = 7
    #expect(try byteCounts() == one)
    #expect(one.allSatisfy { $0 ?? 0 > 0 })
    withExtendedLifetime(memory) {}
  }

  @Test("the number of purposes is that of all of them")
  func purposes() {
    #expect(BufferPurpose.count == BufferPurpose.allCases.count)
  }
}
