public import FixedPoint
package import Kernels
public import Tensors

extension Session {
  /// int8 [samples, height, width, channels]: fill this before `forward` (SPEC 5.4).
  public var input: View<Int8> { activation(0) }

  /// Runs all nodes on the first `samples` samples (SPEC 6).
  ///
  /// - Parameter observing: counts the values of tracked tensors for the range tracker (SPEC 8.9).
  public func forward(samples: Int, observing: Bool = false) {
    precondition(samples >= 1 && samples <= request.samples, "more samples than planned")
    for index in 0..<network.nodeCount { run(index, samples: samples, observing: observing) }
  }

  /// Runs node `index`.
  package func run(_ index: Int, samples: Int, observing: Bool = false) {
    let node = network.node(index)
    let parts =
      node.operation.weighted.map { forwardParts(index, node, $0, samples: samples) }
      ?? partCount(units: samples, work: samples &* node.output.count)
    let histograms = observing ? PartHistograms(self, index, node, parts: parts) : nil
    if let shape = node.operation.weighted {
      forEachTile(index, node, shape, samples: 0..<samples, parts: parts) {
        accumulators, sample, first, count, part in
        if let histograms { observe(index, node, accumulators, into: histograms[part]) }
        placeTile(index, node, accumulators, sample: sample, first: first, count: count)
      }
      keepSelectedInput(index, node, shape, samples: samples)
    } else {
      share(samples, parts: parts) { samples, part in
        runUnweighted(index, node, samples, histogram: histograms?[part])
        return 0
      }
    }
    histograms?.merge()
  }

  /// Runs a node without weights on some samples.
  private func runUnweighted(
    _ index: Int, _ node: Node, _ samples: Range<Int>, histogram: View<Int64>?
  ) {
    let output = quantization(index + 1)
    switch node.operation {
    case .convolution, .fullyConnected: preconditionFailure("a node with weights")
    case .maxPooling(let pooling):
      for sample in samples {
        pooling.max(
          activation(node.firstInput, sample: sample), into: activation(index + 1, sample: sample))
      }
    case .averagePooling(let pooling):
      let input = quantization(node.firstInput)
      for sample in samples {
        pooling.average(
          activation(node.firstInput, sample: sample), from: input, output,
          into: activation(index + 1, sample: sample))
      }
    case .add:
      let second = secondInput(node)
      let inputs = (quantization(node.firstInput), quantization(second))
      guard let constants = AddConstants(inputs.0.scale, inputs.1.scale, output: output.scale)
      else { preconditionFailure("validation and the range tracker keep additions in range") }
      for sample in samples {
        if let histogram { observeSums(node, constants, inputs, sample: sample, into: histogram) }
        add(
          activation(node.firstInput, sample: sample), activation(second, sample: sample),
          zeroPoints: (inputs.0.zeroPoint, inputs.1.zeroPoint), constants, output,
          into: activation(index + 1, sample: sample), mask: mask(index + 1, sample: sample))
      }
    case .multiply:
      let second = secondInput(node)
      let inputs = (quantization(node.firstInput), quantization(second))
      let multiplier = (inputs.0.scale * inputs.1.scale / output.scale).multiplier
      for sample in samples {
        multiplyElements(
          activation(node.firstInput, sample: sample), activation(second, sample: sample),
          zeroPoints: (inputs.0.zeroPoint, inputs.1.zeroPoint), multiplier, output,
          into: activation(index + 1, sample: sample), mask: mask(index + 1, sample: sample))
      }
    case .concatenate:
      for sample in samples { runConcatenate(index, node, output, sample: sample) }
    case .table:
      let table = network.table(of: node).values
      for sample in samples {
        lookUp(
          activation(node.firstInput, sample: sample), in: table,
          into: activation(index + 1, sample: sample))
      }
    case .rescale:
      let input = quantization(node.firstInput)
      let multiplier = (input.scale / output.scale).multiplier
      for sample in samples {
        rescale(
          activation(node.firstInput, sample: sample), zeroPoint: input.zeroPoint, multiplier,
          output, into: activation(index + 1, sample: sample),
          mask: mask(index + 1, sample: sample))
      }
    case .slicePad(let slice):
      for sample in samples {
        slice.forward(
          activation(node.firstInput, sample: sample),
          zeroPoint: Int8(truncatingIfNeeded: output.zeroPoint),
          into: activation(index + 1, sample: sample))
      }
    case .upsample(let upsampling):
      for sample in samples {
        upsampling.forward(
          activation(node.firstInput, sample: sample), into: activation(index + 1, sample: sample))
      }
    }
  }

  /// The second input of an operation that has two.
  package func secondInput(_ node: Node) -> Int {
    guard let second = node.secondInput else {
      preconditionFailure("validation gives this operation two inputs")
    }
    return second
  }

