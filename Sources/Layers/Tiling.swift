import Kernels
import Tensors

/// How a node's work is cut to fit its workspace, and where the parts of the workspace lie, in bytes
/// from its start. Results do not depend on it (SPEC 11).
package struct Tiling {
  private let shape: Convolution?
  /// The operation on the channels whose weights change (SPEC 8.11).
  private let trained: Convolution?
  private let output: Shape
  private let hasAccumulators: Bool
  private let scalesPerChannel: Bool
  private let passesGradient: Bool
  private let selectsChannels: Bool
  private let isSparse: Bool
  private let samples: Int
  private let isCompact: Bool
  /// Parts of the samples that are worked on at once.
  #if hasFeature(Embedded)
    private var parts: Int { 1 }
  #else
    private let parts: Int
  #endif
  private let tracksRanges: Bool
  private var isDepthwise: Bool { shape?.isDepthwise ?? false }
  /// Output rows of one forward tile.
  package let outputRows: Int
  /// Output rows that parts do not cut: they fill whole bytes of a mask.
  package let rowUnit: Int
  /// Output rows of one step of a weight gradient.
  package let gradientRows: Int
  /// Whether one forward product joins the samples.
  package let joinsSamples: Bool
  /// Input rows of one input-gradient tile.
  package let inputRows: Int
  /// Samples whose positions join in one step of a weight gradient.
  package let joinedGradientSamples: Int
  /// Whether weights are packed before a product: worth it once many rows use them.
  package let packsWeights: Bool
  /// Whether the weights are packed when the session begins, because they never change. The packed weights
  /// then lie behind the derived biases.
  package let packsOnce: Bool
  /// Whether windows are read where they lie, without patches, in the forward pass and in that of the input
  /// gradient.
  package let readsRuns: Bool
  package let readsGradientRuns: Bool
  /// Output channels of one weight-gradient block.
  package let blockChannels: Int
  /// Whether the accumulators of all samples' input gradients stay between the pass that finds their
  /// size and the pass that rounds them.
  package let keepsGradient: Bool
  /// Whether the backward pass reads weights, inputs and gradients where they lie. It needs next to no
  /// memory, and for a few samples of a fully connected operation nothing is faster.
  package let readsInPlace: Bool
  /// Whether samples keep part of their channels, so that products run on those alone (SPEC 8.12).
  package let keepsChannels: Bool

  package init(_ index: Int, _ node: Node, _ request: SessionRequest) {
    output = node.output
    hasAccumulators = node.hasAccumulators
    scalesPerChannel = node.scalesPerChannel
    passesGradient = node.operation.passesGradient
    samples = request.samples
    shape = node.operation.weighted
    isSparse = request.training?.hasSparseGradients ?? false
    selectsChannels = request.training?.selection(ofNode: index) != nil
    trained = shape.map { request.training?.trainedShape(ofNode: index, $0) ?? $0 }
    isCompact = request.isCompact
    #if !hasFeature(Embedded)
      parts = request.partCount
    #endif
    tracksRanges = request.training?.tracksRanges ?? false
    guard let shape, let trained else {
      (outputRows, inputRows, blockChannels, joinedGradientSamples) = (1, 1, 1, 1)
      joinsSamples = false
      gradientRows = 1
      rowUnit = 1
      packsOnce = false
      keepsGradient = false
      packsWeights = false
      readsRuns = false
      readsGradientRuns = false
      readsInPlace = false
      keepsChannels = false
      return
    }
    var isFullyConnected = false
    if case .fullyConnected = node.operation { isFullyConnected = true }
    joinsSamples = isFullyConnected && !isCompact
    readsInPlace = isCompact || isFullyConnected && samples < Tiling.fewestTurnedRows
    keepsChannels = isSparse && !readsInPlace && !isFullyConnected && shape.groups == 1
    joinedGradientSamples = shape.isPointwise && !readsInPlace ? request.samples : 1
    packsOnce = !isCompact && shape.groups == 1 && request.training == nil
    packsWeights =
      !isCompact && shape.groups == 1
      && (packsOnce || request.samples * shape.output.positions >= Tiling.fewestPackedRows)
    readsRuns = packsWeights && shape.readsRuns
    readsGradientRuns = packsWeights && shape.readsGradientRuns
    let fewest = Tiling.fewestRows(
      shape.output.height, rowCount: shape.output.width * shape.output.channels)
    rowUnit = fewest
    outputRows =
      isCompact
      ? fewest
      : Tiling.cachedRows(
        shape.output.height, rowCount: shape.output.width * shape.output.channels, by: fewest)
    gradientRows = isCompact ? fewest : shape.output.height
    inputRows =
      isCompact
      ? Tiling.fewestRows(shape.input.height, rowCount: shape.input.width * shape.input.channels)
      : shape.input.height
    blockChannels =
      readsInPlace ? 1 : trained.isDepthwise ? trained.output.channels : trained.outputsPerGroup
    keepsGradient = !isCompact
  }

  /// Packing reads and writes the weights once more; fewer rows than this do not repay it.
  private static var fewestPackedRows: Int { 16 }
  /// Turning a fully connected operation's weights does not repay for fewer.
  private static var fewestTurnedRows: Int { 8 }

  /// The fewest rows whose elements fill whole bytes of a mask.
  private static func fewestRows(_ height: Int, rowCount: Int) -> Int {
    for rows in 1...height where rows * rowCount % 8 == 0 { return rows }
    return height
  }

  /// As many rows as accumulators stay in the nearest cache between the product and the rounding.
  private static func cachedRows(_ height: Int, rowCount: Int, by fewest: Int) -> Int {
    guard height > fewest else { return height }
    let rows = 24_576 / (4 * rowCount) / fewest * fewest
    return min(height, max(rows, fewest))
  }

  /// Groups of rows that parts do not cut, of one sample.
  package var rowBlocks: Int { shape.map { ($0.output.height + rowUnit - 1) / rowUnit } ?? 1 }

  // MARK: Forward: packed weights, patches, accumulators

  package var packedWeights: Int { 0 }
  package var packedByteCount: Int {
    guard packsWeights, let shape else { return 0 }
    if readsRuns {
      return MatrixOperand.packedByteCount(
        columns: shape.output.channels, window: shape.geometry, channels: shape.input.channels)
    }
    return MatrixOperand.packedByteCount(columns: shape.output.channels, depth: shape.depth)
  }
  package var forwardPatches: Int { packsOnce ? 0 : Arena.aligned(packedByteCount) }
  /// Where packed weights that never change begin behind the derived biases.
  package var packedBehindBiases: Int { Arena.aligned(4 * output.channels) }
  package var offsetBiasesByteCount: Int {
    packsOnce && packedByteCount > 0
      ? packedBehindBiases + packedByteCount : 4 * output.channels
  }
  package var forwardPatchesByteCount: Int {
    guard let shape else { return 0 }
    if readsRuns { return shape.forwardRunsWorkspace(rows: outputRows) }
    return isCompact
      ? shape.patchesByteCount(rows: outputRows) : shape.forwardWorkspace(rows: outputRows)
  }
  package var forwardAccumulators: Int { forwardPatches + Arena.aligned(forwardPatchesByteCount) }
  package var forwardAccumulatorCount: Int {
    shape.map {
      (joinsSamples ? samples : 1) * outputRows * $0.output.width * $0.output.channels
    } ?? 0
  }
  /// Bytes of one part's patches and accumulators.
  package var forwardPartStride: Int {
    // A head's accumulators are its output.
    Arena.aligned(forwardPatchesByteCount)
      + (hasAccumulators ? 0 : Arena.aligned(4 * forwardAccumulatorCount))
  }
  /// What the range tracker counts in parts other than the first.
  package var partHistograms: Int {
    forwardPatches + (joinsSamples ? 1 : parts) * forwardPartStride
  }
  package var forwardByteCount: Int {
    if parts > 1 {
      return partHistograms + (tracksRanges ? (parts - 1) * SessionTable.histogramByteCount : 0)
    }
    return hasAccumulators
      ? forwardAccumulators : forwardAccumulators + 4 * forwardAccumulatorCount
  }

  // MARK: Backward, input gradient: ratios of channel Scales, turned weights, packed, one sample's kept
  // channels and their gradient, patches, accumulators

  package var channelRatios: Int { 0 }
  package var turnedWeights: Int {
    scalesPerChannel ? Arena.aligned(4 * output.channels) : 0
  }
  package var packedTurned: Int {
    turnedWeights + (readsInPlace || isDepthwise ? 0 : Arena.aligned(shape?.weightCount ?? 0))
  }
  package var packedTurnedByteCount: Int {
    guard packsWeights || keepsChannels, !readsInPlace, let shape else { return 0 }
    // Fewer channels take less (KeptWorkspaceTests).
    return readsGradientRuns
      ? shape.packedGradientByteCount
      : MatrixOperand.packedByteCount(columns: shape.input.channels, depth: shape.backwardDepth)
  }
  package var keptList: Int { packedTurned + Arena.aligned(packedTurnedByteCount) }
  package var keptListCount: Int { keepsChannels ? output.channels : 0 }
  package var keptGradient: Int { keptList + Arena.aligned(4 * keptListCount) }
  package var keptGradientByteCount: Int { keepsChannels ? output.count : 0 }
  package var gradientPatches: Int { keptGradient + Arena.aligned(keptGradientByteCount) }
  // Out of line: boards then have it once.
  @inline(never)
  package var gradientPatchesByteCount: Int {
    guard !readsInPlace, let shape else { return 0 }
    return readsGradientRuns
      ? shape.inputGradientRunsWorkspace(rows: inputRows)
      : shape.inputGradientWorkspace(rows: inputRows)
  }
  package var gradientAccumulators: Int {
    gradientPatches + parts * Arena.aligned(gradientPatchesByteCount)
  }
  /// Accumulators of one tile; of all tiles and samples where they are kept.
  package func gradientAccumulatorCount(largestInput: Int) -> Int {
    guard let shape else { return parts * largestInput }
    return keepsGradient
      ? samples * shape.input.count : inputRows * shape.input.width * shape.input.channels
  }

  // MARK: Backward, parameter gradients: bias gradient, weight gradient block, a depthwise convolution's
  // selected gradient, one sample's kept channels, their gradient and its product, workspace

  /// |g| of every sample's channels, summed over positions (SPEC 8.12), at the start.
  package var magnitudesByteCount: Int {
    isSparse ? 4 * samples * output.channels : 0
  }
  package var biasGradient: Int { 0 }
  package var weightGradient: Int { Arena.aligned(4 * output.channels) }
  package var selectedGradient: Int {
    weightGradient + (trained.map { Arena.aligned(4 * blockChannels * $0.depth) } ?? 0)
  }
  package var selectedGradientByteCount: Int {
    guard let shape, let trained, shape.isDepthwise && selectsChannels, !readsInPlace else {
      return 0
    }
    return trained.output.count
  }
  package var keptWeightList: Int {
    selectedGradient + Arena.aligned(selectedGradientByteCount)
  }
  package var keptWeightOutput: Int { keptWeightList + Arena.aligned(4 * keptListCount) }
  package var keptWeightGradient: Int {
    keptWeightOutput + Arena.aligned(keptGradientByteCount)
  }
  package var keptWeightGradientCount: Int {
    keepsChannels ? trained?.weightCount ?? 0 : 0
  }
  package var weightGradientWorkspace: Int {
    keptWeightGradient + Arena.aligned(4 * keptWeightGradientCount)
  }
  package var weightGradientWorkspaceByteCount: Int {
    guard !readsInPlace, let trained else { return 0 }
    return trained.weightGradientWorkspace(
      channels: blockChannels,
      positions: joinedGradientSamples * gradientRows * trained.output.width)
  }

  /// Workspaces, then accumulators, of parts other than the first.
  package var partWeightGradients: Int {
    weightGradientWorkspace
      + weightGradientParts * Arena.aligned(weightGradientWorkspaceByteCount)
  }
  package var partWeightGradientStride: Int {
    trained.map { Arena.aligned(4 * blockChannels * $0.depth) } ?? 0
  }
  /// Parts of the samples that make a weight gradient at once. One where there is one workspace: for what
  /// samples keep or select of their channels. One for a single position too, where the samples are the rows
  /// of one product, and adding up the parts' gradients would take as long as making them.
  package var weightGradientParts: Int {
    // First what boards know: the rest is then not compiled.
    parts == 1 || isSparse || selectedGradientByteCount > 0 || shape?.output.positions == 1
      ? 1 : parts
  }

  package func backwardByteCount(
    update: UpdateSet, needsInputGradient: Bool, largestInput: Int
  ) -> Int {
    guard shape != nil else {
      return needsInputGradient && !passesGradient
        ? 4 * gradientAccumulatorCount(largestInput: largestInput) : 0
    }
    var byteCount = 0
    if needsInputGradient {
      byteCount =
        gradientAccumulators + 4 * gradientAccumulatorCount(largestInput: largestInput)
    }
    if update.contains(.weights) {
      byteCount = max(
        byteCount,
        weightGradientParts > 1
          ? partWeightGradients + (weightGradientParts - 1) * partWeightGradientStride
          : weightGradientWorkspace + weightGradientWorkspaceByteCount)
    } else if !update.isEmpty {
      byteCount = max(byteCount, weightGradient)
    }
    return max(byteCount, magnitudesByteCount)
  }
}
