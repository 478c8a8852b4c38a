public import Importers
import Tally

/// The recipe a user writes: JSON, with what `--set` puts over it (Formats/recipe.md).
///
///     var document = try RecipeDocument(contents.bytes[...], file: path)
///     try document.set("learningRate=0.1")
///     let recipe = try document.resolved(for: model, hasLabels: true)
public struct RecipeDocument {
  private var layers: [LayeredObject.Layer] = []

  /// A recipe of defaults only.
  public init() {}

  /// - Throws: TLY0202 or TLY0203 for text that is not JSON or says a key twice.
  public init(_ text: ArraySlice<UInt8>, file: String) throws(InputError) {
    let root = try JSONElement.userWritten(text, file: file)
    layers = [.init(object: try root.object(), pathDepth: 0)]
  }

  /// Puts one value over the others: `epochs=3`, `schedule.warmup=10`, `update={"layers": …}`.
  ///
  /// What starts with a bracket or a quote is JSON and digits are an integer; anything else is a
  /// string, so `learningRate=0.1` needs no quotes.
  /// - Throws: TLY0805 without a key or a value.
  public mutating func set(_ assignment: String) throws(InputError) {
    let parts = assignment.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    let path = parts[0].split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 2, !path.contains(""), !parts[1].isEmpty else {
      throw InputError(
        805, "\u{2018}\(assignment)\u{2019} sets nothing", place: "--set",
        help: "write KEY=VALUE: --set learningRate=0.1", exit: 2)
    }
    var text = RecipeDocument.json(String(parts[1]))
    for key in path.reversed() { text = "{\(JSONOutput.string(String(key)).text): \(text)}" }
    let root = try JSONElement.userWritten(Array(text.utf8)[...], file: "--set \(assignment)")
    layers.append(.init(object: try root.object(), pathDepth: path.count - 1))
  }

  private static func json(_ value: String) -> String {
    let isJSON = value.hasPrefix("{") || value.hasPrefix("[") || value.hasPrefix("\"")
    let digits = value.hasPrefix("-") ? value.dropFirst() : value[...]
    let isInteger = !digits.isEmpty && digits.utf8.allSatisfy { (48...57).contains($0) }
    return isJSON || isInteger ? value : JSONOutput.string(value).text
  }

  /// The recipe with nothing left to a default.
  ///
  /// - Parameter hasLabels: whether the data has class labels; decides the default loss.
  /// - Throws: TLY0801, 0802, 0803, 0807 or 0809 with the place in the text.
  public func resolved(for model: LoadedModel, hasLabels: Bool) throws(InputError) -> RecipeFields {
    let network = model.network
    var root = LayeredObject(layers)
    let rate = try root.scale("learningRate") ?? Scale(rounding: ExactRatio(1, 20)!)
    let method = try root.method()
    let isForwardOnly = method != .backPropagation
    let scheme = try root.updates(model, byDefault: isForwardOnly ? .last : .full)
    var fields = RecipeFields(
      rates: try root.rates(
        rate, scales: isForwardOnly ? Scale(rounding: ExactRatio(1, 100)!) : rate),
      updates: scheme.updates)
    fields.method = method
    fields.selections = scheme.selections
    fields.epochs = try root.count("epochs", in: 0...1_000_000) ?? 1
    fields.largestStepCount = try root.count("steps", in: 0...Int64(UInt32.max) - 1) ?? 0
    fields.batch = try root.size("batch", to: 1 << 24) ?? 32
    fields.microBatch =
      try root.size("microBatch", to: Int64(fields.batch)) ?? fields.batch
    fields.seed = try root.seed("seed") ?? 1
    fields.momentum = try root.momentum("momentum") ?? 0
    fields.weightDecay = try root.scale("weightDecay") ?? .zero
    let converted = !network.isInitialized
    let trust = fields.momentum > 0 ? ExactRatio(3, 10_000)! : ExactRatio(1, 100)!
    fields.trustRatio =
      try root.scale("trustRatio") ?? (converted ? Scale(rounding: trust) : .zero)
    fields.normClip = try root.scale("normClip") ?? (converted ? Scale(1) : .zero)
    fields.clip = try root.count("clip", in: 1...128) ?? 16
    fields.weights =
      try root.word("weights", [("masters", .masters), ("int8", .int8)]) ?? .masters
    fields.loss =
      try root.word(
        "loss", [("crossEntropy", .crossEntropy), ("meanSquaredError", .meanSquaredError)])
      ?? (hasLabels ? .crossEntropy : .meanSquaredError)
    fields.tracksRanges = try root.ranges(model, byDefault: !isForwardOnly)
    fields.rangePeriod = try root.count("rangePeriod", in: 2...1 << 24) ?? 64
    fields.rootPeriod = try root.count("rootEvery", in: 1...Int64(UInt32.max)) ?? 64
    try root.schedule(into: &fields)
    try root.zerothOrder(model, into: &fields)
    fields.sparseGradients = try root.sparseGradients()
    try root.finish()
    try RecipeDocument.checkBounds(fields)
    return fields
  }

  /// What no key breaks alone.
  private static func checkBounds(_ fields: RecipeFields) throws(InputError) {
    if fields.zerothOrder != nil && fields.momentum > 0 {
      throw InputError(
        802, "zeroth-order recipes have no momentum", place: "$.momentum",
        help: "leave momentum out", exit: 2)
    }
    if fields.zerothOrder != nil && fields.sparseGradients != nil {
      throw InputError(
        802, "zeroth-order recipes have no sparse gradients", place: "$.sparseGradients",
        help: "leave sparseGradients out", exit: 2)
    }
    if fields.zerothOrder != nil && fields.tracksRanges {
      throw InputError(
        802, "zeroth-order recipes keep the ranges", place: "$.ranges",
        help: "write \"frozen\"", exit: 2)
    }
    let microBatches = (fields.batch - 1) / fields.microBatch + 1
    guard microBatches <= 1024 else {
      throw InputError(
        807, "a batch of \(fields.batch) in micro-batches of \(fields.microBatch)",
        place: "$.microBatch", note: "at most 1024 micro-batches make a batch (SPEC 8.3)",
        help: "--set microBatch=\((fields.batch - 1) / 1024 + 1)", exit: 2)
    }
    guard microBatches * fields.clip <= 1 << 14 else {
      throw InputError(
        802, "clip \(fields.clip) with \(microBatches) micro-batches in a batch",
        place: "$.clip", note: "clip times micro-batches is at most 16384 (SPEC 8.7)",
        help: "--set clip=\((1 << 14) / microBatches)", exit: 2)
    }
    guard
      fields.epochs == 0 || fields.zerothOrder != nil
        || fields.updates.contains(where: { !$0.isEmpty })
    else {
      throw InputError(802, "nothing is updated", place: "$.update", exit: 2)
    }
  }
}
