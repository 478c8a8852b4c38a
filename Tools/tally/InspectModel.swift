import Importers
import Tally
import TallyHost

extension Inspection {
  /// A `.tally` model.
  init(modelAt path: String) throws(InputError) {
    let model = try Inputs.model(path)
    let network = model.network
    self.init(format: "tally model")
    add("digest", model.digest.hexadecimal, "modelDigest")
    add(
      "made by", network.isInitialized ? "init: the range tracker may move its Scales" : "convert",
      "isInitialized", .bool(network.isInitialized))
    let input = network.inputQuantization
    add(
      "input",
      "\(network.inputShape.words), data as \(network.readsChannelsFirst ? "nchw" : "nhwc"), "
        + "scale \(input.scale.shortText), zero \(input.zeroPoint)",
      "input", .string(network.inputShape.words))
    addMaps(network)
    add("outputs", "\(network.outputCount)", "outputs", JSONOutput(network.outputCount))
    if !model.classNames.isEmpty {
      add(
        "classes", model.classNames.joined(separator: ", "), "classNames",
        .array(model.classNames.map { .string($0) }))
    }
    let parameters = model.parameterCount
    add("parameters", DecimalText.grouped(parameters), "parameters", JSONOutput(parameters))
    add(
      "work", "\(DecimalText.grouped(model.multiplyCount)) multiply-accumulates per sample", "macs",
      JSONOutput(model.multiplyCount))
    let memory = try PlannedMemory(model, SessionRequest(samples: 1, isCompact: true))
    add("flash", memory.sized(model.byteCount), "flashBytes", JSONOutput(model.byteCount))
    add(
      "RAM", "\(memory.sized(memory.byteCount)) for inference", "ramBytes",
      JSONOutput(memory.byteCount))
    addNodes(model)
  }

  /// real = scale·x + offset in units of the first tensor.
  private mutating func addMaps(_ network: Network) {
    let maps = (0..<network.sections.mapCount).map { network.inputMap($0) }
    let texts = maps.map { map in
      // Q32: the integer part and two digits say enough here.
      let offset = map.offset >> 32
      return "q = \(map.isNegative ? "-" : "")\(map.scale.shortText)·x \(offset < 0 ? "-" : "+") "
        + "\(offset.magnitude)"
    }
    let isOne = Set(texts).count == 1
    add(
      "data x to q", isOne ? texts[0] : texts.joined(separator: "; "), "inputMaps",
      .array(
        maps.map { map in
          [
            "scale": .string((map.isNegative ? "-" : "") + map.scale.decimalText),
            "offsetQ32": .integer(map.offset),
          ]
        }))
  }

  private mutating func addNodes(_ model: LoadedModel) {
    var table = TextTable(
      ["#", "name", "kind", "reads", "output", "scale", "zero", "bounds", "parameters", "MACs"],
      words: [1, 2])
    var list: [JSONOutput] = []
    for (index, node) in model.nodes.enumerated() {
      let shape = node.operation.weighted
      let parameters = shape.map { $0.weightCount + $0.output.channels } ?? 0
      let reads = [node.firstInput] + (node.secondInput.map { [$0] } ?? [])
      let quantization = node.quantization
      let name = model.name(ofNode: index)
      let kind = node.operation.words + (node.scalesPerChannel ? " (per channel)" : "")
      table.add([
        "\(index + 1)", name, kind, reads.map(String.init).joined(separator: " "),
        node.output.words, quantization.scale.shortText,
        node.hasAccumulators ? "raw" : "\(quantization.zeroPoint)",
        "\(quantization.low)…\(quantization.high)",
        parameters == 0 ? "" : DecimalText.grouped(parameters),
        shape.map { DecimalText.grouped($0.multiplyCount) } ?? "",
      ])
      list.append([
        "name": .string(name), "kind": .string(node.operation.words),
        "inputs": .array(reads.map { JSONOutput($0) }), "output": .string(node.output.words),
        "scale": .string(quantization.scale.decimalText),
        "zeroPoint": JSONOutput(quantization.zeroPoint), "low": JSONOutput(quantization.low),
        "high": JSONOutput(quantization.high), "perChannel": .bool(node.scalesPerChannel),
        "accumulators": .bool(node.hasAccumulators), "parameters": JSONOutput(parameters),
        "macs": JSONOutput(shape?.multiplyCount ?? 0),
      ])
    }
    tables.append(table)
    members.append(("nodes", .array(list)))
  }
}
