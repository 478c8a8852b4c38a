import Tally
import TallyHost

/// What `tally bench` measures, group by group. Names of rows: Tools/bench/README.md.
struct BenchPlan {
  let effort: BenchTiming.Effort
  /// Only groups whose name contains this.
  let filter: String
  let onRow: (BenchRow) -> Void

  private static let networks: [BenchNetwork] = [.mlp, .mnist7, .cnn, .resnet8, .dscnn]

  func run() throws {
    for network in BenchPlan.networks { try group(network.name) { try steps(of: network) } }
    for network in [BenchNetwork.autoencoder, .mobileNet] {
      try group(network.name) {
        let run = try BenchRun(inferring: network, batch: 1)
        let times = BenchTiming.alternating(effort, [run.infer])
        onRow(BenchRow("infer/\(network.name)/b1", "\(network.name), inference", times[0], run))
      }
    }
    try group("sparse") { try sparse() }
    for network in [BenchNetwork.mlp, .dense(width: 512, depth: 2), .cnn, .resnet8, .dscnn] {
      try group("backward/\(network.name)", of: "backward") { try keptBackward(of: network) }
    }
    for network in [BenchNetwork.mlp, .cnn, .resnet8, .dscnn] {
      try group("zeroth/\(network.name)", of: "zeroth") { try zerothOrder(of: network) }
    }
    try group("threads") { try threads() }
    try group("growth") { try growth() }
    try group("load") { try load() }
  }

  private func group(_ name: String, _ body: () throws -> Void) rethrows {
    if filter.isEmpty || name.contains(filter) { try body() }
  }

  /// A part of a group, which runs with the group or by its own name.
  private func group(_ part: String, of name: String, _ body: () throws -> Void) rethrows {
    if filter == part { try body() } else { try group(name, body) }
  }

  // MARK: Groups

  /// Inference and training, batch 1 and 32.
  private func steps(of network: BenchNetwork) throws {
    for batch in [1, 32] {
      let inference = try BenchRun(inferring: network, batch: batch)
      let training = try BenchRun(training: network, batch: batch)
      let times = BenchTiming.alternating(effort, [inference.infer, training.step])
      let name = "\(network.name), batch \(batch)"
      onRow(BenchRow("infer/\(network.name)/b\(batch)", "\(name), inference", times[0], inference))
      onRow(
        BenchRow("train/\(network.name)/b\(batch)", "\(name), training step", times[1], training))
      guard batch == 1 else { continue }
      onRow(
        BenchRow(
          "3i/\(network.name)", "\(name), training step / inference",
          ratio: times[1].median / times[0].median,
          network.name == BenchNetwork.mlp.name ? .atMost(4.5, goal: 3) : .atMost(6, goal: 4)))
    }
  }

  /// Kept part of the gradient against all of it.
  private func sparse() throws {
    let dense = try BenchRun(training: .mlp, batch: 1)
    let ratios = [("1", 1.0), ("0.5", 0.5), ("0.25", 0.25), ("0.1", 0.1)]
    let kept = try ratios.map {
      try BenchRun(training: .mlp, batch: 1, keys: [BenchRun.keeping($0.0)])
    }
    let times = BenchTiming.alternating(effort, [dense.step] + kept.map { $0.step })
    let bounds: [BenchRow.Bound] = [
      .atMost(1.1, goal: 1.03), .atLeast(1.25, goal: 1.4), .atLeast(1.5, goal: 1.9),
      .atLeast(1.7, goal: 2.3),
    ]
    for (index, ratio) in ratios.enumerated() {
      let part = times[index + 1].median / times[0].median
      onRow(
        BenchRow(
          "growth/kept/\(ratio.0)", "MLP, batch 1, top \(ratio.0) of the gradient",
          times[index + 1], kept[index]))
      onRow(
        BenchRow(
          index == 0 ? "4d" : "4c/\(ratio.0)",
          index == 0 ? "the same, time of dense" : "the same, times faster than dense",
          ratio: index == 0 ? part : 1 / part, bounds[index]))
    }
  }

