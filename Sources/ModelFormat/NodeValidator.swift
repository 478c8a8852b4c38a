import FixedPoint
import Kernels
import Layers
import Tensors

/// Checks every node record and the sections that nodes point into (Formats/model.md; SPEC 5, 6).
struct NodeValidator {
  let network: Network
  var weight = 0
  var bias = 0
  var scale = 0
  var table = 0
  var name = 0

  static func validate(_ network: Network) throws(ModelError) {
    var validator = NodeValidator(network: network)
    for index in 0..<network.nodeCount { try validator.node(index) }
    try validator.ends()
  }

  private func offset(_ index: Int, _ field: Int) -> Int {
    network.sections.nodes + index * NodeRecord.byteCount + field
  }

  private mutating func node(_ index: Int) throws(ModelError) {
    let record = network.record(index)
    func fail(_ code: ModelError.Code, _ field: Int) -> ModelError {
      ModelError(code, at: offset(index, field))
    }
    guard let kind = record.kind else { throw fail(.badKind, 0) }
    for field in 5..<8 where record.bytes[field] != 0 { throw fail(.reservedNotZero, field) }
    for field in 94..<96 where record.bytes[field] != 0 { throw fail(.reservedNotZero, field) }
    for field in 104..<128 where record.bytes[field] != 0 { throw fail(.reservedNotZero, field) }

    // Inputs come before the node, so records need no sorting and cannot form a cycle.
    guard record.u32(8) <= UInt32(truncatingIfNeeded: index) else { throw fail(.badInput, 8) }
    let needsSecond = kind == .add || kind == .multiply || kind == .concatenate
    guard needsSecond == (record.u32(12) != NodeRecord.noInput),
      !needsSecond || record.u32(12) <= UInt32(truncatingIfNeeded: index)
    else { throw fail(.badInput, 12) }

    try quantization(index, record, kind)
    try geometry(index, record, kind)
    guard record.outputShape.isLegal else { throw fail(.badShape, 16) }
    let input = network.shape(ofTensor: record.firstInput)
    guard outputShapeFits(record, kind, input) else { throw fail(.badOutputShape, 16) }
    try weights(index, record, kind, input)
    try names(index, record)
  }

  private func quantization(
    _ index: Int, _ record: NodeRecord, _ kind: NodeRecord.Kind
  ) throws(ModelError) {
    func fail(_ code: ModelError.Code, _ field: Int) -> ModelError {
      ModelError(code, at: offset(index, field))
    }
    var allowed: UInt8 = 0
    switch kind {
    case .convolution, .fullyConnected:
      let isLast = index == network.nodeCount - 1
      allowed = NodeRecord.perChannelFlag | (isLast ? NodeRecord.accumulatorsFlag : 0)
      // Logits of different Scales cannot be compared.
      if record.flags & NodeRecord.accumulatorsFlag != 0 { allowed &= ~NodeRecord.perChannelFlag }
    case .averagePooling: allowed = NodeRecord.countsPaddingFlag
    default: break
    }
    guard record.flags & ~allowed == 0 else { throw fail(.badFlags, 1) }
    let quantization = record.quantization
    guard quantization.low <= quantization.high else { throw fail(.badQuantization, 3) }
    guard let scale = record.scale(28), scale != .zero else { throw fail(.badScale, 28) }
    if record.flags & NodeRecord.accumulatorsFlag != 0 {
      guard quantization.zeroPoint == 0, quantization.low == -128, quantization.high == 127 else {
        throw fail(.badQuantization, 2)
      }
    }
    let input = network.quantization(ofTensor: record.firstInput)
    switch kind {
    case .maxPooling, .slicePad, .upsample:
      guard quantization == input else { throw fail(.badQuantization, 2) }
    case .add:
      let second = network.quantization(ofTensor: record.secondInput ?? 0)
      guard AddConstants(input.scale, second.scale, output: scale) != nil else {
        throw fail(.badAddition, 28)
      }
    case .convolution, .fullyConnected, .averagePooling, .multiply, .concatenate, .table, .rescale:
      break
    }
  }

  private func geometry(
    _ index: Int, _ record: NodeRecord, _ kind: NodeRecord.Kind
  ) throws(ModelError) {
    let window = record.geometry
    let isWindowed = kind == .convolution || kind == .maxPooling || kind == .averagePooling
    let limit = ModelFormat.largestWindowExtent
    func inRange(_ value: Int) -> Bool { value >= 1 && value <= limit }
    var legal =
      inRange(window.kernelHeight) && inRange(window.kernelWidth) && inRange(window.strideHeight)
      && inRange(window.strideWidth) && inRange(window.dilationHeight)
      && inRange(window.dilationWidth)
    if isWindowed {
      legal =
        legal && max(window.padTop, window.padBottom) < window.extentHeight
        && max(window.padLeft, window.padRight) < window.extentWidth
        && (kind == .convolution || (window.dilationHeight == 1 && window.dilationWidth == 1))
    } else {
      let strides =
        kind == .upsample ? (window.strideHeight, window.strideWidth) : (1, 1)
      legal =
        legal
        && window
          == WindowGeometry(
            kernelHeight: 1, kernelWidth: 1, strideHeight: strides.0, strideWidth: strides.1)
    }
    guard legal else { throw ModelError(.badGeometry, at: offset(index, 52)) }
    guard kind == .convolution ? record.u32(72) >= 1 : record.u32(72) == 1 else {
      throw ModelError(.badGeometry, at: offset(index, 72))
    }
    for axis in 0..<3 {
      let fields = (record.u16(76 + 2 * axis), record.u16(82 + 2 * axis), record.u16(88 + 2 * axis))
      let fits = kind == .slicePad ? fields.1 >= 1 : fields == (0, 1, 0)
      guard fits else { throw ModelError(.badGeometry, at: offset(index, 76 + 2 * axis)) }
    }
  }

