import CounterRandom
import FixedPoint
import Kernels
import Layers
import Tensors

/// The backward pass of one micro-batch: gradients of tensors, then of parameters (SPEC 8.4 to 8.6).
struct Backward {
  let session: Session
  let recipe: Recipe
  let key: RandomKey
  let step: UInt32
  /// The micro-batch, m.
  let query: UInt32
  /// Samples in this micro-batch.
  let samples: Int
  let rates: Rates
  /// Samples of the whole step, B_t.
  var batch: UInt32 = 1
  /// Which gradients this pass computes: those of the loss, or of an estimate (GradientPath).
  var source = GradientPath.fromLoss

  var network: Network { session.network }
  var table: SessionTable { session.table }

  /// Learning rates of the step and the number of its micro-batches.
  struct Rates {
    let weights: Scale
    let biases: Scale
    let head: Scale
    let scales: Scale
    var microBatches: UInt32
    /// Whether nobody looks at masters before the step ends.
    var isUnobserved = false

    /// η_t for a node's weights or biases; the last weighted node has a rate of its own.
    func rate(isHead: Bool, _ group: Recipe.Group) -> Scale {
      isHead ? head : group == .biases ? biases : weights
    }
  }

  func stream(_ purpose: Purpose, _ tensor: Int) -> RandomStream {
    key.stream(purpose, tensor: UInt32(truncatingIfNeeded: tensor), step: step, query: query)
  }

  /// Runs all nodes backward from the loss gradient in `session.logitGradient`, of Scale `scale`.
  ///
  /// - Parameter onNode: called when the gradient of a node's output is complete, and with N before the
  ///   loss's.
  func run(lossScale scale: Scale, onNode: (Backward, Int) -> Void) {
    run(lossScale: scale) { seen in
      if case .backward(let index) = seen.moment, let pass = seen.pass { onNode(pass, index) }
    }
  }

  func run(lossScale scale: Scale, observing: (Observation) -> Void) {
    let last = network.nodeCount
    for tensor in 0...last { table.forgetGradient(tensor) }
    tell(.backward(last), observing)
    guard session.needsGradient(last) else { return }
    emitLoss(scale)
    for index in stride(from: last - 1, through: 0, by: -1) {
      let node = network.node(index)
      guard table.hasGradient(index + 1) else { continue }
      tell(.backward(index), observing)
      // Parameters first: the input gradient may fold the output's gradient where it lies.
      parameterGradients(index, node)
      tell(.contributed(index), observing)
      inputGradients(index, node)
    }
  }

  /// Runs backward from a tensor whose gradient is estimated, to the node that it trains (SPEC 8.16).
  ///
  /// - Parameters:
  ///   - accumulators: memory for a run of elements.
  ///   - produce: fills accumulators of a sample from element `first` on.
  func run(
    from tensor: Int, to last: Int, scale: Scale, accumulators: View<Int32>,
    produce: (_ sample: Int, _ first: Int, _ accumulators: View<Int32>) -> Void
  ) {
    var pass = self
    pass.source = GradientPath.fromEstimate
    for tensor in 0...network.nodeCount { table.forgetGradient(tensor) }
    pass.emit(
      to: tensor, node: network.nodeCount, slot: 1, scale: scale, tile: accumulators.count,
      keeping: false, parts: 1, accumulators: accumulators
    ) { sample, first, accumulators, _ in produce(sample, first, accumulators) }
    for index in stride(from: tensor - 1, through: last, by: -1) {
      guard table.hasGradient(index + 1) else { continue }
      let node = network.node(index)
      if index > last { pass.inputGradients(index, node) }
      if index == last { pass.parameterGradients(index, node) }
    }
  }

  // MARK: Emitting gradients

  private func mask(_ tensor: Int, _ sample: Int) -> View<UInt8>? {
    session.mask(tensor, sample: sample)
  }

  private func gradient(_ tensor: Int, _ purpose: BufferPurpose = .gradient) -> View<Int8> {
    let count = request.samples * network.shape(ofTensor: tensor).count
    return session.arena.view(table.offset(tensor, purpose), count, of: Int8.self)
  }

