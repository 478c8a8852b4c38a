import Kernels
import Layers
import Tally
import Tensors
import Training

// Elements of forward passes (SPEC 6.1, 6.2, 6.5, 6.6, 6.8, 6.9).

extension Deriver {
  /// - Parameter index: the node.
  func output(_ index: Int, _ element: Int) -> Derivation? {
    guard index >= 0 else { return nil }
    let node = network.node(index)
    switch node.operation {
    case .convolution(let shape), .fullyConnected(let shape):
      return weighted(index, node, shape, element)
    case .add: return sum(index, node, element)
    case .multiply: return product(index, node, element)
    case .rescale: return rescaled(index, node, element)
    case .table:
      guard let x = values(node.firstInput) else { return nil }
      let value = trace.value(x, element)
      let result = Int64(network.table(of: node).values[Int(value) + 128])
      return Derivation(value: result, lines: ["table[\(value)] = \(result)   (SPEC 6.8)"])
    case .maxPooling(let pooling): return largest(pooling, node, element)
    case .averagePooling(let pooling): return average(pooling, index, node, element)
    case .concatenate: return joined(index, node, element)
    case .slicePad(let slice): return sliced(slice, node, element)
    case .upsample(let upsampling): return copied(upsampling, node, element)
    }
  }

  /// acc = Σ w·(x − Z) + b, requantized and placed.
  private func weighted(
    _ index: Int, _ node: Node, _ shape: Convolution, _ element: Int
  ) -> Derivation? {
    guard let x = values(node.firstInput) else { return nil }
    let channels = shape.output.channels
    let (position, o) = ((element % node.output.count) / channels, element % channels)
    let sample = element / node.output.count
    var sum: Int64 = 0
    var count = 0
    forEachProduct(shape, position: position, output: o) { weight, input in
      sum +=
        self.weight(index, weight)
        * (Int64(trace.value(x, sample * shape.input.count + input)) - zeroPoint(node.firstInput))
      count += 1
    }
    let accumulator = sum + bias(index, o)
    // No run makes another; a forged trace may.
    guard Int32(exactly: accumulator) != nil else { return nil }
    var lines = [
      "accumulator  Σ w·(x − Z) over \(count) products = \(sum), + b \(bias(index, o)) = "
        + "\(accumulator)   (SPEC 6.1)"
    ]
    if node.hasAccumulators { return Derivation(value: accumulator, lines: lines) }
    let multiplier =
      (scale(node.firstInput) * weightScale(index, o) / scale(index + 1)).multiplier
    let rounded = requantized(accumulator, multiplier, "S_x·S_w/S_y", &lines)
    return place(rounded, index, lines)
  }

  /// Calls `body` with the weight and the input element of each product of an output element.
  func forEachProduct(
    _ shape: Convolution, position: Int, output o: Int,
    _ body: (_ weight: Int, _ input: Int) -> Void
  ) {
    let geometry = shape.geometry
    let (row, column) = (position / shape.output.width, position % shape.output.width)
    let firstInput = o / shape.outputsPerGroup * shape.inputsPerGroup
    for u in 0..<geometry.kernelHeight {
      let y = row * geometry.strideHeight - geometry.padTop + u * geometry.dilationHeight
      guard y >= 0 && y < shape.input.height else { continue }
      for v in 0..<geometry.kernelWidth {
        let x = column * geometry.strideWidth - geometry.padLeft + v * geometry.dilationWidth
        guard x >= 0 && x < shape.input.width else { continue }
        for i in 0..<shape.inputsPerGroup {
          body(
            o * shape.depth + (u * geometry.kernelWidth + v) * shape.inputsPerGroup + i,
            (y * shape.input.width + x) * shape.input.channels + firstInput + i)
        }
      }
    }
  }

  private func sum(_ index: Int, _ node: Node, _ element: Int) -> Derivation? {
    guard let second = node.secondInput, let x1 = values(node.firstInput), let x2 = values(second),
      let constants = AddConstants(
        scale(node.firstInput), scale(second), output: scale(index + 1))
    else { return nil }
    let a = Int64(trace.value(x1, element)) - zeroPoint(node.firstInput)
    let b = Int64(trace.value(x2, element)) - zeroPoint(second)
    let sum = a * Int64(constants.first) + b * Int64(constants.second)
    let rounded = Deriver.halfUp(sum, constants.fractionBits)
    return place(
      rounded, index,
      [
        "accumulator  \(a)·\(constants.first) + \(b)·\(constants.second) = \(sum)   (SPEC 6.5)",
        "rounded      (\(sum) + 2^\(constants.fractionBits - 1)) ≫ \(constants.fractionBits) = "
          + "\(rounded), half up",
      ])
  }

  private func product(_ index: Int, _ node: Node, _ element: Int) -> Derivation? {
    guard let second = node.secondInput, let x1 = values(node.firstInput), let x2 = values(second)
    else { return nil }
    let other = secondElement(element, node, network.shape(ofTensor: second).count)
    let a = Int64(trace.value(x1, element)) - zeroPoint(node.firstInput)
    let b = Int64(trace.value(x2, other)) - zeroPoint(second)
    var lines = ["accumulator  \(a)·\(b) = \(a * b)   (SPEC 6.6)"]
    let multiplier = (scale(node.firstInput) * scale(second) / scale(index + 1)).multiplier
    return place(requantized(a * b, multiplier, "S_1·S_2/S_y", &lines), index, lines)
  }

  /// The element of the second factor, of `count` values a sample, that an element is multiplied by:
  /// the second input may be one value per channel (SPEC 6.6).
  func secondElement(_ element: Int, _ node: Node, _ count: Int) -> Int {
    count == node.output.count
      ? element : element / node.output.count * count + element % node.output.channels
  }

  private func rescaled(_ index: Int, _ node: Node, _ element: Int) -> Derivation? {
    guard let x = values(node.firstInput) else { return nil }
    let value = Int64(trace.value(x, element)) - zeroPoint(node.firstInput)
    var lines = ["accumulator  x − Z = \(value)   (SPEC 6.9)"]
    let multiplier = (scale(node.firstInput) / scale(index + 1)).multiplier
    return place(requantized(value, multiplier, "S_x/S_y", &lines), index, lines)
  }

  /// One rounding, half up (SPEC 3.3).
  func requantized(
    _ accumulator: Int64, _ multiplier: Multiplier, _ name: String, _ lines: inout [String]
  ) -> Int64 {
    let product = accumulator * Int64(multiplier.mantissa)
    let shift = multiplier.shift
    let rounded = Deriver.halfUp(product, shift)
    lines.append("multiplier   \(name) = \(multiplier.mantissa)·2^−\(shift)")
    lines.append(
      "rounded      (\(product) + 2^\(shift - 1)) ≫ \(shift) = \(rounded), half up   (SPEC 3.3)")
    return rounded
  }

  /// Adds the zero point and clamps (SPEC 6, place).
  func place(_ value: Int64, _ index: Int, _ lines: [String]) -> Derivation {
    let quantization = network.quantization(ofTensor: index + 1)
    let shifted = value + Int64(quantization.zeroPoint)
    let placed = min(max(shifted, Int64(quantization.low)), Int64(quantization.high))
    return Derivation(
      value: placed,
      lines: lines + [
        "clamped      \(value) + Z \(quantization.zeroPoint) = \(shifted), in "
          + "\(quantization.low)…\(quantization.high): \(placed)"
      ], unclamped: shifted)
  }
}
