import Tally

/// Builds the integer network node by node (SPEC 5, 6) from a plan and the ranges of its tensors.
struct ModelAssembly {
  var builder: ModelBuilder
  /// Per node of the model: the planned node it belongs to, and what the report says about it.
  private(set) var entries: [Entry] = []
  /// The real value of the input, and of what only moves it, is stored value · 2^inputShift.
  var inputShift = 0
  var foldedTensors: Set<Int> = []

  struct Entry {
    /// Index into the plan's nodes; nil for a part of a node.
    var planned: Int?
    var notes: [String] = []
    var weightSignalToNoise: Int?
  }

  /// Where weights, biases and output ranges come from.
  enum Source {
    /// From the float network and what was seen when it ran.
    case calibrated(Calibration, ConversionOptions.WeightScales, BiasCorrection)
    /// Drawn at random (SPEC 8.10).
    case initial(seed: UInt64)
  }

  let plan: ConversionPlan
  private let source: Source
  /// The model's tensor that holds each float tensor.
  private var place: [Int: Int] = [0: 0]

  init(_ plan: ConversionPlan, _ input: QuantizedInput, _ source: Source) throws(InputError) {
    self.plan = plan
    self.source = source
    builder = ModelBuilder(
      inputShape: plan.network.inputShape.shape, inputQuantization: input.quantization,
      inputMaps: input.maps)
    // Nothing follows yet from the Scale of a network that is not trained: it can start at unit range.
    if case .initial = source { foldInput() }
    for index in plan.nodes.indices { try add(index) }
    if case .calibrated = source { foldInput() }
  }

  /// Adds the planned node `index` and, for what takes more than one, the nodes before it.
  private mutating func add(_ index: Int) throws(InputError) {
    let planned = plan.nodes[index]
    let node = plan.network.nodes[planned.index]
    let shape = plan.network.shape(of: node.inputs[0])
    let inputs = node.inputs.map { place[$0] ?? 0 }
    let inherited = builder.quantization(inputs[0])
    switch node.operation {
    case .convolution(let geometry, let groups, _, _, _):
      let operation = Tally.Operation.convolution(
        Convolution(
          input: shape.shape, output: node.shape.shape, geometry: geometry, groups: groups))
      try addWeighted(index, node, operation, from: inputs)
    case .fullyConnected(let outputs, _, _):
      guard node.shape.height * node.shape.width == 1 else {
        throw .limit(
          "a vector is reshaped to \(node.shape)", place: "layer \(quoted(node.name))",
          note: "a fully connected layer gives a vector")
      }
      let operation = Tally.Operation.fullyConnected(
        Convolution(
          input: Shape(vector: shape.count), output: Shape(vector: outputs),
          geometry: .init(kernelHeight: 1, kernelWidth: 1), groups: 1))
      try addWeighted(index, node, operation, from: inputs)
    case .maxPool(let geometry):
      try requireNoDilation(geometry, node)
      append(index, node, .maxPooling(try pooling(shape, node, geometry)), inputs, inherited)
    case .averagePool(let geometry, let countsPadding):
      try requireNoDilation(geometry, node)
      append(
        index, node, .averagePooling(try pooling(shape, node, geometry, countsPadding)), inputs,
        plan.imported(planned).map { Quantization($0) } ?? inherited)
    case .add: append(index, node, .add, inputs, quantization(planned, inputs))
    case .multiply:
      try requireGate(builder.shape(inputs[0]), builder.shape(inputs[1]), node)
      append(index, node, .multiply, inputs, quantization(planned, inputs))
    case .concatenate: addConcatenation(index, node, inputs)
    case .activation(let kind):
      let output = quantization(planned, inputs)
      if kind.isClamp {
        append(index, node, .rescale, inputs, output)
      } else {
        let table = ActivationTable(kind, from: inherited, to: output)
        append(index, node, .table, inputs, output)
        builder.nodes[builder.nodes.count - 1].table = (table.values, table.slopes)
      }
    case .slicePad(let slice): addSlice(index, node, slice, shape, inputs, inherited)
    case .upsample(let rows, let columns):
      append(
        index, node, .upsample(Upsampling(input: shape.shape, rows: rows, columns: columns)),
        inputs, inherited)
    case .softmax, .logSoftmax:
      throw InputError(
        304, "softmax inside the network", place: "layer \(quoted(node.name))",
        note: "it is supported at the end only", exit: 4)
    }
    place[planned.tensor] = builder.nodes.count
  }