  private func runConcatenate(_ index: Int, _ node: Node, _ output: Quantization, sample: Int) {
    var firstChannel = 0
    for slot in 0..<2 {
      let tensor = slot == 0 ? node.firstInput : secondInput(node)
      let input = quantization(tensor)
      let channels = network.shape(ofTensor: tensor).channels
      concatenate(
        activation(tensor, sample: sample), zeroPoint: input.zeroPoint,
        (input.scale / output.scale).multiplier, channels: channels, at: firstChannel,
        of: node.output.channels, output, into: activation(index + 1, sample: sample),
        mask: mask(index + 1, sample: sample))
      firstChannel += channels
    }
  }
}

// MARK: - Weighted nodes

extension Session {
  /// Computes a weighted node's accumulators tile by tile and hands each to `body` with its sample, the
  /// first element of the sample's output it covers, and the number of elements.
  ///
  /// - Parameters:
  ///   - replaced: weights to use instead of the node's own, as they are stored.
  ///   - parts: how many parts of the samples are worked on at once; the last argument of `body` is which.
  ///
  /// The accumulators lack bias and zero-point terms: `offsetBiases` holds both. A head with
  /// accumulators gets its output buffer itself.
  package func forEachTile(
    _ index: Int, _ node: Node, _ shape: Convolution, samples: Range<Int>,
    weights replaced: View<Int8>? = nil, parts: Int = 1,
    _ body: (
      _ accumulators: View<Int32>, _ sample: Int, _ first: Int, _ count: Int, _ part: Int
    ) -> Void
  ) {
    let tiling = Tiling(index, node, request)
    let workspace = table.offset(index + 1, .forwardWorkspace)
    let weights =
      replaced == nil && tiling.packsOnce
      ? packedOnce(index, node, shape, tiling)
      : operand(
        replaced ?? self.weights(index, node), columns: shape.output.channels, depth: shape.depth,
        window: tiling.readsRuns ? shape.geometry : nil, channels: shape.input.channels,
        packingAt: workspace + tiling.packedWeights, byteCount: tiling.packedByteCount)
    let accumulatorOffset =
      node.hasAccumulators
      ? table.offset(index + 1, .activation) : workspace + tiling.forwardAccumulators
    let elements = node.output.count
    if tiling.joinsSamples {
      let accumulators = arena.view(
        accumulatorOffset + 4 * samples.lowerBound * elements, samples.count * elements,
        of: Int32.self)
      let x = activation(node.firstInput)
        .slice(samples.lowerBound * shape.depth, samples.count * shape.depth)
      share(samples.count, parts: parts) { range, part in
        let first = range.lowerBound
        multiply(
          rows: range.count, x.slice(first &* shape.depth, range.count &* shape.depth),
          aStride: shape.depth, by: weights,
          into: accumulators.slice(first &* elements, range.count &* elements), cStride: elements)
        for slot in range {
          body(
            accumulators.slice(slot &* elements, elements), samples.lowerBound &+ slot, 0, elements,
            part)
        }
        return 0
      }
      return
    }
    let padding = Int8(
      truncatingIfNeeded: network.quantization(ofTensor: node.firstInput).zeroPoint)
    let blocks = tiling.rowBlocks
    share(samples.count &* blocks, parts: parts) { range, part in
      let ownStart = part &* tiling.forwardPartStride
      let patches = arena.view(
        max(workspace, 0) + ownStart + tiling.forwardPatches, tiling.forwardPatchesByteCount,
        of: Int8.self)
      var block = range.lowerBound
      while block < range.upperBound {
        let sample = samples.lowerBound &+ block / blocks
        let before = block / blocks &* blocks
        let last = min(range.upperBound &- before, blocks)
        let end = min(last &* tiling.rowUnit, shape.output.height)
        let x = activation(node.firstInput, sample: sample)
        var row = (block &- before) &* tiling.rowUnit
        block = before &+ last
        while row < end {
          let rows = row..<min(row + tiling.outputRows, end)
          let first = row &* shape.output.width &* shape.output.channels
          let count = rows.count &* shape.output.width &* shape.output.channels
          let offset = node.hasAccumulators ? 4 &* (sample &* elements &+ first) : ownStart
          let accumulators = arena.view(accumulatorOffset + offset, count, of: Int32.self)
          shape.forward(
            x, weights: weights, padding: padding, rows: rows, workspace: patches,
            into: accumulators)
          body(accumulators, sample, first, count, part)
          row = rows.upperBound
        }
      }
      return 0
    }
  }

  /// How many parts a weighted node's rows are worth, over all samples.
  private func forwardParts(
    _ index: Int, _ node: Node, _ shape: Convolution, samples: Int
  ) -> Int {
    if request.partCount == 1 { return 1 }
    let work = samples &* (shape.multiplyCount / 32 &+ node.output.count)
    // Most nodes of small networks stop here.
    guard partCount(units: request.partCount, work: work) > 1 else { return 1 }
    let tiling = Tiling(index, node, request)
    return partCount(
      units: samples &* tiling.rowBlocks, work: work,
      fetched: request.training == nil ? 0 : shape.weightCount)
  }

