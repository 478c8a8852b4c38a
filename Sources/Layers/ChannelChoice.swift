import CounterRandom
import FixedPoint
import Kernels
import Tensors

/// How a recipe selects channels of a node (SPEC 8.11, Formats/recipe.md).
public struct ChannelSelection: Equatable, Sendable {
  public enum Rule: UInt8, Sendable {
    /// The largest sums of squared weights.
    case magnitude = 1
    case first, random
    /// The recipe lists them.
    case listed
  }

  public let rule: Rule
  /// m ≥ 1.
  public let count: Int

  public init(rule: Rule, count: Int) {
    self.rule = rule
    self.count = count
  }
}

/// Fills in a node's list of selected channels from the model's own weights.
struct ChannelChoice {
  let network: Network
  let training: SessionRequest.TrainingNeeds
  let index: Int
  let shape: Convolution

  /// - Parameter channels: int32 [m].
  func choose(_ selection: ChannelSelection, into channels: View<Int32>) {
    switch selection.rule {
    case .first:
      for j in 0..<channels.count { channels[j] = Int32(truncatingIfNeeded: j) }
    case .listed:
      let list = training.channelList(ofNode: index)
      for j in 0..<channels.count {
        channels[j] = Int32(list[2 * j]) | Int32(list[2 * j + 1]) << 8
      }
    case .magnitude:
      let node = network.node(index)
      let weights = network.weights(of: node)
      let fold = ChannelFold(node, network.weightScales(of: node))
      chooseLargest(channels) { magnitude(of: $0, node, weights, fold) }
    case .random:
      let stream = RandomKey(seed: training.seed).stream(
        .channelChoice, tensor: UInt32(truncatingIfNeeded: 4 * index), step: 0, query: 0)
      chooseLargest(channels) { Key(stream.word(UInt32(truncatingIfNeeded: $0))) }
    }
  }

  /// Σ ρ²·w² over the weights that read channel `channel`.
  private func magnitude(
    of channel: Int, _ node: Node, _ weights: View<Int8>, _ fold: ChannelFold
  ) -> Key {
    var key = Key(0)
    let area = shape.geometry.area
    if shape.isDepthwise {
      key.add(sumOfSquares(weights.slice(channel * area, area)), times: fold.squaredRatio(channel))
      return key
    }
    for o in 0..<shape.output.channels {
      var sum: UInt64 = 0
      for tap in 0..<area {
        let weight = Int32(weights[(o * area + tap) * shape.input.channels + channel])
        sum &+= UInt64(truncatingIfNeeded: weight &* weight)
      }
      key.add(sum, times: fold.squaredRatio(o))
    }
    return key
  }

  /// The channels with the largest keys, ties to the lower channel, ascending.
  ///
  /// The smallest chosen key is found bit by bit, so that no key is stored: a board has no room for them.
  private func chooseLargest(_ channels: View<Int32>, _ key: (Int) -> Key) {
    let count = shape.input.channels
    func countAtLeast(_ threshold: Key) -> Int {
      var found = 0
      for channel in 0..<count where !(key(channel) < threshold) { found += 1 }
      return found
    }
    var largest = Key(0)
    for channel in 0..<count {
      let value = key(channel)
      if largest < value { largest = value }
    }
    var threshold = Key(0)
    for bit in stride(from: largest.bitLength - 1, through: 0, by: -1) {
      let candidate = threshold.setting(bit)
      if countAtLeast(candidate) >= channels.count { threshold = candidate }
    }
    // Everything above the threshold is in; the lowest channels at it fill the rest.
    var above = 0
    for channel in 0..<count where threshold < key(channel) { above += 1 }
    var ties = channels.count - above
    var j = 0
    for channel in 0..<count {
      let value = key(channel)
      if value < threshold { continue }
      if !(threshold < value) {
        if ties == 0 { continue }
        ties -= 1
      }
      channels[j] = Int32(truncatingIfNeeded: channel)
      j += 1
    }
  }

  /// An exact sum below 2¹²⁸.
  private struct Key {
    private var high: UInt64 = 0
    private var low: UInt64

    init(_ value: UInt32) { low = UInt64(value) }

    mutating func add(_ value: UInt64, times factor: UInt64) {
      let product = value.multipliedFullWidth(by: factor)
      let (sum, carry) = low.addingReportingOverflow(product.low)
      low = sum
      high &+= product.high &+ (carry ? 1 : 0)
    }

    var bitLength: Int {
      high == 0 ? 64 - low.leadingZeroBitCount : 128 - high.leadingZeroBitCount
    }

    func setting(_ bit: Int) -> Key {
      var key = self
      if bit < 64 { key.low |= 1 << UInt64(bit) } else { key.high |= 1 << UInt64(bit - 64) }
      return key
    }

    static func < (a: Key, b: Key) -> Bool { a.high == b.high ? a.low < b.low : a.high < b.high }
  }
}