  private func outputShapeFits(
    _ record: NodeRecord, _ kind: NodeRecord.Kind, _ input: Shape
  ) -> Bool {
    let output = record.outputShape
    let second = record.secondInput.map { network.shape(ofTensor: $0) }
    switch kind {
    case .convolution, .maxPooling, .averagePooling:
      let window = record.geometry
      guard output.height == window.outputHeight(input.height),
        output.width == window.outputWidth(input.width)
      else { return false }
      if kind == .convolution {
        return record.groups <= input.channels && input.channels % record.groups == 0
          && output.channels % record.groups == 0
      }
      guard output.channels == input.channels, window.area <= ModelFormat.largestPoolingArea,
        let operation = record.operation(input: input)
      else { return false }
      switch operation {
      case .maxPooling(let pooling): return pooling.everyWindowHasInput
      case .averagePooling(let pooling):
        return pooling.everyWindowHasInput
          && (pooling.commonDivisor != nil || window.area <= ModelFormat.largestUnevenPoolingArea)
      default: return false
      }
    case .fullyConnected: return output.height == 1 && output.width == 1
    case .add: return output == input && second == input
    case .multiply:
      return output == input
        && (second == input
          || (second == Shape(vector: input.channels)
            && input.positions <= ModelFormat.largestRepeatedPositions))
    case .concatenate:
      guard let second, second.height == input.height, second.width == input.width else {
        return false
      }
      return output
        == Shape(
          height: input.height, width: input.width, channels: input.channels + second.channels)
    case .table, .rescale: return output == input
    case .slicePad: return true
    case .upsample:
      return record.operation(input: input)
        == .upsample(
          Upsampling(
            input: input, rows: record.geometry.strideHeight, columns: record.geometry.strideWidth))
        && output.channels == input.channels
        && output.height == input.height * record.geometry.strideHeight
        && output.width == input.width * record.geometry.strideWidth
    }
  }

  private mutating func weights(
    _ index: Int, _ record: NodeRecord, _ kind: NodeRecord.Kind, _ input: Shape
  ) throws(ModelError) {
    func fail(_ code: ModelError.Code, _ field: Int) -> ModelError {
      ModelError(code, at: offset(index, field))
    }
    guard record.firstWeight == weight else { throw fail(.badOffset, 36) }
    guard record.firstBias == bias else { throw fail(.badOffset, 40) }
    guard record.firstScale == scale else { throw fail(.badOffset, 44) }
    guard record.tableIndex == table else { throw fail(.badOffset, 48) }
    if kind == .table {
      table += 1
      guard table <= network.sections.tableCount else { throw fail(.badOffset, 48) }
    }
    guard let shape = record.operation(input: input)?.weighted else { return }
    guard shape.depth <= ModelFormat.largestDepth else { throw fail(.accumulatorTooLarge, 36) }
    let (count, overflow) = shape.output.channels.multipliedReportingOverflow(by: shape.depth)
    guard !overflow, count <= network.sections.weightCount - weight else {
      throw fail(.badOffset, 36)
    }
    guard shape.output.channels <= network.sections.biasCount - bias else {
      throw fail(.badOffset, 40)
    }
    let scales =
      record.flags & NodeRecord.perChannelFlag != 0 ? shape.output.channels : 1
    guard scales <= network.sections.scaleCount - scale else { throw fail(.badOffset, 44) }
    weight += count
    bias += shape.output.channels
    for channel in 0..<scales {
      let entry = network.sections.scales + 8 * (scale + channel)
      let pair = network.view(entry, 2, of: Int32.self)
      guard let weightScale = Scale(mantissa: pair[0], exponent: pair[1]), weightScale != .zero
      else {
        throw ModelError(.badScale, at: entry)
      }
      if record.flags & NodeRecord.accumulatorsFlag != 0,
        record.scale(28)
          != network.quantization(ofTensor: record.firstInput).scale * weightScale
      {
        throw fail(.badScale, 28)
      }
    }
    scale += scales
  }

  private mutating func names(_ index: Int, _ record: NodeRecord) throws(ModelError) {
    guard record.nameOffset == name else { throw ModelError(.badName, at: offset(index, 96)) }
    let length = record.nameByteCount
    guard length >= 0, length <= ModelFormat.largestNameByteCount,
      length <= network.sections.nameByteCount - name
    else { throw ModelError(.badName, at: offset(index, 100)) }
    let start = network.sections.names + name
    guard network.view(start, length, of: UInt8.self).withRawSpan({ isUTF8($0) }) else {
      throw ModelError(.badName, at: start)
    }
    name += length
  }

  /// Nothing is left over in a section, and every value in it is legal.
  private func ends() throws(ModelError) {
    let sections = network.sections
    guard weight == sections.weightCount, bias == sections.biasCount, scale == sections.scaleCount,
      table == sections.tableCount, name == sections.nameByteCount
    else { throw ModelError(.badOffset, at: ModelFormat.headerByteCount) }
    let weights = network.view(sections.weights, sections.weightCount, of: Int8.self)
    for index in 0..<weights.count where weights[index] == -128 {
      throw ModelError(.badWeight, at: sections.weights + index)
    }
    let biases = network.view(sections.biases, sections.biasCount, of: Int32.self)
    for index in 0..<biases.count where biases[index].magnitude > UpdateLimit.bias.magnitude {
      throw ModelError(.badBias, at: sections.biases + 4 * index)
    }
  }
}
