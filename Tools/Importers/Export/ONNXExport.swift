public import Tally

/// A model as an ONNX graph, operator set 17: for onnxruntime and whatever else reads ONNX.
///
/// Quantised (QDQ), every tensor passes a QuantizeLinear and a DequantizeLinear with the model's
/// integers, Scales and zero points, so a runtime can compute in int8 again; results agree within a
/// step, not bit for bit, because ONNX rounds in floating point. Dequantised, the same graph has
/// float32 weights and nothing rounds between the layers.
///
/// The graph's input is data as `tally eval` takes them: the input maps are its first nodes. Images
/// arrive in the layout that the model's data have; inside, ONNX computes with channels first.
public struct ONNXExport {
  let model: ModelBuilder
  let isDequantized: Bool
  /// Layer names, one per node, distinct.
  let layerNames: [String]
  var nodes: [ONNXNode] = []
  var initializers: [ONNXTensor] = []
  /// The Scales behind the float32 scales, by initialiser.
  var exactScales: [(name: String, scales: [Scale])] = []
  /// For every tensor of the model, the real value in the graph.
  var values: [Value] = []
  private var takenNames: Set<String> = ["input", "output"]
  /// Nodes have names of their own, and onnxruntime insists that each has another.
  private var takenNodeNames: Set<String> = []

  /// A value of the graph: [N, C, H, W], or [N, n] for what a fully connected layer gives.
  struct Value {
    var name: String
    var isVector: Bool
    var shape: Shape
    /// The int8 value behind it, where there is one.
    var integers: String?
  }

  /// The file's bytes; equal models give equal bytes.
  ///
  /// - Throws: TLY0606 (exit 4) for a Scale outside the range of float32.
  public static func bytes(
    of network: Network, digest: String, isDequantized: Bool
  ) throws(InputError) -> [UInt8] {
    var export = ONNXExport(ModelBuilder(network), isDequantized: isDequantized)
    try export.addInput()
    for index in export.model.nodes.indices { try export.addNode(index) }
    export.addOutput()
    return export.file(digest: digest).serialized()
  }

  private init(_ model: ModelBuilder, isDequantized: Bool) {
    self.model = model
    self.isDequantized = isDequantized
    layerNames = model.distinctNames
  }

  // MARK: - Input and output

  private var inputIsVector: Bool { model.inputShape.positions == 1 }

  private var inputDimensions: [ONNXValueInfo.Dimension] {
    dimensions(model.inputShape, isVector: inputIsVector)
  }

  private func dimensions(_ shape: Shape, isVector: Bool) -> [ONNXValueInfo.Dimension] {
    let sizes =
      isVector
      ? [shape.channels]
      : model.readsChannelsFirst
        ? [shape.channels, shape.height, shape.width] : [shape.height, shape.width, shape.channels]
    return [.symbol("N")] + sizes.map { .size($0) }
  }

  /// Real value of the first tensor: S·(±A·x + B·2⁻³² − Z), per channel.
  private mutating func addInput() throws(InputError) {
    var name = "input"
    if !inputIsVector, !model.readsChannelsFirst {
      name = add("Transpose", [name], "input.nchw", [Self.permutation([0, 3, 1, 2])])
    }
    let quantization = model.inputQuantization
    let step = quantization.scale.double
    var factors: [Float] = []
    var offsets: [Float] = []
    for map in model.inputMaps {
      let slope = (map.isNegative ? -1 : 1) * map.scale.double * step
      factors.append(Float(slope))
      // |B| < 2⁶³ and Z both stand in units of 2⁻³² here: their difference is exact.
      let offset = Int128(map.offset) - Int128(quantization.zeroPoint) << 32
      offsets.append(Float(Double(offset) * 0x1p-32 * step))
    }
    try requireFloats(factors + offsets, "the input map")
    let channels = model.inputShape.channels
    let sizes =
      model.inputMaps.count == 1 ? [] : inputIsVector ? [1, channels] : [1, channels, 1, 1]
    if factors.contains(where: { $0 != 1 }) {
      let constant = floats("input.factor", sizes, factors)
      name = add("Mul", [name, constant], "input.scaled")
    }
    if offsets.contains(where: { $0 != 0 }) {
      let constant = floats("input.offset", sizes, offsets)
      name = add("Add", [name, constant], "input.real")
    }
    let value = Value(name: name, isVector: inputIsVector, shape: model.inputShape)
    values.append(try quantized(value, quantization, "input"))
  }

  /// The last value under the name `output`, in the layout of the input.
  private mutating func addOutput() {
    guard let last = values.last else { return }
    var name = last.name
    if last.shape.positions == 1 {
      name = vector(last)
    } else {
      let image = image(last)
      name =
        model.readsChannelsFirst
        ? image
        : add(
          "Transpose", [image], "output.nhwc",
          [
            Self.permutation([0, 2, 3, 1])
          ])
    }
    for index in nodes.indices {
      nodes[index].inputs = nodes[index].inputs.map { $0 == name ? "output" : $0 }
      nodes[index].outputs = nodes[index].outputs.map { $0 == name ? "output" : $0 }
    }
  }

