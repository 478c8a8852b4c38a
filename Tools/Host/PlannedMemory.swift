public import Importers
public import Tally

/// A memory plan in words: every buffer with its layer and purpose.
public struct PlannedMemory: Sendable {
  public struct Buffer: Sendable {
    public let purpose: String
    /// A node's name, or `input`.
    public let layer: String
    public let byteCount: Int
    /// From the start of the arena.
    public let offset: Int
    /// Times it lives at (MemoryPlan).
    public let start: Int
    public let end: Int
    public let isPersistent: Bool
  }

  public let byteCount: Int
  public let lowerBound: Int
  /// Layer by layer.
  public let buffers: [Buffer]

  /// - Throws: TLY0605, 0804 or 0807 if there is no plan.
  public init(_ model: LoadedModel, _ request: SessionRequest) throws(InputError) {
    let count = MemoryPlan.largestEntryCount(nodeCount: model.network.nodeCount)
    let memory = AlignedMemory(byteCount: count * MemoryLayout<MemoryPlan.Entry>.stride)
    let plan: MemoryPlan
    do throws(MemoryPlanError) {
      plan = try MemoryPlan(model.network, request, entries: memory.view(of: MemoryPlan.Entry.self))
    } catch {
      throw InputError(error, model)
    }
    byteCount = plan.byteCount
    lowerBound = plan.lowerBound
    let entries = (0..<plan.count).map { plan.entries[$0] }
      .sorted { ($0.row, $0.purpose) < ($1.row, $1.purpose) }
    buffers = entries.map { entry in
      Buffer(
        purpose: BufferPurpose(rawValue: Int(entry.purpose))?.words ?? "?",
        layer: entry.row == 0 ? "input" : model.name(ofNode: Int(entry.row) - 1),
        byteCount: Int(entry.byteCount), offset: Int(entry.offset), start: Int(entry.start),
        end: Int(entry.end), isPersistent: entry.end == Int32.max)
    }
    _ = memory
  }

  /// Sums of buffers, in the order of the purposes. Buffers share memory, so they add up to more than
  /// `byteCount`.
  public var byPurpose: [(name: String, byteCount: Int)] {
    BufferPurpose.allCases.map(\.words).compactMap { name in
      let sum = buffers.filter { $0.purpose == name }.reduce(0) { $0 + $1.byteCount }
      return sum == 0 ? nil : (name, sum)
    }
  }

  /// Layers that have a buffer of this purpose, in order.
  func layers(with purpose: BufferPurpose) -> [String] {
    buffers.filter { $0.purpose == purpose.words }.map(\.layer)
  }

  /// The same by layer, each with its buffers.
  public var byLayer: [(name: String, byteCount: Int, buffers: [(name: String, byteCount: Int)])] {
    var layers: [(name: String, byteCount: Int, buffers: [(name: String, byteCount: Int)])] = []
    for buffer in buffers {
      if layers.last?.name != buffer.layer { layers.append((buffer.layer, 0, [])) }
      layers[layers.count - 1].byteCount += buffer.byteCount
      layers[layers.count - 1].buffers.append((buffer.purpose, buffer.byteCount))
    }
    return layers
  }

  /// `12,345 bytes (12.1 KiB)`.
  public func sized(_ count: Int) -> String {
    "\(DecimalText.grouped(count)) bytes (\(DecimalText.bytes(count)))"
  }
}

extension BufferPurpose {
  /// For people.
  public var words: String {
    switch self {
    case .weights: "weights"
    case .biases: "biases"
    case .weightScales: "weight scales"
    case .offsetBiases: "offset biases"
    case .multipliers: "multipliers"
    case .masters: "masters"
    case .weightVelocities: "weight velocities"
    case .biasVelocities: "bias velocities"
    case .scaleVelocities: "scale velocities"
    case .selectedChannels: "selected channels"
    case .selectedInput: "selected input"
    case .largestGradient: "largest gradient"
    case .keptCounts: "kept counts"
    case .keptChannels: "kept channels"
    case .touchedRows: "touched rows"
    case .histogram: "histogram"
    case .activation: "activation"
    case .mask: "mask"
    case .gradient: "gradient"
    case .incomingGradient: "incoming gradient"
    case .forwardWorkspace: "forward workspace"
    case .backwardWorkspace: "backward workspace"
    case .sessionTable: "session table"
    case .differences: "loss differences"
    case .perturbedWeights: "perturbed weights"
    case .signedSums: "signed sums"
    case .perturbationCounts: "perturbation counts"
    }
  }
}
