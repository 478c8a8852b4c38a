import Tally

extension NetworkParser {
  private static let kinds = [
    "convolution", "depthwiseConvolution", "fullyConnected", "maxPool", "averagePool",
    "globalAveragePool", "add", "multiply", "concatenate", "flatten", "upsample", "softmax",
  ]
  private static let activations = [
    "relu", "relu6", "clip", "leakyRelu", "sigmoid", "tanh", "gelu", "geluTanh", "silu",
    "hardSigmoid", "hardSwish",
  ]
  /// Other tools' words.
  private static let synonyms = [
    "conv": "convolution", "conv1d": "convolution", "conv2d": "convolution",
    "dense": "fullyConnected", "linear": "fullyConnected", "fc": "fullyConnected",
    "gemm": "fullyConnected", "depthwiseconv2d": "depthwiseConvolution",
    "depthwise": "depthwiseConvolution", "maxpool2d": "maxPool", "maxpooling": "maxPool",
    "avgpool": "averagePool", "avgpool2d": "averagePool", "averagepooling": "averagePool",
    "gap": "globalAveragePool", "adaptiveavgpool2d": "globalAveragePool", "concat": "concatenate",
    "mul": "multiply", "swish": "silu", "batchnorm": "the key batchNorm of the layer before it",
    "batchnormalization": "the key batchNorm of the layer before it",
  ]

  /// Reads one element of `layers`.
  mutating func readLayer(_ element: JSONElement) throws(InputError) {
    var object = try element.object()
    let kindElement = try object.require("kind")
    let kind = try kindElement.string()
    guard Self.kinds.contains(kind) || Self.activations.contains(kind) else {
      throw unknownKind(kind, kindElement)
    }
    if last.isFinal { throw .network("softmax is followed by another layer", at: element) }
    let name = try self.name(&object, kind: kind, element)
    let inputs = try sources(&object)
    let merges = ["add", "multiply", "concatenate"].contains(kind)
    guard merges == (inputs.count > 1) else {
      throw .network(
        merges ? "\(kind) joins two layers or more" : "\(kind) reads one layer", at: element,
        help: merges ? "\"from\": [\"one\", \"other\"]" : nil)
    }
    let readsVectors = kind == "fullyConnected" || kind == "flatten" || kind == "softmax"
    if !readsVectors, inputs.contains(where: { $0.isFlat && !isVector($0) }) {
      throw .network(
        "\(kind) reads a flattened image", at: element,
        note: "only fullyConnected can: flattening does not move values")
    }
    var value = try layer(kind, name, inputs, &object, element)
    if let activation = object.take("activation") {
      guard ["convolution", "depthwiseConvolution", "fullyConnected"].contains(kind) || merges
      else { throw .network("\(kind) has no activation of its own", at: activation) }
      value = try appendActivation(activation, name, value)
    }
    try object.finish()
    try define(name, value, element)
  }

  func isVector(_ value: Value) -> Bool { shape(value).height * shape(value).width == 1 }

  private func unknownKind(_ kind: String, _ element: JSONElement) -> InputError {
    let all = Self.kinds + Self.activations
    var near = nearestNames(to: kind, among: all)
    if near.isEmpty { near = all.filter { $0.lowercased() == kind.lowercased() } }
    let known = Self.synonyms[kind.lowercased().filter { $0 != "_" && $0 != "-" }]
    return .network(
      "unknown kind of layer \(quoted(kind))", at: element,
      note: "known are \(all.joined(separator: ", "))",
      help: known.map { "write \($0)" }
        ?? (near.isEmpty ? nil : "did you mean \(listed(near))?"))
  }

  private mutating func layer(
    _ kind: String, _ name: String, _ inputs: [Value], _ object: inout JSONObject,
    _ element: JSONElement
  ) throws(InputError) -> Value {
    let input = shape(inputs[0])
    switch kind {
    case "convolution", "depthwiseConvolution":
      return try convolution(kind, name, inputs[0], &object, element)
    case "fullyConnected":
      let outputs = try size(object.require("outputs"), upTo: Self.largestTensor)
      bindings[nodes.count] = try LayerBinding(
        name, kind: .fullyConnected, &object, defaults: defaults)
      return try append(
        name, .fullyConnected(outputs: outputs, weights: [], bias: []), inputs,
        TensorShape(height: 1, width: 1, channels: outputs), element)
    case "maxPool", "averagePool":
      var geometry = try window(&object, size: "size", input, strideIsSize: true)
      try fit(&geometry, input, element)
      let size = geometry.outputSize(input)!
      let shape = TensorShape(height: size.height, width: size.width, channels: input.channels)
      if kind == "maxPool" {
        return try append(name, .maxPool(geometry: geometry), inputs, shape, element)
      }
      let counts = try object.take("countsPadding")?.bool() ?? false
      return try append(
        name, .averagePool(geometry: geometry, countsPadding: counts), inputs, shape, element)
    case "globalAveragePool":
      let geometry = WindowGeometry(kernelHeight: input.height, kernelWidth: input.width)
      return try append(
        name, .averagePool(geometry: geometry, countsPadding: false), inputs,
        TensorShape(height: 1, width: 1, channels: input.channels), element)
    case "add", "multiply", "concatenate": return try merge(kind, name, inputs, element)
    case "flatten": return Value(tensor: inputs[0].tensor, isFlat: true)
    case "upsample":
      let factor = try pair(object.require("factor"), 1...4095)
      let shape = TensorShape(
        height: input.height * factor.0, width: input.width * factor.1, channels: input.channels)
      return try append(
        name, .upsample(factorHeight: factor.0, factorWidth: factor.1), inputs, shape, element)
    case "softmax":
      guard isVector(inputs[0]) || inputs[0].isFlat else {
        throw .network("softmax over an image", at: element, help: "flatten or pool it first")
      }
      var value = try append(name, .softmax, inputs, input, element)
      value.isFinal = true
      return value
    default:
      let activation = try self.activation(kind, &object, element)
      return try append(name, .activation(activation), inputs, input, element)
    }
  }

