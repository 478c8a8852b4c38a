import Kernels
import Tensors

// What the range tracker sees: sizes of tracked values before they are placed (SPEC 8.9, histogram).

/// A tensor's histogram, and where parts of the samples count that are worked on beside the first.
struct PartHistograms {
  private let whole: View<Int64>
  private let parts: Int
  /// Of one part only there is nothing beside it.
  private let others: Int
  private let arena: Arena

  /// With all that parts beside the first have counted at 0; `nil` for a tensor that is not tracked.
  init?(_ session: Session, _ index: Int, _ node: Node, parts: Int) {
    guard let whole = session.histogram(index + 1) else { return nil }
    self.whole = whole
    self.parts = parts
    arena = session.arena
    guard parts > 1 else {
      others = 0
      return
    }
    others =
      session.table.offset(index + 1, .forwardWorkspace)
      + Tiling(index, node, session.request).partHistograms
    for part in 1..<parts { self[part].fill(0) }
  }

  subscript(part: Int) -> View<Int64> {
    part == 0
      ? whole
      : arena.view(
        others + (part - 1) * SessionTable.histogramByteCount, whole.count, of: Int64.self)
  }

  /// Adds what the other parts have counted to the histogram.
  func merge() {
    for part in 1..<parts {
      let counts = self[part]
      for size in 0..<whole.count { whole[size] &+= counts[size] }
    }
  }
}

extension Session {
  /// Counts a tile of a weighted node.
  func observe(
    _ index: Int, _ node: Node, _ accumulators: View<Int32>, into histogram: View<Int64>
  ) {
    countSizes(
      accumulators, bias: offsetBiases(index, node), multipliers(index, node),
      isRectified: node.quantization.isRectified, into: histogram)
  }

  /// Counts one sample of an add node.
  func observeSums(
    _ node: Node, _ constants: AddConstants, _ inputs: (Quantization, Quantization), sample: Int,
    into histogram: View<Int64>
  ) {
    countSizesOfSums(
      activation(node.firstInput, sample: sample), activation(secondInput(node), sample: sample),
      zeroPoints: (inputs.0.zeroPoint, inputs.1.zeroPoint), constants,
      isRectified: node.quantization.isRectified, into: histogram)
  }
}
