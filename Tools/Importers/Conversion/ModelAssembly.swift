import Tally

/// Builds the integer network node by node (SPEC 5, 6) from a plan and the ranges of its tensors.
struct ModelAssembly {
  private(set) var builder: ModelBuilder
  /// Per node of the model: the planned node it belongs to, and what the report says about it.
  private(set) var entries: [Entry] = []
  /// The real value of the input, and of what only moves it, is stored value · 2^inputShift.
  private(set) var inputShift = 0
  private(set) var foldedTensors: Set<Int> = []

  struct Entry {
    /// Index into the plan's nodes; nil for a part of a node.
    var planned: Int?
    var notes: [String] = []
    var weightSignalToNoise: Int?
  }

  private let plan: ConversionPlan
  private let calibration: Calibration
  private let options: ConversionOptions
  private let correction: BiasCorrection
  /// The model's tensor that holds each float tensor.
  private var place: [Int: Int] = [0: 0]

  init(
    _ plan: ConversionPlan, _ input: QuantizedInput, _ calibration: Calibration,
    _ options: ConversionOptions, _ correction: BiasCorrection
  ) throws(InputError) {
    self.correction = correction
    self.plan = plan
    self.calibration = calibration
    self.options = options
    builder = ModelBuilder(
      inputShape: plan.network.inputShape.shape, inputQuantization: input.quantization,
      inputMaps: input.maps)
    for index in plan.nodes.indices { try add(index) }
    foldInput()
  }

