public import Tally

/// A network with its integers, on the way to a `.tally` file (Formats/model.md).
///
/// Converters and `init` fill it in; `bytes()` writes the one byte string there is for it and validates
/// it by reading it back, so whatever comes out is a model.
public struct ModelBuilder {
  /// One node. Inputs are tensor numbers: 0 is the network's input, i + 1 the output of node i.
  public struct Node {
    public var name: String
    public var operation: Tally.Operation
    public var inputs: [Int]
    public var output: Shape
    public var quantization: Quantization
    /// A head of raw int32 logits; only for the last node, weighted, with one weight Scale.
    public var hasAccumulators: Bool
    /// [outputs][kernel height][kernel width][inputs per group], −127…127.
    public var weights: [Int8]
    public var biases: [Int32]
    /// One, or one per output channel.
    public var weightScales: [Scale]
    /// 256 values and 256 slopes in Q12, for table nodes.
    public var table: (values: [Int8], slopes: [Int16])?

    public init(
      name: String, operation: Tally.Operation, inputs: [Int], output: Shape,
      quantization: Quantization, hasAccumulators: Bool = false, weights: [Int8] = [],
      biases: [Int32] = [], weightScales: [Scale] = [],
      table: (values: [Int8], slopes: [Int16])? = nil
    ) {
      self.name = name
      self.operation = operation
      self.inputs = inputs
      self.output = output
      self.quantization = quantization
      self.hasAccumulators = hasAccumulators
      self.weights = weights
      self.biases = biases
      self.weightScales = weightScales
      self.table = table
    }
  }

  /// ±A and B (Q32) of SPEC 5.4.
  public struct InputMap: Equatable, Sendable {
    public var scale: Scale
    public var isNegative: Bool
    public var offset: Int64

    public init(scale: Scale, isNegative: Bool = false, offset: Int64) {
      self.scale = scale
      self.isNegative = isNegative
      self.offset = offset
    }
  }

  public var inputShape: Shape
  public var inputQuantization: Quantization
  /// One for all channels, or one per channel.
  public var inputMaps: [InputMap]
  /// The range tracker may move this model's Scales.
  public var isInitialized = false
  public var readsChannelsFirst = false
  public var nodes: [Node] = []
  public var classNames: [String] = []

  public init(inputShape: Shape, inputQuantization: Quantization, inputMaps: [InputMap]) {
    self.inputShape = inputShape
    self.inputQuantization = inputQuantization
    self.inputMaps = inputMaps
  }

  /// The model file.
  /// - Throws: `ModelError` if what was filled in is not a legal network.
  public func bytes() throws(ModelError) -> [UInt8] {
    var sections: [(kind: ModelFormat.Section, count: Int, bytes: [UInt8])] = []
    func add(_ kind: ModelFormat.Section, _ count: Int, _ bytes: [UInt8]) {
      if count > 0 { sections.append((kind, count, bytes)) }
    }
    var records: [UInt8] = []
    var weights: [UInt8] = []
    var biases: [UInt8] = []
    var scales: [UInt8] = []
    var tables: [UInt8] = []
    var names: [UInt8] = []
    for node in nodes {
      records += record(
        node, firstWeight: weights.count, firstBias: biases.count / 4,
        firstScale: scales.count / 8, table: tables.count / 768, nameOffset: names.count)
      weights += node.weights.map { UInt8(bitPattern: $0) }
      for bias in node.biases { biases.append(littleEndian: bias) }
      for scale in node.weightScales { scales.append(scale) }
      if let table = node.table {
        tables += table.values.map { UInt8(bitPattern: $0) }
        for slope in table.slopes { tables.append(littleEndian: slope) }
      }
      names += Array(node.name.utf8)
    }
    var maps: [UInt8] = []
    for map in inputMaps {
      maps.append(map.scale)
      maps.append(littleEndian: UInt32(map.isNegative ? 1 : 0))
      maps.append(littleEndian: UInt32(0))
      maps.append(littleEndian: map.offset)
    }
    var classes: [UInt8] = []
    for name in classNames {
      classes.append(littleEndian: UInt32(name.utf8.count))
      classes += Array(name.utf8)
    }
    add(.nodes, nodes.count, records)
    add(.weights, weights.count, weights)
    add(.biases, biases.count / 4, biases)
    add(.weightScales, scales.count / 8, scales)
    add(.tables, tables.count / 768, tables)
    add(.inputMaps, inputMaps.count, maps)
    add(.names, names.count, names)
    add(.classNames, classNames.count, classes)
    let file = assemble(sections)
    let memory = AlignedMemory(file)
    _ = try Network(validating: UnsafeRawBufferPointer(memory.bytes))
    return file
  }

