import Importers
import Tally
import TallyHost

/// `tally plan --compare`: the memory of inference and of every scheme by name, for one sample at a time and
/// for whole batches.
struct PlanComparison {
  private struct Row {
    let name: String
    let microBatch: Int
    let memory: PlannedMemory?

    func sum(_ purposes: Set<BufferPurpose>) -> Int {
      let words = Set(purposes.map(\.words))
      return memory?.byPurpose.filter { words.contains($0.name) }.reduce(0) { $0 + $1.byteCount }
        ?? 0
    }
  }

  private static let schemes: [(name: String, set: [String])] = [
    ("last", ["update=last"]), ("biases", ["update=biases"]), ("bias+last", ["update=bias+last"]),
    ("scales", ["update=scales"]), ("scales+biases+last", ["update=scales+biases+last"]),
    ("full", ["update=full"]), ("full, int8 weights", ["update=full", "weights=int8"]),
    ("full, TinyProp", ["update=full", "sparseGradients={}"]),
    ("zeroth order, nodes", ["method=zerothOrder"]),
    ("zeroth order, nodes, int8 weights", ["method=zerothOrder", "weights=int8"]),
  ]
  private static let columns: [(name: String, purposes: Set<BufferPurpose>)] = [
    (
      "weights", [.weights, .biases, .weightScales, .offsetBiases, .multipliers, .selectedChannels]
    ),
    ("masters", [.masters]),
    ("velocities", [.weightVelocities, .biasVelocities, .scaleVelocities]),
    ("activations", [.activation, .selectedInput]), ("masks", [.mask]),
    (
      "gradients",
      [.gradient, .incomingGradient, .largestGradient, .keptChannels, .keptCounts, .touchedRows]
    ),
    (
      "workspace",
      [.forwardWorkspace, .backwardWorkspace, .differences, .perturbedWeights, .signedSums]
    ),
  ]

  private let model: LoadedModel
  private let isCompact: Bool
  private var rows: [Row] = []

  /// - Parameter document: what every scheme shares; its own update set does not count.
  init(_ model: LoadedModel, _ document: RecipeDocument, isCompact: Bool) throws(InputError) {
    self.model = model
    self.isCompact = isCompact
    rows.append(
      Row(
        name: "inference", microBatch: 1,
        memory: try PlannedMemory(model, SessionRequest(samples: 1, isCompact: isCompact))))
    let batch = try document.resolved(for: model, hasLabels: true).batch
    for (name, assignments) in PlanComparison.schemes {
      for microBatch in batch == 1 ? [1] : [1, batch] {
        var document = document
        for assignment in assignments + ["microBatch=\(microBatch)"] {
          try document.set(assignment)
        }
        // A scheme that this model or micro-batch cannot have stands without figures.
        let memory = try? plan(document)
        rows.append(Row(name: name, microBatch: Int(microBatch), memory: memory))
      }
    }
  }

  private func plan(_ document: RecipeDocument) throws -> PlannedMemory {
    let memory = try RecipeMemory(document.resolved(for: model, hasLabels: true), model)
    return try withExtendedLifetime(memory) {
      try PlannedMemory(
        model,
        SessionRequest(
          samples: Int(memory.recipe.microBatch), isCompact: isCompact,
          training: memory.recipe.needs))
    }
  }

  func report(_ console: Console) {
    console.result([
      "flashBytes": JSONOutput(model.byteCount),
      "schemes": .array(
        rows.map { row in
          var members: [(key: String, value: JSONOutput)] = [
            ("scheme", .string(row.name)), ("microBatch", JSONOutput(row.microBatch)),
            ("ramBytes", row.memory.map { JSONOutput($0.byteCount) } ?? .null),
            ("lowerBound", row.memory.map { JSONOutput($0.lowerBound) } ?? .null),
          ]
          members += PlanComparison.columns.map { ($0.name, JSONOutput(row.sum($0.purposes))) }
          return .object(members)
        }),
    ])
    console.print("flash  \(DecimalText.grouped(model.byteCount)) bytes")
    console.print()
    var table = TextTable(
      ["scheme", "micro-batch", "RAM"] + PlanComparison.columns.map(\.name))
    for row in rows {
      table.add(
        [
          row.name, String(row.microBatch),
          row.memory.map { DecimalText.grouped($0.byteCount) } ?? "–",
        ] + PlanComparison.columns.map { DecimalText.grouped(row.sum($0.purposes)) })
    }
    console.print(table.text)
    console.note("buffers share memory, so they add up to more than RAM")
  }
}
