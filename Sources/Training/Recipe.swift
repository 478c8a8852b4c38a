public import FixedPoint
import Kernels
public import Layers
public import Tensors

/// A resolved recipe: what a run is to do, read in place from canonical bytes (Formats/recipe.md).
///
/// Having one is evidence that its bytes are legal for a network of `nodeCount` nodes.
public struct Recipe {
  /// The canonical bytes, which the journal binds.
  public let bytes: View<UInt8>

  public enum Weights: UInt8, Sendable {
    /// int32 Q16 masters beside the int8 weights.
    case masters = 1
    /// int8 weights alone, changed by stochastic rounding.
    case int8 = 2
  }

  public enum Loss: UInt8, Sendable {
    case crossEntropy = 1
    case meanSquaredError = 2
  }

  public enum Schedule: UInt8, Sendable {
    case constant = 1
    case cosine = 2
    case step = 3
  }

  /// A group of parameters with a learning rate of its own.
  public enum Group: Int, Sendable {
    case weights = 0
    case biases, head, scales
  }

  /// How gradients are found.
  public enum Method: UInt8, Sendable {
    case backPropagation = 1
    /// Forward passes only; a head may have its closed form (SPEC 8.17).
    case zerothOrder = 2
    /// Zeroth order, and back-propagation behind it.
    case hybrid = 3
  }

  // MARK: Layout

  public static var magic: UInt32 { 0x5259_4C54 }
  public static var version: UInt16 { 1 }
  public static var fixedByteCount: Int { 128 }
  public static var nodeByteCount: Int { 8 }

  @inline(__always)
  private func u32(_ offset: Int) -> UInt32 {
    UInt32(bytes[offset]) | UInt32(bytes[offset + 1]) << 8 | UInt32(bytes[offset + 2]) << 16
      | UInt32(bytes[offset + 3]) << 24
  }

  private func u16(_ offset: Int) -> Int32 { Int32(bytes[offset]) | Int32(bytes[offset + 1]) << 8 }

  private func storedScale(_ offset: Int) -> Scale? {
    Scale(mantissa: Int32(bitPattern: u32(offset)), exponent: Int32(bitPattern: u32(offset + 4)))
  }

  private func scale(_ offset: Int) -> Scale {
    guard let scale = storedScale(offset) else {
      preconditionFailure("a validated recipe holds normalised Scales")
    }
    return scale
  }

  // MARK: Fields

  public var seed: UInt64 { UInt64(u32(8)) | UInt64(u32(12)) << 32 }
  public var epochs: UInt32 { u32(16) }
  /// Samples per update, B.
  public var batch: UInt32 { u32(20) }
  /// Samples that share gradient exponents, β.
  public var microBatch: UInt32 { u32(24) }
  public var method: Method { Method(rawValue: bytes[28]) ?? .backPropagation }
  /// The zeroth-order block; with the methods that need it.
  public var zerothOrder: ZerothOrderRecipe? { block(.zerothOrder).map { ZerothOrderRecipe($0) } }
  public var weights: Weights { bytes[29] == 1 ? .masters : .int8 }
  public var loss: Loss { bytes[30] == 1 ? .crossEntropy : .meanSquaredError }
  public var tracksRanges: Bool { bytes[31] == 1 }
  public func learningRate(_ group: Group) -> Scale { scale(32 + 8 * group.rawValue) }
  /// λ; zero is off.
  public var weightDecay: Scale { scale(64) }
  /// τ, the largest relative change of a weight tensor per step; zero is off.
  public var trustRatio: Scale { scale(72) }
  /// κ, the largest norm of a gradient tensor; zero is off.
  public var normClip: Scale { scale(80) }
  /// c, in LSB.
  public var clip: Int32 { Int32(bitPattern: u32(88)) }
  /// μ in Q15.
  public var momentum: Int32 { u16(92) }
  public var schedule: Schedule { Schedule(rawValue: bytes[94]) ?? .constant }
  public var warmup: UInt32 { u32(96) }
  /// P of the range tracker.
  public var rangePeriod: UInt32 { u32(100) }
  /// K, steps between state roots.
  public var rootPeriod: UInt32 { u32(104) }
  public var factorCount: Int { Int(truncatingIfNeeded: u32(108)) }
  /// ⌈B/β⌉.
  public var largestMicroBatchCount: UInt32 { (batch - 1) / microBatch + 1 }
  /// ⌊2³⁰ / ⌈B/β⌉⌋: keeps the sum of a step's contributions to a gain below 2³⁰ (SPEC 8.11).
  public var largestGainContribution: Int32 { (1 << 30) / Int32(largestMicroBatchCount) }
  /// c_max: keeps the sum of a step's bias contributions below 2³⁰ (SPEC 8.6).
  public var largestBiasContribution: Int32 {
    Int32(truncatingIfNeeded: min(1 << 23, (1 << 30) / largestMicroBatchCount))
  }
  public var nodeCount: Int { Int(truncatingIfNeeded: u32(112)) }
  /// Ends the run early; 0 for no limit.
  public var largestStepCount: UInt32 { u32(120) }

