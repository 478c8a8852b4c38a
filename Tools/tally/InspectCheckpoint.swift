import Importers
import TallyHost

extension Inspection {
  /// An ONNX model: what it says of itself, its operators, and whether it converts.
  init(onnxAt path: String) throws(InputError) {
    let model = try ONNXModel(contentsOf: path)
    self.init(format: "ONNX")
    let producer = [model.producerName, model.producerVersion].filter { !$0.isEmpty }
    add("made by", producer.joined(separator: " "), "producer")
    add("IR version", "\(model.irVersion)", "irVersion", .integer(model.irVersion))
    add(
      "opset", model.opset.map { "\($0)" } ?? "none", "opset",
      model.opset.map { .integer($0) } ?? .null)
    let initializers = Set(model.graph.initializers.map(\.name))
    addValues("input", "inputs", model.graph.inputs.filter { !initializers.contains($0.name) })
    addValues("output", "outputs", model.graph.outputs)
    add(
      "initialisers", "\(model.graph.initializers.count)", "initializers",
      JSONOutput(model.graph.initializers.count))
    let external = model.graph.initializers.filter { $0.external != nil }.count
    if external > 0 {
      add("external data", "\(external) initialisers", "externalInitializers", JSONOutput(external))
    }
    var table = TextTable(["operator", "count"])
    for (name, count) in model.operatorCounts { table.add([name, "\(count)"]) }
    tables.append(table)
    members.append(
      (
        "operators",
        .object(model.operatorCounts.map { (key: $0.name, value: JSONOutput($0.count)) })
      ))
    addConversion(model)
  }

  private mutating func addValues(_ name: String, _ key: String, _ values: [ONNXValueInfo]) {
    let texts = values.map { value in
      let sizes = value.dimensions?.map { dimension in
        switch dimension {
        case .size(let size): "\(size)"
        case .symbol(let name): name.isEmpty ? "?" : name
        }
      }
      return "\(value.name) [\(sizes?.joined(separator: ", ") ?? "?")]"
    }
    facts.append((name, texts.joined(separator: "; ")))
    members.append((key, .array(texts.map { .string($0) })))
  }

  private mutating func addConversion(_ model: ONNXModel) {
    do throws(InputError) {
      let network = try FloatNetwork(importing: model)
      let parameters = network.parameterCount
      add(
        "converts",
        "yes: \(network.nodes.count) layers, \(DecimalText.grouped(parameters)) parameters",
        "converts", true)
      members.append(("parameters", JSONOutput(parameters)))
      for warning in network.warnings { add("warning", warning.message, "warning") }
    } catch {
      add("converts", "no: \(error.message)", "converts", false)
      members.append(("blockedBy", .string(error.description)))
      var table = TextTable(["what stands in the way"])
      for line in error.description.split(separator: "\n") { table.add([String(line)]) }
      tables.append(table)
    }
  }

  /// Weights by name.
  init(safetensors file: Safetensors) throws(InputError) {
    self.init(format: "safetensors")
    var table = TextTable(["tensor", "type", "shape", "elements"], words: [0, 1, 2])
    var list: [JSONOutput] = []
    var total = 0
    for tensor in file.tensors {
      let count = tensor.shape.reduce(1, *)
      total += count
      table.add([
        tensor.name, tensor.type.rawValue, Inspection.shape(tensor.shape),
        DecimalText.grouped(count),
      ])
      list.append([
        "name": .string(tensor.name), "type": .string(tensor.type.rawValue),
        "shape": .array(tensor.shape.map { JSONOutput($0) }),
      ])
    }
    add("tensors", "\(file.tensors.count)", "tensorCount", JSONOutput(file.tensors.count))
    add("elements", DecimalText.grouped(total), "elements", JSONOutput(total))
    for (key, value) in file.metadata { facts.append((key, value)) }
    members.append(
      ("metadata", .object(file.metadata.map { (key: $0.key, value: .string($0.value)) })))
    members.append(("tensors", .array(list)))
    tables.append(table)
    facts.append(("graph", "none: convert with --network NETWORK.json"))
  }

  static func shape(_ sizes: [Int]) -> String {
    "[\(sizes.map(String.init).joined(separator: ", "))]"
  }
}
