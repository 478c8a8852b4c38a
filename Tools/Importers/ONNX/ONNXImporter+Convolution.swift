import Tally

extension ONNXImporter {
  /// Conv: [batch, in, (height,) width] → [batch, out, (height,) width].
  mutating func readConvolution() throws(InputError) -> [Value] {
    guard let view = activationInput else { return block(305, "its data input is constant") }
    guard let weights = constantInput(1) else {
      return block(305, "its weights are computed from the data")
    }
    let rank = weights.shape.count
    guard rank == 3 || rank == 4 else {
      return block(305, "a kernel with \(rank - 2) dimensions", help: "use 1-D or 2-D convolutions")
    }
    guard view.axes.count == rank else {
      return block(305, "input with \(view.axes.count) dimensions, kernel with \(rank)")
    }
    let isAnyOrder = try isPointwise(view, weights)
    guard let input = isAnyOrder ? view.tensor : imageTensor(view) else { return [.blocked] }
    let shape = graph.shape(of: input)
    let outputs = weights.shape[0]
    let depth = weights.shape[1]
    let groups = Int(clamping: try integer("group", default: 1))
    guard groups > 0, outputs > 0, depth > 0, outputs % groups == 0,
      depth.multipliedReportingOverflow(by: groups) == (shape.channels, false)
    else {
      throw graphError(
        "Conv '\(node.path)': weights \(weights.shape), \(groups) groups, input \(shape)")
    }
    let kernel = Array(weights.shape[2...])
    if let stated = try sizes("kernel_shape"), stated != kernel {
      throw graphError("Conv '\(node.path)': kernel_shape \(stated), weights \(weights.shape)")
    }
    guard let geometry = try windowGeometry(kernel: kernel, shape) else { return [.blocked] }
    guard let size = geometry.outputSize(shape) else {
      throw graphError("Conv '\(node.path)': the window does not fit the input \(shape)")
    }
    // [out][in][y][x] → [out][y][x][in]
    let area = geometry.kernelHeight * geometry.kernelWidth
    var source: [Int] = []
    source.reserveCapacity(outputs * depth * area)
    for output in 0..<outputs {
      for position in 0..<area {
        for channel in 0..<depth { source.append((output * depth + channel) * area + position) }
      }
    }
    let layer = try layerWeights(weights, source: source, outputs: outputs, outputAxis: 0)
    guard let bias = try layerBias(2, count: outputs) else { return [.blocked] }
    let output = appendLayer(
      .convolution(
        geometry: geometry, groups: groups, outputChannels: outputs, weights: layer.values,
        bias: bias),
      layer, bias: constantInput(2), input: input,
      shape: TensorShape(height: size.height, width: size.width, channels: outputs),
      name: layerName(weights: weights))
    if isAnyOrder {
      var axes = view.axes.map { axis in
        axis.map {
          $0.isBatch ? $0 : Factor(size: $0.size, stride: $0.stride / shape.channels * outputs)
        }
      }
      axes[1] = [Factor(size: outputs, stride: 1)]
      return one(TensorView(tensor: output, axes: axes))
    }
    return one(imageView(output, rank: rank))
  }

  /// Whether a convolution looks at one position at a time and the file has flattened or
  /// exchanged the positions, which then does not matter.
  private func isPointwise(
    _ view: TensorView, _ weights: ConstantTensor
  ) throws(InputError) -> Bool {
    let shape = graph.shape(of: view.tensor)
    let strides = try sizes("strides") ?? [1]
    let pads = try sizes("pads") ?? [0]
    return weights.shape[2...].allSatisfy { $0 == 1 } && strides.allSatisfy { $0 == 1 }
      && pads.allSatisfy { $0 == 0 } && view.isBatch(0) && view.factors(0).isEmpty
      && view.roles(in: shape) == nil && shape.channels > 1
      && view.factors(1) == [Factor(size: shape.channels, stride: 1)]
  }

  /// Kernel, strides, padding and dilation of the current node; one-dimensional windows get
  /// height 1. Nil, with the obstacle noted, if something cannot be.
  mutating func windowGeometry(
    kernel: [Int], _ shape: TensorShape
  ) throws(InputError) -> WindowGeometry? {
    let count = kernel.count
    let strides = try sizes("strides") ?? [Int](repeating: 1, count: count)
    let dilations = try sizes("dilations") ?? [Int](repeating: 1, count: count)
    var pads = try sizes("pads") ?? [Int](repeating: 0, count: 2 * count)
    guard strides.count == count, dilations.count == count, pads.count == 2 * count,
      (kernel + strides + dilations).allSatisfy({ $0 > 0 && $0 < 1 << 20 }),
      kernel.reduce(1, *) <= 1 << 24,
      pads.allSatisfy({ abs($0) < 1 << 20 })
    else {
      throw graphError(
        "\(node.operatorType) '\(node.path)': kernel \(kernel), strides \(strides), "
          + "dilations \(dilations), pads \(pads)")
    }
    let input = count == 2 ? [shape.height, shape.width] : [shape.width]
    let mode = try string("auto_pad", default: "NOTSET")
    switch mode {
    case "NOTSET", "": break
    case "VALID": pads = [Int](repeating: 0, count: 2 * count)
    case "SAME_UPPER", "SAME_LOWER":
      for axis in 0..<count {
        let span = (kernel[axis] - 1) * dilations[axis] + 1
        let output = (input[axis] + strides[axis] - 1) / strides[axis]
        let total = max((output - 1) * strides[axis] + span - input[axis], 0)
        let smaller = total / 2
        pads[axis] = mode == "SAME_UPPER" ? smaller : total - smaller
        pads[axis + count] = total - pads[axis]
      }
    default:
      note(305, "auto_pad '\(mode)'")
      return nil
    }
    guard pads.allSatisfy({ $0 >= 0 }) else {
      note(305, "negative padding \(pads)")
      return nil
    }
    // A signal is an image of height 1.
    let y = count == 2 ? 0 : nil
    let x = count - 1
    return WindowGeometry(
      kernelHeight: y.map { kernel[$0] } ?? 1, kernelWidth: kernel[x],
      strideHeight: y.map { strides[$0] } ?? 1, strideWidth: strides[x],
      dilationHeight: y.map { dilations[$0] } ?? 1, dilationWidth: dilations[x],
      padTop: y.map { pads[$0] } ?? 0, padLeft: pads[x],
      padBottom: y.map { pads[$0 + count] } ?? 0, padRight: pads[x + count])
  }
}
