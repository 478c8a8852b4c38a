import FixedPoint
package import Tensors

/// The header and the section table of a model file, read where they lie (Formats/model.md).
///
/// A network keeps nothing of them: it is copied often, and a board's stack is small.
@safe
package struct ModelHeader {
  private let base: UnsafeRawPointer

  /// - Precondition: the bytes at `base` have been validated and outlive the value.
  @unsafe
  package init(_ base: UnsafeRawPointer) { unsafe self.base = unsafe base }

  private func u32(_ offset: Int) -> UInt32 {
    // Validation has read these bytes.
    unsafe base.load(fromByteOffset: offset, as: UInt32.self)
  }

  private func count(_ offset: Int) -> Int { Int(truncatingIfNeeded: u32(offset)) }

  package var nodeCount: Int { count(20) }
  /// The range tracker may move the model's Scales (flag bit 0).
  package var isInitialized: Bool { u32(24) & 1 != 0 }
  /// Data arrive with channels before rows (flag bit 1).
  package var readsChannelsFirst: Bool { u32(24) & 2 != 0 }
  package var inputShape: Shape {
    Shape(height: count(28), width: count(32), channels: count(36))
  }
  package var inputQuantization: Quantization {
    Quantization(
      scale: storedScale(Int32(bitPattern: u32(40)), Int32(bitPattern: u32(44))),
      zeroPoint: Int32(Int8(truncatingIfNeeded: u32(48))))
  }

  /// The entry of a section in the table, or `nil` if the model has no such section. Kinds are 1…8.
  private func entry(_ kind: Int) -> Int? {
    // Most models leave out nothing between the nodes and what they look for.
    let guess = 64 + 16 * (kind - 1)
    let sectionCount = count(12)
    if kind <= sectionCount && count(guess) == kind { return guess }
    for index in 0..<min(kind - 1, sectionCount) where count(64 + 16 * index) == kind {
      return 64 + 16 * index
    }
    return nil
  }

  /// Where a section's elements start, in bytes from the start of the file; 0 without the section.
  package func offset(_ kind: Int) -> Int { entry(kind).map { count($0 + 8) } ?? 0 }
  package func elementCount(_ kind: Int) -> Int { entry(kind).map { count($0 + 4) } ?? 0 }
  package func byteCount(_ kind: Int) -> Int { entry(kind).map { count($0 + 12) } ?? 0 }
}
