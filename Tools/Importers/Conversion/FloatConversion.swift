import Tally

/// Turns a float network into a `.tally` model.
///
/// Every byte of the model follows from the bits of the weights and of the calibration data by
/// arithmetic that is the same everywhere: IEEE + − × ÷ in one order for the ranges, exact numbers for
/// Scales, weights, biases and input maps, and no function of the C library.
public enum FloatConversion {
  /// - Parameters:
  ///   - network: read by an importer; NHWC, batch normalisation folded.
  ///   - calibration: where ranges come from; `.none` will do if a quantised file prescribes them all
  ///     (`FloatNetwork.prescribesRanges`).
  /// - Throws: TLY0605 for a bound of SPEC 5.6, TLY0702 for data of another shape, TLY0601 for data on
  ///   which the network gives NaN, TLY0304 or 0305 for what has no integer form.
  public static func convert(
    _ network: FloatNetwork, calibration: CalibrationSource,
    options: ConversionOptions = ConversionOptions()
  ) throws(InputError) -> ConversionResult {
    let network = network.withReshapesAsLayers()
    let channels = network.inputShape.channels
    try options.input.check(channels: channels)
    var warnings: [InputWarning] = []
    var plan = try ConversionPlan(network)
    let samples = try samples(calibration, network, &warnings)
    // A file that prescribes every range needs no data.
    if plan.isQuantized { warnings = [] }
    let input = try QuantizedInput(
      options.input, channels: channels, samples: samples, imported: plan.importedInput,
      affine: network.inputAffine, exact: network.exactInputMaps)
    let real = samples.map { RealSamples($0, options.input, for: plan.network) }
    if options.equalizesLayers { plan = try ConversionPlan(equalized(plan, real)) }
    let ranges: Calibration
    if plan.isQuantized {
      ranges = Calibration(ranges: [])
    } else if let real {
      ranges = try Calibration(plan, real, method: options.method)
    } else {
      ranges = Calibration(estimating: plan, input: input.range)
    }
    var correction = BiasCorrection(plan)
    if options.correctsBiases, let real {
      correction = try BiasCorrection(plan, real) { [plan] terms throws(InputError) in
        try ModelAssembly(plan, input, .calibrated(ranges, options.weightScales, terms))
      }
    }
    let assembly = try ModelAssembly(
      plan, input, .calibrated(ranges, options.weightScales, correction))
    var builder = assembly.builder
    builder.readsChannelsFirst = options.input.layout == .nchw
    builder.classNames = options.classNames
    if builder.classNames.isEmpty, case .data(let data) = calibration {
      builder.classNames = data.classNames ?? []
    }
    if builder.classNames.isEmpty { builder.classNames = network.classNames }
    let bytes = try builder.checkedBytes()
    let report = try ConversionReport(
      assembly, bytes, plan, calibration, real, options, ranges: ranges, input: input)
    return ConversionResult(
      modelBytes: bytes, rows: report.rows, warnings: warnings + report.warnings,
      agreement: report.agreement)
  }

  /// The samples to run, nil for none, and what must be said about them.
  private static func samples(
    _ calibration: CalibrationSource, _ network: FloatNetwork, _ warnings: inout [InputWarning]
  ) throws(InputError) -> NumericArray? {
    let shape = network.inputShape
    switch calibration {
    case .data(let data):
      guard data.samples.sampleShape.matches(shape) else {
        throw .shape(data.source, "samples are \(data.shape), the model wants \(shape)")
      }
      return data.samples
    case .random:
      warnings.append(
        InputWarning(
          code: 607, message: "ranges come from random bytes: the model will run, not be accurate",
          place: "--calibrate random", help: "calibrate with some hundred training samples"))
      return randomBytes(shape, count: 64)
    case .none:
      warnings.append(
        InputWarning(
          code: 607,
          message: "ranges are estimated from the weights alone, for inputs that are bytes: expect "
            + "several points less accuracy", place: "--calibrate none",
          help: "calibrate with some hundred training samples"))
      return nil
    }
  }

  /// The same bytes everywhere: Philox under seed 0.
  private static func randomBytes(_ shape: TensorShape, count: Int) -> NumericArray {
    let stream = RandomKey(seed: 0).stream(.initialization, tensor: 0, step: 0, query: 0)
    let bytes = (0..<shape.count * count).map {
      UInt8(truncatingIfNeeded: stream.uniform(UInt32(truncatingIfNeeded: $0), below: 256))
    }
    return NumericArray(
      shape: [count, shape.height, shape.width, shape.channels], storage: .uint8(bytes))
  }
}

extension FloatNetwork {
  /// Whether a quantised file states the ranges of all tensors, so that nothing is left to calibrate.
  public var prescribesRanges: Bool {
    do throws(InputError) { return try ConversionPlan(self).isQuantized } catch { return false }
  }
}

extension SampleShape {
  func matches(_ shape: TensorShape) -> Bool {
    (height, width, channels) == (shape.height, shape.width, shape.channels)
  }
}

extension ConversionPlan {
  /// The input's quantization in a quantised file.
  var importedInput: ActivationQuantization? { imported(0) }

  /// What a quantised file prescribes for a tensor, by its maker or else a reader.
  private func imported(_ tensor: Int) -> ActivationQuantization? { own(tensor) ?? read(tensor) }

  private func own(_ tensor: Int) -> ActivationQuantization? {
    tensor == 0 ? nil : network.nodes[tensor - 1].quantization?.output
  }

  private func read(_ tensor: Int) -> ActivationQuantization? {
    for node in network.nodes {
      guard let quantization = node.quantization else { continue }
      for (slot, input) in node.inputs.enumerated() where input == tensor {
        if slot < quantization.inputs.count, let found = quantization.inputs[slot] { return found }
      }
    }
    return nil
  }

  /// What it prescribes for a planned node: for the fused activation, or for the node alone.
  func imported(_ node: Node) -> ActivationQuantization? {
    own(node.tensor) ?? own(node.index + 1) ?? read(node.tensor)
  }

  /// Whether nothing is left to calibrate.
  var isQuantized: Bool {
    guard importedInput != nil else { return false }
    return nodes.enumerated().allSatisfy { position, planned in
      let node = network.nodes[planned.index]
      switch node.operation {
      case .convolution, .fullyConnected:
        guard let quantization = node.quantization, !quantization.weights.isEmpty else {
          return false
        }
        return position == nodes.count - 1 || imported(planned) != nil
      case .maxPool, .averagePool, .slicePad, .upsample: return true
      default: return imported(planned) != nil
      }
    }
  }
}