  func gradient(_ tensor: Int, sample: Int) -> View<Int8> {
    let count = network.shape(ofTensor: tensor).count
    return gradient(tensor).slice(sample * count, count)
  }

  var request: SessionRequest { session.request }

  private func emitLoss(_ scale: Scale) {
    let tensor = network.nodeCount
    let count = network.outputCount
    let accumulators = session.logitGradient
    emit(
      to: tensor, node: tensor, slot: 0, scale: scale, tile: count, keeping: true, parts: 1,
      accumulators: accumulators
    ) { _, _, _, _ in }
  }

  /// Turns accumulators into the int8 gradient of a tensor: mask, shift, stochastic rounding, merge.
  ///
  /// - Parameters:
  ///   - node, slot: name the lanes; slot is the input of the node that the tensor is.
  ///   - scale: of the accumulators.
  ///   - tile: elements that `produce` fills at a time.
  ///   - keeping: whether `accumulators` holds all samples, or one tile of each part that is computed twice.
  ///   - parts: how many parts of the samples are worked on at once.
  ///   - produce: fills accumulators of a sample from element `first` on, with the workspace of a part.
  private func emit(
    to tensor: Int, node: Int, slot: Int, scale: Scale, tile: Int, keeping: Bool, parts: Int,
    accumulators: View<Int32>,
    produce: (_ sample: Int, _ first: Int, _ accumulators: View<Int32>, _ part: Int) -> Void
  ) {
    let count = network.shape(ofTensor: tensor).count
    let isMerge = table.hasGradient(tensor)
    func forEachTile(
      computing: Bool,
      _ body: (_ tile: View<Int32>, _ mask: View<UInt8>?, _ sample: Int, _ first: Int) -> UInt32
    ) -> UInt32 {
      session.share(samples, parts: parts) { samples, part in
        var largest: UInt32 = 0
        for sample in samples {
          let mask = self.mask(tensor, sample)
          var first = 0
          while first < count {
            let length = min(tile, count - first)
            let start = keeping ? sample * count + first : part * tile
            let values = accumulators.slice(start, length)
            if computing { produce(sample, first, values, part) }
            largest = max(largest, body(values, mask, sample, first))
            first += length
          }
        }
        return largest
      }
    }
    var largest: UInt32 = 0
    if scale != .zero {
      largest = forEachTile(computing: true) { values, mask, _, first in
        mask.map { largestMagnitude(values, mask: $0, first: first) } ?? largestMagnitude(values)
      }
    }
    let target = gradient(tensor, isMerge ? .incomingGradient : .gradient)
    if largest == 0 {
      if !isMerge { finish(tensor, .zero, isMerge: false, node: node, slot: slot) }
      return
    }
    let shift = gradientShift(largest)
    let lanes = stream(.gradientRounding, 4 * node + slot)
    _ = forEachTile(computing: !keeping) { values, mask, sample, first in
      let start = sample * count + first
      roundGradient(
        values, mask: mask, inSample: first, shift: shift, lanes, first: start,
        into: target.slice(start, values.count))
      return 0
    }
    finish(
      tensor, scale.multiplied(byPowerOfTwo: shift), isMerge: isMerge, node: node, slot: slot)
  }

  /// A gradient whose elements are those of another: its size never needs a shift, so no accumulators are
  /// kept.
  ///
  /// - Parameter produce: writes the gradient of a sample, and may leave it to the mask to clear elements.
  ///   It gives what to mask: `target`, or a gradient that is the same already.
  private func emitUnchanged(
    scale: Scale, to tensor: Int, node: Int, slot: Int,
    produce: (_ sample: Int, _ target: View<Int8>) -> View<Int8>
  ) {
    let count = network.shape(ofTensor: tensor).count
    let isMerge = table.hasGradient(tensor)
    let target = gradient(tensor, isMerge ? .incomingGradient : .gradient)
    var largest: UInt32 = 0
    if scale != .zero {
      let parts = session.partCount(units: samples, work: samples &* count)
      largest = session.share(samples, parts: parts) { samples, _ in
        var largest: UInt32 = 0
        for sample in samples {
          let values = target.slice(sample * count, count)
          largest = max(
            largest, pass(produce(sample, values), mask: mask(tensor, sample), into: values))
        }
        return largest
      }
    }
    if largest == 0 && isMerge { return }
    finish(tensor, largest == 0 ? .zero : scale, isMerge: isMerge, node: node, slot: slot)
  }

