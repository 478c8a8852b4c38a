import Platform
import Tally

/// TensorBoard's event file: scalars by tag and step.
///
/// A file is a row of records: u64 length, masked CRC-32C of it, the bytes, masked CRC-32C of them; each
/// holds a protobuf `Event` (1 wall time, 2 step, 3 version, 5 summary of `Value` with 1 tag and
/// 2 value). Values are float32, for TensorBoard only: nothing is ever read back from here.
public struct EventFile {
  public private(set) var bytes: [UInt8] = []
  private let wallTime: Double
  private let hasLabels: Bool
  /// The step that figures belong to.
  private var lastStep: UInt32 = 0

  /// - Parameters:
  ///   - wallTime: seconds since 1970 that every record carries; TensorBoard wants one.
  ///   - hasLabels: whether answers are right or wrong; targets have no accuracy.
  public init(wallTime: Double, hasLabels: Bool = true) {
    self.wallTime = wallTime
    self.hasLabels = hasLabels
    var event = ProtobufFields()
    event.double(1, wallTime)
    event.bytes(3, Array("brain.Event:2".utf8))
    append(event.bytes)
  }

  /// Adds what an event says in numbers.
  public mutating func add(_ event: RunHistory.Event) {
    switch event {
    case .step(let step):
      lastStep = step.index
      let samples = Float(max(1, step.samples))
      add("loss", Float(step.loss) / 65536 / samples)
      if hasLabels { add("accuracy", Float(step.correct) / samples) }
      add("saturated", Float(step.saturated))
      add("clipped", Float(step.clipped))
    case .kept(let step):
      for (index, counts) in step.nodes.enumerated() where counts.active > 0 {
        add("kept/\(index)", Float(counts.touched) / Float(counts.active))
      }
    case .differences(let step):
      let mean = Float(step.magnitude) / 65536 / Float(max(1, step.count))
      add("difference/group \(step.group)", mean)
    case .epoch(let epoch):
      add("epoch/train", epoch.training)
      if let validation = epoch.validation { add("epoch/validation", validation) }
    case .range: break
    }
  }

  private mutating func add(_ tag: String, _ sums: Trainer.Evaluation) {
    let samples = Float(max(1, sums.samples))
    add("\(tag) loss", Float(sums.loss) / 65536 / samples)
    if hasLabels { add("\(tag) accuracy", Float(sums.correct) / samples) }
  }

  private mutating func add(_ tag: String, _ value: Float) {
    var scalar = ProtobufFields()
    scalar.bytes(1, Array(tag.utf8))
    scalar.float(2, value)
    var summary = ProtobufFields()
    summary.bytes(1, scalar.bytes)
    var event = ProtobufFields()
    event.double(1, wallTime)
    event.varint(2, UInt64(lastStep))
    event.bytes(5, summary.bytes)
    append(event.bytes)
  }

  /// What has been added since the last call.
  public mutating func takeBytes() -> [UInt8] {
    defer { bytes.removeAll(keepingCapacity: true) }
    return bytes
  }

  private mutating func append(_ event: [UInt8]) {
    let length = littleEndian(UInt64(event.count))
    bytes += length + littleEndian(EventFile.maskedCheck(length))
    bytes += event + littleEndian(EventFile.maskedCheck(event))
  }

  /// The CRC, rotated and offset, so that a CRC over data that holds CRCs stays sound.
  static func maskedCheck(_ bytes: [UInt8]) -> UInt32 {
    var crc = CRC32C()
    crc.update(bytes.span.bytes)
    return ((crc.value >> 15) | (crc.value << 17)) &+ 0xA282_EAD8
  }
}

/// The few protobuf fields of an event.
private struct ProtobufFields {
  private(set) var bytes: [UInt8] = []

  mutating func varint(_ field: UInt64, _ value: UInt64) {
    append(field << 3)
    append(value)
  }

  mutating func bytes(_ field: UInt64, _ value: [UInt8]) {
    append(field << 3 | 2)
    append(UInt64(value.count))
    bytes += value
  }

  mutating func double(_ field: UInt64, _ value: Double) {
    append(field << 3 | 1)
    bytes += littleEndian(value.bitPattern)
  }

  mutating func float(_ field: UInt64, _ value: Float) {
    append(field << 3 | 5)
    bytes += littleEndian(value.bitPattern)
  }

  private mutating func append(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }
}

private func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
  withUnsafeBytes(of: value.littleEndian) { Array($0) }
}
