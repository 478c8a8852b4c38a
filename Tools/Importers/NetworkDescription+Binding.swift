import Tally

/// Where the layers of a description find their weights: names and axis orders.
struct TensorNames: Sendable {
  /// The axis orders and names that a library uses.
  enum Layout: String, Sendable, CaseIterable {
    /// oihw and oi, flattened channels first; `weight`, `bias`, `running_mean`, `running_var`.
    case pytorch
    /// hwio and io, flattened channels last; `kernel`, `bias`, `gamma`, `beta`, `moving_…`.
    case keras
    /// ohwi and oi, flattened channels last: TFLite's and Tally's own order.
    case tflite
  }

  var layout = Layout.pytorch
  /// Templates; `{layer}` stands for the layer's name.
  var weight: String?
  var bias: String?
  /// Axis letters of the weights, such as `hwio`; nil for the layout's.
  var axes: String?
  /// `chw` or `hwc`: how an image was flattened before a fully connected layer.
  var flattened: String?

  init() {}

  /// Reads the keys of a `weights` object; what is not there stays as in `base`.
  init(_ object: inout JSONObject, over base: TensorNames) throws(InputError) {
    self = base
    if let element = object.take("layout") {
      let text = try element.string()
      guard let layout = Layout(rawValue: text) else {
        let all = Layout.allCases.map(\.rawValue)
        throw .network(
          "unknown layout \(quoted(text))", at: element,
          note: "known are \(all.joined(separator: ", "))",
          help: text.count == 4 || text.count == 2 ? "write \"axes\": \"\(text)\"" : nil)
      }
      self.layout = layout
    }
    if let element = object.take("weight") { weight = try element.string() }
    if let element = object.take("bias") { bias = try element.string() }
    if let element = object.take("axes") {
      let text = try element.string()
      guard ["hiow", "io"].contains(String(text.sorted())) else {
        throw .network(
          "the axes \(quoted(text)) are not an order of o, i, h and w, or of o and i", at: element)
      }
      axes = text
    }
    if let element = object.take("flattened") {
      let text = try element.string()
      guard text == "chw" || text == "hwc" else {
        throw .network("an image is flattened as chw or hwc, not \(quoted(text))", at: element)
      }
      flattened = text
    }
  }
}

/// What one weighted layer is to find in a weight file.
struct LayerBinding: Sendable {
  enum Kind: Sendable { case convolution, depthwise, fullyConnected }

  /// Names of a batch normalisation's tensors, to be folded into the layer.
  struct Normalization: Sendable {
    var scale: String?
    var shift: String?
    var mean: String
    var variance: String
    var epsilon: ExactRatio
  }

  let kind: Kind
  let weight: String
  /// nil for a layer without.
  let bias: String?
  /// Whether the file may lack the bias: a normalisation that follows has its own.
  let biasIsOptional: Bool
  let axes: String
  let isFlattenedChannelsFirst: Bool
  let normalization: Normalization?

  /// Reads `bias`, `weights` and `batchNorm` of a layer.
  init(_ layer: String, kind: Kind, _ object: inout JSONObject, defaults: TensorNames)
    throws(InputError)
  {
    self.kind = kind
    var names = defaults
    if let element = object.take("weights") {
      var weights = try element.object()
      names = try TensorNames(&weights, over: defaults)
      try weights.finish()
    }
    let layout = names.layout
    func filled(_ template: String) -> String { template.replacing("{layer}", with: layer) }
    let usual =
      layout != .keras ? "weight" : kind == .depthwise ? "depthwise_kernel" : "kernel"
    weight = filled(names.weight ?? "{layer}.\(usual)")
    let hasBias = try object.take("bias")?.bool()
    bias = hasBias == false ? nil : filled(names.bias ?? "{layer}.bias")
    axes = names.axes ?? Self.axes(layout, kind)
    let wanted = kind == .fullyConnected ? 2 : 4
    guard axes.count == wanted else {
      throw .missingValue(
        "\(quoted(axes)) are \(axes.count) axes, the weights have \(wanted)",
        place: "layer \(quoted(layer))")
    }
    isFlattenedChannelsFirst = (names.flattened ?? (layout == .pytorch ? "chw" : "hwc")) == "chw"
    normalization = try object.take("batchNorm").map { element throws(InputError) in
      try Self.normalization(element, layout, filled)
    }
    biasIsOptional = normalization != nil && hasBias == nil
  }