  /// Records the Scale of a finished gradient, after merging it with what was there (SPEC 8.4).
  private func finish(_ tensor: Int, _ scale: Scale, isMerge: Bool, node: Int, slot: Int) {
    let count = samples * network.shape(ofTensor: tensor).count
    let target = gradient(tensor).slice(0, count)
    guard isMerge else {
      if scale == .zero { target.fill(0) }
      table.setGradientScale(tensor, scale)
      return
    }
    let incoming = gradient(tensor, .incomingGradient).slice(0, count)
    let present = table.gradientScale(tensor)
    if present == .zero {
      target.copy(from: incoming)
      table.setGradientScale(tensor, scale)
      return
    }
    let merge = GradientMerge(target, present, incoming, scale)
    let size = network.shape(ofTensor: tensor).count
    let parts = session.partCount(units: samples, work: samples &* size)
    let largest = session.share(samples, parts: parts) { samples, _ in
      merge.largestMagnitude(of: samples.lowerBound * size..<samples.upperBound * size)
    }
    let shift = gradientShift(largest)
    let lanes = stream(.foldRounding, 4 * node + slot)
    session.share(samples, parts: parts) { samples, _ in
      merge.round(
        samples.lowerBound * size..<samples.upperBound * size, shift: shift, lanes)
      return 0
    }
    table.setGradientScale(
      tensor, largest == 0 ? .zero : merge.scale.multiplied(byPowerOfTwo: shift - 15))
  }

  // MARK: Input gradients

  private func inputGradients(_ index: Int, _ node: Node) {
    let scale = table.gradientScale(index + 1)
    if session.needsGradient(node.firstInput, source) {
      inputGradient(index, node, slot: 0, tensor: node.firstInput, scale)
    }
    if let second = node.secondInput, session.needsGradient(second, source) {
      inputGradient(index, node, slot: 1, tensor: second, scale)
    }
  }

  private func inputGradient(_ index: Int, _ node: Node, slot: Int, tensor: Int, _ scale: Scale) {
    let shape = network.shape(ofTensor: tensor)
    func x(_ input: Int, _ sample: Int) -> View<Int8> { session.activation(input, sample: sample) }
    func g(_ sample: Int) -> View<Int8> { gradient(index + 1, sample: sample) }
    /// One sample at a time, computed twice.
    func emitSamples(_ scale: Scale, _ produce: (_ sample: Int, View<Int32>) -> Void) {
      let parts = session.partCount(units: samples, work: samples &* shape.count)
      emit(
        to: tensor, node: index, slot: slot, scale: scale, tile: shape.count, keeping: false,
        parts: parts,
        accumulators: session.arena.view(
          table.offset(index + 1, .backwardWorkspace), parts * shape.count, of: Int32.self)
      ) { sample, _, accumulators, _ in produce(sample, accumulators) }
    }
    switch node.operation {
    case .convolution(let convolution), .fullyConnected(let convolution):
      weightedInputGradient(index, node, convolution, tensor: tensor, scale)
    case .add, .rescale:
      emitUnchanged(scale: scale, to: tensor, node: index, slot: slot) { sample, _ in g(sample) }
    case .maxPooling(let pooling) where !pooling.hasOverlaps:
      emitUnchanged(scale: scale, to: tensor, node: index, slot: slot) { sample, target in
        pooling.scatterMaxGradient(x(tensor, sample), g(sample), into: target)
        return target
      }
    case .maxPooling(let pooling):
      emitSamples(scale) { sample, dx in pooling.maxGradient(x(tensor, sample), g(sample), into: dx)
      }
    case .averagePooling(let pooling):
      let divisor = pooling.commonDivisor
      emitSamples(pooling.averageGradientScale(scale, commonDivisor: divisor)) { sample, dx in
        pooling.averageGradient(g(sample), commonDivisor: divisor, into: dx)
      }
    case .multiply:
      let other = slot == 0 ? session.secondInput(node) : node.firstInput
      let quantization = session.quantization(other)
      emitSamples(scale * quantization.scale) { sample, dx in
        if slot == 0 {
          multiplyFirstGradient(
            g(sample), x(other, sample), zeroPoint: quantization.zeroPoint, into: dx)
        } else {
          multiplySecondGradient(
            g(sample), x(other, sample), zeroPoint: quantization.zeroPoint, into: dx)
        }
      }
    case .concatenate:
      let first = slot == 0 ? 0 : network.shape(ofTensor: node.firstInput).channels
      emitSamples(scale) { sample, dx in
        concatenateGradient(
          g(sample), channels: shape.channels, at: first, of: node.output.channels, into: dx)
      }
    case .table:
      let slopes = network.table(of: node).slopes
      emitSamples(scale.multiplied(byPowerOfTwo: -12)) { sample, dx in
        lookUpGradient(x(tensor, sample), g(sample), slopes: slopes, into: dx)
      }
    case .slicePad(let slice):
      emitSamples(scale) { sample, dx in slice.gradient(g(sample), into: dx) }
    case .upsample(let upsampling):
      emitSamples(scale) { sample, dx in upsampling.gradient(g(sample), into: dx) }
    }
  }

