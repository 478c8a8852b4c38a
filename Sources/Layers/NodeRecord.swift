package import FixedPoint
import Kernels
package import Tensors

/// The 128 bytes of a node in a model file, field by field (Formats/model.md, node record).
package struct NodeRecord {
  package static var byteCount: Int { 128 }
  package static var noInput: UInt32 { 0xFFFF_FFFF }
  package static var scaleOffset: Int { 28 }

  package enum Kind: UInt8 {
    case convolution = 1
    case fullyConnected, maxPooling, averagePooling, add, multiply, concatenate, table, rescale
    case slicePad, upsample
  }

  /// Flag bits.
  package static var accumulatorsFlag: UInt8 { 1 }
  package static var perChannelFlag: UInt8 { 2 }
  package static var countsPaddingFlag: UInt8 { 4 }

  package let bytes: View<UInt8>

  package init(_ bytes: View<UInt8>) { self.bytes = bytes }

  package func u16(_ offset: Int) -> Int { Int(bytes[offset]) | Int(bytes[offset + 1]) << 8 }

  package func u32(_ offset: Int) -> UInt32 {
    UInt32(bytes[offset]) | UInt32(bytes[offset + 1]) << 8 | UInt32(bytes[offset + 2]) << 16
      | UInt32(bytes[offset + 3]) << 24
  }

  private func i8(_ offset: Int) -> Int32 { Int32(Int8(bitPattern: bytes[offset])) }

  private func count(_ offset: Int) -> Int { Int(truncatingIfNeeded: u32(offset)) }

  package var kind: Kind? { Kind(rawValue: bytes[0]) }
  package var isWeighted: Bool { kind == .convolution || kind == .fullyConnected }
  package var flags: UInt8 { bytes[1] }
  package var firstInput: Int { count(8) }
  package var secondInput: Int? { u32(12) == NodeRecord.noInput ? nil : count(12) }
  package var outputShape: Shape { Shape(height: count(16), width: count(20), channels: count(24)) }

  /// The Scale at `offset`, or `nil` if it is not normalised.
  package func scale(_ offset: Int) -> Scale? {
    Scale(
      mantissa: Int32(bitPattern: u32(offset)), exponent: Int32(bitPattern: u32(offset + 4)))
  }

  package var quantization: Quantization {
    Quantization(
      scale: scale(NodeRecord.scaleOffset) ?? .zero, zeroPoint: i8(2), low: i8(3), high: i8(4))
  }

  package var geometry: WindowGeometry {
    WindowGeometry(
      kernelHeight: u16(52), kernelWidth: u16(54), strideHeight: u16(56), strideWidth: u16(58),
      dilationHeight: u16(60), dilationWidth: u16(62), padTop: u16(64), padLeft: u16(66),
      padBottom: u16(68), padRight: u16(70))
  }

  package var groups: Int { count(72) }
  package var firstWeight: Int { count(36) }
  package var firstBias: Int { count(40) }
  package var firstScale: Int { count(44) }
  package var tableIndex: Int { count(48) }
  package var nameOffset: Int { count(96) }
  package var nameByteCount: Int { count(100) }

  private func axis(_ index: Int) -> SlicePad.Axis {
    SlicePad.Axis(
      start: u16(76 + 2 * index), step: u16(82 + 2 * index), before: u16(88 + 2 * index))
  }

  /// The operation on inputs of these shapes; `nil` for an unknown kind.
  package func operation(input: Shape) -> Operation? {
    switch kind {
    case .convolution:
      .convolution(
        Convolution(input: input, output: outputShape, geometry: geometry, groups: groups))
    case .fullyConnected:
      .fullyConnected(
        Convolution(
          input: Shape(vector: input.count), output: outputShape, geometry: geometry, groups: 1))
    case .maxPooling:
      .maxPooling(Pooling(input: input, output: outputShape, geometry: geometry))
    case .averagePooling:
      .averagePooling(
        Pooling(
          input: input, output: outputShape, geometry: geometry,
          countsPadding: flags & NodeRecord.countsPaddingFlag != 0))
    case .add: .add
    case .multiply: .multiply
    case .concatenate: .concatenate
    case .table: .table
    case .rescale: .rescale
    case .slicePad:
      .slicePad(
        SlicePad(
          input: input, output: outputShape, rows: axis(0), columns: axis(1), channels: axis(2)))
    case .upsample:
      .upsample(
        Upsampling(input: input, rows: geometry.strideHeight, columns: geometry.strideWidth))
    case nil: nil
    }
  }

  /// The node this record describes.
  /// - Precondition: the record has been validated.
  package func node(input: Shape, secondInput second: Shape?) -> Node {
    guard let operation = operation(input: input) else {
      preconditionFailure("a validated model holds known kinds")
    }
    return Node(
      operation: operation, firstInput: firstInput, secondInput: secondInput, output: outputShape,
      quantization: quantization, hasAccumulators: flags & NodeRecord.accumulatorsFlag != 0,
      scalesPerChannel: flags & NodeRecord.perChannelFlag != 0, firstWeight: firstWeight,
      firstBias: firstBias, firstScale: firstScale, tableIndex: tableIndex)
  }
}