  private func assemble(
    _ sections: [(kind: ModelFormat.Section, count: Int, bytes: [UInt8])]
  ) -> [UInt8] {
    var table: [UInt8] = []
    var body: [UInt8] = []
    let bodyStart = ModelFormat.aligned(
      ModelFormat.headerByteCount + sections.count * ModelFormat.sectionEntryByteCount)
    for section in sections {
      body.pad(to: ModelFormat.alignment)
      table.append(littleEndian: section.kind.rawValue)
      table.append(littleEndian: UInt32(section.count))
      table.append(littleEndian: UInt32(bodyStart + body.count))
      table.append(littleEndian: UInt32(section.bytes.count))
      body += section.bytes
    }
    body.pad(to: ModelFormat.alignment)
    var file: [UInt8] = []
    file.append(littleEndian: ModelFormat.magic)
    file.append(littleEndian: ModelFormat.formatVersion)
    file.append(littleEndian: ModelFormat.arithmeticVersion)
    file.append(littleEndian: UInt32(sections.count))
    file.append(
      littleEndian: UInt32(bodyStart + body.count + ModelFormat.digestByteCount))
    file.append(littleEndian: UInt32(nodes.count))
    file.append(littleEndian: UInt32((isInitialized ? 1 : 0) | (readsChannelsFirst ? 2 : 0)))
    file.append(inputShape)
    file.append(inputQuantization.scale)
    file.append(UInt8(truncatingIfNeeded: inputQuantization.zeroPoint))
    file.pad(to: ModelFormat.headerByteCount)
    file += table
    file.pad(to: ModelFormat.alignment)
    file += body
    var hash = SHA256()
    hash.update(file.span.bytes)
    let digest = hash.finalize()
    file += (0..<Digest.byteCount).map { digest[$0] }
    return file
  }

  private func record(
    _ node: Node, firstWeight: Int, firstBias: Int, firstScale: Int, table: Int, nameOffset: Int
  ) -> [UInt8] {
    var kind: UInt8 = 0
    var flags: UInt8 = 0
    var window = Tensors.WindowGeometry(kernelHeight: 1, kernelWidth: 1)
    var groups = 1
    var slice: Kernels.SlicePad?
    switch node.operation {
    case .convolution(let shape):
      (kind, window, groups) = (1, shape.geometry, shape.groups)
    case .fullyConnected: kind = 2
    case .maxPooling(let pooling): (kind, window) = (3, pooling.geometry)
    case .averagePooling(let pooling):
      (kind, window) = (4, pooling.geometry)
      if pooling.countsPadding { flags |= 4 }
    case .add: kind = 5
    case .multiply: kind = 6
    case .concatenate: kind = 7
    case .table: kind = 8
    case .rescale: kind = 9
    case .slicePad(let value): (kind, slice) = (10, value)
    case .upsample(let upsampling):
      kind = 11
      (window.strideHeight, window.strideWidth) = (upsampling.rows, upsampling.columns)
    }
    if node.hasAccumulators { flags |= 1 }
    if node.operation.weighted != nil && node.weightScales.count > 1 { flags |= 2 }
    var bytes: [UInt8] = [kind, flags]
    for value in [node.quantization.zeroPoint, node.quantization.low, node.quantization.high] {
      bytes.append(UInt8(truncatingIfNeeded: value))
    }
    bytes.pad(to: 8)
    bytes.append(littleEndian: UInt32(node.inputs[0]))
    bytes.append(littleEndian: node.inputs.count > 1 ? UInt32(node.inputs[1]) : 0xFFFF_FFFF)
    bytes.append(node.output)
    bytes.append(node.quantization.scale)
    for offset in [firstWeight, firstBias, firstScale, table] {
      bytes.append(littleEndian: UInt32(offset))
    }
    for field in [
      window.kernelHeight, window.kernelWidth, window.strideHeight, window.strideWidth,
      window.dilationHeight, window.dilationWidth, window.padTop, window.padLeft, window.padBottom,
      window.padRight,
    ] { bytes.append(littleEndian: UInt16(field)) }
    bytes.append(littleEndian: UInt32(groups))
    let axes = slice.map { [$0.rows, $0.columns, $0.channels] } ?? []
    for field in 0..<3 {
      for axis in 0..<3 {
        let value =
          axes.isEmpty
          ? (field == 1 ? 1 : 0) : [axes[axis].start, axes[axis].step, axes[axis].before][field]
        bytes.append(littleEndian: UInt16(value))
      }
    }
    bytes.append(littleEndian: UInt16(0))
    bytes.append(littleEndian: UInt32(nameOffset))
    bytes.append(littleEndian: UInt32(node.name.utf8.count))
    bytes.pad(to: 128)
    return bytes
  }
}

extension [UInt8] {
  mutating func append<Integer: FixedWidthInteger>(littleEndian value: Integer) {
    for index in 0..<Integer.bitWidth / 8 {
      append(UInt8(truncatingIfNeeded: value >> Integer(8 * index)))
    }
  }

  mutating func append(_ scale: Scale) {
    append(littleEndian: scale.mantissa)
    append(littleEndian: scale.exponent)
  }

  mutating func append(_ shape: Shape) {
    append(littleEndian: UInt32(shape.height))
    append(littleEndian: UInt32(shape.width))
    append(littleEndian: UInt32(shape.channels))
  }

  mutating func pad(to alignment: Int) {
    while count % alignment != 0 { append(0) }
  }
}
