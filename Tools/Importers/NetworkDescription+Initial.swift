import Tally

extension NetworkDescription {
  /// A model with random weights for `tally init` (SPEC 8.10), its input folded to unit range and its
  /// range tracker allowed.
  ///
  /// - Parameters:
  ///   - input: how data are prepared.
  ///   - samples: data whose range is the input's; without any, that of bytes.
  /// - Throws: TLY0605 for a bound of SPEC 5.6, TLY0802 for the preparation.
  public func initialModel(
    seed: UInt64, input: InputPreparation = InputPreparation(), classNames: [String] = [],
    samples: NumericArray? = nil
  ) throws(InputError) -> [UInt8] {
    try input.check(channels: network.inputShape.channels)
    let plan = try ConversionPlan(network)
    var weights = 0
    for planned in plan.nodes {
      let node = plan.network.nodes[planned.index]
      let depth = node.operation.depth(of: plan.network.shape(of: node.inputs[0]))
      // A larger depth is refused with the layer's name later on.
      if depth <= ModelFormat.largestDepth { weights += node.shape.channels * depth }
    }
    guard weights < 1 << 30 else {
      throw .limit("\(weights) weights", place: file, note: "a model file is smaller than 2 GiB")
    }
    let quantized = try QuantizedInput(
      input, channels: network.inputShape.channels, samples: samples?.withOccurringRange,
      imported: nil)
    var builder = try ModelAssembly(plan, quantized, .initial(seed: seed)).builder
    builder.isInitialized = true
    builder.readsChannelsFirst = input.layout == .nchw
    builder.classNames = classNames
    return try builder.checkedBytes()
  }
}

extension NumericArray {
  /// Bytes as they are where they fill half of their range or more, and keep their own steps; else as
  /// wider integers, of which only what occurs is the range.
  fileprivate var withOccurringRange: NumericArray {
    guard case .uint8(let bytes) = storage, (bytes.max() ?? 0) < 128 else { return self }
    return NumericArray(shape: shape, storage: .int32(bytes.map(Int32.init)))
  }
}
