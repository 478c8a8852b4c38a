import Tally

extension ModelAssembly {
  /// Brings the input to about unit range by a power of two, which its readers' weights take over: no
  /// integer changes, but training then sees gradients of like size in all layers (SPEC 12).
  mutating func foldInput() {
    var tensors: Set<Int> = [0]
    var weighted: [Int] = []
    for (index, node) in builder.nodes.enumerated() where !tensors.isDisjoint(with: node.inputs) {
      if node.operation.weighted != nil {
        weighted.append(index)
      } else if node.operation.isFollower {
        tensors.insert(index + 1)
      } else {
        return
      }
    }
    // An output has no reader to take the factor over.
    guard builder.nodes.isEmpty || !tensors.contains(builder.nodes.count) else { return }
    let input = builder.inputQuantization
    let reach = UInt64(max(127 - input.zeroPoint, input.zeroPoint + 128))
    let largest = input.scale * Scale(reach)
    // The power of two nearest to it by ratio: mantissas from √½ on belong to the upper one.
    let fold = largest.mantissa >= 1_518_500_250 ? largest.exponent : largest.exponent - 1
    inputShift = Int(fold)
    foldedTensors = tensors
    builder.inputQuantization.scale = input.scale.multiplied(byPowerOfTwo: -fold)
    for tensor in tensors where tensor > 0 {
      let scale = builder.nodes[tensor - 1].quantization.scale
      builder.nodes[tensor - 1].quantization.scale = scale.multiplied(byPowerOfTwo: -fold)
    }
    for index in weighted {
      builder.nodes[index].weightScales = builder.nodes[index].weightScales.map {
        $0.multiplied(byPowerOfTwo: fold)
      }
    }
  }
}
