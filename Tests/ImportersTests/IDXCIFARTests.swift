import Importers
import Testing

@Suite("idx and CIFAR")
struct IDXCIFARTests {
  @Test("every element type is big-endian")
  func types() throws {
    let cases: [(UInt8, [UInt8], NumericArray.Storage)] = [
      (0x08, [0, 255], .uint8([0, 255])), (0x09, [0x80, 1], .int8([-128, 1])),
      (0x0b, [0x80, 0, 0, 2], .int16([-32768, 2])),
      (0x0c, [0x80, 0, 0, 0, 0, 0, 1, 2], .int32([.min, 258])),
      (0x0d, [0x3f, 0x80, 0, 0, 0xff, 0x80, 0, 0], .float32([1, -.infinity])),
      (0x0e, [0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], .float64([1, 0x1p-1074])),
    ]
    for (type, bytes, storage) in cases {
      #expect(
        try IDX.read(idx(type, [2], bytes)[...], file: "f")
          == NumericArray(shape: [2], storage: storage))
    }
    #expect(try IDX.read(idx(8, [1, 2, 3], Array(0..<6))[...], file: "f").shape == [1, 2, 3])
    #expect(try IDX.read(idx(8, [0, 5], [])[...], file: "f").count == 0)
  }

  /// Pixel (h, w, c) of an image lies at c · 1024 + h · 32 + w of its row.
  private func pixel(_ row: Int, _ h: Int, _ w: Int, _ c: Int) -> UInt8 {
    UInt8(truncatingIfNeeded: row &* 91 &+ h &* 7 &+ w &* 3 &+ c &* 53)
  }

  private func row(_ labels: [UInt8], _ index: Int) -> [UInt8] {
    var bytes = labels
    for c in 0..<3 {
      for h in 0..<32 { for w in 0..<32 { bytes.append(pixel(index, h, w, c)) } }
    }
    return bytes
  }

  @Test("planar rows become images with their channels last")
  func planar() throws {
    let ten = try CIFAR.read((row([3], 0) + row([9], 1))[...], file: "f")
    let hundred = try CIFAR.read((row([19, 99], 0) + row([0, 7], 1))[...], file: "f")
    #expect(ten.labels == [3, 9])
    #expect(hundred.labels == [99, 7])  // the fine ones
    #expect(ten.images == hundred.images && ten.images.shape == [2, 32, 32, 3])
    guard case .uint8(let bytes) = ten.images.storage else {
      Issue.record("the type is not uint8")
      return
    }
    var wrong = 0
    for n in 0..<2 {
      for h in 0..<32 {
        for w in 0..<32 {
          for c in 0..<3 where bytes[((n * 32 + h) * 32 + w) * 3 + c] != pixel(n, h, w, c) {
            wrong += 1
          }
        }
      }
    }
    #expect(wrong == 0)
  }

  @Test("a size that fits both variants is told by its labels")
  func ambiguous() throws {
    // 3 074 rows of CIFAR-10 have the size of 3 073 rows of CIFAR-100.
    let count = 3073 * 3074
    var bytes = [UInt8](repeating: 0, count: count)
    #expect(try CIFAR.read(bytes[...], file: "f").labels.count == 3074)
    #expect(try CIFAR.read(bytes[...], variant: .hundred, file: "f").labels.count == 3073)
    bytes[3073] = 42  // no label of CIFAR-10; a pixel of CIFAR-100
    #expect(try CIFAR.read(bytes[...], file: "f").labels.count == 3073)
  }

  @Test("the named variant must fit")
  func named() {
    let error = fault { () throws(InputError) in
      _ = try CIFAR.read(
        [UInt8](repeating: 0, count: 3073)[...], variant: .hundred, file: "f")
    }
    #expect(error?.code == 708)
  }
}
