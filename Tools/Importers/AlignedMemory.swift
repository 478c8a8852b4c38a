public import Tally

/// A block of memory that stays in place, aligned for models and arenas.
///
/// The runtime reads models in place and works in memory it does not own; on a host, this owns it.
///
/// **Owners outlive their views.** A `View`, `Network`, `Recipe`, `Samples` or `Session` is a place in
/// somebody's memory and does not keep it; Swift ends an object after its last use, which a view is not.
/// So hold the owner in a constant, and say how long it is needed:
///
///     let network = try LoadedModel(bytes).network  // wrong: used after it was freed
///
///     let model = try LoadedModel(bytes)
///     defer { withExtendedLifetime(model) {} }
///     let network = model.network
///
/// `TrainingRun` and `HostSession` keep what they are given as objects.
public final class AlignedMemory {
  /// Zeroed at first. This object must outlive every use.
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

  /// All of it as elements. This object must outlive the view.
  public func view<Element: BitwiseCopyable>(of type: Element.Type) -> View<Element> {
    guard let start = bytes.baseAddress else { preconditionFailure("allocated memory has a place") }
    return View(
      base: UnsafeRawPointer(start), offset: 0, count: bytes.count / MemoryLayout<Element>.stride)
  }
}