  /// Factor `index` of a step schedule, Q30.
  public func factor(_ index: Int) -> UInt32 { u32(Recipe.fixedByteCount + 4 * index) }

  /// One update set every 8 bytes.
  public var updates: View<UInt8> {
    bytes.slice(
      Recipe.fixedByteCount + 4 * factorCount, Recipe.nodeByteCount * nodeCount)
  }

  public func update(ofNode index: Int) -> UpdateSet {
    UpdateSet(rawValue: updates[Recipe.nodeByteCount * index])
  }

  /// Which channels' weights of a node change; `nil` for all (SPEC 8.11).
  public func selection(ofNode index: Int) -> ChannelSelection? { needs.selection(ofNode: index) }

  // MARK: Extension blocks

  /// Kinds of extension blocks (Formats/recipe.md).
  public enum Block: UInt32, Sendable {
    case sparseGradients = 1
    case zerothOrder = 2
    case channelLists = 3
  }

  private var firstBlock: Int {
    Recipe.fixedByteCount + 4 * factorCount + Recipe.nodeByteCount * nodeCount
  }

  /// The bytes of a block, or `nil` if the recipe has none of this kind. Blocks ascend by kind.
  func block(_ wanted: Block) -> View<UInt8>? {
    var offset = firstBlock
    for _ in 0..<u32(116) {
      let length = Int(truncatingIfNeeded: u32(offset + 4))
      if u32(offset) == wanted.rawValue { return bytes.slice(offset + 8, length) }
      offset += 8 + (length + 3) & ~3
    }
    return nil
  }

  /// How much of each gradient is kept; `nil` for all of it (SPEC 8.12).
  public var sparseGradients: SparseGradients? {
    guard let block = block(.sparseGradients) else { return nil }
    func field(_ offset: Int) -> Int32 { Int32(block[offset]) | Int32(block[offset + 1]) << 8 }
    return SparseGradients(
      minimum: field(0), maximum: field(2), damping: field(4), headMinimum: field(6),
      decayShift: Int32(block[8]))
  }

  /// Memory that training by this recipe needs.
  public var needs: SessionRequest.TrainingNeeds {
    SessionRequest.TrainingNeeds(
      updates: updates, channelLists: block(.channelLists), seed: seed,
      hasMasters: weights == .masters, hasMomentum: momentum > 0, tracksRanges: tracksRanges,
      hasSparseGradients: block(.sparseGradients) != nil, groups: zerothOrder?.groups,
      batch: Int(batch), differenceCount: (zerothOrder?.queries ?? 0) * Int(batch),
      adaptsSigma: zerothOrder?.adaptsSigma ?? false)
  }

  // MARK: Validation

