/// A borrowed row of integers inside memory that somebody else owns: the arena, or a model in flash.
///
/// This is the one place where the runtime touches raw memory. A view is only made from offsets that
/// a `MemoryPlan` or a validated model has computed, so `count` elements are there; debug builds check
/// every index, release builds rely on that evidence. It must not outlive the memory under it.
///
/// A view of read-only memory (weights in flash) is never written through; the engine hands such
/// views only to parameters that read.
@safe
public struct View<Element: BitwiseCopyable> {
  @usableFromInline let start: UnsafeMutablePointer<Element>
  /// Number of elements.
  public let count: Int

  /// Views `count` elements at a byte `offset` from `base`.
  /// - Precondition: the bytes exist, are aligned for `Element`, and outlive the view.
  @inlinable
  public init(base: UnsafeRawPointer, offset: Int, count: Int) {
    // The plan aligns every buffer to 16 bytes and a model's sections to 64.
    unsafe self.start = UnsafeMutableRawPointer(mutating: base + offset)
      .assumingMemoryBound(to: Element.self)
    self.count = count
  }

  @inlinable
  init(start: UnsafeMutablePointer<Element>, count: Int) {
    unsafe self.start = unsafe start
    self.count = count
  }

  @inlinable
  public subscript(index: Int) -> Element {
    @inline(__always) get {
      assert(index >= 0 && index < count, "index outside the view")
      return unsafe start[index]
    }
    @inline(__always) nonmutating set {
      assert(index >= 0 && index < count, "index outside the view")
      unsafe start[index] = newValue
    }
  }

  /// The `count` elements that start at `first`.
  @inlinable
  public func slice(_ first: Int, _ count: Int) -> View {
    assert(first >= 0 && count >= 0 && first + count <= self.count, "slice outside the view")
    return unsafe View(start: start + first, count: count)
  }

  /// Sets every element.
  @inlinable
  public func fill(_ value: Element) {
    unsafe start.update(repeating: value, count: count)
  }

  /// Copies all of `source`, which must not be longer.
  @inlinable
  public func copy(from source: View) {
    assert(source.count <= count, "source is longer")
    unsafe start.update(from: source.start, count: source.count)
  }

  /// The address of the first element, for the C microkernels.
  @inlinable
  public var pointer: UnsafeMutablePointer<Element> { unsafe start }

  /// The same memory as bytes, for digests.
  @inlinable
  public var bytes: View<UInt8> {
    unsafe View<UInt8>(
      base: UnsafeRawPointer(start), offset: 0, count: count * MemoryLayout<Element>.stride)
  }

  /// `count` elements of another type from byte `offset` on, where an arena has put them.
  @inlinable
  public func part<Other: BitwiseCopyable>(
    _ offset: Int, _ count: Int, of type: Other.Type
  ) -> View<Other> {
    assert(
      offset >= 0 && count >= 0
        && offset + count * MemoryLayout<Other>.stride <= self.count * MemoryLayout<Element>.stride,
      "a part outside the view")
    return unsafe View<Other>(base: UnsafeRawPointer(start), offset: offset, count: count)
  }

  /// Calls `body` with the bytes of the view.
  @inlinable
  public func withRawSpan<R>(_ body: (RawSpan) -> R) -> R {
    // The span cannot leave the closure, and the view's memory outlives the call.
    body(
      unsafe RawSpan(
        _unsafeStart: UnsafeRawPointer(start), byteCount: count * MemoryLayout<Element>.stride))
  }
}