  private static func axes(_ layout: TensorNames.Layout, _ kind: Kind) -> String {
    switch (layout, kind) {
    case (.pytorch, .fullyConnected), (.tflite, .fullyConnected): "oi"
    case (.keras, .fullyConnected): "io"
    case (.pytorch, _): "oihw"
    case (.tflite, .convolution): "ohwi"
    // One channel multiplier: the filters stand where other kernels have their inputs.
    case (.tflite, .depthwise): "ihwo"
    case (.keras, .convolution): "hwio"
    case (.keras, .depthwise): "hwoi"
    }
  }

  private static func normalization(
    _ element: JSONElement, _ layout: TensorNames.Layout, _ filled: (String) -> String
  ) throws(InputError) -> Normalization {
    let isKeras = layout == .keras
    let usual = ExactRatio(1, isKeras ? 1000 : 100_000)!
    if case .string(let prefix) = element.value.content {
      let name = filled(prefix)
      return isKeras
        ? Normalization(
          scale: "\(name).gamma", shift: "\(name).beta", mean: "\(name).moving_mean",
          variance: "\(name).moving_variance", epsilon: usual)
        : Normalization(
          scale: "\(name).weight", shift: "\(name).bias", mean: "\(name).running_mean",
          variance: "\(name).running_var", epsilon: usual)
    }
    var object = try element.object()
    let result = Normalization(
      scale: try object.take("scale").map { e throws(InputError) in filled(try e.string()) },
      shift: try object.take("shift").map { e throws(InputError) in filled(try e.string()) },
      mean: filled(try object.require("mean").string()),
      variance: filled(try object.require("variance").string()),
      epsilon: try object.take("epsilon")?.ratio() ?? usual)
    try object.finish()
    return result
  }
}

extension NetworkDescription {
  /// The network with the weights of a file, batch normalisation folded.
  ///
  /// - Throws: TLY0407 with all tensors that are missing or have another shape; TLY0601 for NaN;
  ///   TLY0604 for a variance below zero.
  public func binding(_ weights: Safetensors) throws(InputError) -> FloatNetwork {
    var reader = WeightReader(weights)
    var result = network
    for index in bindings.keys.sorted() {
      guard let binding = bindings[index] else { continue }
      let node = network.nodes[index]
      let input = network.shape(of: node.inputs[0])
      if let (values, bias) = try reader.read(binding, node, input: input) {
        result.nodes[index].operation = node.operation.replacing(values, bias)
      }
    }
    try reader.finish()
    result.warnings = reader.warnings
    return result
  }
}

/// Takes tensors out of a file and keeps account of what is missing and what is left.
private struct WeightReader {
  private let file: Safetensors
  private var used: Set<String> = []
  /// What is wrong, and the name of a tensor that is missing.
  private var problems: [(text: String, missing: String?)] = []
  private(set) var warnings: [InputError] = []

  init(_ file: Safetensors) { self.file = file }

  /// Weights [outputs][height][width][inputs] and biases; nil if something is missing.
  mutating func read(_ binding: LayerBinding, _ node: FloatNode, input: TensorShape)
    throws(InputError) -> ([Float], [Float])?
  {
    let outputs = node.shape.channels
    var extents: [Character: Int] = ["o": outputs]
    if case .convolution(let geometry, let groups, _, _, _) = node.operation {
      extents["h"] = geometry.kernelHeight
      extents["w"] = geometry.kernelWidth
      extents["i"] = input.channels / groups
    } else {
      extents["i"] = input.count
    }
    let weights = try tensor(binding.weight, binding.axes.map { extents[$0]! }, node.name)
    var bias = [Float](repeating: 0, count: outputs)
    if let name = binding.bias, !binding.biasIsOptional || file.array(has: name) {
      guard let found = try tensor(name, [outputs], node.name) else { return nil }
      bias = found
    }
    guard var weights else { return nil }
    weights = ordered(weights, binding, extents, input)
    guard let normalization = binding.normalization else { return (weights, bias) }
    return try fold(normalization, into: weights, bias, node.name)
  }

