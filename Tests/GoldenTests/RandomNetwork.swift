import Importers
import Tally
import TallyTestSupport

/// A small network of random operations, shapes and quantization.
///
/// Tensors stay below a few hundred elements: the reference is written for reading, not for speed.
struct RandomNetwork {
  private(set) var builder: ModelBuilder
  private var random: SeededGenerator
  private let isInitialized: Bool
  private let isExtreme: Bool
  /// Tensors that later nodes may read: the newest last.
  private var tensors: [Int] = [0]

  /// What every tenth network is made to have; the rest is left to chance.
  struct Wish {
    var isConvolutional: Bool
    var isInitialized: Bool
    var isResidual: Bool
    var isPerChannel: Bool
    /// Scales, weights and biases from all over their ranges.
    var isExtreme: Bool
  }

  /// - Parameter wish: what must be in it.
  init(_ random: inout SeededGenerator, _ wish: Wish) {
    // An impossible combination (an addition without fraction bits, say) is drawn again.
    while true {
      var network = RandomNetwork(wish, random)
      network.draw(wish)
      random = network.random
      if (try? network.builder.bytes()) != nil {
        self = network
        return
      }
    }
  }

  private init(_ wish: Wish, _ random: SeededGenerator) {
    var random = random
    let shape =
      wish.isConvolutional
      ? Shape(
        height: random.between(3, 7), width: random.between(3, 7), channels: random.between(1, 3))
      : Shape(
        height: random.between(1, 3), width: random.between(1, 4), channels: random.between(1, 3))
    let maps = random.once(in: 2) ? 1 : shape.channels
    builder = ModelBuilder(
      inputShape: shape,
      inputQuantization: Quantization(
        scale: wish.isExtreme ? random.scale(-40, 40) : random.scale(-7, -5),
        zeroPoint: Int32(random.between(-128, 127))),
      inputMaps: (0..<maps).map { _ in
        .init(
          scale: random.scale(-1, 0), isNegative: random.once(in: 4),
          offset: Int64(random.between(-90, 20)) << 32 + Int64(random.below(1 << 30)))
      })
    builder.isInitialized = wish.isInitialized
    builder.readsChannelsFirst = random.once(in: 3)
    isInitialized = wish.isInitialized
    isExtreme = wish.isExtreme
    self.random = random
  }

  var weightedNodes: [Int] { builder.nodes.indices.filter { !builder.nodes[$0].weights.isEmpty } }

  // MARK: - Choices

  private mutating func draw(_ wish: Wish) {
    if wish.isConvolutional {
      convolution(from: 0, perChannel: wish.isPerChannel)
      if wish.isResidual { residual() }
      for _ in 0..<random.between(1, 4) { anyOperation() }
    } else {
      for _ in 0..<random.between(0, 3) { dense(perChannel: random.once(in: 3)) }
      if wish.isResidual { residual() }
    }
    head()
  }

  private mutating func anyOperation() {
    switch random.below(11) {
    case 0, 1: convolution(from: last, perChannel: random.once(in: 3))
    case 2: pool()
    case 3: residual()
    case 4: product()
    case 5: concatenation()
    case 6: table()
    case 7: rescale()
    case 8: slice()
    case 9: upsample()
    default: depthwise()
    }
  }

  private var last: Int { tensors[tensors.count - 1] }
  private func shape(_ tensor: Int) -> Shape { builder.shape(tensor) }

  /// The newest tensor, or sometimes an older one.
  private mutating func anyTensor() -> Int { random.once(in: 3) ? random.of(tensors) : last }

  @discardableResult
  private mutating func add(_ node: ModelBuilder.Node) -> Int {
    builder.nodes.append(node)
    tensors.append(builder.nodes.count)
    return builder.nodes.count
  }

  private mutating func quantization(_ scale: Scale) -> Quantization {
    switch random.below(4) {
    case 0: Quantization(scale: scale, zeroPoint: 0)
    case 1: Quantization(scale: scale, zeroPoint: Int32(random.between(-60, 60)))
    case 2:
      Quantization(
        scale: scale, zeroPoint: Int32(random.between(-30, 30)),
        low: Int32(-random.between(80, 128)),
        high: Int32(random.between(80, 127)))
    default: rectified(scale)
    }
  }

  private mutating func rectified(_ scale: Scale) -> Quantization {
    let zeroPoint = random.once(in: 3) ? Int32(random.between(-128, 0)) : -128
    return Quantization(scale: scale, zeroPoint: zeroPoint, low: zeroPoint, high: 127)
  }

  // MARK: - Weighted nodes