  private mutating func append(
    _ index: Int?, _ node: FloatNode, _ operation: Tally.Operation, _ inputs: [Int],
    _ quantization: Quantization, shape: Shape? = nil, name: String? = nil
  ) {
    builder.nodes.append(
      .init(
        name: name ?? node.name, operation: operation, inputs: inputs,
        output: shape ?? node.shape.shape, quantization: quantization))
    entries.append(Entry(planned: index))
    if let index, let note = plan.imported(plan.nodes[index]).map({ _ in "range from the file" }) {
      entries[entries.count - 1].notes.append(note)
    }
  }

  // MARK: - Quantization of outputs

  /// What the file prescribes, the calibrated range, or a first guess; with the bounds of a clamp.
  private func quantization(_ planned: ConversionPlan.Node, _ inputs: [Int]) -> Quantization {
    var (low, high) = (planned.low, planned.high)
    if let bounds = plan.network.nodes[planned.index].operation.bounds { (low, high) = bounds }
    let base: Quantization
    switch source {
    case .calibrated(let calibration, _, _):
      if let imported = plan.imported(planned) {
        base = Quantization(imported)
      } else {
        base = Quantization(calibration.ranges[planned.tensor])
      }
    case .initial:
      base = initial(planned, inputs.map { builder.quantization($0) }, low: low, high: high)
    }
    let step = QuantizationStep(base.scale)
    func bound(_ real: Float) -> Int32 {
      Int32(min(max(Int64(base.zeroPoint) + step.rounded(real), -128), 127))
    }
    return Quantization(
      scale: base.scale, zeroPoint: base.zeroPoint, low: low > -.infinity ? bound(low) : -128,
      high: high < .infinity ? bound(high) : 127)
  }

  // MARK: - Weighted nodes

  private mutating func addWeighted(
    _ index: Int, _ node: FloatNode, _ operation: Tally.Operation, from inputs: [Int]
  ) throws(InputError) {
    let planned = plan.nodes[index]
    guard let shape = operation.weighted else { preconditionFailure("only for weighted nodes") }
    guard shape.depth <= ModelFormat.largestDepth else {
      throw .limit(
        "\(shape.depth) weights per output", place: "layer \(quoted(node.name))",
        note: "a 32-bit accumulator holds \(ModelFormat.largestDepth)",
        help: "reduce the layer's input, by pooling for instance")
    }
    let isLast = index == plan.nodes.count - 1 && !planned.isClamped
    let inputs = rescaled(inputs, for: node)
    let input = builder.quantization(inputs[0]).scale
    let quantized = try weights(index, node, shape, input, isLast: isLast)
    // Logits of different Scales cannot be compared (SPEC 5.7), and a quantised file that rounds its
    // logits means those.
    let hasAccumulators =
      isLast && quantized.scales.count == 1 && plan.imported(planned) == nil
    let output: Quantization
    if hasAccumulators {
      output = Quantization(scale: input * quantized.scales[0], zeroPoint: 0)
    } else {
      output = quantization(planned, inputs)
    }
    append(index, node, operation, inputs, output)
    let last = builder.nodes.count - 1
    builder.nodes[last].hasAccumulators = hasAccumulators
    builder.nodes[last].weights = quantized.weights
    builder.nodes[last].biases = quantized.biases
    builder.nodes[last].weightScales = quantized.scales
    entries[last].notes += quantized.notes
    if case .calibrated = source {
      entries[last].weightSignalToNoise = quantized.signalToNoise(
        node.operation.floatWeights.weights)
    }
  }

  private func weights(
    _ index: Int, _ node: FloatNode, _ shape: Convolution, _ input: Scale, isLast: Bool
  ) throws(InputError) -> QuantizedWeights {
    switch source {
    case .calibrated(_, let scales, let correction):
      if let imported = node.quantization, !imported.weights.isEmpty {
        return try QuantizedWeights(imported, layer: node.name)
      }
      let (weights, bias) = node.operation.floatWeights
      var corrected = bias.map { Double($0) }
      for (channel, term) in correction.terms[index].enumerated() { corrected[channel] += term }
      return try QuantizedWeights(
        weights, bias: corrected, input: input, perChannel: scales == .perChannel && !isLast,
        layer: node.name)
    case .initial(let seed):
      return QuantizedWeights(initial: shape, seed: seed, node: builder.nodes.count)
    }
  }

  /// A file's integers hold for the input Scale it states: where the model's differs, a rescale node
  /// stands between.
  private mutating func rescaled(_ inputs: [Int], for node: FloatNode) -> [Int] {
    guard let imported = node.quantization, !imported.weights.isEmpty,
      let stated = imported.inputs.first ?? nil
    else { return inputs }
    let wanted = Quantization(stated)
    let found = builder.quantization(inputs[0])
    if wanted.scale == found.scale, wanted.zeroPoint == found.zeroPoint { return inputs }
    append(
      nil, node, .rescale, inputs, wanted, shape: builder.shape(inputs[0]),
      name: "\(node.name)/rescale")
    return [builder.nodes.count]
  }

