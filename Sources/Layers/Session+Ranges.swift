import Kernels
import Tensors

// What the range tracker sees: sizes of tracked values before they are placed (SPEC 8.9, histogram).

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
