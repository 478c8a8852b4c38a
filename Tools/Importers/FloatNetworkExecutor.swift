import Tally

/// Runs a `FloatNetwork` in float32: the reference that a conversion is measured against.
///
/// Every sum is taken in one order, products are not fused into it, and no function of the C
/// library is called, so the numbers are the same on every machine.
public struct FloatExecutor: Sendable {
  public let network: FloatNetwork
  private let layers: [PackedWeights?]
  /// Index of the last node that reads each tensor.
  private let lastReader: [Int]

  public init(_ network: FloatNetwork) {
    self.network = network
    layers = network.nodes.map { PackedWeights($0.operation) }
    var lastReader = [Int](repeating: -1, count: network.nodes.count + 1)
    for (index, node) in network.nodes.enumerated() {
      for input in node.inputs { lastReader[input] = index }
    }
    lastReader[network.output] = network.nodes.count
    self.lastReader = lastReader
  }

  /// Runs `count` samples.
  ///
  /// - Parameters:
  ///   - input: [count, height, width, channels].
  ///   - observe: Called with every tensor's number and its values, [count, height, width,
  ///     channels], in the order of the numbers, the input first.
  /// - Returns: [count] + the shape of the output.
  public func run(
    _ input: [Float], count: Int = 1, observe: ((_ tensor: Int, _ values: [Float]) -> Void)? = nil
  ) -> [Float] {
    precondition(input.count == count * network.inputShape.count, "input has the wrong size")
    var tensors = [[Float]](repeating: [], count: network.nodes.count + 1)
    tensors[0] =
      network.inputAffine?.apply(input, channels: network.inputShape.channels) ?? input
    observe?(0, tensors[0])
    for (index, node) in network.nodes.enumerated() {
      tensors[index + 1] = evaluate(index, tensors, count)
      observe?(index + 1, tensors[index + 1])
      for input in node.inputs where lastReader[input] == index { tensors[input] = [] }
      if lastReader[index + 1] < 0 { tensors[index + 1] = [] }
    }
    return tensors[network.output]
  }

  private func evaluate(_ index: Int, _ tensors: [[Float]], _ count: Int) -> [Float] {
    let node = network.nodes[index]
    let x = tensors[node.inputs[0]]
    let shape = network.shape(of: node.inputs[0])
    var result = [Float](repeating: 0, count: count * node.shape.count)
    switch node.operation {
    case .convolution(let geometry, let groups, _, _, _):
      layers[index]?.convolve(
        x, shape, into: &result, node.shape, geometry: geometry, groups: groups, count: count)
    case .fullyConnected(let outputs, _, _):
      layers[index]?.multiply(x, rows: count, into: &result, columns: outputs)
    case .maxPool(let geometry):
      pool(x, shape, into: &result, node.shape, geometry, count, from: -.infinity) {
        sum, value in
        value > sum ? value : sum
      } finish: { value, _ in
        value
      }
    case .averagePool(let geometry, let countsPadding):
      let area = geometry.kernelHeight * geometry.kernelWidth
      pool(x, shape, into: &result, node.shape, geometry, count, from: 0) {
        $0 + $1
      } finish: {
        $0 / Float(countsPadding ? area : max($1, 1))
      }
    case .add:
      let y = tensors[node.inputs[1]]
      for position in result.indices { result[position] = x[position] + y[position] }
    case .multiply:
      let y = tensors[node.inputs[1]]
      multiply(x, shape, y, network.shape(of: node.inputs[1]), into: &result, count)
    case .concatenate: concatenate(node, tensors, into: &result, count)
    case .activation(let kind): apply(kind, to: x, into: &result)
    case .slicePad(let slice): cut(x, shape, into: &result, slice, count)
    case .upsample(let factorHeight, let factorWidth):
      upsample(x, shape, into: &result, factorHeight, factorWidth, count)
    case .softmax: softmax(x, shape.count, into: &result, isLog: false)
    case .logSoftmax: softmax(x, shape.count, into: &result, isLog: true)
    }
    return result
  }

