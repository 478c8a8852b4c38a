package import Kernels
import MicroKernels
public import Tensors

/// Which parameters of a node training changes: one byte per node of a recipe (Formats/recipe.md).
public struct UpdateSet: OptionSet, Sendable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }
  public static var weights: UpdateSet { UpdateSet(rawValue: 1) }
  public static var biases: UpdateSet { UpdateSet(rawValue: 2) }
  /// The gain of the layer, or of each channel (SPEC 8.11).
  public static var scales: UpdateSet { UpdateSet(rawValue: 4) }
}

/// What a session is to do; with the network it determines the memory to the byte.
public struct SessionRequest {
  /// Largest number of samples in one pass (a micro-batch).
  public var samples: Int
  /// `compact` trades time for memory: convolutions run row by row and gradients are computed twice
  /// instead of being kept. Results do not depend on it (SPEC 11).
  public var isCompact: Bool
  /// 1…16: threads that work on parts of a pass, each with a workspace of its own. Results do not depend on
  /// it (SPEC 11).
  public var threads = 1
  /// Work that a part must have to repay itself, as `Session.partCount` counts it: about a microsecond of
  /// it; 0 if any part is worth it.
  package var leastPartWork = 1 << 12
  /// `nil` for inference.
  public var training: TrainingNeeds?

  /// Coordinates whose estimate is made at once (SPEC 8.15): those of one block of signs, or of sixteen.
  package var signedSumCount: Int { isCompact ? 128 : 2048 }

  /// 1…16: parts of a pass that are worked on at once.
  package var partCount: Int {
    // A constant on boards: what other parts need is then not compiled.
    #if hasFeature(Embedded)
      1
    #else
      isCompact ? 1 : min(max(threads, 1), Int(TALLY_MOST_THREADS))
    #endif
  }

  /// T and K' of SPEC 8.3.
  static var largestPositionCount: Int { 66_311 }
  static var largestBackwardDepth: Int { 133_140 }

  /// What training needs to keep.
  public struct TrainingNeeds {
    /// The node entries of a recipe, 8 bytes each: update set, selection rule, channels.
    public let updates: View<UInt8>
    /// u16 channel numbers of the nodes whose selection is listed, one list after another.
    public let channelLists: View<UInt8>?
    /// For channels chosen at random.
    public let seed: UInt64
    public let hasMasters: Bool
    public let hasMomentum: Bool
    public let tracksRanges: Bool
    /// Only part of each sample's gradient is kept (SPEC 8.12).
    public let hasSparseGradients: Bool
    /// Groups of a zeroth-order recipe, eight bytes each, or `nil` (CoordinateGroup).
    public let groups: View<UInt8>?
    /// Samples of a step.
    public let batch: Int
    /// D of one step (SPEC 8.15): batch size times queries.
    public let differenceCount: Int
    /// σ of a group follows what is measured with it (SPEC 8.18).
    public let adaptsSigma: Bool

    public init(
      updates: View<UInt8>, channelLists: View<UInt8>? = nil, seed: UInt64 = 0, hasMasters: Bool,
      hasMomentum: Bool, tracksRanges: Bool, hasSparseGradients: Bool = false,
      groups: View<UInt8>? = nil, batch: Int = 0, differenceCount: Int = 0,
      adaptsSigma: Bool = false
    ) {
      self.updates = updates
      self.channelLists = channelLists
      self.seed = seed
      self.hasMasters = hasMasters
      self.hasMomentum = hasMomentum
      self.tracksRanges = tracksRanges
      self.hasSparseGradients = hasSparseGradients
      self.groups = groups
      self.batch = batch
      self.differenceCount = differenceCount
      self.adaptsSigma = adaptsSigma
    }

    /// What back-propagation changes.
    public func update(ofNode index: Int) -> UpdateSet { UpdateSet(rawValue: updates[8 &* index]) }

