public import Bytes
import FixedPoint
import Kernels
public import Layers
import Tensors

extension Network {
  /// Reads a model file in place after checking all of it (Formats/model.md, duties of a reader).
  ///
  /// - Parameters:
  ///   - bytes: the whole file. It must stay where it is and unchanged while the network is used.
  ///   - checkingDigest: hashing is most of the work; a board may check its flash once and then not again.
  /// - Throws: `ModelError` with the offset of the first thing found wrong.
  @unsafe
  public init(
    validating bytes: UnsafeRawBufferPointer, checkingDigest: Bool = true
  ) throws(ModelError) {
    // The file's bytes stay in place for the length of this call.
    let span = unsafe bytes.bytes
    var validator = Validator(span)
    try validator.header()
    try validator.sectionTable()
    try validator.padding()
    if checkingDigest { try validator.digest() }
    try validator.inputMaps()
    try validator.classNames()
    // From here on the header's and sections' places are known to exist.
    guard let base = bytes.baseAddress else { throw ModelError(.truncated, at: 0) }
    let network = unsafe Network(base: base, byteCount: bytes.count)
    try NodeValidator.validate(network)
    self = network
  }

  /// The model digest (SPEC 9.2): the file's last 32 bytes.
  public var digest: Digest {
    bytes.withRawSpan { Digest(reading: $0, at: byteCount - ModelFormat.digestByteCount) }
  }
}

/// Checks the container: header, section table, padding, digest, and the sections without nodes.
private struct Validator: ~Copyable, ~Escapable {
  let span: RawSpan
  var nodeCount = 0
  var inputChannels = 0
  var sectionCount = 0
  /// Sections that later checks go through: where they start, and how many elements they have.
  var hasNodes = false
  var maps = (offset: 0, count: 0)
  var classes = (offset: 0, count: 0, byteCount: 0)
  /// One past the last byte of the last section.
  var contentEnd = 0

  @_lifetime(copy span)
  init(_ span: RawSpan) { self.span = span }

  mutating func header() throws(ModelError) {
    guard span.byteCount >= 8 else { throw ModelError(.truncated, at: span.byteCount) }
    guard span.u64(at: 0) == ModelFormat.magic else { throw ModelError(.notAModel, at: 0) }
    guard span.byteCount >= ModelFormat.headerByteCount else {
      throw ModelError(.truncated, at: span.byteCount)
    }
    guard span.u16(at: 8) == ModelFormat.formatVersion else {
      throw ModelError(.unsupportedVersion, at: 8)
    }
    guard span.u16(at: 10) == ModelFormat.arithmeticVersion else {
      throw ModelError(.unsupportedVersion, at: 10)
    }
    let length = span.u32(at: 16)
    guard length <= UInt32(Int32.max) else { throw ModelError(.badCount, at: 16) }
    guard span.byteCount >= Int(length) else { throw ModelError(.truncated, at: span.byteCount) }
    guard span.byteCount == Int(length) else { throw ModelError(.trailingBytes, at: Int(length)) }
    sectionCount = Int(truncatingIfNeeded: span.u32(at: 12))
    guard (2...8).contains(sectionCount) else { throw ModelError(.badCount, at: 12) }
    let nodes = Int(truncatingIfNeeded: span.u32(at: 20))
    guard (1...ModelFormat.largestNodeCount).contains(nodes) else {
      throw ModelError(.badCount, at: 20)
    }
    nodeCount = nodes
    guard span.u32(at: 24) & ~3 == 0 else { throw ModelError(.badFlags, at: 24) }
    let inputShape = Shape(
      height: Int(truncatingIfNeeded: span.u32(at: 28)),
      width: Int(truncatingIfNeeded: span.u32(at: 32)),
      channels: Int(truncatingIfNeeded: span.u32(at: 36)))
    guard inputShape.isLegal else { throw ModelError(.badShape, at: 28) }
    inputChannels = inputShape.channels
    _ = try scale(at: 40)
    try zeros(49..<ModelFormat.headerByteCount)
  }

