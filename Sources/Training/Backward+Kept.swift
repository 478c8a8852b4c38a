import FixedPoint
import Kernels
import Layers
import Tensors

// Sparse gradients: what is kept of them, and products that run on that alone (SPEC 8.12).

extension Backward {
  /// Sets the parts of a node's gradient that are not kept to 0, sample by sample.
  @inline(never)
  func sparsify(_ index: Int, _ node: Node, _ scale: Scale, _ tiling: Tiling) {
    guard let fields = recipe.sparseGradients, let words = session.largestGradient(index),
      let counts = session.keptCounts
    else { preconditionFailure("a plan has room for what sparse gradients count") }
    let channels = node.output.channels
    let all = session.arena.view(
      table.offset(index + 1, .backwardWorkspace), samples * channels, of: Int32.self)
    func magnitudes(_ sample: Int) -> View<Int32> { all.slice(sample * channels, channels) }
    func size(_ total: Int32) -> Scale { Scale(UInt64(total)) * scale * Scale(UInt64(batch)) }
    var largest = Scale.zero
    for sample in 0..<samples {
      let total = channelMagnitudes(
        gradient(index + 1, sample: sample), into: magnitudes(sample))
      largest = max(largest, size(total))
    }
    // Samples and micro-batches come in any order: Y_max of the step's start, and this micro-batch's own.
    let remembered = max(largest, Scale(stored: words, 0))
    words.store(max(largest, Scale(stored: words, 2)), at: 2)
    let ordinal = session.sparseNodeCount(in: 0..<index)
    let position = session.sparseNodeCount(in: index + 1..<network.nodeCount)
    let isHead = isHead(index)
    let start = Int(step) % channels
    for sample in 0..<samples {
      let magnitudes = magnitudes(sample)
      guard let kept = session.keptChannels(index, node, sample: sample) else { continue }
      let active = activeCount(magnitudes)
      var count = 0
      if active > 0 {
        count = fields.keptCount(
          channels: channels, size: size(sum(magnitudes)), largest: remembered,
          position: position, isHead: isHead)
      }
      keepLargest(count, of: magnitudes, startingAt: start, into: kept)
      if count < active {
        clearOthers(gradient(index + 1, sample: sample), channels: channels, keeping: kept)
      }
      counts.add(count, at: 3 * ordinal)
      counts.add(min(count, active), at: 3 * ordinal + 1)
      counts.add(active, at: 3 * ordinal + 2)
      if let touched = session.touchedRows(index) {
        for byte in 0..<kept.count { touched[byte] |= kept[byte] }
      }
    }
  }

  // MARK: - Products

  /// How a node's products read a gradient of which much may be 0.
  enum Keeping {
    /// Where it lies, without its zeros.
    case inPlace
    /// One sample's kept channels at a time.
    case channels
  }

  /// `nil` for the products of whole gradients.
  func keeping(
    _ index: Int, _ node: Node, _ shape: Convolution, _ tiling: Tiling
  ) -> Keeping? {
    if tiling.readsInPlace { return .inPlace }
    guard session.keptChannels(index, node, sample: 0) != nil else { return nil }
    var kept = 0
    for sample in 0..<samples {
      guard let bits = session.keptChannels(index, node, sample: sample) else { return nil }
      for byte in 0..<bits.count { kept += bits[byte].nonzeroBitCount }
    }
    let all = samples * node.output.channels
    if tiling.keepsChannels { return kept < all ? .channels : nil }
    // Reading in place does not reuse what it has read: it pays below some share only.
    if case .fullyConnected = node.operation { return 8 * kept < 3 * all ? .inPlace : nil }
    return nil
  }

  /// The channels that a sample keeps, in a workspace.
  private func keptList(
    _ index: Int, _ node: Node, _ tiling: Tiling, at offset: Int, sample: Int
  ) -> View<Int32> {
    let list = session.arena.view(
      table.offset(index + 1, .backwardWorkspace) + offset, tiling.keptListCount, of: Int32.self)
    guard let kept = session.keptChannels(index, node, sample: sample) else {
      preconditionFailure("a plan keeps what sparse gradients keep")
    }
    return list.slice(0, listKept(kept, channels: node.output.channels, into: list))
  }

  /// dx of one sample from its kept channels: a smaller convolution.
  func keptInputGradient(
    _ index: Int, _ node: Node, _ shape: Convolution, _ tiling: Tiling, _ g: View<Int8>,
    sample: Int, _ patches: View<Int8>, into gradient: View<Int32>
  ) {
    let workspace = table.offset(index + 1, .backwardWorkspace)
    let list = keptList(index, node, tiling, at: tiling.keptList, sample: sample)
    guard list.count > 0 else {
      gradient.fill(0)
      return
    }
    let kept = shape.keeping(list.count)
    let part = session.arena.view(
      workspace + tiling.keptGradient, kept.output.count, of: Int8.self)
    gatherChannels(
      g, positions: shape.output.positions, stride: shape.output.channels, list, into: part)
    let operand = kept.turnWeights(
      session.weights(index, node), of: list, forWindows: tiling.readsGradientRuns,
      gatheringInto: session.arena.view(
        workspace + tiling.turnedWeights, kept.weightCount, of: Int8.self),
      packingInto: session.arena.view(
        workspace + tiling.packedTurned, tiling.packedTurnedByteCount, of: UInt8.self))
    kept.inputGradient(
      part, turned: operand, rows: 0..<shape.input.height, workspace: patches, into: gradient)
  }

