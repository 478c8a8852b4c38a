extension DataSet {
  /// Loads what one `DATA` string names (see `DataSource`); each file's kind is told by its content.
  ///
  /// - Parameters:
  ///   - layout: the axis order of four-dimensional arrays. CIFAR knows its own.
  ///   - expected: the model's input, which may also settle what two or three axes mean.
  ///   - inflate: unpacks deflate data, for gzip and compressed archives.
  /// - Throws: the first thing that is wrong with the text, a file, a label or a shape.
  public init(
    parsing text: String, layout: DataLayout = .nhwc, expected: SampleShape? = nil,
    inflate: @escaping Inflater
  ) throws(InputError) {
    let source = try DataSource(parsing: text)
    var loader = DataLoader(source: source, inflate: inflate)
    let raw = try loader.load()
    let name = source.paths[0]
    guard let rowCount = raw.samples.shape.first else {
      throw .shape(name, "a single number is not a set of samples")
    }
    guard rowCount > 0, raw.samples.count > 0 else {
      throw .noSamples(name, "the data holds no samples", note: "\(raw.samples.shape)", exit: 3)
    }
    try raw.samples.requireFinite(name)
    let samples = try raw.samples.asSamples(
      layout: raw.layout ?? layout, expected: expected, file: name)
    let whole = DataSet(
      source: text, samples: samples, targets: raw.targets, classNames: raw.classNames,
      warnings: loader.warnings)
    if let range = source.range {
      self = try whole.selecting(range)
    } else {
      self = whole
    }
  }
}

/// Samples and targets as a file has them, before they have a shape.
private struct RawData {
  var samples: NumericArray
  var targets: DataSet.Targets = .none
  var classNames: [String]?
  /// The axis order, where the format fixes it.
  var layout: DataLayout?
}

private struct DataLoader {
  let source: DataSource
  let inflate: Inflater
  var warnings: [InputWarning] = []

  init(source: DataSource, inflate: @escaping Inflater) {
    self.source = source
    self.inflate = inflate
  }

  mutating func load() throws(InputError) -> RawData {
    if source.format != .automatic { return try cifar() }
    if source.paths.count == 2 { return try pair() }
    let path = source.paths[0]
    let (bytes, kind) = try open(path)
    switch kind {
    case .npz, .zip: return try archive(bytes, file: path)
    case .text: return try table(bytes, file: path)
    case .numpy, .idx:
      try rejectKeys("the file holds one array")
      return RawData(samples: try array(bytes, kind, file: path))
    case .tally, .journal, .checkpoint, .trace, .onnx, .safetensors, .json, .gzip, .torch, .pickle,
      .keras, .hdf5,
      .tflite:
      throw notData(path, kind)
    }
  }

  /// A file's bytes, unpacked once when they are gzip, and what they are.
  private mutating func open(_ path: String) throws(InputError) -> (ArraySlice<UInt8>, FileKind) {
    let bytes = try FileContents(path: path).bytes[...]
    let kind = try FileKind.detect(bytes, file: path)
    if let warning = kind.extensionWarning(path: path) { warnings.append(warning) }
    guard kind == .gzip else {
      try kind.rejectIfForeign(file: path)
      return (bytes, kind)
    }
    let unpacked = try Gzip.decompressed(bytes, file: path, inflate: inflate)[...]
    return (unpacked, try FileKind.detect(unpacked, file: path))
  }

  private func cifar() throws(InputError) -> RawData {
    guard source.paths.count == 1 else {
      throw .missingValue("a CIFAR batch is one file", place: source.paths[0])
    }
    try rejectKeys("a CIFAR batch has one label per row")
    let path = source.paths[0]
    // Rows have no mark: the prefix says what they are, so only gzip is looked for.
    var bytes = try FileContents(path: path).bytes[...]
    if bytes.starts(with: [0x1f, 0x8b]) {
      bytes = try Gzip.decompressed(bytes, file: path, inflate: inflate)[...]
    }
    let variant: CIFAR.Variant? =
      switch source.format {
      case .cifar10: .ten
      case .cifar100: .hundred
      case .cifar, .automatic: nil
      }
    let (images, labels) = try CIFAR.read(bytes, variant: variant, file: path)
    return RawData(samples: images, targets: .labels(labels), layout: .nhwc)
  }

  private mutating func pair() throws(InputError) -> RawData {
    let (samplePath, labelPath) = (source.paths[0], source.paths[1])
    let (sampleBytes, sampleKind) = try open(samplePath)
    let samples = try array(sampleBytes, sampleKind, file: samplePath)
    let (labelBytes, labelKind) = try open(labelPath)
    let labels = try array(labelBytes, labelKind, file: labelPath)
    if sampleKind == .idx, labelKind == .idx, samples.shape[0] != labels.shape[0] {
      throw .idx(
        labelPath, "\(samples.shape[0]) images and \(labels.shape[0]) labels",
        note: "the images are \(samplePath)")
    }
    return RawData(samples: samples, targets: try targets(labels, of: samples, file: labelPath))
  }