  /// Adds the planned node `index` and, for what takes more than one, the nodes before it.
  private mutating func add(_ index: Int) throws(InputError) {
    let planned = plan.nodes[index]
    let node = plan.network.nodes[planned.index]
    let shape = plan.network.shape(of: node.inputs[0])
    let inputs = node.inputs.map { place[$0] ?? 0 }
    let inherited = builder.quantization(inputs[0])
    switch node.operation {
    case .convolution(let geometry, let groups, _, let weights, let bias):
      let operation = Tally.Operation.convolution(
        Convolution(
          input: shape.shape, output: node.shape.shape, geometry: geometry.runtime, groups: groups))
      try addWeighted(index, node, operation, weights, bias, from: inputs)
    case .fullyConnected(let outputs, let weights, let bias):
      guard node.shape.height * node.shape.width == 1 else {
        throw .limit(
          "a vector is reshaped to \(node.shape)", place: "layer \(quoted(node.name))",
          note: "a fully connected layer gives a vector")
      }
      let operation = Tally.Operation.fullyConnected(
        Convolution(
          input: Shape(vector: shape.count), output: Shape(vector: outputs),
          geometry: .init(kernelHeight: 1, kernelWidth: 1), groups: 1))
      try addWeighted(index, node, operation, weights, bias, from: inputs)
    case .maxPool(let geometry):
      try requireNoDilation(geometry, node)
      append(index, node, .maxPooling(pooling(shape, node, geometry)), inputs, inherited)
    case .averagePool(let geometry, let countsPadding):
      try requireNoDilation(geometry, node)
      append(
        index, node, .averagePooling(pooling(shape, node, geometry, countsPadding)), inputs,
        plan.imported(planned).map { Quantization($0) } ?? inherited)
    case .add: append(index, node, .add, inputs, try quantization(planned))
    case .multiply: append(index, node, .multiply, inputs, try quantization(planned))
    case .concatenate: try addConcatenation(index, node, inputs)
    case .activation(let kind):
      let output = try quantization(planned)
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

  private func pooling(
    _ input: TensorShape, _ node: FloatNode, _ geometry: WindowGeometry,
    _ countsPadding: Bool = false
  ) -> Pooling {
    Pooling(
      input: input.shape, output: node.shape.shape, geometry: geometry.runtime,
      countsPadding: countsPadding)
  }

  private func requireNoDilation(_ geometry: WindowGeometry, _ node: FloatNode)
    throws(InputError)
  {
    guard geometry.dilationHeight == 1, geometry.dilationWidth == 1 else {
      throw InputError(
        305, "pooling with dilation", place: "layer \(quoted(node.name))",
        note: "pooling windows have no gaps here", exit: 4)
    }
  }

  // MARK: - Quantization of outputs

  /// What the file prescribes, or the calibrated range, with the bounds of a fused clamp.
  private mutating func quantization(_ planned: ConversionPlan.Node) throws(InputError)
    -> Quantization
  {
    let node = plan.network.nodes[planned.index]
    var (low, high) = (planned.low, planned.high)
    if let bounds = node.operation.bounds { (low, high) = bounds }
    let base: Quantization
    if let imported = plan.imported(planned) {
      base = Quantization(imported)
    } else {
      base = try calibrated(calibration.ranges[planned.tensor], node)
    }
    let step = QuantizationStep(base.scale)
    func bound(_ real: Float) -> Int32 {
      Int32(min(max(Int64(base.zeroPoint) + step.rounded(real), -128), 127))
    }
    return Quantization(
      scale: base.scale, zeroPoint: base.zeroPoint, low: low > -.infinity ? bound(low) : -128,
      high: high < .infinity ? bound(high) : 127)
  }

  /// 255 steps over the range, which is widened to hold a real 0; 0 is one of the steps.
  private func calibrated(_ range: TensorRange, _ node: FloatNode) throws(InputError)
    -> Quantization
  {
    let low = ExactNumber(exactly: Double(min(range.low, 0)))
    let high = ExactNumber(exactly: Double(max(range.high, 0)))
    let scale = ((high - low) / ExactNumber(255)).scale()
    if scale == .zero {
      return Quantization(scale: Scale(1) / Scale(255), zeroPoint: 0)
    }
    let zeroPoint = -128 - (low / ExactNumber(scale)).rounded()
    return Quantization(scale: scale, zeroPoint: Int32(min(max(zeroPoint, -128), 127)))
  }

  // MARK: - Weighted nodes

  private mutating func addWeighted(
    _ index: Int, _ node: FloatNode, _ operation: Tally.Operation, _ weights: [Float],
    _ bias: [Float], from inputs: [Int]
  ) throws(InputError) {
    let planned = plan.nodes[index]
    let place = "layer \(quoted(node.name))"
    let depth = operation.weighted?.depth ?? 0
    guard depth <= ModelFormat.largestDepth else {
      throw .limit(
        "\(depth) weights per output", place: place,
        note: "a 32-bit accumulator holds \(ModelFormat.largestDepth)",
        help: "reduce the layer's input, by pooling for instance")
    }
    let isLast = index == plan.nodes.count - 1 && !planned.isClamped
    let inputs = rescaled(inputs, for: node)
    let input = builder.quantization(inputs[0]).scale
    let quantized: QuantizedWeights
    if let imported = node.quantization, !imported.weights.isEmpty {
      quantized = try QuantizedWeights(imported, outputs: bias.count, layer: node.name)
    } else {
      var exact = bias.map { Double($0) }
      for (channel, term) in correction.terms[index].enumerated() { exact[channel] += term }
      quantized = try QuantizedWeights(
        weights, bias: exact, input: input,
        perChannel: options.weightScales == .perChannel && !isLast, layer: node.name)
    }
    // Logits of different Scales cannot be compared (SPEC 5.7).
    let hasAccumulators = isLast && quantized.scales.count == 1
    let output =
      hasAccumulators
      ? Quantization(scale: input * quantized.scales[0], zeroPoint: 0) : try quantization(planned)
    append(index, node, operation, inputs, output)
    let last = builder.nodes.count - 1
    builder.nodes[last].hasAccumulators = hasAccumulators
    builder.nodes[last].weights = quantized.weights
    builder.nodes[last].biases = quantized.biases
    builder.nodes[last].weightScales = quantized.scales
    entries[last].notes += quantized.notes
    entries[last].weightSignalToNoise = quantized.signalToNoise(weights)
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
  ) throws(InputError) {
    let output = try quantization(plan.nodes[index])
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

  // MARK: - Input

  /// Brings the input to about unit range by a power of two, which its readers' weights take over: no
  /// integer changes, but training then sees gradients of like size in all layers (SPEC 12).
  private mutating func foldInput() {
    var tensors: Set<Int> = [0]
    var weighted: [Int] = []
    for (index, node) in builder.nodes.enumerated() where !tensors.isDisjoint(with: node.inputs) {
      if node.operation.weighted != nil {
        weighted.append(index)
      } else if node.operation.isFollower {
        tensors.insert(index + 1)
      } else {
        return
      }
    }
    guard !tensors.contains(builder.nodes.count) else { return }
    let input = builder.inputQuantization
    let reach = UInt64(max(127 - input.zeroPoint, input.zeroPoint + 128))
    let largest = input.scale * Scale(reach)
    // The power of two nearest to it by ratio: mantissas from √½ on belong to the upper one.
    let fold = largest.mantissa >= 1_518_500_250 ? largest.exponent : largest.exponent - 1
    inputShift = Int(fold)
    foldedTensors = tensors
    builder.inputQuantization.scale = input.scale.multiplied(byPowerOfTwo: -fold)
    for tensor in tensors where tensor > 0 {
      let scale = builder.nodes[tensor - 1].quantization.scale
      builder.nodes[tensor - 1].quantization.scale = scale.multiplied(byPowerOfTwo: -fold)
    }
    for index in weighted {
      builder.nodes[index].weightScales = builder.nodes[index].weightScales.map {
        $0.multiplied(byPowerOfTwo: fold)
      }
    }
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
      throw .limit("\(nodes.count) layers", place: "network", note: "at most \(ModelFormat.largestNodeCount)")
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

extension WindowGeometry {
  var runtime: Tensors.WindowGeometry {
    Tensors.WindowGeometry(
      kernelHeight: kernelHeight, kernelWidth: kernelWidth, strideHeight: strideHeight,
      strideWidth: strideWidth, dilationHeight: dilationHeight, dilationWidth: dilationWidth,
      padTop: padTop, padLeft: padLeft, padBottom: padBottom, padRight: padRight)
  }
}

extension ActivationKind {
  var isClamp: Bool {
    switch self {
    case .relu, .clip: true
    default: false
    }
  }
}
