extension ONNXImporter {
  /// QuantizeLinear and DequantizeLinear of a computed value: the value stays real; its scale
  /// and zero point are what the converter will use.
  mutating func readQuantization() throws(InputError) -> [Value] {
    guard let view = activationInput else { return block(305, "its data input is constant") }
    guard let scale = constantInput(1)?.scalar else {
      return block(312, "one scale per channel of a computed value")
    }
    guard scale > 0, scale.isFinite else {
      throw InputError(
        601, "scale \(scale)", place: "node '\(node.path)'",
        help: "quantise the model again", exit: 3)
    }
    if try integer("block_size", default: 0) != 0 { return block(312, "blocks of scales") }
    let zeroPoint = constantInput(2)
    let stated = ONNXElementType(rawValue: Int(try integer("output_dtype", default: 0)))
    // Without a zero point the type is UINT8 by definition.
    var type = zeroPoint?.elementType ?? .uint8
    if zeroPoint == nil, node.operatorType == "QuantizeLinear", stated.rawValue != 0 {
      type = stated
    }
    if zeroPoint == nil, node.operatorType == "DequantizeLinear",
      let known = graph.quantization(of: view.tensor)
    {
      type = known.isUnsigned ? .uint8 : .int8
    }
    guard type == .uint8 || type == .int8 else {
      return block(312, "activations of type \(type.name)", help: "quantise activations to int8")
    }
    let isUnsigned = type == .uint8
    let integer = Int(zeroPoint?.integers?.first ?? 0)
    let quantization = ActivationQuantization(
      scale: scale, zeroPoint: isUnsigned ? integer - 128 : integer, isUnsigned: isUnsigned,
      exactScale: constantInput(1)?.exactScales?.first)
    // A zero point at the end of the range cuts off everything below 0: quantisers leave a ReLU
    // out that is followed by such a one, so here it is put back.
    if quantization.zeroPoint == -128, node.operatorType == "QuantizeLinear",
      !graph.isNeverNegative(view.tensor), !isPreparedInput(view.tensor)
    {
      let clip = ActivationKind.clip(low: 0, high: scale * 255)
      let clipped = appendInPlace(.network(.activation(clip)), view)
      setQuantization(quantization, of: clipped.tensor)
      return one(clipped)
    }
    setQuantization(quantization, of: view.tensor)
    return one(view)
  }

  /// Whether a tensor is the network's input, or an affine function of it: data are clamped anyway
  /// where they become integers.
  private func isPreparedInput(_ tensor: Int) -> Bool {
    var tensor = tensor
    while tensor > 0, case .affine = graph.nodes[tensor - 1].operation {
      tensor = graph.nodes[tensor - 1].inputs[0]
    }
    return tensor == 0
  }

  /// The first scale a tensor gets is its own; a second one must agree.
  private mutating func setQuantization(_ quantization: ActivationQuantization, of tensor: Int) {
    if let known = graph.quantization(of: tensor) {
      if known != quantization {
        warn(
          312, "a value is quantised a second time with another scale; the first is kept",
          help: "the result may differ from the file's by one step")
      }
      return
    }
    if tensor == 0 {
      graph.inputQuantization = quantization
    } else {
      graph.nodes[tensor - 1].quantization = quantization
    }
  }

