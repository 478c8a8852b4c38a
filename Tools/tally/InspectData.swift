import Importers
import TallyHost

extension Inspection {
  /// Data as `eval` and `train` would read it.
  init(data text: String, _ console: Console) throws(InputError) {
    let data = try DataSet(parsing: text, inflate: Inflate.raw)
    for warning in data.warnings { console.warn(warning) }
    self.init(format: "data")
    add("samples", DecimalText.grouped(data.count), "samples", JSONOutput(data.count))
    add("sample", data.shape.description, "shape")
    add("type", data.samples.storage.typeName, "type")
    switch data.targets {
    case .none: add("labels", "none", "labels", .null)
    case .labels(let labels): addLabels(labels, names: data.classNames ?? [])
    case .values(let values):
      add("targets", Inspection.shape(values.shape), "targets")
    }
  }

  /// How many samples each class has.
  private mutating func addLabels(_ labels: [Int32], names: [String]) {
    var counts: [Int32: Int] = [:]
    for label in labels { counts[label, default: 0] += 1 }
    var table = TextTable(["class", "samples"])
    let classes = counts.keys.sorted()
    for label in classes {
      let name = Int(label) < names.count ? names[Int(label)] : "\(label)"
      table.add([name, "\(counts[label] ?? 0)"])
    }
    add("labels", "\(classes.count) classes", "classes", JSONOutput(classes.count))
    members.append(
      ("perClass", .object(classes.map { (key: "\($0)", value: JSONOutput(counts[$0] ?? 0)) })))
    if classes.count <= 100 { tables.append(table) }
  }

  /// The arrays of an archive.
  init(archive: ZipArchive) throws(InputError) {
    self.init(format: "numpy archive")
    var arrays: [(String, NumericArray)] = []
    for member in archive.members {
      let bytes = try archive.contents(of: member, inflate: Inflate.raw)
      if member.name == ModelTensors.metadataName {
        add("metadata", String(decoding: bytes, as: UTF8.self), "metadata")
        continue
      }
      let name = String(member.name.dropLast(".npy".count))
      arrays.append((name, try NumpyArray.read(bytes, file: "\(archive.file)(\(name))")))
    }
    try addArrays(arrays)
  }

  /// Names, shapes, types and extremes.
  mutating func addArrays(_ arrays: [(String, NumericArray)]) throws(InputError) {
    var table = TextTable(["array", "type", "shape", "least", "largest"], words: [0, 1, 2])
    var list: [JSONOutput] = []
    for (name, array) in arrays {
      let (least, largest) = array.storage.extremes
      table.add([name, array.storage.typeName, Inspection.shape(array.shape), least, largest])
      list.append([
        "name": .string(name), "type": .string(array.storage.typeName),
        "shape": .array(array.shape.map { JSONOutput($0) }), "least": .string(least),
        "largest": .string(largest),
      ])
    }
    tables.append(table)
    members.append(("arrays", .array(list)))
  }

  /// Members of an archive that is no set of arrays.
  mutating func addMembers(_ archive: ZipArchive) {
    var table = TextTable(["member", "bytes"])
    for member in archive.members { table.add([member.name, "\(member.count)"]) }
    tables.append(table)
    members.append(("members", .array(archive.members.map { .string($0.name) })))
  }

  /// Comma-separated text; the last column counts as label, as in training.
  init(table csv: CSV) throws(InputError) {
    self.init(format: "CSV")
    let (rows, columns) = (csv.features.shape[0], csv.features.shape[1])
    add("rows", DecimalText.grouped(rows), "rows", JSONOutput(rows))
    add("columns", "\(columns) features, then the label", "features", JSONOutput(columns))
    if let header = csv.header {
      add("header", header.joined(separator: ", "), "header", .array(header.map { .string($0) }))
    }
    switch csv.labels {
    case nil: break
    case .integers(let labels): addLabels(labels.map { Int32(clamping: $0) }, names: [])
    case .classes(let labels, let names): addLabels(labels, names: names)
    case .values: add("labels", "numbers, to be predicted", "targets")
    }
  }

  /// JSON that a user writes: a recipe or a network description.
  init(json bytes: ArraySlice<UInt8>, path: String) throws(InputError) {
    let keys = try JSONElement.userWritten(bytes, file: path).object().keys
    self.init(format: keys.contains("layers") ? "network description" : "JSON")
    add("keys", keys.joined(separator: ", "), "keys", .array(keys.map { .string($0) }))
    if format == "JSON" {
      facts.append(("recipe?", "tally train MODEL --recipe \(path) --dry-run"))
    }
  }
}

extension NumericArray.Storage {
  /// The type the elements are kept as.
  var typeName: String {
    switch self {
    case .uint8: "uint8"
    case .int8: "int8"
    case .int16: "int16"
    case .int32: "int32"
    case .int64: "int64"
    case .float32: "float32"
    case .float64: "float64"
    case .decimal: "decimal"
    }
  }

  /// The smallest and the largest element; dashes where there is none.
  var extremes: (least: String, largest: String) {
    func words<Element: Comparable & CustomStringConvertible>(_ a: [Element]) -> (String, String) {
      guard let least = a.min(), let largest = a.max() else { return ("-", "-") }
      return (least.description, largest.description)
    }
    switch self {
    case .uint8(let a): return words(a)
    case .int8(let a): return words(a)
    case .int16(let a): return words(a)
    case .int32(let a): return words(a)
    case .int64(let a): return words(a)
    case .float32(let a): return words(a)
    case .float64(let a): return words(a)
    case .decimal: return ("-", "-")
    }
  }
}
