/// The data of a weighted layer before it is put in the network's order.
struct LayerWeights {
  var values: [Float]
  var integers: ImportGraph.WeightIntegers?
}

extension ONNXImporter {
  /// The floats of a constant that ends in a layer.
  ///
  /// - Throws: TLY0601 for NaN and infinities: there is no integer for them; TLY0207 for none at all.
  func finiteValues(_ tensor: ConstantTensor, _ what: String) throws(InputError) -> [Float] {
    let values = tensor.asFloats
    if values.isEmpty { throw .noElements(tensor.name ?? node.path, in: model.fileName) }
    if let index = values.firstIndex(where: { !$0.isFinite }) {
      let count = values.reduce(0) { $0 + ($1.isFinite ? 0 : 1) }
      throw InputError(
        601, "\(what) contain \(values[index])",
        place: "tensor '\(tensor.name ?? "of node \(node.path)")' element \(index)",
        note: "\(count) of \(values.count) elements are not finite",
        help: "the model diverged or is damaged; export a good checkpoint", exit: 3)
    }
    return values
  }

  /// Weights [outputs, …] with their elements moved: element i of the result is element
  /// `source[i]` of the tensor; `outputAxis` is the tensor's axis of output channels.
  mutating func layerWeights(
    _ tensor: ConstantTensor, source: [Int], outputs: Int, outputAxis: Int
  ) throws(InputError) -> LayerWeights {
    let values = try finiteValues(tensor, "the weights")
    let moved = source.map { values[$0] }
    guard let quantized = tensor.quantized else { return LayerWeights(values: moved) }
    guard quantized.elementType == .int8 else {
      note(312, "weights of type \(quantized.elementType.name)", help: Self.symmetricAdvice)
      return LayerWeights(values: moved)
    }
    let perChannel = quantized.scales.count > 1
    guard !perChannel || (quantized.axis == outputAxis && quantized.scales.count == outputs) else {
      note(312, "scales along axis \(quantized.axis), not per output channel")
      return LayerWeights(values: moved)
    }
    let integers = source.map { Int8(truncatingIfNeeded: quantized.values[$0]) }
    return LayerWeights(
      values: moved,
      integers: ImportGraph.WeightIntegers(
        values: integers, scales: quantized.scales, exactScales: quantized.exactScales, bias: nil))
  }

  static let symmetricAdvice =
    "quantise weights as symmetric int8 (zero point 0): weight_type=QInt8, WeightSymmetric"

  /// A layer's name: its weight's name without ".weight", or the node's.
  func layerName(weights: ConstantTensor) -> String {
    if let name = weights.name, !name.contains("::"), !name.hasPrefix("val_") {
      var stem = Substring(name)
      for suffix in ["_DequantizeLinear_Output", "_quantized"] where stem.hasSuffix(suffix) {
        stem = stem.dropLast(suffix.count)
      }
      // What onnxruntime's optimiser puts in front when it folds a normalisation.
      if stem.hasPrefix("ConvBnFusion_W_") { stem = stem.dropFirst(15) }
      for suffix in [".weight", ".kernel", "/kernel", ".weights", "_weight"]
      where stem.hasSuffix(suffix) && stem.count > suffix.count {
        return String(stem.dropLast(suffix.count))
      }
    }
    if let scope = node.scope { return scope }
    var path = Substring(node.name.isEmpty ? node.path : node.name)
    if path.hasSuffix("_quant") { path = path.dropLast(6) }
    guard path.hasPrefix("/") else { return String(path) }
    // "/layer1/layer1.0/conv1/Conv": scopes, the last one the operator itself.
    return joinedScopes(path.split(separator: "/").dropLast().map(String.init)) ?? String(path)
  }

  /// A bias of `count` elements: zeros if it is left out; nil, with the obstacle noted, if it is
  /// computed or has another shape.
  mutating func layerBias(
    _ position: Int, count: Int, scale: Float = 1
  ) throws(InputError) -> [Float]? {
    guard let value = input(position) else { return [Float](repeating: 0, count: count) }
    guard case .constant(let tensor) = value else {
      note(305, "its bias is computed from the data")
      return nil
    }
    let values = try finiteValues(tensor, "the biases")
    if values.count == 1 { return [Float](repeating: values[0] * scale, count: count) }
    guard values.count == count, tensor.shape.last == count else {
      note(305, "bias of shape \(tensor.shape) for \(count) outputs")
      return nil
    }
    return scale == 1 ? values : values.map { $0 * scale }
  }

  /// Appends a layer with weights and remembers its integers.
  mutating func appendLayer(
    _ operation: FloatOperation, _ weights: LayerWeights, bias: ConstantTensor?, input: Int,
    shape: TensorShape, name: String
  ) -> Int {
    let tensor = append(.network(operation), inputs: [input], shape: shape, name: name)
    graph.nodes[tensor - 1].weightIntegers = weights.integers.map { integers in
      var integers = integers
      integers.bias = integerBias(bias, weightScales: integers.scales, input: input)
      return integers
    }
    return tensor
  }

  /// The file's own Int32 biases, if their scale is input scale · weight scale as it should be.
  private func integerBias(
    _ bias: ConstantTensor?, weightScales: [Float], input: Int
  ) -> [Int32]? {
    guard let quantized = bias?.quantized, quantized.elementType == .int32,
      let inputScale = graph.quantization(of: input)?.scale
    else { return nil }
    for index in quantized.values.indices {
      let found = Double(quantized.scales[quantized.scales.count == 1 ? 0 : index])
      let weightScale = Double(weightScales[weightScales.count == 1 ? 0 : index])
      let due = Double(inputScale) * weightScale
      if abs(found - due) > 1e-5 * due { return nil }
    }
    return quantized.values.map { Int32(truncatingIfNeeded: $0) }
  }
}
