import Importers
import Testing

@Suite("DATA strings")
struct DataSourceTests {
  private func parse(_ text: String, existing: Set<String> = []) throws -> DataSource {
    try DataSource(parsing: text, fileExists: { existing.contains($0) })
  }

  @Test("files, arrays, formats and ranges")
  func forms() throws {
    var source = try parse("digits.npz")
    #expect(source.paths == ["digits.npz"] && source.keys == [] && source.range == nil)
    source = try parse("a/images.idx.gz,a/labels.idx.gz[0..<10]")
    #expect(source.paths == ["a/images.idx.gz", "a/labels.idx.gz"] && source.range == 0..<10)
    source = try parse("w.npz:inputs,targets[3...5]", existing: ["w.npz"])
    #expect(source.paths == ["w.npz"] && source.keys == ["inputs", "targets"])
    #expect(source.range == 3..<6)
    source = try parse("t.csv:species")
    #expect(source.paths == ["t.csv"] && source.keys == ["species"])
    source = try parse("cifar:test.bin.gz[5..<5]")
    #expect(source.format == .cifar && source.paths == ["test.bin.gz"] && source.range == 5..<5)
    #expect(try parse("cifar10:a").format == .cifar10)
    #expect(try parse("cifar100:a").format == .cifar100)
  }

  @Test("a name with a comma, a colon or brackets in it wins over its reading")
  func names() throws {
    #expect(try parse("a,b.npz", existing: ["a,b.npz"]).paths == ["a,b.npz"])
    #expect(try parse("a:b", existing: ["a:b"]).keys == [])
    #expect(try parse("a[0..<1]", existing: ["a[0..<1]"]).range == nil)
    let both = try parse("a[1]:x,y[0..<1]", existing: ["a[1]"])
    #expect(both.paths == ["a[1]"] && both.keys == ["x", "y"] && both.range == 0..<1)
  }

  @Test(
    "what is no source",
    arguments: [
      ("a[3..<2]", 802), ("a[1..2]", 802), ("a[-1..<2]", 802), ("a[0..<]", 802), ("a[]", 802),
      ("a[5]", 802), ("a[0...9223372036854775807]", 802), ("a[0..<99999999999999999999]", 802),
      ("a[0 ..< 3]", 802), ("a[0....3]", 802), ("", 805), ("a,b,c", 805), ("a,", 805), (",a", 805),
      ("a:", 805), ("a:x,y,z", 805), ("cifar:", 805),
    ])
  func refused(_ text: String, _ code: Int) throws {
    let error = try #require(
      fault { () throws(InputError) in
        _ = try DataSource(parsing: text, fileExists: { $0 == "a" })
      }, "accepted \(text)")
    #expect(error.code == code && error.exit == 2, "\(error)")
  }
}

@Suite("DataSet")
struct DataSetTests {
  /// Loads `text`, in which `@` stands for a folder that holds `files`.
  private func load(
    _ text: String, _ files: [String: [UInt8]], layout: DataLayout = .nhwc,
    expected: SampleShape? = nil
  ) throws -> DataSet {
    try withTemporaryFolder { folder in
      for (name, bytes) in files { try write(bytes, to: "\(folder)/\(name)") }
      return try DataSet(
        parsing: text.replacing("@", with: folder), layout: layout, expected: expected,
        inflate: SlowInflate.inflater)
    }
  }