    /// Which channels' weights change; `nil` for all.
    public func selection(ofNode index: Int) -> ChannelSelection? {
      guard let rule = ChannelSelection.Rule(rawValue: updates[8 &* index &+ 1]) else { return nil }
      let count = Int(updates[8 &* index &+ 2]) | Int(updates[8 &* index &+ 3]) &<< 8
      return ChannelSelection(rule: rule, count: count)
    }

    /// The listed channels of a node whose selection is listed, u16 each.
    public func channelList(ofNode index: Int) -> View<UInt8> {
      var first = 0
      for node in 0..<index {
        if let selection = selection(ofNode: node), selection.rule == .listed {
          first += 2 * selection.count
        }
      }
      guard let channelLists, let selection = selection(ofNode: index) else {
        preconditionFailure("a validated recipe lists the channels it selects")
      }
      return channelLists.slice(first, 2 * selection.count)
    }

    /// A weighted node's operation on the channels whose weights change: its weights are the tensor that
    /// masters, velocities and gradients have.
    package func trainedShape(ofNode index: Int, _ shape: Convolution) -> Convolution {
      selection(ofNode: index).map { shape.selecting($0.count) } ?? shape
    }
  }

  public init(samples: Int, isCompact: Bool = false, training: TrainingNeeds? = nil) {
    self.samples = samples
    self.isCompact = isCompact
    self.training = training
  }
}

/// What a buffer is for. A row of buffers belongs to each tensor: row 0 to the input, row i + 1 to node
/// i and its output.
public enum BufferPurpose: Int, Sendable, CaseIterable {
  case weights, biases, weightScales, offsetBiases, multipliers, masters, weightVelocities
  case biasVelocities, scaleVelocities, selectedChannels, selectedInput, largestGradient, keptCounts
  case keptChannels, touchedRows, histogram, activation, mask, gradient, incomingGradient,
    forwardWorkspace
  case backwardWorkspace, sessionTable, differences, perturbedWeights, signedSums
  case perturbationCounts

  /// The numbers of a step's samples, in row 0: the input has no weights. (A purpose of its own would make
  /// the session table of a board longer, which has no such buffer.)
  static var sampleNumbers: BufferPurpose { .weights }

  /// Not that of `allCases`, an array, which boards have no memory for.
  static var count: Int { BufferPurpose.perturbationCounts.rawValue + 1 }
}

/// Where every buffer of a session lies in its arena, computed before the first byte is used.
///
/// Buffers live from one time to another: node i runs forward at time i and backward at time 2N − i,
/// the loss at time N, updates apply at 2N + 1. Buffers whose times do not meet share memory: the
/// largest is placed first, each at the lowest place where nothing that lives at the same time is.
public struct MemoryPlan {
  /// One buffer. `offset` counts from the start of the arena.
  public struct Entry: BitwiseCopyable, Sendable {
    public var row: Int32
    public var purpose: Int32
    public var byteCount: Int32
    public var start: Int32
    public var end: Int32
    public var offset: Int32
  }

  public let entries: View<Entry>
  public private(set) var count = 0
  /// Bytes of the arena a session needs.
  public private(set) var byteCount = 0
  /// The largest sum of buffers that live at one time: no plan can do with less.
  public private(set) var lowerBound = 0

  /// Most entries a plan of `nodeCount` nodes can have: how much memory to hand to `init`.
  public static func largestEntryCount(nodeCount: Int) -> Int {
    // One byte per tensor for the gradient path, at the end of the memory.
    let pathEntries =
      (nodeCount + MemoryLayout<Entry>.stride) / MemoryLayout<Entry>.stride + 1
    return (nodeCount + 1) * BufferPurpose.count + pathEntries
  }

  /// Stack that a session, a step or the writing of a journal uses at most, built for size;
  /// `Tools/firmware/compare.sh` holds every target's painted stack against it.
  ///
  /// - Parameter pointerByteCount: 4 or 8: pointers and counts are much of what lies there.
  public static func stackByteCount(
    isTraining: Bool, pointerByteCount: Int = MemoryLayout<Int>.size
  ) -> Int {
    (isTraining ? 3072 : 1536) * pointerByteCount
  }