  /// Offsets, lengths and order of the sections must be the only ones possible.
  mutating func sectionTable() throws(ModelError) {
    let tableEnd =
      ModelFormat.headerByteCount + sectionCount * ModelFormat.sectionEntryByteCount
    guard span.byteCount >= tableEnd else { throw ModelError(.truncated, at: span.byteCount) }
    var expected = ModelFormat.aligned(tableEnd)
    var lastKind: UInt32 = 0
    for index in 0..<sectionCount {
      let entry = ModelFormat.headerByteCount + index * ModelFormat.sectionEntryByteCount
      let kind = span.u32(at: entry)
      let count = Int(truncatingIfNeeded: span.u32(at: entry + 4))
      let offset = Int(truncatingIfNeeded: span.u32(at: entry + 8))
      let length = Int(truncatingIfNeeded: span.u32(at: entry + 12))
      guard kind > lastKind, let section = ModelFormat.Section(rawValue: kind) else {
        throw ModelError(.badSection, at: entry)
      }
      lastKind = kind
      // A 32-bit board must not overflow here: counts are below 2³¹ only by comparison with the file.
      guard count >= 1, count <= span.byteCount, length >= 1, length <= span.byteCount else {
        throw ModelError(.badSection, at: entry + 4)
      }
      guard offset == expected else { throw ModelError(.badSection, at: entry + 8) }
      guard length <= span.byteCount - offset else {
        throw ModelError(.truncated, at: span.byteCount)
      }
      try record(section, count: count, offset: offset, length: length, entry: entry)
      contentEnd = offset + length
      expected = ModelFormat.aligned(contentEnd)
    }
    guard hasNodes, maps.count > 0 else {
      throw ModelError(.badSection, at: ModelFormat.headerByteCount)
    }
    let end = ModelFormat.aligned(contentEnd) + ModelFormat.digestByteCount
    guard span.byteCount >= end else { throw ModelError(.truncated, at: span.byteCount) }
    guard span.byteCount == end else { throw ModelError(.trailingBytes, at: end) }
  }

  private mutating func record(
    _ section: ModelFormat.Section, count: Int, offset: Int, length: Int, entry: Int
  ) throws(ModelError) {
    var elementByteCount = 1
    switch section {
    case .nodes:
      guard count == nodeCount else { throw ModelError(.badSection, at: entry + 4) }
      hasNodes = true
      elementByteCount = NodeRecord.byteCount
    case .weights, .names: break
    case .biases: elementByteCount = 4
    case .weightScales: elementByteCount = 8
    case .tables: elementByteCount = 768
    case .inputMaps:
      guard count == 1 || count == inputChannels else {
        throw ModelError(.badMap, at: entry + 4)
      }
      maps = (offset, count)
      elementByteCount = 24
    case .classNames:
      classes = (offset, count, length)
      return
    }
    guard length % elementByteCount == 0, length / elementByteCount == count else {
      throw ModelError(.badSection, at: entry + 12)
    }
  }

  /// Everything between sections is zero.
  func padding() throws(ModelError) {
    var end = ModelFormat.headerByteCount + sectionCount * ModelFormat.sectionEntryByteCount
    for index in 0..<sectionCount {
      let entry = ModelFormat.headerByteCount + index * ModelFormat.sectionEntryByteCount
      let offset = Int(truncatingIfNeeded: span.u32(at: entry + 8))
      try zeros(end..<offset)
      end = offset + Int(truncatingIfNeeded: span.u32(at: entry + 12))
    }
    try zeros(end..<span.byteCount - ModelFormat.digestByteCount)
  }

  func digest() throws(ModelError) {
    let end = span.byteCount - ModelFormat.digestByteCount
    var hash = SHA256()
    hash.update(span.extracting(0..<end))
    guard hash.finalize() == Digest(reading: span, at: end) else {
      throw ModelError(.digestMismatch, at: end)
    }
  }

  func inputMaps() throws(ModelError) {
    for index in 0..<maps.count {
      let entry = maps.offset + 24 * index
      _ = try scale(at: entry)
      guard span.u32(at: entry + 8) <= 1, span.u32(at: entry + 12) == 0 else {
        throw ModelError(.badMap, at: entry + 8)
      }
    }
  }

  func classNames() throws(ModelError) {
    guard classes.count > 0 else { return }
    var offset = classes.offset
    let end = offset + classes.byteCount
    for _ in 0..<classes.count {
      guard end - offset >= 4 else { throw ModelError(.badName, at: offset) }
      let length = Int(truncatingIfNeeded: span.u32(at: offset))
      guard length >= 0, length <= ModelFormat.largestNameByteCount, length <= end - offset - 4
      else { throw ModelError(.badName, at: offset) }
      guard isUTF8(span.extracting(offset + 4..<offset + 4 + length)) else {
        throw ModelError(.badName, at: offset + 4)
      }
      offset += 4 + length
    }
    guard offset == end else { throw ModelError(.badName, at: offset) }
  }

  private func scale(at offset: Int) throws(ModelError) -> Scale {
    let scale = Scale(mantissa: span.i32(at: offset), exponent: span.i32(at: offset + 4))
    guard let scale, scale != .zero else { throw ModelError(.badScale, at: offset) }
    return scale
  }

  private func zeros(_ range: Range<Int>) throws(ModelError) {
    for offset in range where span.u8(at: offset) != 0 {
      throw ModelError(.reservedNotZero, at: offset)
    }
  }
}
