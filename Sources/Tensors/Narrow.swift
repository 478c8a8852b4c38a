/// An `Int` that is kept in 32 bits.
///
/// Shapes, windows and nodes are decoded from records and passed by value at every node of every pass. With
/// 32 bits a number they are copied by a few moves in line; with 64 each copy was a call of `memmove`, which
/// together took a quarter of an inference of small dense networks.
///
/// Numbers beyond 32 bits become the nearest that fits: extents and counts are bounded far below (SPEC 5.6).
@propertyWrapper
public struct Narrow: Equatable, Sendable {
  @usableFromInline var stored: Int32

  @inlinable
  public init(wrappedValue: Int) { stored = Int32(clamping: wrappedValue) }

  @inlinable
  public var wrappedValue: Int {
    get { Int(stored) }
    set { stored = Int32(clamping: newValue) }
  }
}
