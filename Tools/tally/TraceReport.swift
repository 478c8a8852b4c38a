import Layers
import Tally
import TallyHost
import Training

/// What two traces say about each other, in words and as JSON.
struct TraceReport {
  private let a: LoadedTrace
  private let b: LoadedTrace
  private let paths: [String]
  private let model: LoadedModel?
  private(set) var lines: [String] = []
  private(set) var members: [(key: String, value: JSONOutput)] = []

  init(_ a: LoadedTrace, _ b: LoadedTrace, _ paths: [String], _ model: LoadedModel?) {
    self.a = a
    self.b = b
    self.paths = paths
    self.model = model
  }

  /// - Returns: the exit status.
  mutating func compare() -> Int32 {
    switch TraceDifference(a, b) {
    case .none:
      let words = "\(Bisection.text(a.steps)): \(a.entries.count) results, all the same"
      say("equal", a.steps.lowerBound, words)
      return 0
    case .earlier(let entry):
      let step = a.entries[entry].header.step
      say(
        "parted", step,
        "before step \(step): \(name(entry)) differs when the step begins; "
          + (step == 0
            ? "the calibration has parted: compare the journals" : "trace an earlier step"))
    case .sequence(let entry):
      let list = entry < a.entries.count ? a : b
      let header = list.entries[entry].header
      say(
        "parted", header.step,
        "in step \(header.step) one machine does what the other does not: \(name(entry, of: list))")
    case .scale(let entry):
      describe(entry)
      let scales = [a, b].map { $0.entries[entry].header.scale }
      lines.append("the Scale differs, the values do not")
      for (path, scale) in zip(paths, scales) {
        lines.append("  \(path)  \(scale.mantissa)·2^\(scale.exponent - 31)")
      }
      members.append(
        ("scales", .array(scales.map { [JSONOutput($0.mantissa), JSONOutput($0.exponent)] })))
    case .values(let entry):
      describe(entry)
      addElement(entry)
    }
    return 1
  }

  private mutating func say(_ verdict: String, _ step: UInt32, _ words: String) {
    lines.append("\(verdict) \(words)")
    members += [
      ("verdict", .string(verdict)), ("step", JSONOutput(step)), ("reason", .string(words)),
    ]
  }

  private mutating func describe(_ entry: Int) {
    let header = a.entries[entry].header
    var place = "in step \(header.step)"
    if header.query != Observation.wholeStep { place += ", micro-batch \(header.query)" }
    say("parted", header.step, "\(place): \(name(entry)); all before it is the same")
    if header.query != Observation.wholeStep {
      members.append(("microBatch", JSONOutput(header.query)))
    }
    members.append(("operation", .string(name(entry))))
    if let (query, sign) = header.perturbation {
      members += [("query", JSONOutput(query)), ("sign", JSONOutput(sign))]
    }
    if let node = header.node { members.append(("node", JSONOutput(node))) }
  }

  // MARK: - The element

  private mutating func addElement(_ entry: Int) {
    let header = a.entries[entry].header
    guard a.hasValues, b.hasValues else {
      lines.append(
        "  help: these traces hold digests alone; on each machine: tally bisect RUN.tlj --trace "
          + "\(header.step) --model M --data D -o RUN.tlt --force")
      return
    }
    func value(_ trace: LoadedTrace, _ element: Int) -> Int32 {
      trace.value(trace.entries[entry], element)
    }
    let differing = (0..<header.count).filter { value(a, $0) != value(b, $0) }
    guard let element = differing.first else { return }
    lines.append("element \(element)\(place(header, element)), the first of \(differing.count)")
    members += [
      ("element", JSONOutput(element)), ("differing", JSONOutput(differing.count)),
      ("values", [JSONOutput(value(a, element)), JSONOutput(value(b, element))]),
    ]
    for (path, trace) in zip(paths, [a, b]) {
      lines.append("  \(path)  \(value(trace, element))")
    }
    addDerivation(entry, element, [value(a, element), value(b, element)])
  }

