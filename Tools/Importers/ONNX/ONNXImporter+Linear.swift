import Tally

extension ONNXImporter {
  /// Gemm: alpha · A′ · B′ + beta · C with A computed, B and C constant.
  mutating func readGemm() throws(InputError) -> [Value] {
    guard let left = activationInput else {
      return block(305, "its first factor is constant", help: "export Linear layers as x · W")
    }
    guard let weights = constantInput(1) else {
      return block(305, "both factors are computed (attention)")
    }
    guard left.axes.count == 2, weights.shape.count == 2 else {
      throw graphError("Gemm '\(node.path)': \(left.sizes) by \(weights.shape)")
    }
    let view = try flag("transA") ? left.transposed([1, 0]) : left
    let isTransposed = try flag("transB")
    let outputs = weights.shape[isTransposed ? 0 : 1]
    let inputs = weights.shape[isTransposed ? 1 : 0]
    let alpha = try float("alpha", default: 1)
    let beta = try float("beta", default: 1)
    guard let bias = try layerBias(2, count: outputs, scale: beta) else { return [.blocked] }
    var scaled = weights
    if alpha != 1 {
      scaled.values = .floats(weights.asFloats.map { $0 * alpha })
      scaled.quantized = nil
    }
    return try appendLinear(
      view, weights: scaled, inputs: inputs, outputs: outputs,
      outputAxis: isTransposed ? 0 : 1, bias: bias, biasTensor: beta == 1 ? constantInput(2) : nil
    ) { output, input in
      isTransposed ? output * inputs + input : input * outputs + output
    }
  }

  /// MatMul of a computed value and a constant matrix, in either order.
  mutating func readMatMul() throws(InputError) -> [Value] {
    if let view = activationInput, let weights = constantInput(1) {
      guard let (rows, columns) = matrix(weights) else {
        return block(305, "weights of shape \(weights.shape)")
      }
      let bias = [Float](repeating: 0, count: columns)
      return try appendLinear(
        view, weights: weights, inputs: rows, outputs: columns,
        outputAxis: weights.shape.count - 1, bias: bias, biasTensor: nil
      ) { output, input in input * columns + output }
    }
    if case .activation(let view)? = input(1), let weights = constantInput(0) {
      // W · x = (xᵀ · Wᵀ)ᵀ: the transposes are views.
      guard let (rows, columns) = matrix(weights), view.axes.count >= 2 else {
        return block(305, "weights of shape \(weights.shape)")
      }
      let rank = view.axes.count
      let swap = Array(0..<rank - 2) + [rank - 1, rank - 2]
      let results = try appendLinear(
        view.transposed(swap), weights: weights, inputs: columns, outputs: rows,
        outputAxis: weights.shape.count - 2, bias: [Float](repeating: 0, count: rows),
        biasTensor: nil
      ) { output, input in output * columns + input }
      guard case .activation(let product) = results[0] else { return results }
      return one(product.transposed(swap))
    }
    return block(304, "of two computed values (attention)")
  }

  /// Rows and columns of a constant matrix; leading axes must have size 1.
  private func matrix(_ tensor: ConstantTensor) -> (rows: Int, columns: Int)? {
    let shape = tensor.shape
    guard shape.count >= 2, shape.dropLast(2).allSatisfy({ $0 == 1 }) else { return nil }
    return (shape[shape.count - 2], shape[shape.count - 1])
  }

  /// Applies a matrix along the last axis: a fully connected layer if that axis is the whole
  /// value, a 1×1 convolution if there are positions beside it.
  private mutating func appendLinear(
    _ view: TensorView, weights: ConstantTensor, inputs: Int, outputs: Int, outputAxis: Int,
    bias: [Float], biasTensor: ConstantTensor?, element: (_ output: Int, _ input: Int) -> Int
  ) throws(InputError) -> [Value] {
    let last = view.axes.count - 1
    guard last >= 0, view.sizes[last] == inputs, !view.isBatch(last), inputs > 0, outputs > 0 else {
      throw graphError(
        "\(node.operatorType) '\(node.path)': value \(view.sizes), weights \(weights.shape)")
    }
    let name = layerName(weights: weights)
    let others = (0..<last).filter { !view.factors($0).isEmpty }
    if others.isEmpty {
      // The file counts the inputs in its order, memory in its own.
      let offsets = offsets(of: view.factors(last))
      var source = [Int](repeating: 0, count: inputs * outputs)
      for output in 0..<outputs {
        for input in 0..<inputs {
          source[output * inputs + offsets[input]] = element(output, input)
        }
      }
      let layer = try layerWeights(
        weights, source: source, outputs: outputs, outputAxis: outputAxis)
      let tensor = appendLayer(
        .fullyConnected(outputs: outputs, weights: layer.values, bias: bias), layer,
        bias: biasTensor, input: view.tensor,
        shape: TensorShape(height: 1, width: 1, channels: outputs), name: name)
      var axes = view.axes
      axes[last] = [Factor(size: outputs, stride: 1)]
      return one(TensorView(tensor: tensor, axes: axes))
    }

    var view = view
    let present = graph.shape(of: view.tensor)
    if view.factors(last) != [Factor(size: inputs, stride: 1)] || present.channels != inputs {
      guard others.count <= 2 else {
        return block(305, "on a value with \(others.count) axes besides the features")
      }
      let height = others.count == 2 ? others[0] : nil
      let width = others[others.count - 1]
      let tensor = spatialTensor(view, height: height, width: width, channels: last)
      let shape = graph.shape(of: tensor)
      var axes = view.axes.map { $0.filter { $0.isBatch } }
      if let height {
        axes[height].append(Factor(size: shape.height, stride: shape.width * inputs))
      }
      axes[width].append(Factor(size: shape.width, stride: inputs))
      view = TensorView(tensor: tensor, axes: axes)
    }
    let shape = graph.shape(of: view.tensor)
    var source: [Int] = []
    source.reserveCapacity(inputs * outputs)
    for output in 0..<outputs {
      for input in 0..<inputs { source.append(element(output, input)) }
    }
    let layer = try layerWeights(weights, source: source, outputs: outputs, outputAxis: outputAxis)
    let tensor = appendLayer(
      .convolution(
        geometry: WindowGeometry(kernelHeight: 1, kernelWidth: 1), groups: 1,
        outputChannels: outputs, weights: layer.values, bias: bias), layer, bias: biasTensor,
      input: view.tensor,
      shape: TensorShape(height: shape.height, width: shape.width, channels: outputs), name: name)
    var axes = view.axes.map { axis in
      axis.map {
        $0.isBatch ? $0 : Factor(size: $0.size, stride: $0.stride / inputs * outputs)
      }
    }
    axes[last] = [Factor(size: outputs, stride: 1)]
    return one(TensorView(tensor: tensor, axes: axes))
  }
}

/// The memory offset of every element of an axis, in the axis's order.
func offsets(of factors: [Factor]) -> [Int] {
  var offsets = [0]
  for factor in factors {
    offsets = offsets.flatMap { offset in
      (0..<factor.size).map { offset + $0 * factor.stride }
    }
  }
  return offsets
}
