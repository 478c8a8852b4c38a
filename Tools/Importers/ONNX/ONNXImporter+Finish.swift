extension ONNXImporter {
  /// Simplifies what was read and turns it into the network.
  mutating func finish() throws(InputError) -> FloatNetwork {
    guard let value = values[outputName] else {
      throw graphError("nothing makes the output '\(outputName)'")
    }
    if case .constant = value {
      throw graphError("the output '\(outputName)' does not depend on the input")
    }
    guard case .activation(let view) = value, blockers.isEmpty else {
      noteUnrecognized(reachable(from: roots))
      guard let error = blockingError() else {
        throw graphError("the output '\(outputName)' cannot be computed")
      }
      throw error
    }
    var output = view.tensor
    let outputShape = graph.shape(of: output)
    graph.removeUnused(output: &output)
    graph.foldAffinesBackward(output: &output)
    graph.removeUnused(output: &output)
    let inputAffine = graph.takeInputAffine()
    graph.removeUnused(output: &output)
    graph.resolveRearrangements()
    graph.foldAffinesBackward(output: &output)
    graph.foldAffinesForward(output: &output)
    graph.removeUnused(output: &output)
    graph.mergeBoundsAndSlices(output: &output)
    graph.removeUnused(output: &output)
    graph.foldPaddingIntoWindows(output: output)
    graph.removeUnused(output: &output)
    graph.turnAffinesIntoLayers()
    let inputLayout = layout(of: inputView, shape: graph.inputShape)
    let outputLayout = layout(of: view, shape: outputShape)
    if inputLayout == nil || outputLayout == nil {
      note(305, "the order of the output's axes is neither NCHW nor NHWC")
    }
    noteUnrecognized(Array(graph.nodes.indices))
    noteSoftmax(output)
    if let error = blockingError() { throw error }
    var network = FloatNetwork(
      inputShape: graph.inputShape, inputName: inputName,
      inputLayout: inputLayout ?? .nhwc,
      inputDimensions: inputDimensions, nodes: try networkNodes(output: output), output: output,
      outputName: outputName, outputLayout: outputLayout ?? .nhwc,
      warnings: warnings)
    network.inputAffine = inputAffine
    readProvenance(into: &network)
    return network
  }

  /// What blocked nodes read: the network as far as it goes.
  private var roots: [Int] {
    deadEnds
      + blockers.flatMap { model.graph.nodes[$0.node].inputs }.compactMap {
        if case .activation(let view)? = values[$0] { view.tensor } else { nil }
      }
  }

  private func reachable(from roots: [Int]) -> [Int] {
    var isUsed = [Bool](repeating: false, count: graph.nodes.count + 1)
    for root in roots { isUsed[root] = true }
    for index in graph.nodes.indices.reversed() where isUsed[index + 1] {
      for input in graph.nodes[index].inputs { isUsed[input] = true }
    }
    return graph.nodes.indices.filter { isUsed[$0 + 1] }
  }

  /// Parts of activations that turned out to be none, and data that would have to move.
  private mutating func noteUnrecognized(_ indices: [Int]) {
    for index in indices {
      let made = graph.nodes[index]
      nodeIndex = made.origin
      node = model.graph.nodes[made.origin]
      switch made.operation {
      case .elementwise:
        note(
          304, "not part of an activation Tally knows",
          help: Self.advice(for: node.operatorType)
            ?? "known are Relu, Clip, LeakyRelu, Sigmoid, Tanh, Gelu, SiLU, HardSigmoid, HardSwish")
      case .rearrange:
        note(
          305, "needs its input in another memory order than the layers before give it",
          help: "avoid transposing or reshaping between layers")
      case .affine(let scale, let offset) where max(scale.count, offset.count) > made.shape.channels:
        note(
          305, "one constant per element, not per channel",
          help: "use one value per channel, or put it next to a fully connected layer")
      case .affine, .network: break
      }
    }
  }

  private mutating func noteSoftmax(_ output: Int) {
    for (index, made) in graph.nodes.enumerated() where index + 1 != output {
      switch made.operation {
      case .network(.softmax), .network(.logSoftmax):
        nodeIndex = made.origin
        node = model.graph.nodes[made.origin]
        note(305, "before the end of the network", help: "Softmax is supported as the last layer")
      default: break
      }
    }
  }

  // MARK: - Nodes of the network

  private mutating func networkNodes(output: Int) throws(InputError) -> [FloatNode] {
    let readers = graph.consumers()
    // An activation that alone reads a layer shares the layer's integers.
    var quantizations = (0...graph.nodes.count).map { graph.quantization(of: $0) }
    for tensor in quantizations.indices.reversed() where quantizations[tensor] == nil {
      guard tensor != output, readers[tensor].count == 1,
        case .network(.activation(let kind)) = graph.nodes[readers[tensor][0]].operation
      else { continue }
      switch kind {
      case .relu, .clip: quantizations[tensor] = quantizations[readers[tensor][0] + 1]
      default: break
      }
    }
    var names: Set<String> = []
    var result: [FloatNode] = []
    for (index, made) in graph.nodes.enumerated() {
      guard case .network(let operation) = made.operation else {
        throw graphError("internal: node '\(made.name)' was not resolved", exit: 101)
      }
      try checkFinite(operation, made.name)
      var name = made.name
      var number = 2
      while !names.insert(name).inserted {
        name = "\(made.name)#\(number)"
        number += 1
      }
      result.append(
        FloatNode(
          name: name, inputs: made.inputs, operation: operation, shape: made.shape,
          quantization: quantization(
            made, operation, inputs: made.inputs.map { quantizations[$0] },
            output: quantizations[index + 1])))
    }
    return result
  }

  /// Folding can leave the range of float32 even if every weight of the file is in it.
  private func checkFinite(_ operation: FloatOperation, _ name: String) throws(InputError) {
    let lists: [[Float]] =
      switch operation {
      case .convolution(_, _, _, let weights, let bias): [weights, bias]
      case .fullyConnected(_, let weights, let bias): [weights, bias]
      default: []
      }
    for list in lists {
      guard let index = list.firstIndex(where: { !$0.isFinite }) else { continue }
      throw InputError(
        601, "folding constants into a layer gives \(list[index])",
        place: "layer '\(name)' element \(index)",
        help: "look for huge or tiny normalisation constants", exit: 3)
    }
  }

  private mutating func quantization(
    _ made: ImportGraph.Node, _ operation: FloatOperation,
    inputs: [ActivationQuantization?], output: ActivationQuantization?
  ) -> ImportedQuantization? {
    guard output != nil || inputs.contains(where: { $0 != nil }) else { return nil }
    guard operation.hasWeights else {
      return ImportedQuantization(inputs: inputs, output: output)
    }
    guard let integers = made.weightIntegers else { return nil }
    let bias: [Float]
    switch operation {
    case .convolution(_, _, _, _, let values): bias = values
    case .fullyConnected(_, _, let values): bias = values
    default: bias = []
    }
    guard let inputScale = inputs[0]?.scale else { return nil }
    var rounded = integers.bias ?? []
    if rounded.isEmpty {
      for (channel, value) in bias.enumerated() {
        let scale = integers.scales[integers.scales.count == 1 ? 0 : channel]
        let unit = Double(inputScale) * Double(scale)
        guard let integer = Int32(exactly: (Double(value) / unit).rounded(.toNearestOrEven)) else {
          node = model.graph.nodes[made.origin]
          warn(312, "a bias does not fit 32 bits in its scale; the layer is calibrated instead")
          return nil
        }
        rounded.append(integer)
      }
    }
    return ImportedQuantization(
      inputs: inputs, output: output, weightScales: integers.scales,
      exactWeightScales: integers.exactScales, weights: integers.values, bias: rounded)
  }
}
