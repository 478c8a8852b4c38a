public import CounterRandom
import FixedPoint
import MicroKernels
public import Tensors

/// The part of a weight tensor that reads selected channels, as a compact tensor of its own (SPEC 8.11).
///
/// A convolution's compact tensor is [O][KH][KW][m], a fully connected one's [O][m], a depthwise one's
/// [m][KH][KW]. Masters, velocities and gradients exist for it alone.
public struct WeightSelection {
  /// int32 [m], ascending: input channels, input elements, or own channels of a depthwise convolution.
  public let channels: View<Int32>
  /// Weights of one kernel tap (or output), or of one channel of a depthwise convolution.
  @usableFromInline let stride: Int
  @usableFromInline let isDepthwise: Bool

  /// - Parameter shape: of the whole operation.
  public init(_ channels: View<Int32>, of shape: Convolution) {
    self.channels = channels
    isDepthwise = shape.isDepthwise
    stride = shape.isDepthwise ? shape.geometry.area : shape.input.channels
  }

  /// The output channel that row `row` of the compact tensor belongs to.
  @inlinable
  public func outputChannel(_ row: Int) -> Int { isDepthwise ? Int(channels[row]) : row }

  /// Calls `body` with each element of the compact tensor in `range` and the weight it stands for.
  ///
  /// - Parameter range: whole rows of the compact tensor.
  @inlinable
  public func forEach(in range: Range<Int>, _ body: (_ compact: Int, _ whole: Int) -> Void) {
    let period = isDepthwise ? stride : channels.count
    var row = range.lowerBound / period
    var compact = range.lowerBound
    while compact < range.upperBound {
      let start = isDepthwise ? Int(channels[row]) &* stride : row &* stride
      for j in 0..<period {
        body(compact, isDepthwise ? start &+ j : start &+ Int(channels[j]))
        compact &+= 1
      }
      row &+= 1
    }
  }

  /// A = w·2¹⁶ of the selected weights.
  public func load(masters: View<Int32>, from weights: View<Int8>) {
    forEach(in: 0..<masters.count) { masters[$0] = Int32(weights[$1]) &<< 16 }
  }

  /// A ← clamp(A), w = (A + ½) ≫ 16 for the selected weights.
  ///
  /// - Parameter range: of the compact tensor, whole rows.
  public func refresh(masters: View<Int32>, into weights: View<Int8>, in range: Range<Int>) {
    let limit = UpdateLimit.master
    forEach(in: range) { compact, whole in
      let master = min(max(masters[compact], -limit), limit)
      masters[compact] = master
      weights[whole] = Int8(truncatingIfNeeded: (master &+ (1 &<< 15)) &>> 16)
    }
  }

  /// w ← clamp(w − SR(v, 16), ±127) for the selected weights.
  public func subtractStochastically(
    velocities: View<Int32>, from weights: View<Int8>, _ stream: RandomStream
  ) {
    var lanes = RoundingLanes(stream, startingAt: 0)
    forEach(in: 0..<velocities.count) { compact, whole in
      let velocity = min(max(velocities[compact], -UpdateLimit.velocity), UpdateLimit.velocity)
      velocities[compact] = velocity
      let step = shiftedStochastically(velocity, by: 16, bits: lanes.next())
      weights[whole] = Int8(truncatingIfNeeded: min(max(Int32(weights[whole]) &- step, -127), 127))
    }
  }

  /// Σ w² over rows of the compact tensor, `range` of its elements.
  public func sumOfSquares(_ weights: View<Int8>, in range: Range<Int>) -> UInt64 {
    var sum: UInt64 = 0
    forEach(in: range) { _, whole in
      let value = Int32(weights[whole])
      sum &+= UInt64(truncatingIfNeeded: value &* value)
    }
    return sum
  }
}

extension Convolution {
  /// Number of channels that a selection chooses from; `nil` where groups allow none (SPEC 8.11).
  public var selectableChannelCount: Int? {
    groups == 1 || isDepthwise ? input.channels : nil
  }

  /// The operation on `count` selected channels alone: its weights are the compact tensor.
  public func selecting(_ count: Int) -> Convolution {
    Convolution(
      input: Shape(height: input.height, width: input.width, channels: count),
      output: isDepthwise
        ? Shape(height: output.height, width: output.width, channels: count) : output,
      geometry: geometry, groups: isDepthwise ? count : 1)
  }
}

/// target[p, j] = source[p, channels[j]], for `positions` positions of `stride` channels each.
public func gatherChannels(
  _ source: View<Int8>, positions: Int, stride: Int, _ channels: View<Int32>,
  into target: View<Int8>
) {
  // The views hold `positions` positions each.
  unsafe tally_gather_channels_s8(
    Int32(truncatingIfNeeded: positions), Int32(truncatingIfNeeded: stride), channels.pointer,
    Int32(truncatingIfNeeded: channels.count), source.pointer, target.pointer)
}
