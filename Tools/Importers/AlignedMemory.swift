public import Tally

/// A block of memory that stays in place, aligned for models and arenas.
///
/// The runtime reads models in place and works in memory it does not own; on a host, this owns it.
public final class AlignedMemory {
  /// Zeroed at first.
  public let bytes: UnsafeMutableRawBufferPointer

  public init(byteCount: Int) {
    bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 64)
    bytes.initializeMemory(as: UInt8.self, repeating: 0)
  }

  /// A copy of an array.
  public convenience init<Element: BitwiseCopyable>(_ contents: [Element]) {
    self.init(byteCount: contents.count * MemoryLayout<Element>.stride)
    contents.withUnsafeBytes { if !$0.isEmpty { bytes.copyMemory(from: $0) } }
  }

  deinit { bytes.deallocate() }

  /// All of it as elements. The view must not outlive this object.
  public func view<Element: BitwiseCopyable>(of type: Element.Type) -> View<Element> {
    guard let start = bytes.baseAddress else { preconditionFailure("allocated memory has a place") }
    return View(
      base: UnsafeRawPointer(start), offset: 0, count: bytes.count / MemoryLayout<Element>.stride)
  }
}