  // MARK: - Operations that take several nodes

  /// Inputs are joined one after the other; all stages have the last one's quantization, so each value
  /// is rounded once.
  private mutating func addConcatenation(
    _ index: Int, _ node: FloatNode, _ inputs: [Int]
  ) {
    let output = quantization(plan.nodes[index], inputs)
    var joined = inputs[0]
    for (number, input) in inputs.enumerated().dropFirst() {
      let isLast = number == inputs.count - 1
      let channels = builder.shape(joined).channels + builder.shape(input).channels
      append(
        isLast ? index : nil, node, .concatenate, [joined, input], output,
        shape: Shape(height: node.shape.height, width: node.shape.width, channels: channels),
        name: isLast ? nil : "\(node.name)/\(number)")
      joined = builder.nodes.count
    }
  }

  /// A slice that ends before its input does, followed by padding, needs two nodes: the runtime's
  /// slices run to the end of what they are given.
  private mutating func addSlice(
    _ index: Int, _ node: FloatNode, _ slice: SlicePad, _ shape: TensorShape, _ inputs: [Int],
    _ quantization: Quantization
  ) {
    func reads(_ axis: SlicePad.Axis, _ extent: Int) -> Bool {
      axis.padAfter > 0 && axis.start + axis.stride * axis.count < extent
    }
    func runtime(_ slice: SlicePad, from input: Shape, to output: Shape) -> Kernels.SlicePad {
      func axis(_ axis: SlicePad.Axis) -> Kernels.SlicePad.Axis {
        .init(start: axis.start, step: axis.stride, before: axis.padBefore)
      }
      return Kernels.SlicePad(
        input: input, output: output, rows: axis(slice.height), columns: axis(slice.width),
        channels: axis(slice.channels))
    }
    var (slice, input, inputs) = (slice, shape.shape, inputs)
    if reads(slice.height, shape.height) || reads(slice.width, shape.width)
      || reads(slice.channels, shape.channels)
    {
      var cut = slice
      for axis in [\SlicePad.height, \.width, \.channels] {
        cut[keyPath: axis].padBefore = 0
        cut[keyPath: axis].padAfter = 0
        slice[keyPath: axis].start = 0
        slice[keyPath: axis].stride = 1
      }
      let inner = cut.outputShape.shape
      append(
        nil, node, .slicePad(runtime(cut, from: input, to: inner)), inputs, quantization,
        shape: inner, name: "\(node.name)/slice")
      (input, inputs) = (inner, [builder.nodes.count])
    }
    append(
      index, node, .slicePad(runtime(slice, from: input, to: node.shape.shape)), inputs,
      quantization)
  }
}

extension ModelBuilder {
  func quantization(_ tensor: Int) -> Quantization {
    tensor == 0 ? inputQuantization : nodes[tensor - 1].quantization
  }

  func shape(_ tensor: Int) -> Shape { tensor == 0 ? inputShape : nodes[tensor - 1].output }

  /// The file, or the layer that no model can have.
  ///
  /// - Throws: TLY0605.
  func checkedBytes() throws(InputError) -> [UInt8] {
    guard nodes.count <= ModelFormat.largestNodeCount else {
      throw .limit(
        "\(nodes.count) layers", place: "network", note: "at most \(ModelFormat.largestNodeCount)")
    }
    for node in nodes where !node.output.isLegal {
      throw .limit(
        "the output \(node.output.height)×\(node.output.width)×\(node.output.channels) is too large",
        place: "layer \(quoted(node.name))", note: "at most \(Shape.largestCount) elements")
    }
    do {
      return try bytes()
    } catch {
      let record = (error.offset - firstRecordOffset) / NodeRecord.byteCount
      let place =
        nodes.indices.contains(record) ? "layer \(quoted(nodes[record].name))" : "network"
      throw .limit("\(error.summary)", place: place)
    }
  }
}

extension ModelBuilder {
  /// Where the node records begin: after the table of the sections that are not empty.
  private var firstRecordOffset: Int {
    let hasWeights = nodes.contains { !$0.weights.isEmpty }
    let sections =
      2 + (hasWeights ? 3 : 0) + (nodes.contains { $0.table != nil } ? 1 : 0)
      + (nodes.contains { !$0.name.isEmpty } ? 1 : 0) + (classNames.isEmpty ? 0 : 1)
    return ModelFormat.aligned(
      ModelFormat.headerByteCount + sections * ModelFormat.sectionEntryByteCount)
  }
}

extension TensorShape {
  var shape: Shape { Shape(height: height, width: width, channels: channels) }
}

extension ActivationKind {
  var isClamp: Bool {
    switch self {
    case .relu, .clip: true
    default: false
    }
  }
}
