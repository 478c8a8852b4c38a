import FixedPoint
import Kernels
import Layers
import Tally
import Tensors
import Training

// What sparse gradients leave of a gradient (SPEC 8.12).

extension Deriver {
  /// g of a sparse node's output with all but the kept channels of each sample set to 0.
  func kept(_ index: Int, _ node: Node, _ g: LoadedTrace.Entry) -> [Int64]? {
    guard let sparse = recipe.sparseGradients, let remembered = entry(.largestGradient, index),
      remembered.header.count == 2, let batch = scheduled()?.samples
    else { return nil }
    var values = (0..<g.header.count).map { Int64(trace.value(g, $0)) }
    let (channels, count) = (node.output.channels, node.output.count)
    let sizes = (0..<samples).map { sample in
      (0..<channels).map { channel in
        stride(from: sample * count + channel, to: (sample + 1) * count, by: channels)
          .reduce(Int64(0)) { $0 + abs(values[$1]) }
      }
    }
    let ownGradients = sizes.map { size in
      Scale(UInt64(size.reduce(0, +))) * g.header.scale * Scale(UInt64(batch))
    }
    guard
      var largest = Scale(
        mantissa: trace.value(remembered, 0), exponent: trace.value(remembered, 1))
    else { return nil }
    for own in ownGradients where largest < own { largest = own }
    for sample in 0..<samples {
      let kept = Set(
        order(sizes[sample]).prefix(
          keptCount(index, node, sparse, ownGradients[sample], largest)))
      for place in sample * count..<(sample + 1) * count where !kept.contains(place % channels) {
        values[place] = 0
      }
    }
    return values
  }

  /// Channels from the largest V_c on; among equals in the cyclic order that begins at t mod C.
  private func order(_ sizes: [Int64]) -> [Int] {
    let start = Int(header.step) % sizes.count
    let cyclic = (0..<sizes.count).map { (start + $0) % sizes.count }
    let ranks = Dictionary(uniqueKeysWithValues: zip(cyclic, 0...))
    return cyclic.sorted {
      sizes[$0] == sizes[$1] ? ranks[$0, default: 0] < ranks[$1, default: 0] : sizes[$0] > sizes[$1]
    }
  }

  /// k_b.
  private func keptCount(
    _ index: Int, _ node: Node, _ sparse: SparseGradients, _ own: Scale, _ largest: Scale
  ) -> Int {
    guard own != .zero else { return 0 }
    let half = Int64(1) << 14
    let share = (own / largest).roundedToInteger(fractionBits: 15)
    let (low, high) = (Int64(sparse.minimum), Int64(sparse.maximum))
    var damping = Int64(1) << 15
    // P: the sparse nodes behind this one.
    for later in index + 1..<max(network.nodeCount, index + 1)
    where entry(.largestGradient, later) != nil {
      damping = (damping * Int64(sparse.damping) + half) >> 15
    }
    let ratio = ((low + (share * (high - low) + half) >> 15) * damping + half) >> 15
    let channels = Int64(node.output.channels)
    let isHead = index == network.lastWeightedNode
    let least = isHead ? min(Int64(sparse.headMinimum), channels) : 1
    return Int(min(max((channels * ratio + half) >> 15, least), channels))
  }
}