  private func weightedInputGradient(
    _ index: Int, _ node: Node, _ shape: Convolution, tensor: Int, _ scale: Scale
  ) {
    let tiling = Tiling(index, node, request)
    let workspace = table.offset(index + 1, .backwardWorkspace)
    let weights = session.weights(index, node)
    var weightScale = session.weightScale(index, node, 0)
    if node.scalesPerChannel {
      let fold = ChannelFold(node, session.weightScales(index, node))
      weightScale = fold.largest
      if scale != .zero { self.fold(index, node, fold, tiling) }
    }
    let g = gradient(index + 1)
    let keeps = keeping(index, node, shape, tiling)
    let operand = keeps == nil ? turnedWeights(weights, shape, workspace, tiling) : nil
    func patches(_ part: Int) -> View<Int8> {
      let byteCount = tiling.gradientPatchesByteCount
      return session.arena.view(
        workspace + tiling.gradientPatches + part * Arena.aligned(byteCount), byteCount,
        of: Int8.self)
    }
    let accumulators = session.arena.view(
      workspace + tiling.gradientAccumulators,
      tiling.gradientAccumulatorCount(largestInput: 0), of: Int32.self)
    let rowElements = shape.input.width * shape.input.channels
    let outputs = node.output.count
    emit(
      to: tensor, node: index, slot: 0, scale: weightScale * scale,
      tile: tiling.inputRows * rowElements, keeping: tiling.keepsGradient,
      // What a sample keeps of its channels has one workspace.
      parts: keeps == .channels
        ? 1
        : session.partCount(
          units: samples, work: samples &* (shape.multiplyCount / 32 + shape.input.count),
          fetched: shape.weightCount),
      accumulators: accumulators
    ) { sample, first, values, part in
      let row = first / rowElements
      let rows = row..<row + values.count / rowElements
      let g = g.slice(sample * outputs, outputs)
      switch keeps {
      case nil:
        guard let operand else { return }
        shape.inputGradient(g, turned: operand, rows: rows, workspace: patches(part), into: values)
      case .inPlace:
        shape.inputGradientInPlace(g, weights: weights, rows: rows, into: values)
      case .channels:
        keptInputGradient(index, node, shape, tiling, g, sample: sample, patches(0), into: values)
      }
    }
  }