  /// DequantizeLinear of a constant: real weights that remember their integers.
  mutating func dequantized(_ inputs: [ConstantTensor?]) throws(InputError) -> [Value] {
    guard inputs.count >= 2, let tensor = inputs[0], let scaleTensor = inputs[1],
      let values = tensor.integers
    else { throw graphError("DequantizeLinear '\(node.path)': integers and scales are due") }
    if try integer("block_size", default: 0) != 0 { return block(312, "blocks of scales") }
    let scales = scaleTensor.asFloats
    guard scales.allSatisfy({ $0 > 0 && $0.isFinite }), !scales.isEmpty else {
      throw InputError(
        601, "a scale is not a positive number", place: "node '\(node.path)'", exit: 3)
    }
    let stated = try integer("axis", default: 1)
    let axis = scales.count == 1 ? 0 : normalized(stated, rank: tensor.shape.count)
    guard let axis, scales.count == 1 || tensor.shape[axis] == scales.count else {
      throw graphError(
        "DequantizeLinear '\(node.path)': \(scales.count) scales along axis \(stated) of "
          + "\(tensor.shape)")
    }
    var zeroPoints = (inputs.count > 2 ? inputs[2]?.integers : nil) ?? [0]
    guard zeroPoints.count == 1 || zeroPoints.count == scales.count else {
      throw graphError("DequantizeLinear '\(node.path)': \(zeroPoints.count) zero points")
    }
    if zeroPoints.count == 1 {
      zeroPoints = [Int64](repeating: zeroPoints[0], count: scales.count)
    }
    let inner =
      tensor.shape.isEmpty ? 1 : tensor.shape[(axis + 1)...].reduce(1, *)
    var floats: [Float] = []
    floats.reserveCapacity(values.count)
    for (index, value) in values.enumerated() {
      let channel = scales.count == 1 ? 0 : index / inner % scales.count
      floats.append(Float(value &- zeroPoints[channel]) * scales[channel])
    }
    var result = ConstantTensor(shape: tensor.shape, floats: floats, name: tensor.name)
    result.quantized = symmetric(
      values, type: tensor.elementType, zeroPoints: zeroPoints, scales: scales, axis: axis)
    result.quantized?.exactScales = scaleTensor.exactScales
    return [.constant(result)]
  }

  /// The integers with zero point 0, if the shift is exact: uint8 around 128 is int8 around 0.
  private func symmetric(
    _ values: [Int64], type: ONNXElementType, zeroPoints: [Int64], scales: [Float], axis: Int
  ) -> QuantizedConstant {
    if type == .uint8, zeroPoints.allSatisfy({ $0 == 128 }) {
      return QuantizedConstant(
        values: values.map { $0 - 128 }, elementType: .int8, scales: scales, axis: axis)
    }
    let isSymmetric = zeroPoints.allSatisfy { $0 == 0 }
    return QuantizedConstant(
      values: values, elementType: isSymmetric ? type : .uint8, scales: scales, axis: axis)
  }

  /// QuantizeLinear of a constant (networks trained with simulated quantisation keep float
  /// weights): round to nearest, ties to even, as ONNX says.
  mutating func quantized(_ inputs: [ConstantTensor?]) throws(InputError) -> [Value] {
    guard inputs.count >= 2, let tensor = inputs[0], let scaleTensor = inputs[1] else {
      throw graphError("QuantizeLinear '\(node.path)': values and scales are due")
    }
    let values = try finiteValues(tensor, "the values to quantise")
    let scales = scaleTensor.asFloats
    let stated = try integer("axis", default: 1)
    let axis = scales.count == 1 ? 0 : normalized(stated, rank: tensor.shape.count)
    guard let axis, scales.count == 1 || tensor.shape[axis] == scales.count, !scales.isEmpty,
      scales.allSatisfy({ $0 > 0 && $0.isFinite })
    else {
      throw graphError(
        "QuantizeLinear '\(node.path)': \(scales.count) scales along axis \(stated) of "
          + "\(tensor.shape)")
    }
    let zeroPoint = inputs.count > 2 ? inputs[2] : nil
    let type = zeroPoint?.elementType ?? .uint8
    let range: ClosedRange<Float>
    switch type {
    case .int8: range = -128...127
    case .uint8: range = 0...255
    default: return block(312, "constants of type \(type.name)")
    }
    let zeroPoints = zeroPoint?.integers ?? [0]
    guard zeroPoints.count == 1 || zeroPoints.count == scales.count else {
      throw graphError("QuantizeLinear '\(node.path)': \(zeroPoints.count) zero points")
    }
    let inner = tensor.shape.isEmpty ? 1 : tensor.shape[(axis + 1)...].reduce(1, *)
    var integers: [Int64] = []
    integers.reserveCapacity(values.count)
    for (index, value) in values.enumerated() {
      let channel = scales.count == 1 ? 0 : index / inner % scales.count
      let zero = Float(zeroPoints[zeroPoints.count == 1 ? 0 : channel])
      let rounded = (value / scales[channel]).rounded(.toNearestOrEven) + zero
      integers.append(Int64(min(max(rounded, range.lowerBound), range.upperBound)))
    }
    return [
      .constant(
        ConstantTensor(
          shape: tensor.shape, integers: integers, elementType: type, name: tensor.name))
    ]
  }
}