  /// The backward pass alone at kept ratios, one sample and 16, against that of the whole gradient.
  private func keptBackward(of network: BenchNetwork) throws {
    let ratios = [("0.5", 1.5), ("0.25", 2.5), ("0.1", 4.0)]
    // One channel of each layer: what is left does not depend on the ratio.
    let least = "0.001"
    for batch in [1, 16] {
      let keys = [[]] + (ratios.map(\.0) + [least]).map { [BenchRun.keeping($0)] }
      let runs = try keys.map { try BenchRun(training: network, batch: batch, keys: $0) }
      let times = BenchTiming.alternating(
        effort,
        timed: runs.map { run in { (0..<40).map { _ in run.backward() }.sorted()[20] } })
      let name = "\(network.name), batch \(batch)"
      onRow(
        BenchRow(
          "backward/\(network.name)/b\(batch)/dense", "\(name), backward pass", times[0], runs[0]))
      for (index, ratio) in ratios.enumerated() {
        onRow(
          BenchRow(
            "backward/\(network.name)/b\(batch)/\(ratio.0)",
            "\(name), backward pass of the top \(ratio.0)", times[index + 1], runs[index + 1]))
        onRow(
          BenchRow(
            "4b/\(network.name)/b\(batch)/\(ratio.0)", "the same, times faster than dense",
            ratio: times[0].median / times[index + 1].median,
            .atLeast(ratio.1, goal: 1.2 * ratio.1)))
      }
      let last = ratios.count + 1
      onRow(
        BenchRow(
          "backward/\(network.name)/b\(batch)/\(least)",
          "\(name), backward pass of one channel a layer", times[last], runs[last]))
    }
  }

  /// A query of all weights, two evaluations and an update, against a forward pass. It is what a step of
  /// one takes beyond its unperturbed pass, which the record's loss needs.
  private func zerothOrder(of network: BenchNetwork) throws {
    let inference = try BenchRun(inferring: network, batch: 1)
    let training = try BenchRun(
      training: network, batch: 1,
      keys: ["method=zerothOrder", try allWeights(of: network)])
    let times = BenchTiming.alternating(effort, [inference.infer, training.step])
    let (pass, step) = (times[0].median, times[1].median)
    onRow(
      BenchRow(
        "zeroth/\(network.name)/b1", "\(network.name), batch 1, zeroth-order step of one query",
        times[1], training))
    onRow(
      BenchRow(
        "5/\(network.name)", "\(network.name), batch 1, zeroth-order query / inference",
        ratio: (step - pass) / pass,
        network.name == BenchNetwork.mlp.name ? .atMost(8, goal: 5) : .atMost(2.4, goal: 2.15)))
  }

  /// Two threads against one.
  private func threads() throws {
    let faster = BenchRow.Bound.atLeast(1.4, goal: 1.7)
    let notSlower = BenchRow.Bound.atLeast(1, goal: 1)
    let inferences: [(BenchNetwork, BenchRow.Bound)] = [
      (.resnet8, faster), (.mobileNet, faster), (.dscnn, notSlower), (.autoencoder, notSlower),
    ]
    for (network, bound) in inferences {
      try compareThreads("infer", "\(network.name), batch 1, inference", network, bound) {
        let run = try BenchRun(inferring: network, batch: 1, threads: $0)
        return (run, run.infer)
      }
    }
    for (network, bound) in [(BenchNetwork.mlp, notSlower), (.resnet8, faster)] {
      try compareThreads("train", "\(network.name), batch 32, training step", network, bound) {
        let run = try BenchRun(training: network, batch: 32, threads: $0)
        return (run, run.step)
      }
    }
    try compareThreads("infer32", "resnet8, batch 32, inference", .resnet8, faster) {
      let run = try BenchRun(inferring: .resnet8, batch: 32, threads: $0)
      return (run, run.infer)
    }
  }

  /// - Parameter make: a run planned for so many threads, and its call.
  private func compareThreads(
    _ kind: String, _ name: String, _ network: BenchNetwork, _ bound: BenchRow.Bound,
    _ make: (_ threads: Int) throws -> (BenchRun, () -> Void)
  ) throws {
    defer { Threads.use(1) }
    let runs = try [1, 2].map(make)
    let times = BenchTiming.alternating(
      effort, on: .wall,
      [1, 2].map { count in
        {
          Threads.use(count)
          runs[count - 1].1()
        }
      })
    for (index, time) in times.enumerated() {
      let count = index + 1
      onRow(
        BenchRow(
          "threads/\(kind)/\(network.name)/\(count)",
          "\(name), \(count) thread\(count == 1 ? "" : "s")",
          time, runs[index].0))
    }
    onRow(
      BenchRow(
        "2f/\(kind)/\(network.name)", "the same, times faster with two",
        ratio: times[0].median / times[1].median, bound))
  }

