import Foundation
import Importers
import Kernels
import Tally

/// What a model's integers stand for, computed in Double without rounding: the real network whose
/// gradient the integers approximate.
final class DequantizedNetwork {
  private let model: ModelBuilder
  /// The function of a table node, by name.
  private let functions: [String: (Double) -> Double]
  private(set) var weights: [[Double]]
  private(set) var biases: [[Double]]

  init(_ model: ModelBuilder, functions: [String: (Double) -> Double]) {
    self.model = model
    self.functions = functions
    weights = model.nodes.map { node in
      let depth = node.biases.isEmpty ? 1 : node.weights.count / node.biases.count
      return node.weights.enumerated().map {
        Double($1) * value(node.weightScales[node.weightScales.count == 1 ? 0 : $0 / depth])
      }
    }
    biases = model.nodes.map { node in
      let input = node.inputs[0]
      let scale =
        input == 0 ? model.inputQuantization.scale : model.nodes[input - 1].quantization.scale
      return node.biases.enumerated().map {
        Double($1) * value(scale) * value(node.weightScales[node.weightScales.count == 1 ? 0 : $0])
      }
    }
  }

  /// Real values of int8 inputs.
  func real(_ input: [Int8]) -> [Double] {
    let quantization = model.inputQuantization
    let unit = value(quantization.scale)
    return input.map { unit * Double(Int32($0) - quantization.zeroPoint) }
  }

  /// All tensors of one sample.
  func run(_ input: [Double]) -> [[Double]] {
    var tensors = [input]
    for index in model.nodes.indices { tensors.append(evaluate(index, tensors)) }
    return tensors
  }

  /// dL/dp by central differences for some elements of a node's weights or biases, L the mean
  /// cross-entropy over samples.
  ///
  /// - Parameter runs: of every sample, with the parameters as they are.
  func gradient(
    node: Int, ofBiases: Bool, elements: [Int], _ runs: [[[Double]]], labels: [Int]
  ) -> [Double] {
    let parameters = ofBiases ? biases[node] : weights[node]
    let size = parameters.reduce(0) { max($0, abs($1)) } + 1e-3
    let step = size * 1e-5
    return elements.map { element in
      var losses: [Double] = []
      for sign in [1.0, -1.0] {
        let value = parameters[element] + sign * step
        if ofBiases { biases[node][element] = value } else { weights[node][element] = value }
        losses.append(loss(runs, labels, from: node))
      }
      if ofBiases {
        biases[node][element] = parameters[element]
      } else {
        weights[node][element] = parameters[element]
      }
      return (losses[0] - losses[1]) / (2 * step)
    }
  }

  /// Mean loss with the nodes from `first` on computed again.
  private func loss(_ runs: [[[Double]]], _ labels: [Int], from first: Int) -> Double {
    var sum = 0.0
    for (run, label) in zip(runs, labels) {
      var tensors = Array(run[0...first])
      for index in first..<model.nodes.count { tensors.append(evaluate(index, tensors)) }
      sum += crossEntropy(tensors[tensors.count - 1], label)
    }
    return sum / Double(runs.count)
  }

  // MARK: - Operations

  private func shape(_ tensor: Int) -> Shape {
    tensor == 0 ? model.inputShape : model.nodes[tensor - 1].output
  }

  private func evaluate(_ index: Int, _ tensors: [[Double]]) -> [Double] {
    let node = model.nodes[index]
    let x = tensors[node.inputs[0]]
    let input = shape(node.inputs[0])
    var result: [Double]
    switch node.operation {
    case .convolution(let convolution): result = convolve(index, convolution, x)
    case .fullyConnected(let layer):
      result = (0..<layer.output.channels).map { output in
        var sum = biases[index][output]
        for k in 0..<x.count { sum += weights[index][output * x.count + k] * x[k] }
        return sum
      }
    case .maxPooling(let pooling):
      return pool(pooling.geometry, input, node.output, x) { $0.max() ?? 0 }
    case .averagePooling(let pooling):
      let area = Double(pooling.geometry.kernelHeight * pooling.geometry.kernelWidth)
      result = pool(pooling.geometry, input, node.output, x) {
        $0.reduce(0, +) / (pooling.countsPadding ? area : Double($0.count))
      }
    case .add: result = zip(x, tensors[node.inputs[1]]).map { $0 + $1 }
    case .multiply:
      let y = tensors[node.inputs[1]]
      result = x.indices.map { x[$0] * y[y.count == x.count ? $0 : $0 % y.count] }
    case .concatenate:
      let y = tensors[node.inputs[1]]
      let (a, b) = (input.channels, node.output.channels - input.channels)
      result = (0..<node.output.count).map { element in
        let (position, channel) = (element / (a + b), element % (a + b))
        return channel < a ? x[position * a + channel] : y[position * b + channel - a]
      }
    case .table: return x.map(functions[node.name]!)
    case .rescale: result = x
    case .slicePad(let slice): return cut(slice, input, node.output, x)
    case .upsample(let upsampling):
      return elements(node.output) { row, column, channel in
        let source = row / upsampling.rows * input.width + column / upsampling.columns
        return x[source * input.channels + channel]
      }
    }
    if node.hasAccumulators { return result }
    let quantization = node.quantization
    let low = value(quantization.scale) * Double(quantization.low - quantization.zeroPoint)
    let high = value(quantization.scale) * Double(quantization.high - quantization.zeroPoint)
    for element in result.indices { result[element] = min(max(result[element], low), high) }
    return result
  }

