/// Which float nodes become which integer nodes: the network without softmax and dead ends, and with
/// clamps found that cost nothing because the node before them clamps anyway (SPEC 6, `place`).
struct ConversionPlan {
  /// One node of the integer network to be.
  struct Node {
    /// The float node it computes.
    var index: Int
    /// The float tensor it gives: the node's own, or that of the activation fused into it.
    var tensor: Int
    /// Real bounds of the fused activation; infinite where there is none.
    var low = -Float.infinity
    var high = Float.infinity

    var isClamped: Bool { low > -.infinity || high < .infinity }
  }

  let network: FloatNetwork
  /// In the order of the float network; the last gives the output.
  let nodes: [Node]

  /// - Throws: TLY0304 and TLY0605 for what has no integer form.
  init(_ network: FloatNetwork) throws(InputError) {
    let network = network.withoutSoftmax().withoutUnused().withClampsBeforeMoves()
    self.network = network
    guard network.output > 0 else {
      throw .limit("the network has no layers", place: network.outputName)
    }
    let readers = network.readers
    var isFused = [Bool](repeating: false, count: network.nodes.count)
    var nodes: [Node] = []
    for (index, node) in network.nodes.enumerated() where !isFused[index] {
      var planned = Node(index: index, tensor: index + 1)
      if node.operation.canClamp, index + 1 != network.output, readers[index + 1].count == 1,
        case let reader = readers[index + 1][0],
        let bounds = network.nodes[reader].operation.bounds
      {
        isFused[reader] = true
        planned.tensor = reader + 1
        (planned.low, planned.high) = bounds
      }
      nodes.append(planned)
    }
    self.nodes = nodes
  }
}

extension FloatOperation {
  /// Whether the integer operation ends in a clamp to stated bounds.
  var canClamp: Bool {
    switch self {
    case .convolution, .fullyConnected, .add, .multiply, .concatenate: true
    // A table holds clamped values as well as others; a clamp of a clamp is a node of its own.
    case .activation(let kind): !kind.isClamp
    case .maxPool, .averagePool, .slicePad, .upsample, .softmax, .logSoftmax: false
    }
  }

  /// The bounds of a clamp, or nil for everything else.
  var bounds: (low: Float, high: Float)? {
    switch self {
    case .activation(.relu): (0, .infinity)
    case .activation(.clip(let low, let high)): (low, high)
    default: nil
    }
  }

  /// Whether it only moves values (and zeros): a clamp before it gives what one after it gives.
  var movesValues: Bool {
    switch self {
    case .maxPool, .slicePad, .upsample: true
    default: false
    }
  }
}

extension FloatNetwork {
  /// The nodes that read each tensor, once per slot.
  var readers: [[Int]] {
    var readers = [[Int]](repeating: [], count: nodes.count + 1)
    for (index, node) in nodes.enumerated() {
      for input in node.inputs { readers[input].append(index) }
    }
    return readers
  }

  /// Softmax at the end changes neither the answer nor what training needs: the loss has its own.
  fileprivate func withoutSoftmax() -> FloatNetwork {
    var result = self
    while result.output > 0 {
      switch result.nodes[result.output - 1].operation {
      case .softmax, .logSoftmax: result.output = result.nodes[result.output - 1].inputs[0]
      default: return result
      }
    }
    return result
  }

  /// Only what the output needs; the output's node comes last.
  func withoutUnused() -> FloatNetwork {
    var isUsed = [Bool](repeating: false, count: nodes.count + 1)
    isUsed[output] = true
    for index in nodes.indices.reversed() where isUsed[index + 1] {
      for input in nodes[index].inputs { isUsed[input] = true }
    }
    var number = [Int](repeating: 0, count: nodes.count + 1)
    var kept: [FloatNode] = []
    for (index, node) in nodes.enumerated() where isUsed[index + 1] {
      var node = node
      node.inputs = node.inputs.map { number[$0] }
      kept.append(node)
      number[index + 1] = kept.count
    }
    var result = self
    result.nodes = kept
    result.output = number[output]
    return result
  }

  /// relu(pool(conv(x))) becomes pool(relu(conv(x))), which is the same and lets the convolution
  /// clamp: its output then spends no bit on a sign.
  fileprivate func withClampsBeforeMoves() -> FloatNetwork {
    var result = self
    var hasChanged = true
    while hasChanged {
      hasChanged = false
      let readers = result.readers
      for (index, node) in result.nodes.enumerated() {
        guard let bounds = node.operation.bounds, bounds.low <= 0, bounds.high >= 0,
          node.quantization == nil, case let moved = node.inputs[0], moved > 0,
          case var move = result.nodes[moved - 1], move.operation.movesValues,
          move.quantization == nil, readers[moved].count == 1, moved != result.output,
          case let source = move.inputs[0], source > 0, readers[source].count == 1,
          result.nodes[source - 1].operation.canClamp
            || result.nodes[source - 1].operation.movesValues
        else { continue }
        var clamp = node
        clamp.inputs = [source]
        clamp.shape = result.shape(of: source)
        move.inputs = [moved]
        move.shape = node.shape
        result.nodes[moved - 1] = clamp
        result.nodes[index] = move
        hasChanged = true
        break
      }
    }
    return result
  }
}

extension InputError {
  /// A bound of SPEC 5.6 or of the file format.
  static func limit(_ what: String, place: String, note: String? = nil, help: String? = nil)
    -> InputError
  {
    InputError(605, what, place: place, note: note, help: help, exit: 4)
  }
}