  /// One group of all weights, in the words of a recipe.
  private func allWeights(of network: BenchNetwork) throws -> String {
    let model = try network.model()
    let weighted = model.nodes.indices.filter { model.nodes[$0].operation.weighted != nil }
    let group =
      #"{"layer": "\#(model.name(ofNode: weighted[0]))", "coordinates": "weights", "#
      + #""span": \#(weighted.count)}"#
    return #"zerothOrder={"head": "frozen", "groups": [\#(group)]}"#
  }

  /// Cost against batch, width, depth and the number of samples.
  private func growth() throws {
    let batches = [1, 2, 4, 8, 16, 32, 64, 128]
    let byBatch = try measure(batches.map { (BenchNetwork.mlp, $0) }) { "growth/batch/\($1)" }
    onRow(
      BenchRow(
        "7", "MLP, batch 32 / batch 1", ratio: byBatch[5].median / byBatch[0].median,
        .atMost(9, goal: 6)))
    let widths = [64, 128, 256, 512, 1024]
    let byWidth = try measure(widths.map { (BenchNetwork.dense(width: $0), 1) }) { index, _ in
      "growth/width/\(widths[index])"
    }
    onRow(
      BenchRow(
        "7b", "784-H-10, batch 1, H = 1024 / H = 64", ratio: byWidth[4].median / byWidth[0].median,
        .atMost(19, goal: 16)))
    let depths = [1, 2, 4, 8]
    let byDepth = try measure(depths.map { (BenchNetwork.dense(width: 128, depth: $0), 1) }) {
      index, _ in "growth/depth/\(depths[index])"
    }
    onRow(
      BenchRow(
        "7c", "each further 128×128 layer, batch 1",
        ratio: (byDepth[3].median - byDepth[0].median) / 7, .atMost(1.2, goal: 0.6), unit: "µs"))
    try epochs()
  }

  /// A pass over the data against one over half of it.
  private func epochs() throws {
    let counts = [640, 1280, 2560]
    let runs = try counts.map { try BenchRun(training: .mlp, batch: 20, samples: $0) }
    let times = BenchTiming.alternating(effort, runs.map { $0.epoch })
    for (index, run) in runs.enumerated() {
      onRow(
        BenchRow(
          "growth/samples/\(counts[index])", "MLP, batch 20, an epoch of \(counts[index]) samples",
          times[index], run))
    }
    let growth = times[2].median / times[1].median
    onRow(
      BenchRow(
        "7d", "MLP, an epoch of 2560 samples / of 1280", ratio: growth, .atMost(2.1, goal: 2.05)))
  }

  private func measure(
    _ cases: [(BenchNetwork, batch: Int)], id: (Int, Int) -> String
  ) throws -> [BenchTiming] {
    let runs = try cases.map { try BenchRun(training: $0.0, batch: $0.batch) }
    let times = BenchTiming.alternating(effort, runs.map { $0.step })
    for (index, run) in runs.enumerated() {
      let (network, batch) = cases[index]
      onRow(
        BenchRow(
          id(index, batch), "\(network.name), batch \(batch), training step", times[index], run))
    }
    return times
  }

  /// A model file's bytes become a validated network.
  private func load() throws {
    for network in [BenchNetwork.resnet8, .mobileNet] {
      let bytes = try network.model().bytes
      let digest = try LoadedModel(bytes).digest.hexadecimal
      let times = BenchTiming.alternating(effort, [{ _ = try? LoadedModel(bytes) }])
      onRow(
        BenchRow(
          "load/\(network.name)", "\(network.name), load and validate \(bytes.count) bytes",
          times[0], digest: digest))
      onRow(
        BenchRow(
          "6c/\(network.name)", "the same in ms", ratio: times[0].median / 1000,
          .atMost(1, goal: 0.2), unit: "ms"))
    }
  }
}

extension BenchRow {
  fileprivate init(_ id: String, _ quantity: String, _ timing: BenchTiming, _ run: BenchRun) {
    self.init(id, quantity, timing, digest: run.digest)
  }
}
