import Importers
import Tally
import TallyHost

extension Verb {
  static let plan = Verb(
    name: "plan", summary: "say how much flash and RAM a model needs, to the byte",
    positionals: [Positional(name: "MODEL", help: "a .tally model")],
    options: [
      .value("--recipe", "-r", "FILE", "plan for training by this recipe"),
      .value("--set", nil, "KEY=VALUE", isRepeatable: true, "put a value over the recipe's"),
      .flag("--train", nil, "plan for training by the default recipe"),
      .value("--samples", nil, "N", "samples in one pass of inference (default 1)"),
      .flag("--compare", nil, "the memory of inference and of every update scheme, side by side"),
      .flag("--fast", nil, "the layout the command itself uses: faster, larger"),
      .value("--budget", nil, "SIZE", "exit with 6 if RAM is above: 256KiB, 1MiB, 65536"),
      .value("--select", nil, "WAY", "choose what to train within the budget"),
      .value("--data", "-d", "DATA", "what fisher, contribution and search look at or train on"),
      .value("--validate", nil, "DATA", "what contribution and search count right answers on"),
      .value("--passes", nil, "N", "forward passes of all trials of zeroth-order (100000)"),
      .value("--output", "-o", "FILE", "the recipe with the chosen scheme"),
      .flag("--force", nil, "replace the output"),
    ],
    details: """
      Flash is the model file, read in place. RAM is the arena: everything a session touches but
      the data and the stack. The peak is what lives at the fullest time; no plan can do with less.
      The journal is what one step adds to it at most: a buffer for one step is that large.

      --select fisher looks at --samples N samples (default 256), once, and weighs what it finds
      against weights and multiplies; --select potential does not. --select contribution and
      --select search train by the recipe, part by part, and count right answers; --select magnitude
      and --select random are for comparison (SPEC 8.13). --select zeroth-order tries what to perturb
      in short runs on --data, and keeps what has the least loss on --validate.

      JSON: flashBytes, ramBytes, stackBytes (at most, on a 32-bit board), journalBytes (a step's,
      at most), lowerBound, firstFitBytes, peak, byPurpose, byLayer; with --compare schemes; with
      --select layers, macs, recipe.
      """
  ) { arguments, console in
    let budget = try arguments["--budget"].map(bytes)
    let model = try Inputs.model(arguments.positionals[0])
    if let way = arguments["--select"] {
      guard let budget else { throw arguments.usage("--select needs a --budget") }
      if way == "zeroth-order" {
        return try PlanZerothOrder(arguments: arguments, console: console, model: model)
          .run(budget: budget)
      }
      return try PlanSelection(arguments, console, model, byteCount: budget).run(way)
    }
    if arguments.has("--compare") {
      let document = try Inputs.recipe(arguments["--recipe"], arguments.all("--set"))
      try PlanComparison(model, document, isCompact: !arguments.has("--fast")).report(console)
      return 0
    }
    let wantsTraining =
      arguments.has("--recipe") || arguments.has("--set") || arguments.has("--train")
    var request = SessionRequest(
      samples: Int(try arguments.integer("--samples", in: 1...65_536) ?? 1))
    var recipe: RecipeMemory?
    if wantsTraining {
      let document = try Inputs.recipe(arguments["--recipe"], arguments.all("--set"))
      let memory = try RecipeMemory(document.resolved(for: model, hasLabels: true), model)
      request.samples = Int(memory.recipe.microBatch)
      request.training = memory.recipe.needs
      recipe = memory
    }
    request.isCompact = !arguments.has("--fast")
    let buffers = try PlannedMemory(model, request)
    withExtendedLifetime(recipe) {
      report(buffers, model, request, recipe?.recipe, budget, console)
    }
    guard let budget, buffers.byteCount > budget else { return 0 }
    console.complain(
      InputError(
        804, "the model needs \(buffers.byteCount) bytes of RAM, the budget is \(budget)",
        place: arguments.positionals[0],
        note: wantsTraining
          ? "smaller: --set microBatch=1, --set weights=int8, --set update=last" : nil, exit: 6))
    return 6
  }