  /// A node's weights as its input gradient reads them, in the workspace.
  private func turnedWeights(
    _ weights: View<Int8>, _ shape: Convolution, _ workspace: Int, _ tiling: Tiling
  ) -> MatrixOperand {
    // One weight per tap and channel: stored weights are turned ones.
    if shape.isDepthwise {
      return MatrixOperand(weights, stride: shape.depth, columns: 1, depth: shape.depth)
    }
    let turned = session.arena.view(
      workspace + tiling.turnedWeights, shape.weightCount, of: Int8.self)
    shape.turnWeights(weights, forWindows: tiling.readsGradientRuns, into: turned)
    if tiling.readsGradientRuns {
      return shape.packTurned(
        turned,
        into: session.arena.view(
          workspace + tiling.packedTurned, tiling.packedTurnedByteCount, of: UInt8.self))
    }
    return session.operand(
      turned, columns: shape.input.channels, depth: shape.backwardDepth, window: nil,
      channels: shape.output.channels, packingAt: workspace + tiling.packedTurned,
      byteCount: tiling.packedTurnedByteCount)
  }

  /// g becomes ĝ of SPEC 6.1: every channel at the largest weight Scale. Nobody reads g after that.
  private func fold(_ index: Int, _ node: Node, _ fold: ChannelFold, _ tiling: Tiling) {
    let ratios = session.arena.view(
      table.offset(index + 1, .backwardWorkspace) + tiling.channelRatios, node.output.channels,
      of: Int32.self)
    for o in 0..<ratios.count { ratios[o] = fold.ratio(o) }
    let g = gradient(index + 1).slice(0, samples * node.output.count)
    foldChannels(
      g, ratios: ratios, stream(.foldRounding, 4 * index + 3), first: 0, into: g)
  }

  // MARK: Parameter gradients

  /// Its own frame: what it needs does not lie under a node's input gradient.
  @inline(never)
  func parameterGradients(_ index: Int, _ node: Node) {
    let update: UpdateSet =
      source == GradientPath.fromLoss ? recipe.update(ofNode: index) : [.weights, .biases]
    guard let shape = node.operation.weighted else { return }
    let scale = table.gradientScale(index + 1)
    guard scale != .zero else { return }
    let tiling = Tiling(index, node, request)
    if update.contains(.scales) { updateScales(index, node, scale, tiling) }
    let isSparse = session.largestGradient(index) != nil
    if update.contains(.biases) || !isSparse && update.contains(.weights) {
      let db = biasGradient(index, node, shape, tiling)
      if update.contains(.biases) { updateBiases(index, node, scale, db) }
      if !isSparse && update.contains(.weights) {
        updateWeights(index, node, shape, scale, db, tiling)
      }
    }
    guard isSparse else { return }
    sparsify(index, node, scale, tiling)
    if update.contains(.weights) {
      // The zero-point terms are those of the gradient that is left.
      let db = biasGradient(index, node, shape, tiling)
      updateWeights(index, node, shape, scale, db, tiling)
    }
  }

  /// db (SPEC 6.1), at the start of the node's workspace.
  func biasGradient(
    _ index: Int, _ node: Node, _ shape: Convolution, _ tiling: Tiling
  ) -> View<Int32> {
    let db = session.arena.view(
      table.offset(index + 1, .backwardWorkspace) + tiling.biasGradient, node.output.channels,
      of: Int32.self)
    db.fill(0)
    for sample in 0..<samples {
      shape.biasGradient(gradient(index + 1, sample: sample), into: db)
    }
    return db
  }

  func isHead(_ index: Int) -> Bool { index == network.lastWeightedNode }

