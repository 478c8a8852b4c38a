import Kernels
import Tensors

/// Collects the buffers of a session with their sizes and lifetimes.
struct BufferList {
  let network: Network
  let request: SessionRequest
  let entries: View<MemoryPlan.Entry>
  let path: GradientPath
  var count = 0

  private var nodeCount: Int { network.nodeCount }
  private var lossTime: Int { nodeCount }
  private func backwardTime(_ node: Int) -> Int { 2 * nodeCount - node }
  private static var always: Int { Int(Int32.max) }

  init(
    network: Network, request: SessionRequest, entries: View<MemoryPlan.Entry>, path: GradientPath
  ) {
    self.network = network
    self.request = request
    self.entries = entries
    self.path = path
  }

  private mutating func add(
    row: Int, _ purpose: BufferPurpose, _ byteCount: Int, from start: Int = 0,
    to end: Int = BufferList.always
  ) throws(MemoryPlanError) {
    guard byteCount > 0 else { return }
    guard byteCount <= Int(Int32.max) / 2 else { throw .arenaTooLarge }
    precondition(count < entries.count, "the plan's memory is too small")
    entries[count] = MemoryPlan.Entry(
      row: Int32(truncatingIfNeeded: row), purpose: Int32(truncatingIfNeeded: purpose.rawValue),
      byteCount: Int32(truncatingIfNeeded: byteCount), start: Int32(truncatingIfNeeded: start),
      end: Int32(truncatingIfNeeded: end), offset: -1)
    count += 1
  }

  mutating func addAll() throws(MemoryPlanError) {
    if request.training?.hasSparseGradients == true {
      let count = network.sparseNodeCount(in: 0..<nodeCount) { path[$0] }
      try add(row: 0, .keptCounts, SessionTable.keptCountByteCount * count)
    }
    try add(row: 0, .sessionTable, MemoryPlan.tableByteCount(nodeCount: nodeCount))
    for index in 0..<nodeCount { try addParameters(index) }
    for tensor in 0...nodeCount { try addTensor(tensor) }
    for index in 0..<nodeCount { try addWorkspaces(index) }
    try addLoss()
  }

  // MARK: Parameters

  private mutating func addParameters(_ index: Int) throws(MemoryPlanError) {
    let node = network.node(index)
    guard let shape = node.operation.weighted else { return }
    let row = index + 1
    let outputs = shape.output.channels
    try add(row: row, .offsetBiases, Tiling(index, node, request).offsetBiasesByteCount)
    try add(row: row, .multipliers, 8 * node.scaleCount)
    guard let training = request.training else { return }
    let update = training.gradientUpdate(ofNode: index)
    // A step by whole-step sums needs no velocities (SPEC 8.16).
    let isPerturbed = training.perturbsWeights(network, ofNode: index)
    if update.contains(.weights) || isPerturbed {
      try add(row: row, .weights, shape.weightCount)
      let trained = training.trainedShape(ofNode: index, shape).weightCount
      if training.hasMasters { try add(row: row, .masters, 4 * trained) }
      if update.contains(.weights), training.hasMomentum || !training.hasMasters {
        try add(row: row, .weightVelocities, 4 * trained)
      }
      if let selection = training.selection(ofNode: index) {
        try add(row: row, .selectedChannels, 4 * selection.count)
        if path[index + 1] {
          try add(
            row: row, .selectedInput, request.samples * shape.input.positions * selection.count,
            from: index, to: backwardTime(index))
        }
      }
    }
    if training.hasSparseGradients && path[index + 1] {
      try add(row: row, .largestGradient, SessionTable.largestGradientByteCount)
      try add(
        row: row, .keptChannels, request.samples * maskByteCount(outputs),
        from: backwardTime(index), to: backwardTime(index))
      if update.contains(.weights) { try add(row: row, .touchedRows, maskByteCount(outputs)) }
    }
    if update.contains(.biases) { try add(row: row, .biasVelocities, 4 * outputs) }
    // A range change rescales biases even where training leaves them alone.
    let hasGain = training.perturbsScales(network, ofNode: index)
    if update.contains(.biases) || isPerturbed || hasGain || training.tracksRanges {
      try add(row: row, .biases, 4 * outputs)
    }
    if update.contains(.scales) { try add(row: row, .scaleVelocities, 4 * node.scaleCount) }
    if update.contains(.scales) || hasGain || training.tracksRanges {
      try add(row: row, .weightScales, 8 * node.scaleCount)
    }
  }

