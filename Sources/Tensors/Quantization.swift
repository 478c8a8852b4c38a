public import FixedPoint

/// How an int8 tensor stands for real values: real = scale · (q − zeroPoint), low ≤ q ≤ high (SPEC 5.3).
public struct Quantization: Equatable, Sendable {
  public var scale: Scale
  /// −128…127.
  public let zeroPoint: Int32
  /// Bounds of stored values, inside −128…127; they carry a fused rectifier.
  public let low: Int32
  public let high: Int32

  @inlinable
  public init(scale: Scale, zeroPoint: Int32, low: Int32 = -128, high: Int32 = 127) {
    self.scale = scale
    self.zeroPoint = zeroPoint
    self.low = low
    self.high = high
  }

  /// Whether the bounds cut everything below real zero (SPEC 8.9).
  @inlinable
  public var isRectified: Bool { low == zeroPoint }
}