  /// Computes the rows of dw that have a gradient, with the zero-point term: row by row in place, or all of
  /// them sample by sample.
  func forEachKeptBlock(
    _ index: Int, _ node: Node, _ shape: Convolution, _ db: View<Int32>, _ tiling: Tiling,
    _ keeping: Keeping, isComputed: Bool,
    _ body: (_ block: View<Int32>, _ firstRow: Int) -> Void
  ) {
    let trained = session.trainedShape(index, shape)
    if keeping == .channels && samples == 1 {
      // Nothing to add: the sample's rows are those of the gradient.
      let list = keptList(index, node, tiling, at: tiling.keptWeightList, sample: 0)
      let product =
        isComputed
        ? keptProduct(index, trained, tiling, list)
        : keptWeightGradient(index, node, shape, db, tiling, list, sample: 0)
      // Neighbouring rows together: whole vectors draw lanes.
      var first = 0
      while first < list.count {
        var end = first + 1
        while end < list.count && list[end] == list[end - 1] &+ 1 { end += 1 }
        body(
          product.slice(first * trained.depth, (end - first) * trained.depth), Int(list[first]))
        first = end
      }
      return
    }
    let selection = session.weightSelection(index, shape)
    let rowCount = keeping == .inPlace ? 1 : trained.output.channels
    let area = session.arena.view(
      table.offset(index + 1, .backwardWorkspace) + tiling.weightGradient,
      rowCount * trained.depth, of: Int32.self)
    if keeping == .channels && !isComputed {
      joinedWeightGradient(index, node, shape, db, tiling, area)
    }
    for row in 0..<trained.output.channels {
      let channel = selection?.outputChannel(row) ?? row
      guard isTouched(index, node, channel) else { continue }
      if keeping == .channels {
        body(area.slice(row * trained.depth, trained.depth), row)
        continue
      }
      area.fill(0)
      inPlaceWeightGradient(index, node, shape, row: row, column: channel, area)
      body(area, row)
    }
  }

  /// Whether some sample of the micro-batch keeps an output channel.
  private func isTouched(_ index: Int, _ node: Node, _ channel: Int) -> Bool {
    guard session.keptChannels(index, node, sample: 0) != nil else { return true }
    for sample in 0..<samples {
      if let kept = session.keptChannels(index, node, sample: sample), isKept(channel, kept) {
        return true
      }
    }
    return false
  }

  private func inPlaceWeightGradient(
    _ index: Int, _ node: Node, _ shape: Convolution, row: Int, column: Int, _ sums: View<Int32>
  ) {
    let trained = session.trainedShape(index, shape)
    let inputs = session.selectedInput(index, shape) ?? session.activation(node.firstInput)
    let zeroPoint = network.quantization(ofTensor: node.firstInput).zeroPoint
    if case .fullyConnected = node.operation {
      // One position: the samples are the rows of one sum.
      let g = gradient(index + 1, sample: 0)
      let all = session.arena.view(
        table.offset(index + 1, .gradient) + column, samples * node.output.channels - column,
        of: Int8.self)
      addRows(
        samples, scalars: all, step: g.count, inputs, stride: trained.depth, into: sums)
      guard zeroPoint != 0 else { return }
      var total: Int32 = 0
      for sample in 0..<samples { total &+= Int32(all[sample * g.count]) }
      for k in 0..<sums.count { sums[k] &-= zeroPoint &* total }
      return
    }
    for sample in 0..<samples {
      trained.weightGradientInPlace(
        inputs.slice(sample * trained.input.count, trained.input.count),
        gradient(index + 1, sample: sample), column: column, step: node.output.channels,
        zeroPoint: zeroPoint, channel: row, into: sums)
    }
  }

