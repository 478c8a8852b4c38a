/// What a board has in flash beside the program. `Application/Image.swift` reads it.
struct FlashImage {
  /// int8 inputs, sample by sample, and their labels.
  struct Samples {
    var values: [Int8] = []
    var labels: [Int32] = []
  }

  var model: [UInt8]
  var recipe: [UInt8]
  var training: Samples
  var validation: Samples

  /// Eleven little-endian words, then the parts at multiples of 64 bytes.
  var bytes: [UInt8] {
    var words: [UInt32] = [0x3157_4654]
    var body: [UInt8] = []
    func add(_ part: [UInt8]) {
      words.append(UInt32(64 + body.count))
      body += part
      body += Array(repeating: 0, count: (64 - body.count % 64) % 64)
    }
    add(model)
    words.append(UInt32(model.count))
    add(recipe)
    words.append(UInt32(recipe.count))
    for samples in [training, validation] {
      add(samples.values.map { UInt8(bitPattern: $0) })
      add(samples.labels.flatMap(littleEndian))
      words.append(UInt32(samples.labels.count))
    }
    let head = words.flatMap(littleEndian)
    return head + Array(repeating: 0, count: 64 - head.count) + body
  }
}

private func littleEndian<Integer: FixedWidthInteger>(_ value: Integer) -> [UInt8] {
  withUnsafeBytes(of: value.littleEndian) { Array($0) }
}
