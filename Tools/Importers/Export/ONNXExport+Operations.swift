import Tally

extension ONNXExport {
  /// The nodes of the graph that compute node `index` of the model.
  mutating func addNode(_ index: Int) throws(InputError) {
    let node = model.nodes[index]
    let name = layerNames[index]
    let inputs = node.inputs.map { values[$0] }
    var result = Value(name: "", isVector: false, shape: node.output)
    switch node.operation {
    case .convolution(let shape):
      let x = image(inputs[0])
      let weights = try weights(index, shape, isVector: false)
      result.name = add(
        "Conv", [x] + weights, "\(name).result",
        Self.window(shape.geometry) + [ONNXAttribute("group", .integer(Int64(shape.groups)))],
        layer: name)
    case .fullyConnected(let shape):
      let x = vector(inputs[0])
      let weights = try weights(index, shape, isVector: inputs[0].isVector)
      result.name = add(
        "Gemm", [x] + weights, "\(name).result", [ONNXAttribute("transB", .integer(1))],
        layer: name)
      result.isVector = true
    case .maxPooling(let pooling):
      result.name = add(
        "MaxPool", [image(inputs[0])], "\(name).result", Self.window(pooling.geometry), layer: name)
    case .averagePooling(let pooling):
      let counts = ONNXAttribute("count_include_pad", .integer(pooling.countsPadding ? 1 : 0))
      // Dilations are an attribute of average pooling from operator set 19 on.
      let window = Self.window(pooling.geometry).filter { $0.name != "dilations" }
      result.name = add(
        "AveragePool", [image(inputs[0])], "\(name).result", window + [counts], layer: name)
    case .add, .multiply:
      let isVector = inputs.allSatisfy(\.isVector)
      let names = isVector ? inputs.map(\.name) : inputs.map { image($0) }
      let operatorType = node.operation == .add ? "Add" : "Mul"
      result.name = add(operatorType, names, "\(name).result", layer: name)
      result.isVector = isVector
    case .concatenate:
      let names = inputs.map { image($0) }
      result.name = add(
        "Concat", names, "\(name).result", [ONNXAttribute("axis", .integer(1))], layer: name)
    case .table:
      try addTable(index)
      return
    case .rescale: (result.name, result.isVector) = (inputs[0].name, inputs[0].isVector)
    case .slicePad(let slice): result.name = add(slice, image(inputs[0]), name)
    case .upsample(let upsampling):
      let factors = floats(
        "\(name).factors", [4], [1, 1, Float(upsampling.rows), Float(upsampling.columns)])
      result.name = add(
        "Resize", [image(inputs[0]), "", factors], "\(name).result",
        [
          ONNXAttribute("mode", .string("nearest")),
          ONNXAttribute("coordinate_transformation_mode", .string("asymmetric")),
          ONNXAttribute("nearest_mode", .string("floor")),
        ], layer: name)
    }
    if !node.hasAccumulators {
      result.name = try bounded(result.name, index)
      result = try quantized(result, node.quantization, name)
    }
    values.append(result)
  }

  /// The clamp of `place` (SPEC 6), where QuantizeLinear does not do it anyway.
  private mutating func bounded(_ value: String, _ index: Int) throws(InputError) -> String {
    let node = model.nodes[index]
    let quantization = node.quantization
    var isForced = false
    switch node.operation {
    // They give what they are given.
    case .maxPooling, .slicePad, .upsample, .table: return value
    case .averagePooling:
      // A mean lies between the bounds of what it is a mean of.
      if model.quantization(node.inputs[0]) == quantization { return value }
    // Without a node in between, a value would be quantised twice.
    case .rescale: isForced = true
    // A head without one is read back as a head of raw accumulators.
    case .convolution, .fullyConnected:
      isForced = index == model.nodes.count - 1 && node.weightScales.count == 1
    default: break
    }
    let name = layerNames[index]
    let step = quantization.scale.double
    func real(_ bound: Int32) -> Float { Float(Double(bound - quantization.zeroPoint) * step) }
    let isRectified = quantization.low == quantization.zeroPoint
    let cutsHigh = quantization.high < 127 || (isForced && !isRectified)
    let cutsLow = isRectified || quantization.low > -128 || isForced
    guard cutsLow || cutsHigh else { return value }
    if isRectified, !cutsHigh {
      return add("Relu", [value], "\(name).rectified")
    }
    var inputs = [value, "", ""]
    if cutsLow { inputs[1] = floats("\(name).low", [], [real(quantization.low)]) }
    if cutsHigh { inputs[2] = floats("\(name).high", [], [real(quantization.high)]) }
    if !cutsHigh { inputs.removeLast() }
    return add("Clip", inputs, "\(name).clipped")
  }

  /// Kernel, strides, padding and dilations.
  private static func window(_ geometry: WindowGeometry) -> [ONNXAttribute] {
    func list(_ name: String, _ values: Int...) -> ONNXAttribute {
      ONNXAttribute(name, .integers(values.map(Int64.init)))
    }
    return [
      list("kernel_shape", geometry.kernelHeight, geometry.kernelWidth),
      list("strides", geometry.strideHeight, geometry.strideWidth),
      list("pads", geometry.padTop, geometry.padLeft, geometry.padBottom, geometry.padRight),
      list("dilations", geometry.dilationHeight, geometry.dilationWidth),
    ]
  }

  /// Slice takes what is left of the input, Pad surrounds it with zeros.
  private mutating func add(_ slice: Kernels.SlicePad, _ input: String, _ name: String) -> String {
    // In ONNX's order of the axes: channels, rows, columns.
    let axes = [
      (slice.channels, slice.input.channels, slice.output.channels),
      (slice.rows, slice.input.height, slice.output.height),
      (slice.columns, slice.input.width, slice.output.width),
    ]
    // Elements taken: as many as the input has behind `start`, and the output holds.
    let counts = axes.map { axis, size, output in
      min((size - axis.start + axis.step - 1) / axis.step, output - axis.before)
    }
    func constant(_ what: String, _ values: [Int]) -> String {
      integers("\(name).\(what)", .int64, [values.count], values.map(Int64.init))
    }
    let after = zip(axes, counts).map { $0.2 - $0.0.before - $1 }
    let isPadded = after.contains { $0 != 0 } || axes.contains { $0.0.before != 0 }
    var result = input
    if zip(axes, counts).contains(where: { $0.0.start != 0 || $0.0.step != 1 || $0.1 != $1 }) {
      let starts = constant("starts", axes.map { $0.0.start })
      let ends = constant("ends", zip(axes, counts).map { $0.0.start + ($1 - 1) * $0.0.step + 1 })
      let which = constant("axes", [1, 2, 3])
      let steps = constant("steps", axes.map { $0.0.step })
      result = add(
        "Slice", [result, starts, ends, which, steps], "\(name).slice",
        layer: isPadded ? nil : name)
    }
    if isPadded {
      let pads = constant("pads", [0] + axes.map { $0.0.before } + [0] + after)
      result = add("Pad", [result, pads], "\(name).padded", layer: name)
    }
    // Nothing cut and nothing added: still a node, so that the tensor has a maker.
    return result == input ? add("Identity", [input], "\(name).result", layer: name) : result
  }
}
