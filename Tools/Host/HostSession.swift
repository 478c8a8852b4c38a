import Importers
public import Tally

/// A session with the memory it works in.
public final class HostSession {
  /// Works in this object's memory, so this object must outlive it (`AlignedMemory`).
  public let session: Session
  public let model: LoadedModel
  /// What the arena was planned to be; the arena is exactly that large.
  public let plannedByteCount: Int
  private let arena: AlignedMemory

  /// - Parameter request: what to plan for; the owners of its views, such as a `RecipeMemory`, must
  ///   outlive the session.
  public init(_ model: LoadedModel, _ request: SessionRequest) throws(MemoryPlanError) {
    self.model = model
    let entryCount = MemoryPlan.largestEntryCount(nodeCount: model.network.nodeCount)
    let planMemory = AlignedMemory(byteCount: entryCount * MemoryLayout<MemoryPlan.Entry>.stride)
    let entries = planMemory.view(of: MemoryPlan.Entry.self)
    let plan = try MemoryPlan(model.network, request, entries: entries)
    plannedByteCount = plan.byteCount
    arena = AlignedMemory(byteCount: plan.byteCount)
    arena.view(of: UInt8.self).fill(HostSession.untouched)
    session = Session(model.network, request, plan: plan, arena: Arena(arena.bytes))
  }

  /// What memory holds that nobody has written to.
  private static let untouched: UInt8 = 0xA5

  /// Bytes of the arena up to the last one that has been written to, in whole units of its alignment.
  public var usedByteCount: Int {
    let bytes = arena.view(of: UInt8.self)
    let last = (0..<bytes.count).last { bytes[$0] != HostSession.untouched } ?? -1
    return min(Arena.aligned(last + 1), plannedByteCount)
  }

  /// The model file with the session's current parameters.
  public func modelBytes() -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(model.byteCount)
    session.forEachModelRun { run in
      run.withRawSpan { span in
        span.withUnsafeBytes { bytes.append(contentsOf: $0) }
      }
    }
    let digest = session.modelDigest
    bytes += (0..<Digest.byteCount).map { digest[$0] }
    return bytes
  }
}
