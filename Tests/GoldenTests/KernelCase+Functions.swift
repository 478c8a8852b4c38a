import Tally
import TallyTestSupport
import Testing

/// The functions of Sources/Kernels, one call per sample, against a block.
extension KernelCase {
  func checkFunctions() throws {
    if operation.weighted != nil {
      try WeightedKernelCheck(self).run()
      return
    }
    let scratch = Scratch()
    var y: [Int8] = []
    var masks: [UInt8] = []
    for sample in 0..<batch {
      let target: View<Int8> = scratch.view(output.count)
      let mask: View<UInt8> = scratch.view(maskByteCount(output.count))
      try forward(
        inputs.map { scratch.view($0.sample(sample)) }, scratch, into: target, mask: mask)
      y += target.array
      masks += mask.bits(output.count)
    }
    try block.expect("output", y)
    expectEqual(
      block.has("expect mask sha256"), operation.hasMask, "\(block): whether there is a mask")
    if operation.hasMask {
      try block.expect("mask", masks)
      try block.expect("unplaced", try unplaced(scratch))
    }
    for j in inputs.indices {
      var dx: [Int32] = []
      for sample in 0..<batch {
        let gradient: View<Int32> = scratch.view(inputs[j].shape.count)
        inputGradient(
          j, inputs.map { scratch.view($0.sample(sample)) },
          scratch.view(gradient: self.gradient, sample, output.count), scratch, into: gradient)
        dx += gradient.array
      }
      try block.expect("input \(j) gradient", dx)
      try block.expect("input \(j) gradient scale", inputGradientScale(j))
    }
  }

  private var zeroPoints: (Int32, Int32) {
    (inputs[0].quantization.zeroPoint, inputs[inputs.count - 1].quantization.zeroPoint)
  }

  private func scale(_ j: Int) -> Scale { inputs[j].quantization.scale }