  // MARK: Tensors

  private mutating func addTensor(_ tensor: Int) throws(MemoryPlanError) {
    let elements = network.shape(ofTensor: tensor).count
    let produced = max(0, tensor - 1)
    let consumers = network.consumers(ofTensor: tensor)
    let isHead = tensor == nodeCount
    let isAccumulators = isHead && network.node(nodeCount - 1).hasAccumulators
    var end = isHead ? lossTime : consumers.last
    if let training = request.training {
      if let last = lastBackwardRead(tensor) { end = max(end, last) }
      if training.restarts(network, from: tensor, lastReader: consumers.last) {
        end = max(end, lossTime)
      }
      if training.perturbs(network, tensor: tensor) { end = max(end, backwardTime(tensor - 1)) }
      if training.tracksRanges && tensor > 0 && network.isTracked(tensor) {
        try add(row: tensor, .histogram, SessionTable.histogramByteCount)
      }
      if path[tensor] {
        let firstGradient = isHead ? lossTime : backwardTime(consumers.last)
        let lastGradient = backwardTime(tensor - 1)
        if network.node(tensor - 1).hasMask {
          try add(
            row: tensor, .mask, request.samples * maskByteCount(elements), from: produced,
            to: isHead ? lossTime : backwardTime(consumers.first))
        }
        try add(
          row: tensor, .gradient, request.samples * elements, from: firstGradient, to: lastGradient)
        if consumers.count > 1 {
          try add(
            row: tensor, .incomingGradient, request.samples * elements,
            from: backwardTime(consumers.last), to: backwardTime(consumers.first))
        }
      }
    }
    try add(
      row: tensor, .activation, request.samples * elements * (isAccumulators ? 4 : 1),
      from: produced, to: end)
  }

  /// The last time the backward pass reads a tensor's values.
  private func lastBackwardRead(_ tensor: Int) -> Int? {
    guard let training = request.training else { return nil }
    var last: Int?
    // The gradient of a gain is read off the node's own output.
    if tensor > 0, path[tensor], training.update(ofNode: tensor - 1).contains(.scales) {
      last = backwardTime(tensor - 1)
    }
    for index in 0..<nodeCount {
      let node = network.node(index)
      guard node.firstInput == tensor || node.secondInput == tensor else { continue }
      guard path[index + 1] else { continue }
      let reads: Bool
      switch node.operation {
      case .convolution, .fullyConnected:
        // Of selected channels the forward pass keeps a copy.
        reads =
          training.gradientUpdate(ofNode: index).contains(.weights)
          && training.selection(ofNode: index) == nil
      case .maxPooling, .table: reads = path[tensor]
      case .multiply:
        // Each input's gradient reads the other input.
        let other = node.firstInput == tensor ? (node.secondInput ?? tensor) : node.firstInput
        reads = path[other]
      case .averagePooling, .add, .concatenate, .rescale, .slicePad, .upsample: reads = false
      }
      // The earliest consumer is the last to run backward.
      if reads { last = max(last ?? 0, backwardTime(index)) }
    }
    return last
  }

  // MARK: Workspaces

  private mutating func addWorkspaces(_ index: Int) throws(MemoryPlanError) {
    let node = network.node(index)
    let tiling = Tiling(index, node, request)
    try add(row: index + 1, .forwardWorkspace, tiling.forwardByteCount, from: index, to: index)
    guard let training = request.training else { return }
    if training.perturbsWeights(network, ofNode: index), let shape = node.operation.weighted {
      // One output channel at a time where memory is short.
      try add(
        row: index + 1, .perturbedWeights, request.isCompact ? shape.depth : shape.weightCount,
        from: index, to: index)
    }
    let update = training.gradientUpdate(ofNode: index)
    let needsInputGradient =
      path[index + 1] && (path[node.firstInput] || (node.secondInput.map { path[$0] } ?? false))
    if let shape = node.operation.weighted {
      let positions = request.samples * shape.output.positions
      guard update.isEmpty || positions <= SessionRequest.largestPositionCount else {
        throw .microBatchTooLarge(
          node: index, largest: SessionRequest.largestPositionCount / shape.output.positions)
      }
      guard !needsInputGradient || shape.backwardDepth <= SessionRequest.largestBackwardDepth else {
        throw .inputGradientTooDeep(node: index)
      }
    }
    guard path[index + 1] else { return }
    try add(
      row: index + 1, .backwardWorkspace,
      tiling.backwardByteCount(
        update: update, needsInputGradient: needsInputGradient,
        largestInput: largestInput(of: node)),
      from: backwardTime(index), to: backwardTime(index))
  }

