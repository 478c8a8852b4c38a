public import Importers
import Tally

extension ModelBuilder {
  /// What a model file says; `bytes()` gives the same file again.
  public init(_ model: LoadedModel) {
    let network = model.network
    self.init(
      inputShape: network.inputShape, inputQuantization: network.inputQuantization,
      inputMaps: (0..<network.sections.mapCount).map {
        let map = network.inputMap($0)
        return InputMap(scale: map.scale, isNegative: map.isNegative, offset: map.offset)
      })
    isInitialized = network.isInitialized
    readsChannelsFirst = network.readsChannelsFirst
    classNames = model.classNames
    nodes = model.nodes.map { node in
      let name = network.name(of: node)
      var entry = Node(
        name: String(decoding: (0..<name.count).map { name[$0] }, as: UTF8.self),
        operation: node.operation,
        inputs: [node.firstInput] + (node.secondInput.map { [$0] } ?? []), output: node.output,
        quantization: node.quantization, hasAccumulators: node.hasAccumulators)
      if node.operation.weighted != nil {
        let (weights, biases) = (network.weights(of: node), network.biases(of: node))
        entry.weights = (0..<weights.count).map { weights[$0] }
        entry.biases = (0..<biases.count).map { biases[$0] }
        entry.weightScales = (0..<node.scaleCount).map { network.weightScale(of: node, $0) }
      }
      if case .table = node.operation {
        let table = network.table(of: node)
        entry.table = (
          (0..<table.values.count).map { table.values[$0] },
          (0..<table.slopes.count).map { table.slopes[$0] }
        )
      }
      return entry
    }
  }
}
