/// The shape of one sample: height × width × channels, channels varying fastest (SPEC 5.2).
public struct Shape: Equatable, Sendable {
  @Narrow public private(set) var height: Int
  @Narrow public private(set) var width: Int
  @Narrow public private(set) var channels: Int

  public init(height: Int, width: Int, channels: Int) {
    self.height = height
    self.width = width
    self.channels = channels
  }

  /// A vector of `count` values: 1 × 1 × count.
  public init(vector count: Int) { self.init(height: 1, width: 1, channels: count) }

  /// Number of positions, height × width.
  @inlinable
  public var positions: Int { height &* width }

  /// Number of elements of one sample (n_t of SPEC 5.2).
  @inlinable
  public var count: Int { height &* width &* channels }

  /// The largest number of elements a tensor may have per sample (SPEC 5.6).
  public static var largestCount: Int { 1 << 24 }

  /// Whether every extent is at least 1 and the number of elements is within `largestCount`.
  public var isLegal: Bool {
    guard height >= 1, width >= 1, channels >= 1 else { return false }
    let limit = Shape.largestCount
    return height <= limit && width <= limit && channels <= limit
      && height <= limit / width && height * width <= limit / channels
  }
}
