import Tally
import TallyTestSupport
import Testing

/// Convolution and fully connected kernels against a block, whole and cut into tiles as boards cut them.
struct WeightedKernelCheck {
  private let kernel: KernelCase
  private let shape: Convolution
  private let scratch = Scratch()

  init(_ kernel: KernelCase) throws {
    self.kernel = kernel
    shape = try #require(kernel.operation.weighted)
  }

  private var block: VectorBlock { kernel.block }
  private var zeroPoint: Int32 { kernel.inputs[0].quantization.zeroPoint }
  private var padding: Int8 { Int8(zeroPoint) }

  /// An operand as stored and, where it may be, packed.
  private func operands(
    _ values: View<Int8>, columns: Int, depth: Int
  ) -> [MatrixOperand] {
    let plain = MatrixOperand(values, stride: depth, columns: columns, depth: depth)
    guard shape.groups == 1 else { return [plain] }
    let memory: View<UInt8> = scratch.view(
      MatrixOperand.packedByteCount(columns: columns, depth: depth))
    return [
      plain,
      MatrixOperand(
        values, stride: depth, columns: columns, depth: depth, packingInto: memory),
    ]
  }

  private func rows(_ height: Int, _ size: Int) -> [Range<Int>] {
    stride(from: 0, to: height, by: size).map { $0..<min($0 + size, height) }
  }

  func run() throws {
    let weights = scratch.view(kernel.weights)
    for weights in operands(weights, columns: shape.output.channels, depth: shape.depth) {
      for tile in [shape.output.height, 1] { try checkForward(weights, tile: tile) }
    }
    let (g, weightScale) = try foldedGradient()
    let turned: View<Int8> = scratch.view(shape.weightCount)
    shape.turnWeights(weights, into: turned)
    let columns = shape.groups == 1 ? shape.input.channels : shape.inputsPerGroup
    for turned in operands(turned, columns: columns, depth: shape.backwardDepth) {
      for tile in [shape.input.height, 1] { try checkInputGradient(g, turned, tile: tile) }
    }
    try block.expect("input 0 gradient scale", weightScale * kernel.gradientScale)
    let db = try checkBiasGradient()
    for tile in [shape.output.height, 1] {
      for channels in [shape.outputsPerGroup, 1] {
        try checkWeightGradient(db, tile: tile, channels: channels)
      }
    }
    try block.expect(
      "weight gradient scale", kernel.inputs[0].quantization.scale * kernel.gradientScale)
  }

  // MARK: - Forward

  private func checkForward(_ weights: MatrixOperand, tile: Int) throws {
    let offsets = scratch.view(
      (0..<shape.output.channels).map { o in
        kernel.biases[o]
          &- zeroPoint &* sum(weights.values.slice(o * shape.depth, shape.depth))
      })
    let multipliers = kernel.weightScales.map {
      (kernel.inputs[0].quantization.scale * $0 / kernel.quantization.scale).multiplier
    }
    let table = Multipliers(
      mantissas: scratch.view(multipliers.map(\.mantissa)),
      shifts: scratch.view(multipliers.map(\.shift)))
    var (outputs, masks): ([Int8], [UInt8]) = ([], [])
    var (sums, unplaced): ([Int32], [Int32]) = ([], [])
    for sample in 0..<kernel.batch {
      let x = scratch.view(kernel.inputs[0].sample(sample))
      let accumulators: View<Int32> = scratch.view(shape.output.count)
      let rowElements = shape.output.width * shape.output.channels
      for rows in rows(shape.output.height, tile) {
        shape.forward(
          x, weights: weights, padding: padding, rows: rows,
          workspace: scratch.view(shape.forwardWorkspace(rows: rows.count)),
          into: accumulators.slice(rows.lowerBound * rowElements, rows.count * rowElements))
      }
      for index in 0..<accumulators.count {
        let o = index % shape.output.channels
        sums.append(accumulators[index] &+ offsets[o])
        unplaced.append(table[o].requantize(accumulators[index] &+ offsets[o]))
      }
      let y: View<Int8> = scratch.view(shape.output.count)
      let mask: View<UInt8> = scratch.view(maskByteCount(shape.output.count))
      requantize(
        accumulators, bias: offsets, table, kernel.quantization, first: 0, into: y, mask: mask)
      outputs += y.array
      masks += mask.bits(shape.output.count)
    }
    if kernel.hasAccumulators {
      try block.expect("output", sums)
    } else {
      try block.expect("output", outputs)
      try block.expect("mask", masks)
      try block.expect("unplaced", unplaced)
    }
  }

