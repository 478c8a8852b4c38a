import Importers
import Testing

/// The real data sets, when they are there; what is expected was read with NumPy and by eye.
@Suite(
  "Shared data",
  .enabled(if: SharedData.has("INDEX.md"), "no data at ../shared/data or TALLY_DATA"))
struct DataSharedFilesTests {
  private func load(_ text: String, _ expected: SampleShape? = nil) throws -> DataSet {
    try DataSet(
      parsing: text.replacing("@", with: SharedData.folder ?? "missing"), expected: expected,
      inflate: SlowInflate.inflater)
  }

  private func shape(_ h: Int, _ w: Int, _ c: Int) -> SampleShape {
    SampleShape(height: h, width: w, channels: c)
  }

  private func histogram(_ labels: [Int32]) -> [Int] {
    labels.reduce(into: [Int](repeating: 0, count: Int(labels.max()!) + 1)) { $0[Int($1)] += 1 }
  }

  @Test("digits: 1 797 images of 8 by 8, split as the README does")
  func digits() throws {
    let data = try load("@/digits.npz")
    #expect(data.count == 1797 && data.shape == shape(8, 8, 1))
    #expect(data.labels!.prefix(10) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    #expect(histogram(data.labels!) == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    guard case .uint8(let pixels) = data.samples.storage else {
      Issue.record("the type is not uint8")
      return
    }
    #expect(pixels.max() == 16 && pixels.prefix(8) == [0, 0, 5, 13, 9, 1, 0, 0])
    let test = try load("@/digits.npz[1437..<1797]")
    #expect(test.count == 360 && test[0] == data[1437])
    #expect(try load("@/digits.npz", shape(1, 1, 64)).shape == shape(1, 1, 64))
  }

  @Test("MNIST: 10 000 images, and 60 000 labels that begin 5 0 4 1 9")
  func mnist() throws {
    let test = try load("@/mnist/t10k-images-idx3-ubyte.gz,@/mnist/t10k-labels-idx1-ubyte.gz")
    #expect(test.count == 10_000 && test.shape == shape(28, 28, 1))
    #expect(histogram(test.labels!) == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])
    guard case .uint8(let first) = test[0].values.storage else {
      Issue.record("the type is not uint8")
      return
    }
    // The first test image is a seven: its bar begins in row 7.
    #expect(first[..<(7 * 28)].allSatisfy { $0 == 0 })
    #expect(first[7 * 28 + 6] == 84 && test.labels![0] == 7)

    let path = SharedData.path("mnist/train-labels-idx1-ubyte.gz")
    let packed = try FileContents(path: path).bytes
    let labels = try IDX.read(
      try Gzip.decompressed(packed[...], file: path, inflate: SlowInflate.inflater)[...],
      file: path)
    #expect(labels.shape == [60_000])
    #expect(labels.integers!.prefix(5) == [5, 0, 4, 1, 9])
  }

  @Test("keywords: 1 000 spectra of 49 by 10, in floats as they were written")
  func keywords() throws {
    let data = try load("@/kws01.npz")
    #expect(data.count == 1000 && data.shape == shape(49, 10, 1))
    guard case .float32 = data.samples.storage else {
      Issue.record("the type is not float32")
      return
    }
    #expect(try data.labels(classCount: 12).count == 1000)
  }

  @Test("CIFAR-10: rows of 3 073 bytes become 32 by 32 by 3")
  func cifar() throws {
    let data = try load("cifar:@/cifar10/ic01_200.bin.gz")
    #expect(data.count == 200 && data.shape == shape(32, 32, 3))
    #expect(try data.labels(classCount: 10).count == 200)
    // Against the raw rows: the red, green and blue of one pixel lie 1 024 bytes apart.
    let path = SharedData.path("cifar10/ic01_200.bin.gz")
    let rows = try Gzip.decompressed(
      try FileContents(path: path).bytes[...], file: path, inflate: SlowInflate.inflater)
    for (sample, pixel) in [(0, 0), (0, 1023), (7, 500), (199, 31)] {
      let start = sample * 3073 + 1 + pixel
      let expected = [rows[start], rows[start + 1024], rows[start + 2048]]
      let found = data[sample].values.reshaped([1024, 3]).rows(pixel..<pixel + 1)
      #expect(found.storage == .uint8(expected))
      #expect(data.labels![sample] == Int32(rows[sample * 3073]))
    }
  }

  @Test("wand strokes: a line of 64 points with two channels, when the model wants that")
  func magicWand() throws {
    #expect(try load("@/magic_wand.npz").shape == shape(64, 2, 1))
    let data = try load("@/magic_wand.npz", shape(1, 64, 2))
    #expect(data.count == 1000 && data.shape == shape(1, 64, 2))
  }

  @Test("spoken digits: an archive with more than samples and labels")
  func spokenDigits() throws {
    let data = try load("@/fsdd.npz[0..<100]")
    #expect(data.count == 100 && data.shape == shape(62, 32, 1))
    #expect(try load("@/fsdd.npz:x,speaker").labels!.max() == 5)
  }

  @Test(
    "tables",
    arguments: [
      ("iris", 150, 4, ["Iris-setosa", "Iris-versicolor", "Iris-virginica"], 2),
      ("banknote_authentication", 1372, 4, nil, 1), ("wheat-seeds", 210, 7, nil, 3),
      ("winequality-red", 1599, 11, nil, 8),
    ] as [(String, Int, Int, [String]?, Int32)])
  func tables(_ name: String, _ count: Int, _ features: Int, _ names: [String]?, _ last: Int32)
    throws
  {
    let data = try load("@/tabular/\(name).csv")
    #expect(data.count == count && data.shape == shape(1, 1, features))
    #expect(data.classNames == names && data.labels!.max() == last)
  }
}