  private static func report(
    _ memory: PlannedMemory, _ model: LoadedModel, _ request: SessionRequest, _ recipe: Recipe?,
    _ budget: Int?, _ console: Console
  ) {
    let purposes = memory.byPurpose
    let layers = memory.byLayer
    let peak = memory.peak
    let stack = MemoryPlan.stackByteCount(
      isTraining: request.training != nil, pointerByteCount: 4)
    var members: [(key: String, value: JSONOutput)] = [
      ("flashBytes", JSONOutput(model.byteCount)), ("ramBytes", JSONOutput(memory.byteCount)),
      ("stackBytes", JSONOutput(stack)), ("lowerBound", JSONOutput(memory.lowerBound)),
      ("firstFitBytes", JSONOutput(memory.firstFitByteCount)),
      ("samples", JSONOutput(request.samples)),
      ("isTraining", .bool(request.training != nil)),
      ("byPurpose", .object(purposes.map { (key: $0.name, value: JSONOutput($0.byteCount)) })),
      (
        "peak",
        [
          "time": JSONOutput(peak.time),
          "byPurpose": .object(
            peak.byPurpose.map { (key: $0.name, value: JSONOutput($0.byteCount)) }),
        ]
      ),
      (
        "byLayer",
        .array(
          layers.map { layer in
            [
              "name": .string(layer.name), "bytes": JSONOutput(layer.byteCount),
              "buffers": .object(
                layer.buffers.map { (key: $0.name, value: JSONOutput($0.byteCount)) }),
            ]
          })
      ),
    ]
    let journal = recipe.map { memory.journalByteCount($0) }
    if let journal { members.append(("journalBytes", JSONOutput(journal))) }
    if let budget {
      members.append(("budgetBytes", JSONOutput(budget)))
      members.append(("fits", .bool(memory.byteCount <= budget)))
    }
    console.result(.object(members))
    let what = request.training == nil ? "inference" : "training"
    console.print("flash  \(memory.sized(model.byteCount))")
    console.print(
      "RAM    \(memory.sized(memory.byteCount)), \(what), \(request.samples) samples at once")
    console.print("stack  at most \(memory.sized(stack)) on a 32-bit board")
    if let journal {
      console.print("journal  at most \(memory.sized(journal)) a step, none of them kept in RAM")
    }
    console.print()
    var table = TextTable(["buffer", "of", "bytes", "at", "lives"], words: [0, 1, 4])
    for buffer in memory.buffers {
      table.add([
        buffer.purpose, buffer.layer, String(buffer.byteCount), String(buffer.offset),
        buffer.isPersistent ? "always" : "\(buffer.start)…\(buffer.end)",
      ])
    }
    console.print(table.text)
    console.print()
    console.print(
      "peak   time \(peak.time): "
        + peak.byPurpose.map { "\($0.name) \(DecimalText.grouped($0.byteCount))" }
        .joined(separator: ", "))
    console.print(
      "plan   \(DecimalText.grouped(memory.byteCount)) bytes; at least "
        + "\(DecimalText.grouped(memory.lowerBound)); first fit in order of use "
        + DecimalText.grouped(memory.firstFitByteCount))
    if memory.byteCount > memory.lowerBound {
      console.note(
        "\(memory.byteCount - memory.lowerBound) bytes lie between buffers; "
          + "what lives at one time fills \(memory.lowerBound)")
    }
  }

  /// `65536`, `256KiB`, `1MiB`.
  private static func bytes(_ text: String) throws(InputError) -> Int {
    for (suffix, unit) in [("KiB", 1 << 10), ("MiB", 1 << 20), ("", 1)] where text.hasSuffix(suffix)
    {
      guard let count = Int(text.dropLast(suffix.count)), count >= 0, count < 1 << 32 else { break }
      return count * unit
    }
    throw InputError(
      802, "\u{2018}\(text)\u{2019} is not a size", place: "--budget",
      help: "write 65536, 256KiB or 1MiB", exit: 2)
  }
}