  // MARK: - Backward

  /// ĝ and S_M of SPEC 6.1; g and S_w with one weight Scale.
  private func foldedGradient() throws -> ([Int8], Scale) {
    guard kernel.scalesPerChannel else { return (kernel.gradient, kernel.weightScales[0]) }
    let largest = try #require(kernel.weightScales.max())
    let ratios = kernel.weightScales.map {
      Int32(($0 / largest).roundedToInteger(fractionBits: 15))
    }
    let stream = RandomKey(seed: try block.number("seed")).stream(
      .foldRounding, tensor: UInt32(4 * kernel.node + 3), step: try block.number("step"),
      query: try block.number("micro-batch"))
    let folded: View<Int8> = scratch.view(kernel.gradient.count)
    foldChannels(
      scratch.view(kernel.gradient), ratios: scratch.view(ratios), stream, first: 0, into: folded)
    try block.expect("folded gradient", folded.array)
    try block.expect("folded scale", largest)
    return (folded.array, largest)
  }

  private func checkInputGradient(_ g: [Int8], _ turned: MatrixOperand, tile: Int) throws {
    var dx: [Int32] = []
    for sample in 0..<kernel.batch {
      let gradient: View<Int32> = scratch.view(shape.input.count)
      let rowElements = shape.input.width * shape.input.channels
      for rows in rows(shape.input.height, tile) {
        shape.inputGradient(
          scratch.view(gradient: g, sample, shape.output.count), turned: turned, rows: rows,
          workspace: scratch.view(shape.inputGradientWorkspace(rows: rows.count)),
          into: gradient.slice(rows.lowerBound * rowElements, rows.count * rowElements))
      }
      dx += gradient.array
    }
    try block.expect("input 0 gradient", dx)
  }

  private func checkBiasGradient() throws -> [Int32] {
    let db = scratch.view([Int32](repeating: 0, count: shape.output.channels))
    for sample in 0..<kernel.batch {
      shape.biasGradient(
        scratch.view(gradient: kernel.gradient, sample, shape.output.count), into: db)
    }
    try block.expect("bias gradient", db.array)
    try block.expect("bias gradient scale", kernel.gradientScale)
    return db.array
  }

  private func checkWeightGradient(_ db: [Int32], tile: Int, channels size: Int) throws {
    var dw: [Int32] = []
    for first in stride(from: 0, to: shape.output.channels, by: size) {
      let channels = first..<min(first + size, shape.output.channels)
      let block = scratch.view([Int32](repeating: 0, count: channels.count * shape.depth))
      for sample in 0..<kernel.batch {
        for rows in rows(shape.output.height, tile) {
          shape.weightGradient(
            scratch.view(kernel.inputs[0].sample(sample)),
            scratch.view(gradient: kernel.gradient, sample, shape.output.count),
            padding: padding, channels: channels, rows: rows,
            workspace: scratch.view(
              shape.weightGradientWorkspace(
                channels: channels.count, positions: rows.count * shape.output.width)),
            into: block)
        }
      }
      for o in channels {
        for k in 0..<shape.depth {
          dw.append(block[(o - first) * shape.depth + k] &- zeroPoint &* db[o])
        }
      }
    }
    try block.expect("weight gradient", dw)
  }
}
