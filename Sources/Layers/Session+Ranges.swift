import FixedPoint
import Kernels
import Tensors

// What the range tracker sees: sizes of tracked values before they are placed (SPEC 8.9, histogram).

extension Session {
  /// Counts a tile of a weighted node.
  func observe(
    _ index: Int, _ node: Node, _ accumulators: View<Int32>, into histogram: View<Int64>
  ) {
    let biases = offsetBiases(index, node)
    let multipliers = self.multipliers(index, node)
    let isRectified = node.quantization.isRectified
    var channel = 0
    for element in 0..<accumulators.count {
      let value = multipliers[channel].requantize(accumulators[element] &+ biases[channel])
      Session.count(value, isRectified: isRectified, into: histogram)
      channel &+= 1
      if channel == biases.count { channel = 0 }
    }
  }

  /// Counts one sample of an add node.
  func observeSums(
    _ node: Node, _ constants: AddConstants, _ inputs: (Quantization, Quantization), sample: Int,
    into histogram: View<Int64>
  ) {
    let isRectified = node.quantization.isRectified
    forEachSum(
      activation(node.firstInput, sample: sample), activation(secondInput(node), sample: sample),
      zeroPoints: (inputs.0.zeroPoint, inputs.1.zeroPoint), constants
    ) { value in Session.count(value, isRectified: isRectified, into: histogram) }
  }

  @inline(__always)
  private static func count(_ value: Int32, isRectified: Bool, into histogram: View<Int64>) {
    let size = isRectified ? UInt32(truncatingIfNeeded: max(value, 0)) : value.magnitude
    histogram[Int(bitLength(size))] &+= 1
  }
}