  private func largestInput(of node: Node) -> Int {
    let first = network.shape(ofTensor: node.firstInput).count
    return max(first, node.secondInput.map { network.shape(ofTensor: $0).count } ?? 0)
  }

  /// Row 0's workspace at the time of the loss: int32 logits if the head is int8, and their gradient.
  private mutating func addLoss() throws(MemoryPlanError) {
    let outputs = network.outputCount
    var byteCount = network.node(nodeCount - 1).hasAccumulators ? 0 : 4 * outputs
    if let training = request.training {
      byteCount += 4 * outputs * request.samples
      // Drawing a number anew each time it is asked for takes longer than copying its sample.
      if !request.isCompact { try add(row: 0, .sampleNumbers, 4 * training.batch) }
      if training.groupCount > 0 {
        try add(row: 0, .differences, 4 * training.differenceCount)
        // For estimated gradients and updates, both after the loss.
        try add(
          row: 0, .signedSums, 8 * request.signedSumCount, from: lossTime + 1,
          to: 2 * nodeCount + 1)
        if training.adaptsSigma {
          try add(
            row: 0, .perturbationCounts,
            SessionTable.perturbationByteCount * training.groupCount)
        }
      }
    }
    try add(row: 0, .forwardWorkspace, byteCount, from: lossTime, to: lossTime)
  }
}

extension Network {
  /// Weighted nodes of `range` whose output has a gradient (SPEC 8.12).
  package func sparseNodeCount(in range: Range<Int>, hasGradient: (_ tensor: Int) -> Bool) -> Int {
    var count = 0
    for index in range where hasGradient(index + 1) && node(index).operation.weighted != nil {
      count += 1
    }
    return count
  }

  /// The first and last node that read a tensor, and how many reads there are.
  package func consumers(ofTensor tensor: Int) -> (first: Int, last: Int, count: Int) {
    var result = (first: nodeCount, last: max(0, tensor - 1), count: 0)
    for index in max(0, tensor - 1)..<nodeCount {
      let record = self.record(index)
      let reads = (record.firstInput == tensor ? 1 : 0) + (record.secondInput == tensor ? 1 : 0)
      guard reads > 0 else { continue }
      result.first = min(result.first, index)
      result.last = index
      result.count += reads
    }
    return result
  }

  /// The tensor whose Scale a tensor's Scale repeats: itself unless a follower wrote it (SPEC 8.9).
  package func rangeRoot(ofTensor tensor: Int) -> Int {
    var root = tensor
    while root > 0, node(root - 1).operation.isFollower { root = record(root - 1).firstInput }
    return root
  }

  /// Whether the range tracker may move a tensor's Scale (SPEC 8.9).
  package func isTracked(_ tensor: Int) -> Bool {
    guard tensor > 0 else { return false }
    let node = node(tensor - 1)
    switch node.operation {
    case .convolution, .fullyConnected, .add: break
    case .maxPooling, .averagePooling, .multiply, .concatenate, .table, .rescale, .slicePad,
      .upsample:
      return false
    }
    if node.hasAccumulators { return false }
    for index in tensor..<nodeCount {
      let reader = self.node(index)
      switch reader.operation {
      case .table, .multiply, .concatenate, .rescale:
        if rangeRoot(ofTensor: reader.firstInput) == tensor { return false }
        if let second = reader.secondInput, rangeRoot(ofTensor: second) == tensor { return false }
      case .convolution, .fullyConnected, .maxPooling, .averagePooling, .add, .slicePad, .upsample:
        break
      }
    }
    return true
  }
}
