import Tally

/// What `tally export` wrote beside the graph: Scales and input maps that float32 cannot hold.
///
/// A graph that was edited since keeps its own numbers: a Scale counts only as long as the float beside
/// it is the nearest to it. Metadata that cannot be read is said, and left aside.
extension ONNXImporter {
  /// Exact Scales for the initialisers that have them.
  mutating func readExactScales() {
    guard let document = metadata(ONNXExportKey.scales) else { return }
    guard case .object(let members) = document.content else {
      return warnMetadata(ONNXExportKey.scales)
    }
    for member in members {
      guard let numbers = Self.integers(member.value), numbers.count % 2 == 0 else {
        return warnMetadata(ONNXExportKey.scales)
      }
      guard case .constant(var tensor)? = values[member.key], let floats = tensor.floats,
        floats.count * 2 == numbers.count
      else { continue }
      let scales = floats.indices.compactMap { Self.scale(numbers[2 * $0], numbers[2 * $0 + 1]) }
      guard scales.count == floats.count, zip(scales, floats).allSatisfy({ Float($0.double) == $1 })
      else { continue }
      tensor.exactScales = scales
      values[member.key] = .constant(tensor)
    }
  }

  /// Input maps and class names.
  mutating func readProvenance(into network: inout FloatNetwork) {
    if let document = metadata(ONNXExportKey.classNames) {
      if case .array(let list) = document.content {
        let names = list.compactMap { if case .string(let text) = $0.content { text } else { nil } }
        if names.count == network.outputShape.count { network.classNames = names }
      } else {
        warnMetadata(ONNXExportKey.classNames)
      }
    }
    guard let affine = network.inputAffine ?? (graph.inputQuantization.map { _ in .identity }),
      let document = metadata(ONNXExportKey.inputMaps), let quantization = graph.inputQuantization
    else {
      network.warnings = warnings
      return
    }
    let lists: [JSONValue] =
      if case .array(let list) = document.content { list } else { [] }
    let maps = lists.compactMap { Self.map($0) }
    let step = Quantization(quantization)
    let channels = network.inputShape.channels
    let isSame = maps.enumerated().allSatisfy { channel, map in
      map.isClose(to: affine, channel: channel, of: step)
    }
    if !maps.isEmpty, maps.count == lists.count, maps.count == 1 || maps.count == channels, isSame {
      network.exactInputMaps = maps
    } else {
      warnMetadata(ONNXExportKey.inputMaps)
    }
    network.warnings = warnings
  }

  private func metadata(_ key: String) -> JSONValue? {
    guard let text = model.metadata.first(where: { $0.key == key })?.value else { return nil }
    return try? JSONDocument(Array(text.utf8)[...], file: model.fileName).root
  }

  private mutating func warnMetadata(_ key: String) {
    warnings.append(
      InputError(
        312, "the metadata \(quoted(key)) does not fit the graph; the graph's floats are used",
        place: model.fileName, help: "export the model again", exit: 0))
  }

  private static func integers(_ value: JSONValue) -> [Int64]? {
    guard case .array(let list) = value.content else { return nil }
    let numbers = list.compactMap { element in
      if case .number(let text) = element.content { Int64(text) } else { nil }
    }
    return numbers.count == list.count ? numbers : nil
  }

  private static func scale(_ mantissa: Int64, _ exponent: Int64) -> Scale? {
    guard let mantissa = Int32(exactly: mantissa), abs(exponent) <= 512 else { return nil }
    return Scale(mantissa: mantissa, exponent: Int32(exponent))
  }

  private static func map(_ value: JSONValue) -> ModelBuilder.InputMap? {
    guard let numbers = integers(value), numbers.count == 4,
      let scale = scale(numbers[0], numbers[1]), scale != .zero, numbers[2] == 0 || numbers[2] == 1
    else { return nil }
    return ModelBuilder.InputMap(scale: scale, isNegative: numbers[2] == 1, offset: numbers[3])
  }
}

extension InputAffine {
  fileprivate static var identity: InputAffine { InputAffine(scale: [1], offset: [0]) }
}

extension ModelBuilder.InputMap {
  /// Whether the graph's floats are this map's, rounded to float32.
  fileprivate func isClose(
    to affine: InputAffine, channel: Int, of quantization: Quantization
  ) -> Bool {
    let step = quantization.scale.double
    let slope = (isNegative ? -1 : 1) * scale.double * step
    let offset = (Double(offset) * 0x1p-32 - Double(quantization.zeroPoint)) * step
    return abs(affine.scale(channel) - slope) <= 1e-6 * abs(slope)
      && abs(affine.offset(channel) - offset) <= 1e-6 * max(abs(offset), step)
  }
}