  private mutating func addDerivation(_ entry: Int, _ element: Int, _ values: [Int32]) {
    guard let model else {
      lines.append("  help: --model MODEL shows how the element comes about")
      return
    }
    let recipeBytes = Array(a.begin.dropFirst(JournalFormat.beginByteCount))
    guard let memory = try? RecipeMemory(recipeBytes, model),
      let derivation = Deriver(a, model, memory.recipe, at: entry).derive(element)
    else {
      lines.append("  by hand: this kind of result is not derived")
      return
    }
    let sides = zip(paths, values).filter { Int64($0.1) == derivation.value }.map(\.0)
    lines.append(
      "  by hand  \(derivation.value), \(sides.isEmpty ? "as neither" : "as \(sides[0])")")
    lines += derivation.lines.map { "    \($0)" }
    members += [
      ("expected", .integer(derivation.value)),
      ("confirmed", sides.first.map { .string($0) } ?? .null),
      ("derivation", .array(derivation.lines.map { .string($0) })),
    ]
  }

  // MARK: - Names

  private func name(_ entry: Int, of trace: LoadedTrace? = nil) -> String {
    (trace ?? a).entries[entry].header.name(in: model)
  }

  /// ` [sample 0, row 1, column 2, channel 3]`, where the shape is known.
  private func place(_ header: TraceEntry, _ element: Int) -> String {
    guard let model else { return "" }
    switch header.kind {
    case .labels: return " [sample \(element)]"
    case .differences: return header.count == 1 ? "" : " [sample \(element)]"
    case .input, .output, .gradient, .lossGradient, .targets, .perturbedLogits:
      let isOfHead = ![.input, .output, .gradient].contains(header.kind)
      let tensor = isOfHead ? model.network.nodeCount : Int(header.index)
      guard tensor < model.network.tensorCount else { return "" }
      let shape = model.network.shape(ofTensor: tensor)
      let (sample, rest) = (element / shape.count, element % shape.count)
      if shape.positions == 1 { return " [sample \(sample), channel \(rest)]" }
      let (position, channel) = (rest / shape.channels, rest % shape.channels)
      return " [sample \(sample), row \(position / shape.width), column \(position % shape.width), "
        + "channel \(channel)]"
    case .weights, .masters, .weightGradient, .weightVelocities:
      guard let node = header.node, node < model.network.nodeCount,
        let shape = model.network.node(node).operation.weighted
      else { return "" }
      return " [output channel \(element / shape.depth), weight \(element % shape.depth)]"
    default: return ""
    }
  }
}

extension TraceEntry {
  /// The node that the entry is about.
  var node: Int? {
    switch kind {
    case .input, .tensorScales, .lossGradient, .labels, .targets, .differences, .perturbedLogits:
      nil
    case .output, .gradient: index == 0 ? nil : Int(index) - 1
    default: Int(index)
    }
  }

  /// The query of a zeroth-order step and its sign.
  var perturbation: (query: UInt32, sign: Int)? {
    switch kind {
    case .differences, .perturbedLogits: (index / 2, index % 2 == 0 ? 1 : -1)
    default: nil
    }
  }

  /// `the output of conv1 (node 0)`.
  func name(in model: LoadedModel?) -> String {
    let suffix = phase == .after ? " after the step" : ""
    if let (query, sign) = perturbation {
      return "\(kind.words) of query \(query), perturbed by \(sign > 0 ? "+" : "−")"
    }
    guard let node else { return kind.words + suffix }
    var text = "node \(node)"
    if let model, node < model.network.nodeCount {
      let name = model.name(ofNode: node)
      if name != text { text = "\(name) (\(text))" }
    }
    return "\(kind.words) of \(text)\(suffix)"
  }
}

extension TraceEntry.Kind {
  /// For people.
  var words: String {
    switch self {
    case .weights: "weights"
    case .biases: "biases"
    case .weightScales: "weight Scales"
    case .masters: "masters"
    case .weightVelocities: "weight velocities"
    case .biasVelocities: "bias velocities"
    case .scaleVelocities: "Scale velocities"
    case .tensorScales: "Scales of the tensors"
    case .largestGradient: "the largest gradient"
    case .input: "the input"
    case .output: "the output"
    case .lossGradient: "the gradient of the loss"
    case .gradient: "the gradient of the output"
    case .biasGradient: "the bias gradient"
    case .weightGradient: "the weight gradient"
    case .differences: "the losses"
    case .perturbedLogits: "the logits"
    case .labels: "the labels"
    case .targets: "the targets"
    }
  }
}