  /// Checks canonical bytes against the network they are for.
  /// - Throws: `RecipeError` naming the byte.
  public init(validating bytes: View<UInt8>, for network: Network) throws(RecipeError) {
    self.bytes = bytes
    guard bytes.count >= Recipe.fixedByteCount else { throw RecipeError(.truncated, bytes.count) }
    guard u32(0) == Recipe.magic else { throw RecipeError(.notARecipe, 0) }
    guard u16(4) == Int32(Recipe.version), u16(6) == 1 else {
      throw RecipeError(.unsupportedVersion, 4)
    }
    try check(epochs <= 1_000_000, 16)
    try check(batch >= 1 && batch <= 1 << 24, 20)
    try check(microBatch >= 1 && microBatch <= batch, 24)
    try check(largestMicroBatchCount <= 1024, 24)
    try check(Method(rawValue: bytes[28]) != nil, 28)
    try check(Weights(rawValue: bytes[29]) != nil, 29)
    try check(Loss(rawValue: bytes[30]) != nil, 30)
    try check(bytes[31] <= (network.isInitialized ? 1 : 0), 31)
    for offset in stride(from: 32, to: 88, by: 8) { try check(storedScale(offset) != nil, offset) }
    try check(clip >= 1 && clip <= 128, 88)
    // M·c·2¹⁶ ≤ 2³⁰ keeps sums of contributions in 32 bits (SPEC 8.7).
    try check(UInt64(largestMicroBatchCount) * UInt64(UInt32(bitPattern: clip)) <= 1 << 14, 88)
    // |D| of weight decay stays below 2²⁴ (SPEC 8.6).
    let one = Scale.powerOfTwo(0)
    try check(!(one < learningRate(.weights) * weightDecay), 64)
    try check(!(one < learningRate(.head) * weightDecay), 64)
    try check(momentum <= 32_440, 92)
    try check(Schedule(rawValue: bytes[94]) != nil, 94)
    try check(bytes[95] == 0, 95)
    try check(warmup <= 1 << 30, 96)
    try check(rangePeriod >= 2 && rangePeriod <= 1 << 24, 100)
    try check(rootPeriod >= 1, 104)
    try check(u32(108) <= 1_000_000 && (schedule == .step) == (factorCount >= 1), 108)
    try check(nodeCount == network.nodeCount, 112)
    try check(u32(116) <= 16, 116)
    try check(u32(124) == 0, 124)
    guard bytes.count >= firstBlock else { throw RecipeError(.truncated, bytes.count) }
    for index in 0..<factorCount {
      try check(factor(index) <= 1 << 31, Recipe.fixedByteCount + 4 * index)
    }
    try checkNodes(network)
    try checkBlocks()
    try checkSparseGradients()
    try checkChannelLists(network)
    try checkZerothOrder(network)
  }

  /// What method and block of a zeroth-order recipe demand (SPEC 8.14).
  private func checkZerothOrder(_ network: Network) throws(RecipeError) {
    guard let block = block(.zerothOrder) else {
      try check(method == .backPropagation, 28)
      return
    }
    try check(method != .backPropagation && !tracksRanges && momentum == 0, 28)
    try check(self.block(.sparseGradients) == nil, 28)
    // Without back-propagation only the head has a gradient.
    if method == .zerothOrder {
      for index in 0..<nodeCount where index != network.lastWeightedNode {
        try check(update(ofNode: index).isEmpty, 28)
      }
    }
    let fault = ZerothOrderRecipe(block)
      .firstFault(network, batch: batch) { update(ofNode: $0) }
    if let fault { throw RecipeError(.badField, firstBlock + fault) }
  }

  /// Blocks ascend by kind, are padded with zeros to 4 bytes, and end the recipe.
  private func checkBlocks() throws(RecipeError) {
    var offset = firstBlock
    var lastKind: UInt32 = 0
    for _ in 0..<u32(116) {
      guard bytes.count - offset >= 8 else { throw RecipeError(.truncated, bytes.count) }
      let kind = Block(rawValue: u32(offset))
      try check(kind != nil && u32(offset) > lastKind, offset)
      lastKind = u32(offset)
      try check(u32(offset + 4) <= 1 << 24, offset + 4)
      let length = Int(truncatingIfNeeded: u32(offset + 4))
      let padded = (length + 3) & ~3
      guard bytes.count - offset - 8 >= padded else { throw RecipeError(.truncated, bytes.count) }
      for pad in length..<padded { try check(bytes[offset + 8 + pad] == 0, offset + 8 + pad) }
      offset += 8 + padded
    }
    guard bytes.count == offset else { throw RecipeError(.trailingBytes, offset) }
  }