  private func pool(
    _ x: [Float], _ shape: TensorShape, into result: inout [Float], _ output: TensorShape,
    _ geometry: WindowGeometry, _ count: Int, from start: Float,
    combine: (Float, Float) -> Float, finish: (Float, Int) -> Float
  ) {
    let channels = shape.channels
    var sums = [Float](repeating: start, count: channels)
    for sample in 0..<count {
      for row in 0..<output.height {
        for column in 0..<output.width {
          for channel in 0..<channels { sums[channel] = start }
          var elements = 0
          for y in 0..<geometry.kernelHeight {
            let inputRow =
              row * geometry.strideHeight - geometry.padTop + y * geometry.dilationHeight
            guard inputRow >= 0, inputRow < shape.height else { continue }
            for x0 in 0..<geometry.kernelWidth {
              let inputColumn =
                column * geometry.strideWidth - geometry.padLeft + x0 * geometry.dilationWidth
              guard inputColumn >= 0, inputColumn < shape.width else { continue }
              elements += 1
              let base = ((sample * shape.height + inputRow) * shape.width + inputColumn) * channels
              for channel in 0..<channels {
                sums[channel] = combine(sums[channel], x[base + channel])
              }
            }
          }
          let base = ((sample * output.height + row) * output.width + column) * channels
          for channel in 0..<channels { result[base + channel] = finish(sums[channel], elements) }
        }
      }
    }
  }

  private func multiply(
    _ x: [Float], _ shape: TensorShape, _ y: [Float], _ other: TensorShape,
    into result: inout [Float], _ count: Int
  ) {
    if other == shape {
      for position in result.indices { result[position] = x[position] * y[position] }
      return
    }
    for sample in 0..<count {
      for position in 0..<shape.count {
        let gate = y[sample * shape.channels + position % shape.channels]
        result[sample * shape.count + position] = x[sample * shape.count + position] * gate
      }
    }
  }

  private func concatenate(
    _ node: FloatNode, _ tensors: [[Float]], into result: inout [Float], _ count: Int
  ) {
    var first = 0
    for input in node.inputs {
      let channels = network.shape(of: input).channels
      for position in 0..<count * node.shape.height * node.shape.width {
        for channel in 0..<channels {
          result[position * node.shape.channels + first + channel] =
            tensors[input][position * channels + channel]
        }
      }
      first += channels
    }
  }

  private func apply(_ kind: ActivationKind, to x: [Float], into result: inout [Float]) {
    switch kind {
    case .relu: for position in x.indices { result[position] = x[position] < 0 ? 0 : x[position] }
    case .clip(let low, let high):
      for position in x.indices { result[position] = min(max(x[position], low), high) }
    case .leakyRelu(let alpha):
      for position in x.indices {
        result[position] = x[position] < 0 ? alpha * x[position] : x[position]
      }
    default:
      for position in x.indices { result[position] = Float(kind(Double(x[position]))) }
    }
  }

  private func cut(
    _ x: [Float], _ shape: TensorShape, into result: inout [Float], _ slice: SlicePad, _ count: Int
  ) {
    let output = slice.outputShape
    func source(_ axis: SlicePad.Axis, _ index: Int) -> Int {
      axis.start + axis.stride * index
    }
    for sample in 0..<count {
      for row in 0..<slice.height.count {
        for column in 0..<slice.width.count {
          let from =
            ((sample * shape.height + source(slice.height, row)) * shape.width
              + source(slice.width, column)) * shape.channels
          let to =
            ((sample * output.height + row + slice.height.padBefore) * output.width + column
              + slice.width.padBefore) * output.channels + slice.channels.padBefore
          for channel in 0..<slice.channels.count {
            result[to + channel] = x[from + source(slice.channels, channel)]
          }
        }
      }
    }
  }

  private func upsample(
    _ x: [Float], _ shape: TensorShape, into result: inout [Float], _ factorHeight: Int,
    _ factorWidth: Int, _ count: Int
  ) {
    let height = shape.height * factorHeight
    let width = shape.width * factorWidth
    for sample in 0..<count {
      for row in 0..<height {
        for column in 0..<width {
          let from =
            ((sample * shape.height + row / factorHeight) * shape.width + column / factorWidth)
            * shape.channels
          let to = ((sample * height + row) * width + column) * shape.channels
          for channel in 0..<shape.channels { result[to + channel] = x[from + channel] }
        }
      }
    }
  }

  private func softmax(
    _ x: [Float], _ classes: Int, into result: inout [Float], isLog: Bool
  ) {
    for start in stride(from: 0, to: x.count, by: classes) {
      let logits = x[start..<start + classes].map(Double.init)
      let top = logits.max() ?? 0
      let sum = logits.reduce(0) { $0 + DeterministicMath.exp($1 - top) }
      for (index, logit) in logits.enumerated() {
        result[start + index] = Float(
          isLog
            ? logit - top - DeterministicMath.log(sum) : DeterministicMath.exp(logit - top) / sum)
      }
    }
  }
}
