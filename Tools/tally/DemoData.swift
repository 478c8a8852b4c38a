import Importers
import TallyHost

/// The bundled handwritten digits and float checkpoint (Resources/README.md), from inside the program.
enum DemoData {
  /// The first images train, the rest test.
  static let trainingCount = 1437
  static let calibrationCount = 256

  /// 1,797 images of 8 × 8, values 0…16.
  static func digits() throws(InputError) -> DataSet {
    let name = "digits.npz"
    let archive = try ZipArchive(PackageResources.digits_npz[...], file: name)
    var arrays: [String: NumericArray] = [:]
    for member in archive.members {
      arrays[member.name] = try NumpyArray.read(
        try archive.contents(of: member, inflate: Inflate.raw), file: member.name)
    }
    guard let images = arrays["x.npy"], let labels = arrays["y.npy"]?.integers else {
      preconditionFailure("the bundled archive holds x and y")
    }
    return DataSet(
      source: name, samples: images, targets: .labels(labels.map { Int32($0) }))
  }

  static func network() throws(InputError) -> FloatNetwork {
    try FloatNetwork(
      importing: try ONNXModel(
        parsing: PackageResources.digits_onnx, fileName: "digits.onnx", directory: nil))
  }

  /// The images turned by 30° about their centre, with integers: nearest neighbour, what comes from
  /// outside is 0. The same as Tools/bench/shifts.py.
  static func rotated(_ data: DataSet) -> DataSet {
    guard case .uint8(let pixels) = data.samples.storage, data.shape.height == data.shape.width
    else {
      preconditionFailure("the bundled images are square and of bytes")
    }
    // round(65536·cos 30°) and round(65536·sin 30°).
    let (cosine, sine) = (56_756, 32_768)
    let n = data.shape.width
    var source = [Int?](repeating: nil, count: n * n)
    for row in 0..<n {
      for column in 0..<n {
        // Doubled centred coordinates are integers for even n too; the shift by 17 undoes both.
        let (x, y) = (2 * column - (n - 1), 2 * row - (n - 1))
        let offset = (n - 1) * 65_536 + 65_536
        let fromX = (cosine * x + sine * y + offset) >> 17
        let fromY = (cosine * y - sine * x + offset) >> 17
        let isInside = (0..<n).contains(fromX) && (0..<n).contains(fromY)
        source[row * n + column] = isInside ? fromY * n + fromX : nil
      }
    }
    let turned = pixels.indices.map { index in
      source[index % (n * n)].map { pixels[index / (n * n) * n * n + $0] } ?? 0
    }
    return DataSet(
      source: "\(data.source), turned by 30°",
      samples: NumericArray(shape: data.samples.shape, storage: .uint8(turned)),
      targets: data.targets)
  }
}