  /// Copies the selected channels of the input, which the weight gradient will read (SPEC 8.11).
  private func keepSelectedInput(
    _ index: Int, _ node: Node, _ shape: Convolution, samples: Int
  ) {
    guard let selection = weightSelection(index, shape), let kept = selectedInput(index, shape)
    else { return }
    let count = samples &* shape.input.positions
    gatherChannels(
      activation(node.firstInput), positions: count, stride: shape.input.channels,
      selection.channels, into: kept)
  }

  /// Weights as they were packed when the session began.
  private func packedOnce(
    _ index: Int, _ node: Node, _ shape: Convolution, _ tiling: Tiling
  ) -> MatrixOperand {
    MatrixOperand(
      packed: arena.view(
        table.offset(index + 1, .offsetBiases) + tiling.packedBehindBiases, tiling.packedByteCount,
        of: UInt8.self),
      isWindow: tiling.readsRuns, of: weights(index, node), columns: shape.output.channels,
      depth: shape.depth)
  }

  /// Packs weights that never change behind the node's derived biases.
  func packOnce(_ index: Int, _ node: Node, _ shape: Convolution) {
    let tiling = Tiling(index, node, request)
    guard tiling.packsOnce else { return }
    _ = operand(
      weights(index, node), columns: shape.output.channels, depth: shape.depth,
      window: tiling.readsRuns ? shape.geometry : nil, channels: shape.input.channels,
      packingAt: table.offset(index + 1, .offsetBiases) + tiling.packedBehindBiases,
      byteCount: tiling.packedByteCount)
  }

  /// A matrix of weights, packed into the arena if the tiling has room for that.
  ///
  /// - Parameter window: with its number of channels, of weights for windows that are read where they lie.
  package func operand(
    _ values: View<Int8>, columns: Int, depth: Int, window: WindowGeometry?, channels: Int,
    packingAt offset: Int, byteCount: Int
  ) -> MatrixOperand {
    if byteCount == 0 {
      return MatrixOperand(values, stride: depth, columns: columns, depth: depth)
    }
    let memory = arena.view(offset, byteCount, of: UInt8.self)
    if let window {
      return MatrixOperand(
        values, columns: columns, window: window, channels: channels, packingInto: memory)
    }
    return MatrixOperand(
      values, stride: depth, columns: columns, depth: depth, packingInto: memory)
  }

  /// Bias and zero-point terms, then requantization; a head with accumulators stays int32.
  package func placeTile(
    _ index: Int, _ node: Node, _ accumulators: View<Int32>, sample: Int, first: Int, count: Int
  ) {
    let biases = offsetBiases(index, node)
    if node.hasAccumulators {
      var element = 0
      while element < count {
        for o in 0..<biases.count { accumulators[element &+ o] &+= biases[o] }
        element &+= biases.count
      }
      return
    }
    requantize(
      accumulators, bias: biases, multipliers(index, node), quantization(index + 1), first: first,
      into: activation(index + 1, sample: sample), mask: mask(index + 1, sample: sample))
  }
}

// MARK: - Logits

extension Session {
  /// The real value of one unit of the logits (SPEC 5.7).
  public var logitScale: Scale {
    let last = network.nodeCount - 1
    let node = network.node(last)
    return node.hasAccumulators
      ? table.scale(node.firstInput) * weightScale(last, node, 0) : table.scale(last + 1)
  }

  /// int32 logits of one sample after `forward` (SPEC 5.7). An int8 head is widened into the workspace,
  /// so one sample's logits last until the next are asked for.
  public func logits(sample: Int) -> View<Int32> {
    let outputs = network.outputCount
    let last = network.nodeCount - 1
    if network.node(last).hasAccumulators {
      return arena.view(
        table.offset(last + 1, .activation) + 4 * sample * outputs, outputs, of: Int32.self)
    }
    let logits = arena.view(table.offset(0, .forwardWorkspace), outputs, of: Int32.self)
    let values = activation(last + 1, sample: sample)
    let zeroPoint = network.quantization(ofTensor: last + 1).zeroPoint
    for j in 0..<outputs { logits[j] = Int32(values[j]) &- zeroPoint }
    return logits
  }

  /// int32 gradient of all samples' logits, row by row; only while training, at the time of the loss.
  package var logitGradient: View<Int32> {
    let outputs = network.outputCount
    let logits = network.node(network.nodeCount - 1).hasAccumulators ? 0 : 4 * outputs
    return arena.view(
      table.offset(0, .forwardWorkspace) + logits, outputs * request.samples, of: Int32.self)
  }
}
