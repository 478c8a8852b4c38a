public import Tally

extension ModelBuilder {
  /// What a model file says, taken out of it; `bytes()` gives the same file again.
  public init(_ network: Network) {
    let maps = (0..<network.sections.mapCount).map { index in
      let (scale, isNegative, offset) = network.inputMap(index)
      return InputMap(scale: scale, isNegative: isNegative, offset: offset)
    }
    self.init(
      inputShape: network.inputShape, inputQuantization: network.inputQuantization,
      inputMaps: maps)
    isInitialized = network.isInitialized
    readsChannelsFirst = network.readsChannelsFirst
    classNames = Self.classNames(network)
    for index in 0..<network.nodeCount {
      let node = network.node(index)
      var read = Node(
        name: Self.text(network.name(ofNode: index)), operation: node.operation,
        inputs: [node.firstInput] + (node.secondInput.map { [$0] } ?? []), output: node.output,
        quantization: node.quantization, hasAccumulators: node.hasAccumulators)
      if node.operation.weighted != nil {
        read.weights = Self.array(network.weights(of: node))
        read.biases = Self.array(network.biases(of: node))
        read.weightScales = (0..<node.scaleCount).map { network.weightScale(of: node, $0) }
      }
      if case .table = node.operation {
        let table = network.table(of: node)
        read.table = (Self.array(table.values), Self.array(table.slopes))
      }
      nodes.append(read)
    }
  }

  private static func array<Element: BitwiseCopyable>(_ view: View<Element>) -> [Element] {
    (0..<view.count).map { view[$0] }
  }

  private static func text(_ view: View<UInt8>) -> String {
    String(decoding: array(view), as: UTF8.self)
  }

  private static func classNames(_ network: Network) -> [String] {
    var names: [String] = []
    var offset = network.sections.classes
    for _ in 0..<network.sections.classCount {
      let length = network.view(offset, 4, of: UInt8.self)
      let count = (0..<4).reduce(0) { $0 | Int(length[$1]) << (8 * $1) }
      names.append(text(network.view(offset + 4, count, of: UInt8.self)))
      offset += 4 + count
    }
    return names
  }

  /// A name for every node: its own, with `#2`, `#3` … where it is not the first to bear it.
  var distinctNames: [String] {
    var taken: Set<String> = []
    return nodes.enumerated().map { index, node in
      let stem = node.name.isEmpty ? "node \(index + 1)" : node.name
      var name = stem
      var number = 2
      while !taken.insert(name).inserted {
        name = "\(stem)#\(number)"
        number += 1
      }
      return name
    }
  }
}