  private mutating func convolution(
    _ kind: String, _ name: String, _ source: Value, _ object: inout JSONObject,
    _ element: JSONElement
  ) throws(InputError) -> Value {
    let input = shape(source)
    let isDepthwise = kind == "depthwiseConvolution"
    var geometry = try window(&object, size: "kernel", input, strideIsSize: false)
    if let dilation = try object.take("dilation").map({ e throws(InputError) in
      try pair(e, 1...4095)
    }) {
      (geometry.dilationHeight, geometry.dilationWidth) = dilation
    }
    try fit(&geometry, input, element)
    let filters: Int
    var groups = input.channels
    if isDepthwise {
      let multiplier = try object.take("multiplier").map { e throws(InputError) in
        try size(e, upTo: Self.largestTensor)
      }
      filters = input.channels * (multiplier ?? 1)
    } else {
      filters = try size(object.require("filters"), upTo: Self.largestTensor)
      groups =
        try object.take("groups").map { e throws(InputError) in
          try size(e, upTo: Self.largestTensor)
        } ?? 1
    }
    guard input.channels % groups == 0, filters % groups == 0 else {
      throw .network(
        "\(groups) groups divide neither \(input.channels) channels nor \(filters) filters evenly",
        at: element)
    }
    let extent = geometry.outputSize(input)!
    bindings[nodes.count] = try LayerBinding(
      name, kind: isDepthwise ? .depthwise : .convolution, &object, defaults: defaults)
    return try append(
      name,
      .convolution(
        geometry: geometry, groups: groups, outputChannels: filters, weights: [], bias: []),
      [source], TensorShape(height: extent.height, width: extent.width, channels: filters), element)
  }

  private mutating func merge(
    _ kind: String, _ name: String, _ inputs: [Value], _ element: JSONElement
  ) throws(InputError) -> Value {
    let first = shape(inputs[0])
    func conflict(_ other: TensorShape) -> InputError {
      .network("\(kind) joins \(first) and \(other)", at: element)
    }
    switch kind {
    case "add":
      var sum = inputs[0]
      for (number, input) in inputs.enumerated().dropFirst() {
        guard shape(input) == first else { throw conflict(shape(input)) }
        let isLast = number == inputs.count - 1
        sum = try append(isLast ? name : "\(name)/\(number)", .add, [sum, input], first, element)
      }
      return sum
    case "multiply":
      guard inputs.count == 2 else { throw .network("multiply joins two layers", at: element) }
      let second = shape(inputs[1])
      let isGate = second == TensorShape(height: 1, width: 1, channels: first.channels)
      guard second == first || isGate else { throw conflict(second) }
      return try append(name, .multiply, inputs, first, element)
    default:
      var result = first
      for input in inputs.dropFirst() {
        let other = shape(input)
        guard other.height == first.height, other.width == first.width else {
          throw conflict(other)
        }
        result.channels += other.channels
      }
      return try append(name, .concatenate, inputs, result, element)
    }
  }

  // MARK: - Activations

  private mutating func appendActivation(_ element: JSONElement, _ name: String, _ value: Value)
    throws(InputError) -> Value
  {
    let kind = try element.string()
    if kind == "none" { return value }
    if kind == "softmax" {
      var result = try append("\(name)/softmax", .softmax, [value], shape(value), element)
      result.isFinal = true
      return result
    }
    guard Self.activations.contains(kind), kind != "clip" else {
      let near = nearestNames(to: kind, among: Self.activations)
      throw .network(
        "unknown activation \(quoted(kind))", at: element,
        note: "known are \(Self.activations.joined(separator: ", ")), softmax and none",
        help: kind == "clip"
          ? "write it as a layer of its own, with low and high"
          : near.isEmpty ? nil : "did you mean \(listed(near))?")
    }
    return try append(
      "\(name)/\(kind)", .activation(defaultActivation(kind)), [value], shape(value), element)
  }