  private func array(_ bytes: ArraySlice<UInt8>, _ kind: FileKind, file: String)
    throws(InputError) -> NumericArray
  {
    switch kind {
    case .numpy: return try NumpyArray.read(bytes, file: file)
    case .idx: return try IDX.read(bytes, file: file)
    default: throw notData(file, kind)
    }
  }

  private func table(_ bytes: ArraySlice<UInt8>, file: String) throws(InputError) -> RawData {
    var column = CSV.LabelColumn.last
    if let key = source.keys.first {
      column = key == "none" ? .none : Int(key).map { .index($0) } ?? .named(key)
      guard source.keys.count == 1 else {
        throw .missingValue("a table has one label column", place: file, help: "\(file):\(key)")
      }
    }
    let csv = try CSV(bytes, label: column, file: file)
    var raw = RawData(samples: csv.features)
    switch csv.labels {
    case nil: break
    case .integers(let integers):
      raw.targets = .labels(try classIndices(integers, file: file))
    case .classes(let labels, let names):
      raw.targets = .labels(labels)
      raw.classNames = names
    case .values(let values):
      raw.targets = .values(NumericArray(shape: [values.count, 1], storage: .decimal(values)))
    }
    return raw
  }

  // MARK: - Archives

  /// Pairs of names that need not be spelled out. `x` and `y` win; of the others one may be there.
  private static let usualKeys: [(samples: String, labels: String)] = [
    ("x", "y"), ("X", "y"), ("images", "labels"), ("data", "target"), ("x_train", "y_train"),
    ("X_train", "y_train"), ("x_test", "y_test"), ("X_test", "y_test"),
  ]

  private func archive(_ bytes: ArraySlice<UInt8>, file: String) throws(InputError) -> RawData {
    let archive = try ZipArchive(bytes, file: file)
    var members: [String: ZipArchive.Member] = [:]
    var names: [String] = []
    for member in archive.members where member.name.hasSuffix(".npy") {
      names.append(String(member.name.dropLast(4)))
      members[names.last!] = member
    }
    let keys = try source.keys.isEmpty ? usual(names, file: file) : source.keys
    let arrays = try keys.map { key throws(InputError) in
      guard let member = members[key] else {
        throw .arrayKeys(file, "there is no array \(quoted(key))", found: names)
      }
      return try NumpyArray.read(
        try archive.contents(of: member, inflate: inflate), file: "\(file)(\(key))")
    }
    var raw = RawData(samples: arrays[0])
    if arrays.count > 1 {
      raw.targets = try targets(arrays[1], of: arrays[0], file: "\(file)(\(keys[1]))")
    }
    return raw
  }

  private func usual(_ names: [String], file: String) throws(InputError) -> [String] {
    let hits = Self.usualKeys.filter { names.contains($0.samples) }
    guard let first = hits.first, hits.count == 1 || first.samples == "x" else {
      throw .arrayKeys(
        file,
        hits.isEmpty
          ? "none of the arrays has a usual name for samples"
          : "\(listed(hits.map(\.samples))) could each be the samples", found: names)
    }
    return names.contains(first.labels) ? [first.samples, first.labels] : [first.samples]
  }

  // MARK: - Targets

  /// Integers, one per sample, are class indices; everything else is values to predict.
  private func targets(_ array: NumericArray, of samples: NumericArray, file: String)
    throws(InputError) -> DataSet.Targets
  {
    guard let count = array.shape.first, count == samples.shape.first else {
      throw .shape(
        file, "targets of shape \(array.shape) for samples of shape \(samples.shape)", exit: 3)
    }
    if array.count == count, let integers = array.integers {
      return .labels(try classIndices(integers, file: file))
    }
    try array.requireFinite(file)
    return .values(array.reshaped([count, count == 0 ? 0 : array.count / count]))
  }

  private func classIndices(_ integers: [Int64], file: String) throws(InputError) -> [Int32] {
    if let bad = integers.firstIndex(where: { $0 < 0 || $0 > Int32.max }) {
      throw .label(file, sample: bad, "\(integers[bad]) is not a class index, which counts from 0")
    }
    return integers.map { Int32($0) }
  }

  // MARK: - Refusals

  private func rejectKeys(_ reason: String) throws(InputError) {
    guard let key = source.keys.first else { return }
    throw .missingValue("\(quoted(key)) names nothing: \(reason)", place: source.paths[0])
  }

  private func notData(_ file: String, _ kind: FileKind) -> InputError {
    .shape(
      file, "the file is \(kind.rawValue), not a data set",
      help: "data is .npy, .npz, idx, CSV or CIFAR; two files are idx or .npy")
  }
}