  /// dw of all samples, each from its kept channels: smaller products, added to the rows they are of.
  private func joinedWeightGradient(
    _ index: Int, _ node: Node, _ shape: Convolution, _ db: View<Int32>, _ tiling: Tiling,
    _ area: View<Int32>
  ) {
    let trained = session.trainedShape(index, shape)
    for row in 0..<trained.output.channels where isTouched(index, node, row) {
      area.slice(row * trained.depth, trained.depth).fill(0)
    }
    for sample in 0..<samples {
      let list = keptList(index, node, tiling, at: tiling.keptWeightList, sample: sample)
      let product = keptWeightGradient(index, node, shape, nil, tiling, list, sample: sample)
      for j in 0..<list.count {
        area.slice(Int(list[j]) * trained.depth, trained.depth)
          .add(product.slice(j * trained.depth, trained.depth))
      }
    }
    let zeroPoint = network.quantization(ofTensor: node.firstInput).zeroPoint
    guard zeroPoint != 0 else { return }
    for row in 0..<trained.output.channels where db[row] != 0 {
      area.slice(row * trained.depth, trained.depth).subtract(zeroPoint &* db[row])
    }
  }

  /// Where a sample's kept rows of dw lie.
  private func keptProduct(
    _ index: Int, _ trained: Convolution, _ tiling: Tiling, _ list: View<Int32>
  ) -> View<Int32> {
    session.arena.view(
      table.offset(index + 1, .backwardWorkspace) + tiling.keptWeightGradient,
      list.count * trained.depth, of: Int32.self)
  }

  /// The rows of one sample's dw for its kept channels; with `db` less their zero-point terms.
  private func keptWeightGradient(
    _ index: Int, _ node: Node, _ shape: Convolution, _ db: View<Int32>?, _ tiling: Tiling,
    _ list: View<Int32>, sample: Int
  ) -> View<Int32> {
    let trained = session.trainedShape(index, shape)
    let workspace = table.offset(index + 1, .backwardWorkspace)
    let product = keptProduct(index, trained, tiling, list)
    guard list.count > 0 else { return product }
    let inputs = session.selectedInput(index, shape) ?? session.activation(node.firstInput)
    let zeroPoint = network.quantization(ofTensor: node.firstInput).zeroPoint
    let kept = trained.keeping(list.count)
    let part = session.arena.view(
      workspace + tiling.keptWeightOutput, kept.output.count, of: Int8.self)
    gatherChannels(
      gradient(index + 1, sample: sample), positions: trained.output.positions,
      stride: trained.output.channels, list, into: part)
    // The sums begin with the zero-point terms.
    for j in 0..<list.count {
      product.slice(j * trained.depth, trained.depth)
        .fill(db.map { 0 &- zeroPoint &* $0[Int(list[j])] } ?? 0)
    }
    kept.weightGradient(
      inputs.slice(sample * trained.input.count, trained.input.count), part,
      padding: Int8(truncatingIfNeeded: zeroPoint), channels: 0..<list.count,
      rows: 0..<trained.output.height,
      workspace: session.arena.view(
        workspace + tiling.weightGradientWorkspace, tiling.weightGradientWorkspaceByteCount,
        of: Int8.self),
      into: product)
    return product
  }
}

extension Trainer {
  /// Counts of node `index` over the last step; `nil` if the node keeps all of its gradient (SPEC 8.12).
  public func keptCounts(ofNode index: Int) -> KeptCounts? {
    guard let counts = session.keptCounts, session.largestGradient(index) != nil else { return nil }
    let first = 3 * session.sparseNodeCount(in: 0..<index)
    return KeptCounts(
      selected: counts[first], touched: counts[first + 1], active: counts[first + 2])
  }

  /// Forgets what the step before counted and touched.
  @inline(never)
  func prepareSparseGradients() {
    session.keptCounts?.fill(0)
    for index in 0..<session.network.nodeCount { session.touchedRows(index)?.fill(0) }
  }

  /// Y_max of every sparse node, after a step.
  @inline(never)
  func updateLargestGradients() {
    guard let fields = recipe.sparseGradients else { return }
    for index in 0..<session.network.nodeCount {
      guard let words = session.largestGradient(index) else { continue }
      let largest = fields.updated(Scale(stored: words, 0), with: Scale(stored: words, 2))
      words.store(largest, at: 0)
      words.store(.zero, at: 2)
    }
  }
}

extension Scale {
  /// The Scale at words `index` and `index + 1`.
  fileprivate init(stored words: View<Int32>, _ index: Int) {
    self.init(restoring: words[index], exponent: words[index + 1])
  }
}

extension View<Int32> {
  fileprivate func store(_ scale: Scale, at index: Int) {
    self[index] = scale.mantissa
    self[index + 1] = scale.exponent
  }

  /// Adds element by element, wrapping.
  func add(_ other: View<Int32>) {
    for index in 0..<count { self[index] &+= other[index] }
  }

  /// Takes a value from every element, wrapping.
  func subtract(_ value: Int32) {
    for index in 0..<count { self[index] &-= value }
  }
}

extension View<UInt32> {
  /// Adds to a count, which saturates.
  fileprivate func add(_ more: Int, at index: Int) {
    let sum = UInt64(self[index]) + UInt64(more)
    self[index] = UInt32(truncatingIfNeeded: min(sum, UInt64(UInt32.max)))
  }
}
