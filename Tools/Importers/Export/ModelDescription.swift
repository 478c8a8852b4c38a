public import Tally

/// A model without its parameters, as JSON with integers and exact decimals only.
struct ModelDescription {
  let text: String

  init(_ model: ModelBuilder, _ names: [String], digest: String, isDequantized: Bool) {
    let input = model.inputQuantization
    let maps = model.inputMaps.map { map in
      Self.object([
        ("scale", jsonText((map.isNegative ? "-" : "") + map.scale.exactDecimal)),
        ("offsetQ32", String(map.offset)),
      ])
    }
    var layers: [String] = []
    for (node, name) in zip(model.nodes, names) {
      layers.append(Self.object(Self.members(of: node, name)))
    }
    text = Self.object([
      ("format", jsonText("tally")),
      ("formatVersion", String(ModelFormat.formatVersion)),
      ("arithmeticVersion", String(ModelFormat.arithmeticVersion)),
      ("modelDigest", jsonText(digest)),
      ("dequantized", isDequantized ? "true" : "false"),
      (
        "input",
        Self.object(
          [
            ("shape", Self.list(model.inputShape)),
            ("layout", jsonText(model.readsChannelsFirst ? "nchw" : "nhwc")),
            ("maps", Self.array(maps)),
          ] + Self.members(of: input))
      ),
      ("initialized", model.isInitialized ? "true" : "false"),
      ("classNames", Self.array(model.classNames.map(jsonText))),
      ("layers", Self.array(layers)),
    ])
  }

  private static func members(of quantization: Quantization) -> [(String, String)] {
    [
      ("scale", jsonText(quantization.scale.exactDecimal)),
      ("zeroPoint", String(quantization.zeroPoint)), ("low", String(quantization.low)),
      ("high", String(quantization.high)),
    ]
  }

  private static func members(of node: ModelBuilder.Node, _ name: String) -> [(String, String)] {
    var members = [
      ("name", jsonText(name)), ("kind", jsonText(node.operation.kindName)),
      ("inputs", array(node.inputs.map(String.init))), ("output", list(node.output)),
    ]
    members += self.members(of: node.quantization)
    if let shape = node.operation.weighted {
      members.append(("accumulators", node.hasAccumulators ? "true" : "false"))
      members.append(("weightScales", array(node.weightScales.map { jsonText($0.exactDecimal) })))
      if case .convolution = node.operation {
        members.append(("window", window(shape.geometry)))
        members.append(("groups", String(shape.groups)))
      }
    }
    switch node.operation {
    case .maxPooling(let pooling): members.append(("window", window(pooling.geometry)))
    case .averagePooling(let pooling):
      members.append(("window", window(pooling.geometry)))
      members.append(("countsPadding", pooling.countsPadding ? "true" : "false"))
    case .upsample(let upsampling):
      members.append(("factors", array([String(upsampling.rows), String(upsampling.columns)])))
    case .slicePad(let slice):
      let axes = [slice.rows, slice.columns, slice.channels]
      members.append(("start", array(axes.map { String($0.start) })))
      members.append(("step", array(axes.map { String($0.step) })))
      members.append(("before", array(axes.map { String($0.before) })))
    default: break
    }
    return members
  }

  private static func window(_ geometry: WindowGeometry) -> String {
    func list(_ values: Int...) -> String { array(values.map(String.init)) }
    return object([
      ("kernel", list(geometry.kernelHeight, geometry.kernelWidth)),
      ("strides", list(geometry.strideHeight, geometry.strideWidth)),
      ("dilations", list(geometry.dilationHeight, geometry.dilationWidth)),
      (
        "padding",
        list(geometry.padTop, geometry.padLeft, geometry.padBottom, geometry.padRight)
      ),
    ])
  }

  private static func list(_ shape: Shape) -> String {
    array([shape.height, shape.width, shape.channels].map(String.init))
  }

  private static func array(_ values: [String]) -> String {
    "[\(values.joined(separator: ", "))]"
  }

  private static func object(_ members: [(String, String)]) -> String {
    "{\(members.map { "\(jsonText($0.0)): \($0.1)" }.joined(separator: ", "))}"
  }
}

extension Tally.Operation {
  /// The kind as `Formats/model.md` names it.
  public var kindName: String {
    switch self {
    case .convolution: "convolution"
    case .fullyConnected: "fully connected"
    case .maxPooling: "max pooling"
    case .averagePooling: "average pooling"
    case .add: "add"
    case .multiply: "multiply"
    case .concatenate: "concatenate"
    case .table: "table"
    case .rescale: "rescale"
    case .slicePad: "slice and pad"
    case .upsample: "upsample"
    }
  }
}