  private func addConstants() throws -> AddConstants {
    let constants = try #require(
      AddConstants(scale(0), scale(1), output: quantization.scale))
    try block.expect("multipliers", [constants.first, constants.second])
    try block.expect("fraction bits", [constants.fractionBits])
    return constants
  }

  // MARK: - Forward

  private func forward(
    _ x: [View<Int8>], _ scratch: Scratch, into y: View<Int8>, mask: View<UInt8>
  ) throws {
    switch operation {
    case .convolution, .fullyConnected: preconditionFailure("WeightedKernelCheck does these")
    case .maxPooling(let pooling): pooling.max(x[0], into: y)
    case .averagePooling(let pooling):
      pooling.average(x[0], from: inputs[0].quantization, quantization, into: y)
    case .add:
      add(
        x[0], x[1], zeroPoints: zeroPoints, try addConstants(), quantization, into: y, mask: mask)
    case .multiply:
      multiplyElements(
        x[0], x[1], zeroPoints: zeroPoints,
        (scale(0) * scale(1) / quantization.scale).multiplier, quantization, into: y, mask: mask)
    case .concatenate:
      for j in 0...1 {
        concatenate(
          x[j], zeroPoint: inputs[j].quantization.zeroPoint,
          (scale(j) / quantization.scale).multiplier, channels: inputs[j].shape.channels,
          at: j == 0 ? 0 : inputs[0].shape.channels, of: output.channels, quantization, into: y,
          mask: mask)
      }
    case .table:
      lookUp(x[0], in: scratch.view(table?.values ?? []), into: y)
    case .rescale:
      rescale(
        x[0], zeroPoint: zeroPoints.0, (scale(0) / quantization.scale).multiplier, quantization,
        into: y, mask: mask)
    case .slicePad(let slice):
      slice.forward(x[0], zeroPoint: Int8(quantization.zeroPoint), into: y)
    case .upsample(let upsampling): upsampling.forward(x[0], into: y)
    }
  }

  /// The values that `place` gets, which the range tracker counts.
  private func unplaced(_ scratch: Scratch) throws -> [Int32] {
    var values: [Int32] = []
    if case .add = operation {
      let constants = try addConstants()
      forEachSum(
        scratch.view(inputs[0].values), scratch.view(inputs[1].values), zeroPoints: zeroPoints,
        constants
      ) { values.append($0) }
      return values
    }
    // The tracker counts weighted and add nodes; what the others place is computed here, from SPEC 6.
    switch operation {
    case .multiply:
      let multiplier = (scale(0) * scale(1) / quantization.scale).multiplier
      for sample in 0..<batch {
        let (x1, x2) = (inputs[0].sample(sample), inputs[1].sample(sample))
        for index in x1.indices {
          values.append(
            multiplier.requantize(
              (Int32(x1[index]) - zeroPoints.0) * (Int32(x2[index % x2.count]) - zeroPoints.1)))
        }
      }
    case .concatenate:
      let multipliers = (0...1).map { (scale($0) / quantization.scale).multiplier }
      for position in 0..<batch * output.positions {
        for j in 0...1 {
          let channels = inputs[j].shape.channels
          values += inputs[j].values[position * channels..<(position + 1) * channels].map {
            multipliers[j].requantize(Int32($0) - inputs[j].quantization.zeroPoint)
          }
        }
      }
    default:
      let multiplier = (scale(0) / quantization.scale).multiplier
      values = inputs[0].values.map { multiplier.requantize(Int32($0) - zeroPoints.0) }
    }
    return values
  }

  // MARK: - Backward

  private func inputGradient(
    _ j: Int, _ x: [View<Int8>], _ g: View<Int8>, _ scratch: Scratch, into dx: View<Int32>
  ) {
    switch operation {
    case .convolution, .fullyConnected: preconditionFailure("WeightedKernelCheck does these")
    case .maxPooling(let pooling): pooling.maxGradient(x[0], g, into: dx)
    case .averagePooling(let pooling):
      pooling.averageGradient(g, commonDivisor: pooling.commonDivisor, into: dx)
    case .add, .rescale:
      // The runtime passes these gradients on without accumulators.
      for index in 0..<g.count { dx[index] = Int32(g[index]) }
    case .multiply:
      let other = inputs[1 - j].quantization.zeroPoint
      if j == 0 {
        multiplyFirstGradient(g, x[1], zeroPoint: other, into: dx)
      } else {
        multiplySecondGradient(g, x[0], zeroPoint: other, into: dx)
      }
    case .concatenate:
      concatenateGradient(
        g, channels: inputs[j].shape.channels, at: j == 0 ? 0 : inputs[0].shape.channels,
        of: output.channels, into: dx)
    case .table:
      lookUpGradient(x[0], g, slopes: scratch.view(table?.slopes ?? []), into: dx)
    case .slicePad(let slice): slice.gradient(g, into: dx)
    case .upsample(let upsampling): upsampling.gradient(g, into: dx)
    }
  }

  private func inputGradientScale(_ j: Int) -> Scale {
    switch operation {
    case .averagePooling(let pooling):
      pooling.averageGradientScale(gradientScale, commonDivisor: pooling.commonDivisor)
    case .multiply: gradientScale * scale(1 - j)
    case .table: gradientScale.multiplied(byPowerOfTwo: -12)
    default: gradientScale
    }
  }
}

extension KernelCase.Tensor {
  func sample(_ index: Int) -> [Int8] {
    Array(values[index * shape.count..<(index + 1) * shape.count])
  }
}

extension Scratch {
  func view(gradient: [Int8], _ sample: Int, _ count: Int) -> View<Int8> {
    view(Array(gradient[sample * count..<(sample + 1) * count]))
  }
}

extension View<UInt8> {
  /// The first `count` bits, low bit first, one byte each.
  func bits(_ count: Int) -> [UInt8] { (0..<count).map { self[$0 / 8] >> UInt8($0 % 8) & 1 } }
}