  /// Bytes of the session's own table: an offset per row and purpose, the tensors' Scales, and a row of
  /// counters (SessionTable).
  static func tableByteCount(nodeCount: Int) -> Int {
    SessionTable.byteCount(tensorCount: nodeCount + 1)
  }

  /// Plans `request` for `network`.
  ///
  /// - Parameter entries: memory for the plan itself, at least `largestEntryCount(nodeCount:)`.
  /// - Throws: `MemoryPlanError` if a SPEC 8.3 bound is broken or the arena would pass 2³¹ bytes.
  public init(
    _ network: Network, _ request: SessionRequest, entries: View<Entry>
  ) throws(MemoryPlanError) {
    let most = (network.nodeCount + 1) * BufferPurpose.count
    precondition(
      entries.count >= MemoryPlan.largestEntryCount(nodeCount: network.nodeCount),
      "the plan's memory is too small")
    self.entries = entries.slice(0, most)
    let path = GradientPath(
      network, request.training,
      memory: entries.slice(most, entries.count - most).bytes.slice(0, network.tensorCount))
    var builder = BufferList(
      network: network, request: request, entries: self.entries, path: path)
    try builder.addAll()
    count = builder.count
    try place()
  }

  /// The buffer of a row and purpose, if the plan has it.
  public func entry(row: Int, _ purpose: BufferPurpose) -> Entry? {
    for index in 0..<count {
      let entry = entries[index]
      if Int(entry.row) == row && Int(entry.purpose) == purpose.rawValue { return entry }
    }
    return nil
  }

  private mutating func place() throws(MemoryPlanError) {
    for index in 0..<count { entries[index].offset = -1 }
    for _ in 0..<count {
      let next = largestUnplaced()
      var entry = entries[next]
      var offset = 0
      // Move up past every buffer in the way until nothing is; each pass moves past at least one.
      var isFree = false
      while !isFree {
        isFree = true
        for other in 0..<count {
          let placed = entries[other]
          guard placed.offset >= 0, placed.start <= entry.end, entry.start <= placed.end else {
            continue
          }
          let placedEnd = Int(placed.offset) + Arena.aligned(Int(placed.byteCount))
          if Int(placed.offset) < offset + Int(entry.byteCount) && offset < placedEnd {
            offset = placedEnd
            isFree = false
          }
        }
      }
      // In 64 bits: on a 32-bit board the sum itself could leave the range.
      let end64 = Int64(offset) + Int64(Arena.aligned(Int(entry.byteCount)))
      guard let end = Int32(exactly: end64).map({ Int($0) }) else { throw .arenaTooLarge }
      entry.offset = Int32(truncatingIfNeeded: offset)
      entries[next] = entry
      byteCount = max(byteCount, end)
    }
    for index in 0..<count {
      // Some buffer starts at the busiest time.
      let time = entries[index].start
      var sum = 0
      for other in 0..<count where entries[other].start <= time && entries[other].end >= time {
        sum += Arena.aligned(Int(entries[other].byteCount))
      }
      lowerBound = max(lowerBound, sum)
    }
  }

  /// Longest life first, then size: buffers that live for the whole run pack the bottom without gaps.
  private func largestUnplaced() -> Int {
    var best = -1
    for index in 0..<count where entries[index].offset < 0 {
      guard best >= 0 else {
        best = index
        continue
      }
      let (a, b) = (entries[index], entries[best])
      let (aIsPersistent, bIsPersistent) = (isPersistent(a), isPersistent(b))
      if aIsPersistent != bIsPersistent ? aIsPersistent : a.byteCount > b.byteCount { best = index }
    }
    return best
  }

  private func isPersistent(_ entry: Entry) -> Bool { entry.end == Int32.max }
}

/// Why a session cannot be planned.
public enum MemoryPlanError: Error, Equatable, Sendable {
  /// T of SPEC 8.3: too many positions in a micro-batch for a 32-bit weight gradient.
  case microBatchTooLarge(node: Int, largest: Int)
  /// K' of SPEC 8.3.
  case inputGradientTooDeep(node: Int)
  case arenaTooLarge
}