  private func updateWeights(
    _ index: Int, _ node: Node, _ shape: Convolution, _ scale: Scale, _ db: View<Int32>,
    _ tiling: Tiling
  ) {
    let rate = rates.rate(isHead: isHead(index), .weights)
    let inputScale = table.scale(node.firstInput)
    let trained = session.trainedShape(index, shape)
    let selection = session.weightSelection(index, shape)
    let keeps = keeping(index, node, shape, tiling)
    let isOneBlock = tiling.blockChannels == trained.output.channels && keeps != .inPlace
    let needsNorm = recipe.trustRatio != .zero || recipe.normClip != .zero
    var limits = StepLimits()
    if needsNorm {
      var squares = SquareSum()
      forEachBlock(index, node, shape, db, tiling) { block, _ in squares.add(block) }
      if squares.isZero { return }
      limits = stepLimits(
        index, node, shape, norm: inputScale * scale * squares.scale.squareRoot(), rate: rate)
    }
    let target = session.weightVelocities(index) ?? session.masters(index)
    guard let target else { preconditionFailure("a plan has masters or velocities") }
    let subtracting = session.weightVelocities(index) == nil
    let weights =
      rates.refreshAtOnce(session, recipe, index, node) ? session.weights(index, node) : nil
    let lanes = stream(.weightRounding, 4 * index)
    var clipped = 0
    if case .fullyConnected = node.operation, keeps == .inPlace, !request.isCompact,
      !node.scalesPerChannel
    {
      let inputs = session.selectedInput(index, shape) ?? session.activation(node.firstInput)
      let unit = (rate * inputScale * scale / session.weightScale(index, node, 0))
        .multiplied(byPowerOfTwo: 16)
      clipped = contributeProducts(
        gradient(index + 1).slice(0, samples * node.output.channels),
        inputs.slice(0, samples * trained.depth), samples: samples,
        zeroPoint: network.quantization(ofTensor: node.firstInput).zeroPoint,
        limits.applied(to: unit).multiplier, lanes, limit: recipe.clip << 16,
        subtracting: subtracting, into: target, refreshing: weights)
      table.add(clipped, to: .clipped)
      return
    }
    forEachBlock(index, node, shape, db, tiling, isComputed: isOneBlock && needsNorm) {
      block, firstRow in
      var row = 0
      while row < block.count / trained.depth {
        let o = selection?.outputChannel(firstRow + row) ?? firstRow + row
        // Per layer one multiplier serves the block.
        let rows = node.scalesPerChannel ? 1 : block.count / trained.depth
        let weightScale = session.weightScale(index, node, node.scalesPerChannel ? o : 0)
        let unit = (rate * inputScale * scale / weightScale).multiplied(byPowerOfTwo: 16)
        let multiplier = limits.applied(to: unit).multiplier
        let first = (firstRow + row) * trained.depth
        let count = rows * trained.depth
        clipped += contribute(
          block.slice(row * trained.depth, count), multiplier, lanes, first: first,
          limit: recipe.clip << 16, subtracting: subtracting, into: target.slice(first, count),
          refreshing: weights.map { $0.slice(first, count) })
        row += rows
      }
    }
    table.add(clipped, to: .clipped)
  }

  /// What U is multiplied by so that neither the gradient's norm nor the step is too large.
  struct StepLimits {
    var normClip: Scale?
    var trustRatio: Scale?

    /// One rounding for each limit that binds, the norm clip's first: their product would round otherwise.
    func applied(to unit: Scale) -> Scale {
      var unit = unit
      if let normClip { unit = unit * normClip }
      if let trustRatio { unit = unit * trustRatio }
      return unit
    }
  }

  /// The limits that bind for a gradient of norm ν (SPEC 8.6).
  func stepLimits(
    _ index: Int, _ node: Node, _ shape: Convolution, norm: Scale, rate: Scale
  ) -> StepLimits {
    var limits = StepLimits()
    var norm = norm
    let clip = recipe.normClip
    if clip != .zero && clip < norm {
      limits.normClip = clip / norm
      norm = clip
    }
    let trust = recipe.trustRatio
    guard trust != .zero else { return limits }
    let weights = weightNorm(index, node, shape)
    guard weights != .zero else { return limits }
    let step = rate * norm
    let limit = trust * weights / Scale(UInt64(rates.microBatches))
    if limit < step { limits.trustRatio = limit / step }
    return limits
  }