  /// The elements in the order o, h, w, i; an image's in the order in which the network holds it.
  private func ordered(
    _ weights: [Float], _ binding: LayerBinding, _ extents: [Character: Int], _ input: TensorShape
  ) -> [Float] {
    let target = Array(binding.kind == .fullyConnected ? "oi" : "ohwi")
    let source = Array(binding.axes)
    var array = NumericArray(shape: source.map { extents[$0]! }, storage: .float32(weights))
    array = array.transposed(target.map { source.firstIndex(of: $0)! })
    if binding.kind == .fullyConnected, binding.isFlattenedChannelsFirst,
      input.height * input.width > 1
    {
      array = array.reshaped([extents["o"]!, input.channels, input.height, input.width])
        .transposed([0, 2, 3, 1])
    }
    guard case .float32(let result) = array.storage else { return weights }
    return result
  }

  private mutating func fold(
    _ normalization: LayerBinding.Normalization, into weights: [Float], _ bias: [Float],
    _ layer: String
  ) throws(InputError) -> ([Float], [Float])? {
    let count = bias.count
    let ones = [Float](repeating: 1, count: count)
    let zeros = [Float](repeating: 0, count: count)
    let scale =
      try normalization.scale.map { n throws(InputError) in try tensor(n, [count], layer) } ?? ones
    let shift =
      try normalization.shift.map { n throws(InputError) in try tensor(n, [count], layer) } ?? zeros
    let mean = try tensor(normalization.mean, [count], layer)
    let variance = try tensor(normalization.variance, [count], layer)
    guard let scale, let shift, let mean, let variance else { return nil }
    var (weights, bias) = (weights, bias)
    let depth = weights.count / count
    for channel in 0..<count {
      let spread = Double(variance[channel]) + normalization.epsilon.double
      guard spread > 0 else {
        throw InputError(
          604, "variance plus epsilon is \(spread)",
          place: "\(file.file)(\(normalization.variance)), element \(channel)",
          help: "the normalisation was never trained, or the names are swapped", exit: 3)
      }
      let factor = Double(scale[channel]) / spread.squareRoot()
      for index in channel * depth..<(channel + 1) * depth {
        weights[index] = Float(Double(weights[index]) * factor)
      }
      bias[channel] = Float(
        Double(shift[channel]) + (Double(bias[channel]) - Double(mean[channel])) * factor)
    }
    return (weights, bias)
  }

  /// A tensor of floats with a stated shape; noted as a problem otherwise.
  private mutating func tensor(_ name: String, _ shape: [Int], _ layer: String)
    throws(InputError) -> [Float]?
  {
    used.insert(name)
    guard let array = try file.array(named: name) else {
      problems.append(("layer \(layer): \(name) \(shape) is missing", name))
      return nil
    }
    guard array.count > 0 else { throw .noElements(name, in: file.file) }
    guard array.shape == shape else {
      problems.append(("layer \(layer): \(name) is \(array.shape), should be \(shape)", nil))
      return nil
    }
    try array.requireFinite("\(file.file)(\(name))")
    switch array.storage {
    case .float32(let a): return a
    case .float64(let a): return a.map { Float($0) }
    default:
      problems.append(("layer \(layer): \(name) holds integers, not weights", nil))
      return nil
    }
  }

  mutating func finish() throws(InputError) {
    // A counter PyTorch keeps beside every normalisation.
    let left = file.tensors.map(\.name).filter {
      !used.contains($0) && !$0.hasSuffix("num_batches_tracked")
    }
    guard problems.isEmpty else {
      // Only what no other layer asks for can be meant.
      let shown = problems.prefix(12).map { problem in
        let near = problem.missing.map { nearestNames(to: $0, among: left) } ?? []
        return problem.text + (near.isEmpty ? "" : ", is it \(near.joined(separator: " or "))?")
      }.joined(separator: "\n        ")
      let more = problems.count > 12 ? "\n        and \(problems.count - 12) more" : ""
      throw InputError(
        407, "the weights do not fit the network description", place: file.file,
        note: shown + more + (left.isEmpty ? "" : "\n        not used: \(listed(left))"),
        help: "set names with \"weights\": {\"weight\": \"…\", \"bias\": \"…\"} in the layer",
        exit: 2)
    }
    if !left.isEmpty {
      warnings.append(
        InputError(
          407, "\(left.count) tensors of the file are not used: \(listed(left))", place: file.file,
          exit: 0))
    }
  }
}

extension Safetensors {
  fileprivate func array(has name: String) -> Bool { tensors.contains { $0.name == name } }
}
