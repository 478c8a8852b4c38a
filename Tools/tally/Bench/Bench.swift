import Importers
import Tally
import TallyHost

extension Verb {
  static let bench = Verb(
    name: "bench", summary: "time inference and training steps, with a digest of what was computed",
    options: [
      .flag("--quick", nil, "shorter: within two minutes"),
      .value("--only", nil, "TEXT", "only groups whose name contains it: mlp, resnet8, growth"),
      .value("--simd", nil, "LEVEL", "plain, avx2, vnni or neon (default: this machine's best)"),
      .value("--steps", nil, "N", "with --only a network: N steps of one sample, nothing timed"),
      .value("--kept", nil, "RATIO", "with --steps: gradients of which so much is kept (0.25)"),
    ],
    details: """
      Networks of published shapes with seeded random weights and made-up samples. Times are
      microseconds of CPU time of one thread (of the clock in the group `threads`): median and
      range of at least nine repetitions. A digest depends on nothing but the arithmetic: it is
      the same on every machine.

      JSON: simd, rows (id, quantity, value, unit, min, max, gate, goal, sense, reached, digest).
      """
  ) { arguments, console in
    if arguments.has("--kept"), !arguments.has("--steps") {
      throw arguments.usage("--kept goes with --steps")
    }
    if let name = arguments["--simd"] {
      guard let level = levels.first(where: { $0.name == name })?.level else {
        throw InputError(
          802, "\u{2018}\(name)\u{2019} is not a SIMD level", place: "--simd",
          help: "plain, avx2, vnni or neon", exit: 2)
      }
      SIMDLevel.choose(level)
      guard SIMDLevel.current == level else {
        SIMDLevel.chooseBest()
        throw InputError(802, "this machine has no \(name)", place: "--simd", exit: 2)
      }
    }
    defer { SIMDLevel.chooseBest() }
    if let steps = try arguments.integer("--steps", in: 1...1_000_000) {
      return try count(Int(steps), arguments["--only"] ?? "", kept: arguments["--kept"], console)
    }
    let level = levels.first { $0.level == SIMDLevel.current }?.name ?? ""
    var rows: [BenchRow] = []
    let plan = BenchPlan(
      effort: arguments.has("--quick") ? .quick : .full, filter: arguments["--only"] ?? ""
    ) { row in
      rows.append(row)
      console.note("\(row.quantity): \(row.cells[1])")
    }
    try plan.run()
    var table = TextTable(
      ["quantity", "value", "range", "gate", "goal", "reached", "digest"], words: [0, 5, 6])
    for row in rows { table.add(row.cells) }
    console.print("SIMD level: \(level)")
    console.print(table.text)
    console.result(["simd": .string(level), "rows": .array(rows.map(\.json))])
    return 0
  }

  private static let levels: [(name: String, level: SIMDLevel)] = [
    ("plain", .plain), ("avx2", .avx2), ("vnni", .vnni), ("neon", .neon),
  ]

  /// The same work every time, for tools that count instructions.
  private static func count(
    _ steps: Int, _ name: String, kept: String?, _ console: Console
  ) throws -> Int32 {
    guard let network = BenchNetwork.all.first(where: { $0.name.contains(name) }) else {
      throw InputError(802, "there is no network \u{2018}\(name)\u{2019}", place: "--only", exit: 2)
    }
    let keys = kept.map { [BenchRun.keeping($0)] } ?? []
    let run = try BenchRun(training: network, batch: 1, keys: keys)
    for _ in 0..<steps { run.step() }
    console.print("\(network.name), \(steps) steps: \(run.root)")
    console.result(["network": .string(network.name), "digest": .string(run.root)])
    return 0
  }
}