  /// ‖W‖ in real units (SPEC 8.6), of the weights that change.
  private func weightNorm(_ index: Int, _ node: Node, _ shape: Convolution) -> Scale {
    let weights = session.weights(index, node)
    let trained = session.trainedShape(index, shape)
    let selection = session.weightSelection(index, shape)
    func squares(_ first: Int, _ count: Int) -> UInt64 {
      selection?.sumOfSquares(weights, in: first..<first + count)
        ?? sumOfSquares(weights.slice(first, count))
    }
    guard node.scalesPerChannel else {
      let norm = Scale(squares(0, trained.weightCount)).squareRoot()
      return session.weightScale(index, node, 0) * norm
    }
    let fold = ChannelFold(node, session.weightScales(index, node))
    var sum = SquareSum()
    for row in 0..<trained.output.channels {
      let ratio = fold.squaredRatio(selection?.outputChannel(row) ?? row)
      sum.add(ratio * squares(row * trained.depth, trained.depth))
    }
    return (fold.largest * sum.scale.squareRoot()).multiplied(byPowerOfTwo: -15)
  }

  /// Computes dw block by block (SPEC 6.1), over all samples, with the zero-point term.
  /// - Parameter isComputed: the one block is still in the workspace from the pass before.
  func forEachBlock(
    _ index: Int, _ node: Node, _ shape: Convolution, _ db: View<Int32>, _ tiling: Tiling,
    isComputed: Bool = false, _ body: (_ block: View<Int32>, _ firstRow: Int) -> Void
  ) {
    if let keeps = keeping(index, node, shape, tiling) {
      forEachKeptBlock(
        index, node, shape, db, tiling, keeps, isComputed: isComputed, body)
      return
    }
    let workspace = table.offset(index + 1, .backwardWorkspace)
    let trained = session.trainedShape(index, shape)
    let selection = session.weightSelection(index, shape)
    let inputs = session.selectedInput(index, shape) ?? session.activation(node.firstInput)
    let area = session.arena.view(
      workspace + tiling.weightGradient, tiling.blockChannels * trained.depth, of: Int32.self)
    if isComputed {
      body(area, 0)
      return
    }
    func scratch(_ part: Int) -> View<Int8> {
      let byteCount = tiling.weightGradientWorkspaceByteCount
      return session.arena.view(
        workspace + tiling.weightGradientWorkspace + part * Arena.aligned(byteCount), byteCount,
        of: Int8.self)
    }
    func sums(_ part: Int) -> View<Int32> {
      part == 0
        ? area
        : session.arena.view(
          workspace + tiling.partWeightGradients + (part - 1) * tiling.partWeightGradientStride,
          area.count, of: Int32.self)
    }
    let parts =
      tiling.weightGradientParts > 1
      ? session.partCount(
        units: samples, work: samples &* (trained.multiplyCount / 32 + trained.input.count),
        // What parts have summed up is added.
        fetched: 4 * trained.weightCount) : 1
    let zeroPoint = network.quantization(ofTensor: node.firstInput).zeroPoint
    let padding = Int8(truncatingIfNeeded: zeroPoint)
    var channel = 0
    while channel < trained.output.channels {
      let channels = channel..<channel + tiling.blockChannels
      session.share(samples, parts: parts) { samples, part in
        sums(part).fill(0)
        if tiling.joinedGradientSamples > 1 {
          let positions = shape.output.positions
          let first = samples.lowerBound * positions
          trained.weightGradient(
            patches: inputs.slice(
              first * trained.depth, samples.count * positions * trained.depth),
            gradient(index + 1), positions: samples.count * positions, firstPosition: first,
            channels: channels, workspace: scratch(part), into: sums(part))
        } else {
          for sample in samples {
            let x = inputs.slice(sample * trained.input.count, trained.input.count)
            let g = selectedGradient(index, shape, selection, workspace, tiling, sample: sample)
            var row = 0
            while row < shape.output.height {
              let rows = row..<min(row + tiling.gradientRows, shape.output.height)
              trained.weightGradient(
                x, g, padding: padding, channels: channels, rows: rows, workspace: scratch(part),
                into: sums(part))
              row = rows.upperBound
            }
          }
        }
        return 0
      }
      for part in 1..<parts { area.add(sums(part)) }
      if zeroPoint != 0 {
        for row in channels {
          area.slice((row - channel) * trained.depth, trained.depth)
            .subtract(zeroPoint &* db[selection?.outputChannel(row) ?? row])
        }
      }
      body(area, channel)
      channel = channels.upperBound
    }
  }