  private mutating func weighted(
    _ operation: Tally.Operation, from tensor: Int, perChannel: Bool, accumulators: Bool = false
  ) -> Int {
    let shape = operation.weighted!
    let input = builder.quantization(tensor).scale
    let initial = InitialWeights.scale(depth: shape.depth)
    let count = perChannel ? shape.output.channels : 1
    let isPlain = isInitialized && random.below(3) > 0
    // One of a kind with one channel is a Scale per layer to the builder.
    let scales = (0..<count).map { _ in
      isPlain ? initial : initial * (isExtreme ? random.scale(-9, 9) : random.scale(-1, 1))
    }
    let largest = isExtreme ? 127 : random.of([30, 90])
    let weights = (0..<shape.weightCount).map { _ in
      isExtreme && random.once(in: 3)
        ? random.of([-127, 127]) : Int8(random.between(-largest, largest))
    }
    let bias = isExtreme ? random.of([1000, 1_000_000, 25_000_000]) : isPlain ? 0 : 900
    let biases = (0..<shape.output.channels).map { _ in Int32(random.between(-bias, bias)) }
    let output =
      isPlain
      ? InitialWeights.outputScale(depth: shape.depth, input: input, weights: initial)
      : Scale(UInt64(random.between(10, 60))) * Scale(UInt64(shape.depth)).squareRoot() * input
        * scales[0] * (isExtreme ? random.scale(-5, 9) : .powerOfTwo(0))
    return add(
      .init(
        name: "node\(builder.nodes.count)", operation: operation, inputs: [tensor],
        output: shape.output,
        quantization: accumulators
          ? Quantization(scale: input * scales[0], zeroPoint: 0) : quantization(output),
        hasAccumulators: accumulators, weights: weights, biases: biases, weightScales: scales))
  }

  private mutating func dense(perChannel: Bool) {
    _ = weighted(
      fullyConnected(from: last, random.between(2, 12)), from: last, perChannel: perChannel)
  }

  private func fullyConnected(from tensor: Int, _ outputs: Int) -> Tally.Operation {
    .fullyConnected(
      Convolution(
        input: Shape(vector: shape(tensor).count), output: Shape(vector: outputs),
        geometry: .init(kernelHeight: 1, kernelWidth: 1), groups: 1))
  }

  private mutating func window(_ input: Shape, largest: Int, dilates: Bool)
    -> Tensors.WindowGeometry
  {
    var window = Tensors.WindowGeometry(
      kernelHeight: random.between(1, min(largest, input.height)),
      kernelWidth: random.between(1, min(largest, input.width)))
    window.strideHeight = random.between(1, 2)
    window.strideWidth = random.between(1, 3)
    if dilates && random.once(in: 4) { window.dilationHeight = 2 }
    if random.once(in: 2) {
      window.padTop = random.below(window.extentHeight)
      window.padLeft = random.below(window.extentWidth)
      window.padBottom = random.below(window.extentHeight)
      window.padRight = random.below(window.extentWidth)
    }
    return window
  }

  private mutating func convolution(from tensor: Int, perChannel: Bool) {
    let input = shape(tensor)
    let window = window(input, largest: 3, dilates: true)
    guard let height = window.outputHeight(input.height),
      let width = window.outputWidth(input.width)
    else { return }
    let groups = random.of((1...input.channels).filter { input.channels % $0 == 0 })
    let output = Shape(height: height, width: width, channels: groups * random.between(1, 3))
    _ = weighted(
      .convolution(Convolution(input: input, output: output, geometry: window, groups: groups)),
      from: tensor, perChannel: perChannel)
  }

  private mutating func depthwise() {
    let input = shape(last)
    let window = Tensors.WindowGeometry(
      kernelHeight: 3, kernelWidth: 3, padTop: 1, padLeft: 1, padBottom: 1, padRight: 1)
    _ = weighted(
      .convolution(
        Convolution(input: input, output: input, geometry: window, groups: input.channels)),
      from: last, perChannel: random.once(in: 2))
  }

  private mutating func head() {
    let outputs = random.between(2, 6)
    _ = weighted(
      fullyConnected(from: last, outputs), from: last, perChannel: false,
      accumulators: random.below(4) > 0)
  }

  // MARK: - Other nodes

  private mutating func add(
    _ operation: Tally.Operation, _ inputs: [Int], _ output: Shape, _ quantization: Quantization,
    table: (values: [Int8], slopes: [Int16])? = nil
  ) {
    add(
      .init(
        name: "node\(builder.nodes.count)", operation: operation, inputs: inputs, output: output,
        quantization: quantization, table: table))
  }