  private func failure(
    _ text: String, _ files: [String: [UInt8]], layout: DataLayout = .nhwc,
    expected: SampleShape? = nil
  ) throws -> InputError {
    try #require(throws: InputError.self) {
      try load(text, files, layout: layout, expected: expected)
    }
  }

  private func npz(_ arrays: [(String, NumericArray)]) throws -> [UInt8] {
    ZipArchive.stored(try arrays.map { ("\($0).npy", try NumpyArray.encoded($1)) })
  }

  private func ramp(_ shape: [Int]) -> NumericArray {
    NumericArray(shape: shape, storage: .int16((0..<shape.reduce(1, *)).map { Int16($0) }))
  }

  @Test("an archive with x and y, whole and in part")
  func archive() throws {
    let files = ["d.npz": try npz([("y", tinyLabels), ("x", tinyImages)])]
    let whole = try load("@/d.npz", files)
    #expect(whole.count == 2 && whole.labels == [1, 0])
    #expect(whole.shape == SampleShape(height: 3, width: 2, channels: 1))
    #expect(whole.warnings == [])
    #expect(whole[1].label == 0)
    #expect(whole[1].values == NumericArray(shape: [3, 2, 1], storage: .uint8(Array(6..<12))))
    let part = try load("@/d.npz[1...1]", files)
    #expect(part.count == 1 && part.labels == [0] && part[0] == whole[1])
  }

  @Test("usual names, named arrays, and what could be either")
  func keys() throws {
    let x = ("x", tinyImages)
    let other = ("other", NumericArray(shape: [2], storage: .int8([5, 6])))
    #expect(try load("@/d:x,other", ["d": try npz([x, other])]).labels == [5, 6])
    #expect(try load("@/d", ["d": try npz([x, other])]).labels == nil)
    #expect(try load("@/d:x", ["d": try npz([x, ("y", tinyLabels)])]).labels == nil)
    for (samples, labels) in [("images", "labels"), ("x_train", "y_train"), ("x_test", "y_test")] {
      let files = ["d": try npz([(samples, tinyImages), (labels, tinyLabels)])]
      #expect(try load("@/d", files).labels == [1, 0])
    }
    let both = ["d": try npz([("x_train", tinyImages), ("x_test", tinyImages)])]
    let error = try failure("@/d", both)
    #expect(error.code == 407 && error.exit == 2)
    #expect(error.note == "the file holds ‘x_train’, ‘x_test’")
    #expect(try failure("@/d", ["d": try npz([("arr_0", tinyImages)])]).code == 407)
    #expect(try failure("@/d:nix", both).code == 407)
  }

  @Test("samples and labels in two files, packed or not")
  func pairs() throws {
    let images = idx(8, [2, 3, 2], Array(0..<12))
    let labels = idx(8, [2], [1, 0])
    let plain = try load("@/i,@/l", ["i": images, "l": labels])
    let packed = try load(
      "@/i.gz,@/l.gz", ["i.gz": gzipMember(images), "l.gz": gzipMember(labels)])
    let mixed = try load("@/i,@/l.npy", ["i": images, "l.npy": try NumpyArray.encoded(tinyLabels)])
    for data in [plain, packed, mixed] {
      #expect(data.samples == tinyImages.reshaped([2, 3, 2, 1]) && data.labels == [1, 0])
    }
    #expect(try load("@/i", ["i": images]).targets == .none)
    let error = try failure("@/i,@/l", ["i": images, "l": idx(8, [3], [0, 0, 0])])
    #expect(error.code == 706 && error.exit == 3)
    #expect(error.message == "2 images and 3 labels")
  }

  @Test("a table with words, integers or numbers to predict")
  func tables() throws {
    let words = try load("@/t.csv", ["t.csv": ascii("1.5,2,b\n3,4,a\n")])
    #expect(words.shape == SampleShape(height: 1, width: 1, channels: 2))
    #expect(words.labels == [0, 1] && words.classNames == ["b", "a"])
    #expect(try load("@/t", ["t": ascii("1,2\n3,0\n")]).labels == [2, 0])
    #expect(try load("@/t:0", ["t": ascii("1,2\n3,0\n")]).labels == [1, 3])
    #expect(try load("@/t:k", ["t": ascii("k,v\nb,2\na,0\n")]).classNames == ["b", "a"])
    #expect(try load("@/t:none", ["t": ascii("1,2\n3,0\n")]).shape.channels == 2)
    #expect(try load("@/t.csv.gz", ["t.csv.gz": gzipMember(ascii("1,2\n3,0\n"))]).count == 2)
    let values = try load("@/t[1..<2]", ["t": ascii("1,2.5\n3,-1\n")])
    #expect(
      values.targets
        == .values(NumericArray(shape: [1, 1], storage: .decimal([ExactDecimal(-1)]))))
    #expect(try failure("@/t", ["t": ascii("1,2\n3,-1\n")]).code == 701)
    #expect(try failure("@/t", ["t": ascii("1,2\n3,3000000000\n")]).code == 701)
  }

  @Test("one and two axes, targets of one and more numbers")
  func vectors() throws {
    let x = NumericArray(shape: [2], storage: .float32([0.5, 1]))
    let y = NumericArray(shape: [2, 3], storage: .float32([1, 2, 3, 4, 5, 6]))
    let data = try load("@/d", ["d": try npz([("x", x), ("y", y)])])
    #expect(data.shape == SampleShape(height: 1, width: 1, channels: 1))
    #expect(data.targets == .values(y) && data.labels == nil)
    let column = try npz([("x", x), ("y", tinyLabels.reshaped([2, 1]))])
    #expect(try load("@/d", ["d": column]).labels == [1, 0])
    #expect(
      try load("@/x.npy", ["x.npy": try NumpyArray.encoded(ramp([4, 5]))]).shape.channels == 5)
  }

  @Test("axes are read as the layout says and the model wants")
  func layouts() throws {
    let files = try [
      "4": NumpyArray.encoded(ramp([2, 3, 4, 5])), "3": NumpyArray.encoded(ramp([2, 6, 2])),
      "2": NumpyArray.encoded(ramp([2, 12])), "1c": NumpyArray.encoded(ramp([2, 3, 4, 1])),
    ]
    func shape(_ h: Int, _ w: Int, _ c: Int) -> SampleShape {
      SampleShape(height: h, width: w, channels: c)
    }
    #expect(try load("@/4", files).samples == ramp([2, 3, 4, 5]))
    let planar = try load("@/4", files, layout: .nchw, expected: shape(4, 5, 3))
    #expect(planar.samples == ramp([2, 3, 4, 5]).transposed([0, 2, 3, 1]))

    #expect(try load("@/3", files).shape == shape(6, 2, 1))
    #expect(try load("@/3", files, layout: .nchw).shape == shape(6, 2, 1))
    let line = try load("@/3", files, expected: shape(1, 6, 2))
    #expect(line.samples == ramp([2, 1, 6, 2]))
    let channelsFirst = try load("@/3", files, layout: .nchw, expected: shape(1, 2, 6))
    #expect(channelsFirst.samples == ramp([2, 6, 1, 2]).transposed([0, 2, 3, 1]))

    #expect(try load("@/2", files).shape == shape(1, 1, 12))
    #expect(try load("@/2", files, expected: shape(2, 2, 3)).samples == ramp([2, 2, 2, 3]))
    let flat = try load("@/2", files, layout: .nchw, expected: shape(2, 2, 3))
    #expect(flat.samples == ramp([2, 3, 2, 2]).transposed([0, 2, 3, 1]))

    #expect(try load("@/1c", files, expected: shape(1, 1, 12)).samples == ramp([2, 1, 1, 12]))
    #expect(try failure("@/4", files, expected: shape(1, 1, 60)).code == 702)
    #expect(try failure("@/2", files, expected: shape(1, 1, 13)).code == 702)
    var error = try failure("@/4", files, expected: shape(4, 5, 3))
    #expect(error.code == 702 && error.exit == 2)
    #expect(error.message == "samples are 3×4×5, the model wants 4×5×3")
    #expect(error.help == "the axes look like nchw: pass --layout nchw")
    error = try failure("@/4", files, layout: .nchw, expected: shape(3, 4, 5))
    #expect(error.help == "the axes look like nhwc: pass --layout nhwc")
    #expect(try failure("@/4", files, expected: shape(9, 9, 9)).help == nil)
  }

  @Test("CIFAR rows, packed or not, whatever the layout")
  func cifar() throws {
    let row = [7] + (0..<3072).map { UInt8(truncatingIfNeeded: $0 / 1024) }
    for layout in [DataLayout.nhwc, .nchw] {
      let data = try load("cifar:@/b.gz", ["b.gz": gzipMember(row)], layout: layout)
      #expect(data.shape == SampleShape(height: 32, width: 32, channels: 3))
      #expect(data.labels == [7])
      #expect(data[0].values.reshaped([1024, 3]).rows(5..<6).storage == .uint8([0, 1, 2]))
    }
    #expect(try load("cifar10:@/b", ["b": row]).count == 1)
    #expect(try failure("cifar100:@/b", ["b": row]).code == 708)
    // Without the prefix nothing tells what it is, and the refusal says so.
    let error = try failure("@/b", ["b": [UInt8](repeating: 200, count: 3073)])
    #expect(error.code == 103 && error.help!.contains("cifar:"))
  }

  @Test("what is wrong with data has its code and exit status")
  func refusals() throws {
    let x = try NumpyArray.encoded(tinyImages)
    let y = try NumpyArray.encoded(tinyLabels)
    func array(_ shape: [Int], _ storage: NumericArray.Storage) throws -> [UInt8] {
      try NumpyArray.encoded(NumericArray(shape: shape, storage: storage))
    }
    let cases: [(text: String, files: [String: [UInt8]], code: Int, exit: Int32)] = try [
      ("@/no.npz", [:], 101, 5),
      ("@/x,@/no", ["x": x], 101, 5),
      ("@/x[0..<3]", ["x": x], 703, 2),
      ("@/x[1..<1]", ["x": x], 703, 2),
      ("@/x", ["x": array([0, 3], .uint8([]))], 703, 3),
      ("@/x", ["x": array([2, 0], .uint8([]))], 703, 3),
      ("@/x", ["x": array([], .uint8([1]))], 702, 2),
      ("@/x", ["x": array([1, 1, 1, 1, 1], .uint8([1]))], 702, 2),
      ("@/x", ["x": array([2], .float32([1, .nan]))], 601, 3),
      ("@/x,@/y", ["x": x, "y": array([2], .float64([1, .infinity]))], 601, 3),
      ("@/x,@/y", ["x": x, "y": array([3], .int8([0, 0, 0]))], 702, 3),
      ("@/x,@/y", ["x": x, "y": array([2], .int8([0, -1]))], 701, 3),
      ("@/x:y", ["x": x], 805, 2),
      ("@/x,@/y", ["x": x, "y": ascii("1\n2\n")], 702, 2),
      ("@/m", ["m": safetensors("{}", [])], 702, 2),
      ("@/m", ["m": [0x1c, 0, 0, 0] + ascii("TFL3")], 409, 4),
      ("@/p", ["p": ascii("version https://git-lfs.github.com/spec/v1\n")], 105, 3),
      ("@/z", ["z": gzipMember(gzipMember([1]))], 702, 2),
      ("@/z", ["z": gzipMember([])], 102, 3),
      ("cifar:@/x,@/y", ["x": x, "y": y], 805, 2),
      ("@/t:a,b", ["t": ascii("a,b\n1,2\n")], 805, 2),
    ]
    for (text, files, code, exit) in cases {
      let error = try failure(text, files)
      #expect(error.code == code && error.exit == exit, "\(text): \(error)")
    }
  }

  @Test("a name that promises something else is a warning")
  func warning() throws {
    let data = try load("@/d.csv", ["d.csv": try NumpyArray.encoded(tinyImages)])
    #expect(data.warnings.map(\.code) == [104])
  }

  @Test("labels are checked against the number of classes")
  func labels() throws {
    func data(_ targets: DataSet.Targets) -> DataSet {
      DataSet(source: "d", samples: ramp([3, 1, 1, 1]), targets: targets)
    }
    #expect(try data(.labels([0, 2, 1])).labels(classCount: 3) == [0, 2, 1])
    let refused: [(DataSet.Targets, String, String?)] = [
      (.labels([0, 3, 1]), "d, sample 1", nil),
      (.labels([1, 2, 3]), "d, sample 2", "labels run from 1 to 3: subtract 1 from each"),
      (.none, "d, sample 0", "give them: x.npy,y.npy"),
      (.values(ramp([3, 1])), "d, sample 0", "save class indices: y.astype('int32')"),
      (.values(ramp([3, 4])), "d, sample 0", "save class indices: y.astype('int32')"),
    ]
    for (targets, place, help) in refused {
      let error = try #require(
        fault { () throws(InputError) in _ = try data(targets).labels(classCount: 3) })
      #expect(error.code == 701 && error.exit == 3 && error.place == place, "\(error)")
      #expect(error.help == help)
    }
  }
}
