import FixedPoint
import Kernels
import Tensors

extension Session {
  /// Counts the sizes of a tracked node's values before they are placed (SPEC 8.9, histogram).
  func observe(_ index: Int, samples: Int, into histogram: View<Int64>) {
    let node = network.node(index)
    let isRectified = node.quantization.isRectified
    func record(_ value: Int32) {
      let size = isRectified ? UInt32(max(value, 0)) : value.magnitude
      histogram[Int(bitLength(size))] += 1
    }
    switch node.operation {
    case .convolution(let shape), .fullyConnected(let shape):
      let biases = offsetBiases(index, node)
      let multipliers = self.multipliers(index, node)
      forEachTile(index, node, shape, samples: 0..<samples) { accumulators, _, _, count in
        var channel = 0
        for element in 0..<count {
          record(multipliers[channel].requantize(accumulators[element] &+ biases[channel]))
          channel += 1
          if channel == biases.count { channel = 0 }
        }
      }
    case .add:
      let second = secondInput(node)
      let inputs = (quantization(node.firstInput), quantization(second))
      guard
        let constants = AddConstants(
          inputs.0.scale, inputs.1.scale, output: table.scale(index + 1))
      else { preconditionFailure("changes that would break an addition are not made") }
      for sample in 0..<samples {
        forEachSum(
          activation(node.firstInput, sample: sample), activation(second, sample: sample),
          zeroPoints: (inputs.0.zeroPoint, inputs.1.zeroPoint), constants, record)
      }
    case .maxPooling, .averagePooling, .multiply, .concatenate, .table, .rescale, .slicePad,
      .upsample:
      preconditionFailure("only weighted and add nodes are tracked")
    }
  }
}