  /// A branch that keeps the shape, added to where it began.
  private mutating func residual() {
    let from = last
    let shape = shape(from)
    let branch: Int
    if shape.positions == 1 {
      branch = weighted(fullyConnected(from: from, shape.count), from: from, perChannel: false)
      // A fully connected node makes a vector.
    } else {
      let window = Tensors.WindowGeometry(
        kernelHeight: 3, kernelWidth: 3, padTop: 1, padLeft: 1, padBottom: 1, padRight: 1)
      branch = weighted(
        .convolution(Convolution(input: shape, output: shape, geometry: window, groups: 1)),
        from: from, perChannel: random.once(in: 3))
    }
    let scale = InitialWeights.sumScale(
      builder.quantization(from).scale, builder.quantization(branch).scale)
    let inputs = random.once(in: 2) ? [from, branch] : [branch, from]
    add(.add, inputs, shape, quantization(isInitialized ? scale : scale * random.scale(0, 0)))
  }

  private mutating func pool() {
    let input = shape(last)
    let window = window(input, largest: 4, dilates: false)
    guard let height = window.outputHeight(input.height),
      let width = window.outputWidth(input.width)
    else { return }
    let output = Shape(height: height, width: width, channels: input.channels)
    let isAverage = random.once(in: 2)
    let pooling = Pooling(
      input: input, output: output, geometry: window,
      countsPadding: isAverage && random.once(in: 2))
    guard pooling.everyWindowHasInput else { return }
    let from = builder.quantization(last)
    if isAverage {
      let keeps = isInitialized || random.once(in: 2)
      add(
        .averagePooling(pooling), [last], output,
        keeps ? from : quantization(from.scale * random.scale(0, 1)))
    } else {
      add(.maxPooling(pooling), [last], output, from)
    }
  }

  private mutating func product() {
    let from = last
    let shape = shape(from)
    var second = from
    if random.once(in: 2) {
      second = weighted(
        fullyConnected(from: from, shape.channels), from: from, perChannel: false)
    }
    let scale =
      builder.quantization(from).scale * builder.quantization(second).scale
      * Scale(UInt64(random.between(10, 60)))
    add(.multiply, [from, second], shape, quantization(scale))
  }

  private mutating func concatenation() {
    let first = last
    let size = shape(first)
    let fitting = tensors.filter {
      shape($0).height == size.height && shape($0).width == size.width
        && shape($0).channels + size.channels <= 8
    }
    guard !fitting.isEmpty else { return }
    let second = random.of(fitting)
    let scale = max(builder.quantization(first).scale, builder.quantization(second).scale)
    add(
      .concatenate, [first, second],
      Shape(
        height: size.height, width: size.width,
        channels: size.channels + shape(second).channels),
      quantization(scale * random.scale(0, 1)))
  }

  private mutating func table() {
    let from = anyTensor()
    let (step, start) = (random.between(1, 5), random.below(256))
    let values = (0..<256).map { Int8(truncatingIfNeeded: ($0 * step + start) % 256) }
    let slopes = (0..<256).map { _ in Int16(random.between(-9000, 9000)) }
    add(
      .table, [from], shape(from),
      Quantization(
        scale: builder.quantization(from).scale, zeroPoint: Int32(random.between(-128, 127))),
      table: (values, slopes))
  }

  private mutating func rescale() {
    let from = anyTensor()
    add(
      .rescale, [from], shape(from),
      quantization(builder.quantization(from).scale * random.scale(-1, 2)))
  }

  private mutating func slice() {
    let input = shape(last)
    func axis(_ extent: Int) -> (Kernels.SlicePad.Axis, Int) {
      let (step, before) = (random.between(1, 2), random.below(2))
      let output = random.between(1, extent + 1)
      return (Kernels.SlicePad.Axis(start: random.below(2), step: step, before: before), output)
    }
    let (rows, height) = axis(input.height)
    let (columns, width) = axis(input.width)
    let (channels, depth) = axis(input.channels)
    let output = Shape(height: height, width: width, channels: depth)
    add(
      .slicePad(
        Kernels.SlicePad(
          input: input, output: output, rows: rows, columns: columns, channels: channels)),
      [last], output, builder.quantization(last))
  }

  private mutating func upsample() {
    let input = shape(last)
    guard input.count <= 60 else { return }
    let upsampling = Upsampling(
      input: input, rows: random.between(1, 2), columns: random.between(1, 2))
    add(.upsample(upsampling), [last], upsampling.output, builder.quantization(last))
  }
}