  private func elements(_ shape: Shape, _ element: (Int, Int, Int) -> Double) -> [Double] {
    var result: [Double] = []
    result.reserveCapacity(shape.count)
    for row in 0..<shape.height {
      for column in 0..<shape.width {
        for channel in 0..<shape.channels { result.append(element(row, column, channel)) }
      }
    }
    return result
  }

  private func convolve(_ index: Int, _ shape: Convolution, _ x: [Double]) -> [Double] {
    let (geometry, input) = (shape.geometry, shape.input)
    let inputs = input.channels / shape.groups
    let outputs = shape.output.channels / shape.groups
    let weights = self.weights[index]
    return elements(shape.output) { row, column, output in
      var sum = biases[index][output]
      let first = output / outputs * inputs
      for u in 0..<geometry.kernelHeight {
        let y = row * geometry.strideHeight - geometry.padTop + u * geometry.dilationHeight
        guard y >= 0, y < input.height else { continue }
        for v in 0..<geometry.kernelWidth {
          let z = column * geometry.strideWidth - geometry.padLeft + v * geometry.dilationWidth
          guard z >= 0, z < input.width else { continue }
          let w = ((output * geometry.kernelHeight + u) * geometry.kernelWidth + v) * inputs
          let base = (y * input.width + z) * input.channels + first
          for i in 0..<inputs { sum += weights[w + i] * x[base + i] }
        }
      }
      return sum
    }
  }

  private func pool(
    _ geometry: WindowGeometry, _ input: Shape, _ output: Shape, _ x: [Double],
    _ combine: ([Double]) -> Double
  ) -> [Double] {
    elements(output) { row, column, channel in
      var window: [Double] = []
      for u in 0..<geometry.kernelHeight {
        let y = row * geometry.strideHeight - geometry.padTop + u
        guard y >= 0, y < input.height else { continue }
        for v in 0..<geometry.kernelWidth {
          let z = column * geometry.strideWidth - geometry.padLeft + v
          guard z >= 0, z < input.width else { continue }
          window.append(x[(y * input.width + z) * input.channels + channel])
        }
      }
      return combine(window)
    }
  }

  private func cut(
    _ slice: Kernels.SlicePad, _ input: Shape, _ output: Shape, _ x: [Double]
  ) -> [Double] {
    func source(_ axis: Kernels.SlicePad.Axis, _ position: Int, _ size: Int) -> Int? {
      guard position >= axis.before else { return nil }
      let found = axis.start + axis.step * (position - axis.before)
      return found < size ? found : nil
    }
    return elements(output) { row, column, channel in
      guard let y = source(slice.rows, row, input.height),
        let z = source(slice.columns, column, input.width),
        let c = source(slice.channels, channel, input.channels)
      else { return 0 }
      return x[(y * input.width + z) * input.channels + c]
    }
  }
}

/// −log of the softmax probability of `label`.
private func crossEntropy(_ logits: [Double], _ label: Int) -> Double {
  let top = logits.max() ?? 0
  var sum = 0.0
  for logit in logits { sum += exp(logit - top) }
  return log(sum) - (logits[label] - top)
}

func value(_ scale: Scale) -> Double {
  Double(sign: .plus, exponent: Int(scale.exponent) - 31, significand: Double(scale.mantissa))
}