  /// The gradient that a sample's weight gradient reads: of a depthwise convolution only the selected
  /// channels' (SPEC 8.11).
  private func selectedGradient(
    _ index: Int, _ shape: Convolution, _ selection: WeightSelection?, _ workspace: Int,
    _ tiling: Tiling, sample: Int
  ) -> View<Int8> {
    let g = gradient(index + 1, sample: sample)
    guard let selection, shape.isDepthwise else { return g }
    let selected = session.arena.view(
      workspace + tiling.selectedGradient, tiling.selectedGradientByteCount, of: Int8.self)
    gatherChannels(
      g, positions: shape.output.positions, stride: shape.output.channels, selection.channels,
      into: selected)
    return selected
  }

  private func updateBiases(_ index: Int, _ node: Node, _ scale: Scale, _ db: View<Int32>) {
    guard let velocities = session.biasVelocities(index) else {
      preconditionFailure("a plan has velocities for updated biases")
    }
    let rate = rates.rate(isHead: isHead(index), .biases)
    var factor: Scale?
    if recipe.normClip != .zero {
      var squares = SquareSum()
      squares.add(db)
      let norm = scale * squares.scale.squareRoot()
      if recipe.normClip < norm { factor = recipe.normClip / norm }
    }
    let inputScale = table.scale(node.firstInput)
    let lanes = stream(.weightRounding, 4 * index + 1)
    // Per layer one multiplier serves all.
    let count = node.scalesPerChannel ? 1 : db.count
    for group in 0..<db.count / count {
      let unitScale = inputScale * session.weightScale(index, node, group)
      var unit = rate * scale / unitScale
      if let factor { unit = unit * factor }
      let first = group * count
      _ = contribute(
        db.slice(first, count), unit.multiplier, lanes, first: first,
        limit: biasLimit(index, node, unitScale), subtracting: false,
        into: velocities.slice(first, count))
    }
  }

  /// c_b of a bias whose unit is `unitScale` (SPEC 8.6).
  func biasLimit(_ index: Int, _ node: Node, _ unitScale: Scale) -> Int32 {
    let most = Int64(recipe.largestBiasContribution)
    guard !node.hasAccumulators else { return Int32(truncatingIfNeeded: most) }
    let two = table.scale(index + 1).multiplied(byPowerOfTwo: 1) / unitScale
    return Int32(
      truncatingIfNeeded: min(max(two.roundedToInteger(fractionBits: 0), 1), most))
  }
}

extension Backward.Rates {
  /// - Parameter factor: f_t (SPEC 8.8).
  init(_ recipe: Recipe, factor: UInt64, microBatches: UInt32) {
    self.init(
      weights: recipe.rate(.weights, factor: factor), biases: recipe.rate(.biases, factor: factor),
      head: recipe.rate(.head, factor: factor), scales: recipe.rate(.scales, factor: factor),
      microBatches: microBatches)
  }

  /// Whether a node's weights are refreshed as its masters change, and not when the step ends: where one
  /// micro-batch makes the step and nothing behind the node's own update reads masters or weights.
  func refreshAtOnce(_ session: Session, _ recipe: Recipe, _ index: Int, _ node: Node) -> Bool {
    guard isUnobserved, microBatches == 1, recipe.momentum == 0, recipe.weightDecay == .zero,
      // Zeroth order reads the weights of the step's start.
      recipe.zerothOrder == nil,
      // The input gradient reads the weights, and comes later.
      !session.needsGradient(node.firstInput), session.masters(index) != nil
    else { return false }
    return session.request.training?.selection(ofNode: index) == nil
  }

  /// The same rates for a step that is made at once.
  var atOnce: Backward.Rates {
    var rates = self
    rates.microBatches = 1
    return rates
  }
}