  private func checkNodes(_ network: Network) throws(RecipeError) {
    let first = Recipe.fixedByteCount + 4 * factorCount
    var updatesSomething = false
    for index in 0..<nodeCount {
      let offset = first + Recipe.nodeByteCount * index
      let node = network.node(index)
      var legal: UpdateSet = node.operation.weighted == nil ? [] : [.weights, .biases]
      // Raw logits have no Scale but S_x·S_w, which only scales the loss.
      if !legal.isEmpty && !node.hasAccumulators { legal.insert(.scales) }
      try check(legal.contains(UpdateSet(rawValue: bytes[offset])), offset)
      try checkSelection(node, at: offset)
      updatesSomething = updatesSomething || bytes[offset] != 0
    }
    try check(updatesSomething || epochs == 0 || method != .backPropagation, first)
  }

  /// Rule and number of selected channels (SPEC 8.11).
  private func checkSelection(_ node: Node, at offset: Int) throws(RecipeError) {
    try check(u32(offset + 4) == 0, offset)
    let count = Int(truncatingIfNeeded: u16(offset + 2))
    if bytes[offset + 1] == 0 {
      try check(count == 0, offset)
      return
    }
    try check(ChannelSelection.Rule(rawValue: bytes[offset + 1]) != nil, offset)
    try check(UpdateSet(rawValue: bytes[offset]).contains(.weights), offset)
    guard let channels = node.operation.weighted?.selectableChannelCount else {
      throw RecipeError(.badField, offset)
    }
    try check(count >= 1 && count <= channels, offset)
  }

  /// Ratios in order, at least two channels at the head (SPEC 8.12).
  private func checkSparseGradients() throws(RecipeError) {
    guard let block = block(.sparseGradients) else { return }
    try check(block.count == SparseGradients.byteCount, firstBlock)
    guard let fields = sparseGradients else { return }
    let one: Int32 = 1 << 15
    try check(fields.minimum <= fields.maximum && fields.maximum <= one, firstBlock)
    try check(fields.damping <= one && fields.headMinimum >= 2, firstBlock)
    try check(fields.decayShift <= 30, firstBlock)
    try check(block[9] == 0 && block[10] == 0 && block[11] == 0, firstBlock)
  }

  /// The lists of the nodes whose channels are listed: as long as they say, ascending, of channels that
  /// exist.
  private func checkChannelLists(_ network: Network) throws(RecipeError) {
    let lists = block(.channelLists)
    // The block is the last thing that can be wrong; its place stands for all of it.
    let place = firstBlock
    var first = 0
    for index in 0..<nodeCount {
      guard let selection = self.selection(ofNode: index), selection.rule == .listed else {
        continue
      }
      let channels = network.node(index).operation.weighted?.selectableChannelCount ?? 0
      guard let lists, lists.count >= first + 2 * selection.count else {
        throw RecipeError(.badField, place)
      }
      var last = -1
      for j in 0..<selection.count {
        let channel = Int(lists[first + 2 * j]) | Int(lists[first + 2 * j + 1]) << 8
        try check(channel > last && channel < channels, place)
        last = channel
      }
      first += 2 * selection.count
    }
    try check(first == lists?.count ?? 0 && (first > 0 || lists == nil), place)
  }

  private func check(_ condition: Bool, _ offset: Int) throws(RecipeError) {
    if !condition { throw RecipeError(.badField, offset) }
  }
}

/// Why bytes are not a recipe for a network, and where.
public struct RecipeError: Error, Equatable, Sendable {
  public enum Code: UInt8, Sendable {
    case notARecipe = 1
    case unsupportedVersion
    case truncated
    case trailingBytes
    case badField
  }

  public let code: Code
  /// Byte offset into the canonical recipe.
  public let offset: Int

  public init(_ code: Code, _ offset: Int) {
    self.code = code
    self.offset = offset
  }
}
