/// CIFAR's binary batches: rows of one label (CIFAR-10) or two (CIFAR-100) and a planar image.
public enum CIFAR {
  public enum Variant: Sendable {
    case ten, hundred

    /// Bytes before the image: a label, or a coarse and a fine one.
    var labelCount: Int { self == .ten ? 1 : 2 }
    var rowCount: Int { labelCount + imageCount }
    var classCount: Int { self == .ten ? 10 : 100 }
  }

  private static let imageCount = 3 * 32 * 32

  /// Images [count, 32, 32, 3] and their (fine) labels.
  ///
  /// - Parameter variant: nil to tell it by the size; where a size fits both, by the labels.
  /// - Throws: TLY0708 for a size that is no multiple of 3 073 or 3 074; TLY0701 for a label that
  ///   the data set does not have.
  public static func read(_ bytes: ArraySlice<UInt8>, variant: Variant? = nil, file: String)
    throws(InputError) -> (images: NumericArray, labels: [Int32])
  {
    guard let variant = variant ?? guess(bytes), !bytes.isEmpty,
      bytes.count % variant.rowCount == 0
    else {
      throw .cifar(
        file, "\(bytes.count) bytes are not a whole number of rows",
        note: "a row has 3073 bytes in CIFAR-10 and 3074 in CIFAR-100")
    }
    let count = bytes.count / variant.rowCount
    var labels: [Int32] = []
    var planes: [UInt8] = []
    planes.reserveCapacity(count * imageCount)
    for row in 0..<count {
      let start = bytes.startIndex + row * variant.rowCount
      let image = start + variant.labelCount
      let label = bytes[image - 1]
      guard label < variant.classCount else {
        throw .label(
          file, sample: row, "the label \(label) is not one of \(variant.classCount) classes")
      }
      labels.append(Int32(label))
      planes += bytes[image..<image + imageCount]
    }
    let planar = NumericArray(shape: [count, 3, 32, 32], storage: .uint8(planes))
    return (planar.transposed([0, 2, 3, 1]), labels)
  }

  private static func guess(_ bytes: ArraySlice<UInt8>) -> Variant? {
    let fits = [Variant.ten, .hundred].filter { bytes.count % $0.rowCount == 0 }
    guard fits.count == 2 else { return fits.first }
    // 3 074 rows of ten classes are as long as 3 073 rows of a hundred.
    let rows = stride(from: bytes.startIndex, to: bytes.endIndex, by: Variant.ten.rowCount)
    return rows.allSatisfy { bytes[$0] < 10 } ? .ten : .hundred
  }
}