  private func defaultActivation(_ kind: String) -> ActivationKind {
    switch kind {
    case "relu": .relu
    case "relu6": .clip(low: 0, high: 6)
    case "leakyRelu": .leakyRelu(alpha: 0.01)
    case "sigmoid": .sigmoid
    case "tanh": .tanh
    case "gelu": .gelu
    case "geluTanh": .geluTanh
    case "silu": .silu
    case "hardSigmoid": .hardSigmoid(alpha: 1 / 6, beta: 0.5)
    default: .hardSwish
    }
  }

  private func activation(_ kind: String, _ object: inout JSONObject, _ element: JSONElement)
    throws(InputError) -> ActivationKind
  {
    func number(_ key: String, _ object: inout JSONObject) throws(InputError) -> Float? {
      try object.take(key).map { e throws(InputError) in Float(try e.ratio().double) }
    }
    switch kind {
    case "clip":
      let low = Float(try object.require("low").ratio().double)
      let high = Float(try object.require("high").ratio().double)
      guard low < high else { throw .network("low is not below high", at: element) }
      return .clip(low: low, high: high)
    case "leakyRelu": return .leakyRelu(alpha: try number("alpha", &object) ?? 0.01)
    case "hardSigmoid":
      return .hardSigmoid(
        alpha: try number("alpha", &object) ?? 1 / 6, beta: try number("beta", &object) ?? 0.5)
    default: return defaultActivation(kind)
    }
  }

  // MARK: - Sizes

  private func size(_ element: JSONElement, upTo limit: Int) throws(InputError) -> Int {
    Int(try element.integer(in: 1...Int64(limit)))
  }

  /// One number for both directions, or [vertical, horizontal].
  private func pair(_ element: JSONElement, _ range: ClosedRange<Int64>) throws(InputError)
    -> (Int, Int)
  {
    guard case .array = element.value.content else {
      let both = Int(try element.integer(in: range))
      return (both, both)
    }
    let values = try element.array().map { e throws(InputError) in Int(try e.integer(in: range)) }
    guard values.count == 2 else {
      throw .network("\(values.count) sizes", at: element, help: "write 3 or [3, 3]")
    }
    return (values[0], values[1])
  }

  private func window(
    _ object: inout JSONObject, size key: String, _ input: TensorShape, strideIsSize: Bool
  ) throws(InputError) -> WindowGeometry {
    let kernel = try pair(object.require(key), 1...4095)
    let stride =
      try object.take("stride").map { e throws(InputError) in try pair(e, 1...4095) }
      ?? (strideIsSize ? kernel : (1, 1))
    var geometry = WindowGeometry(
      kernelHeight: kernel.0, kernelWidth: kernel.1, strideHeight: stride.0, strideWidth: stride.1)
    guard let padding = object.take("padding") else { return geometry }
    switch padding.value.content {
    case .string("valid"): break
    case .string("same"): geometry.padTop = -1  // settled by `fit`, when the dilation is known
    case .string(let text):
      throw .network(
        "unknown padding \(quoted(text))", at: padding,
        help: "write \"same\", \"valid\", 1 or [top, left, bottom, right]")
    case .array:
      let sides = try padding.array().map { e throws(InputError) in
        Int(try e.integer(in: 0...65_535))
      }
      guard sides.count == 4 else {
        throw .network(
          "\(sides.count) paddings", at: padding, help: "write [top, left, bottom, right]")
      }
      (geometry.padTop, geometry.padLeft) = (sides[0], sides[1])
      (geometry.padBottom, geometry.padRight) = (sides[2], sides[3])
    default:
      let all = Int(try padding.integer(in: 0...65_535))
      (geometry.padTop, geometry.padLeft) = (all, all)
      (geometry.padBottom, geometry.padRight) = (all, all)
    }
    return geometry
  }

  /// Resolves "same": ⌈size / stride⌉ outputs, the odd row or column of padding below or right.
  private func fit(_ geometry: inout WindowGeometry, _ input: TensorShape, _ element: JSONElement)
    throws(InputError)
  {
    if geometry.padTop < 0 {
      func total(_ size: Int, _ stride: Int, _ span: Int) -> Int {
        max(0, ((size + stride - 1) / stride - 1) * stride + span - size)
      }
      let rows = total(input.height, geometry.strideHeight, geometry.extentHeight)
      let columns = total(input.width, geometry.strideWidth, geometry.extentWidth)
      (geometry.padTop, geometry.padBottom) = (rows / 2, rows - rows / 2)
      (geometry.padLeft, geometry.padRight) = (columns / 2, columns - columns / 2)
    }
    guard geometry.outputSize(input) != nil else {
      throw .network(
        "a window of \(geometry.extentHeight)×\(geometry.extentWidth) does not fit into \(input)",
        at: element, help: "\"padding\": \"same\" keeps the size")
    }
    guard max(geometry.padTop, geometry.padBottom) < geometry.extentHeight,
      max(geometry.padLeft, geometry.padRight) < geometry.extentWidth
    else { throw .network("the padding is as large as the window", at: element) }
  }
}