  private func file(digest: String) -> ONNXModel {
    let shape = values.last?.shape ?? model.inputShape
    let graph = ONNXGraph(
      name: "tally", nodes: nodes, initializers: initializers,
      inputs: [ONNXValueInfo("input", dimensions: inputDimensions)],
      outputs: [
        ONNXValueInfo("output", dimensions: dimensions(shape, isVector: shape.positions == 1))
      ])
    return ONNXModel(
      irVersion: 8, producerName: "tally", operatorSets: [.init(version: 17)], graph: graph,
      metadata: metadata(digest: digest))
  }

  // MARK: - Pieces

  /// A name nobody has yet.
  mutating func fresh(_ wanted: String) -> String {
    var name = wanted
    var number = 2
    while !takenNames.insert(name).inserted {
      name = "\(wanted)#\(number)"
      number += 1
    }
    return name
  }

  /// Appends a node of one result; gives its name.
  mutating func add(
    _ operatorType: String, _ inputs: [String], _ output: String,
    _ attributes: [ONNXAttribute] = [], layer: String? = nil
  ) -> String {
    let result = fresh(output)
    var name = layer ?? result
    var number = 2
    while !takenNodeNames.insert(name).inserted {
      name = "\(layer ?? result)#\(number)"
      number += 1
    }
    nodes.append(
      ONNXNode(
        operatorType, name: name, inputs: inputs, outputs: [result],
        attributes: attributes))
    return result
  }

  mutating func floats(_ name: String, _ sizes: [Int], _ values: [Float]) -> String {
    let name = fresh(name)
    initializers.append(ONNXTensor(name, dimensions: sizes, floats: values))
    return name
  }

  mutating func integers(
    _ name: String, _ type: ONNXElementType, _ sizes: [Int], _ values: [Int64]
  ) -> String {
    let name = fresh(name)
    initializers.append(ONNXTensor(name, elementType: type, dimensions: sizes, integers: values))
    return name
  }

  static func permutation(_ axes: [Int64]) -> ONNXAttribute {
    ONNXAttribute("perm", .integers(axes))
  }

  /// The value as [N, n], elements in ONNX's order.
  mutating func vector(_ value: Value) -> String {
    if value.isVector { return value.name }
    return add("Flatten", [value.name], "\(value.name).flat", [ONNXAttribute("axis", .integer(1))])
  }

  /// The value as [N, C, H, W].
  mutating func image(_ value: Value) -> String {
    guard value.isVector else { return value.name }
    let shape = value.shape
    let isPlain = shape.positions == 1
    // A fully connected layer's outputs stand in memory order, channels last.
    let sizes =
      isPlain ? [0, shape.channels, 1, 1] : [0, shape.height, shape.width, shape.channels]
    let target = integers("\(value.name).shape", .int64, [4], sizes.map(Int64.init))
    let shaped = add("Reshape", [value.name, target], "\(value.name).image")
    return isPlain
      ? shaped : add("Transpose", [shaped], "\(value.name).nchw", [Self.permutation([0, 3, 1, 2])])
  }

  // MARK: - Quantization

  /// The value through QuantizeLinear and DequantizeLinear; itself in a dequantised file.
  mutating func quantized(
    _ value: Value, _ quantization: Quantization, _ name: String
  ) throws(InputError) -> Value {
    if isDequantized { return value }
    let scale = try scales("\(name).scale", [quantization.scale], isScalar: true)
    let zero = zeroPoint(name, quantization)
    var result = value
    let integers = add("QuantizeLinear", [value.name, scale, zero], "\(name).int8")
    result.integers = integers
    result.name = add("DequantizeLinear", [integers, scale, zero], "\(name).value")
    return result
  }

  mutating func zeroPoint(_ name: String, _ quantization: Quantization) -> String {
    integers("\(name).zero", .int8, [], [Int64(quantization.zeroPoint)])
  }

  /// Scales as an initialiser: one number, or one per output channel.
  mutating func scales(
    _ name: String, _ scales: [Scale], isScalar: Bool
  ) throws(InputError) -> String {
    let values = scales.map { Float($0.double) }
    try requireFloats(values, name)
    guard values.allSatisfy({ $0 >= .leastNormalMagnitude }) else {
      throw Self.outOfRange(name)
    }
    let initializer = floats(name, isScalar ? [] : [values.count], values)
    exactScales.append((initializer, scales))
    return initializer
  }

  private func requireFloats(_ values: [Float], _ what: String) throws(InputError) {
    guard values.allSatisfy(\.isFinite) else { throw Self.outOfRange(what) }
  }

  private static func outOfRange(_ what: String) -> InputError {
    .unsupportedNumber(what, "it is outside the range of float32, which ONNX scales have")
  }
}
