import Tally

/// What the table of `tally convert` says, measured on the calibration samples with the finished model.
struct ConversionReport {
  private(set) var rows: [ConversionRow] = []
  private(set) var warnings: [InputWarning] = []
  private(set) var agreement: TopOneAgreement?

  init(
    _ assembly: ModelAssembly, _ bytes: [UInt8], _ plan: ConversionPlan,
    _ source: CalibrationSource, _ samples: RealSamples?, _ options: ConversionOptions,
    ranges: Calibration, input: QuantizedInput
  ) throws(InputError) {
    var meters = [Meter](repeating: Meter(), count: assembly.builder.nodes.count)
    if let samples {
      let executor = FloatExecutor(plan.network)
      let probe = try IntegerProbe(bytes, batch: samples.batch)
      let maps = InputMaps(probe.network)
      let labels: [Int32]? = if case .data(let data) = source { data.labels } else { nil }
      var counts = TopOneAgreement(
        sampleCount: 0, agreeing: 0, floatCorrect: labels.map { _ in 0 },
        integerCorrect: labels.map { _ in 0 })
      for first in stride(from: 0, to: samples.count, by: samples.batch) {
        let range = first..<min(first + samples.batch, samples.count)
        let isMeasured = first < options.measuredSamples
        let known = isMeasured ? nil : ranges.outputs
        let run = FloatRun(executor, samples, range, plan, keeping: isMeasured, known: known)
        probe.run(try maps.apply(samples.samples.rows(range)), count: range.count) {
          tensor, values in
          guard isMeasured, tensor > 0 else { return }
          Self.measure(tensor, values, run, assembly, plan, into: &meters[tensor - 1])
        }
        if isMeasured, probe.hasAccumulators {
          Self.measureLogits(probe, run, plan, into: &meters[meters.count - 1])
        }
        for sample in 0..<range.count {
          let (float, integer) = (run.answer(sample), probe.answer(sample))
          counts.sampleCount += 1
          if float == integer { counts.agreeing += 1 }
          if let label = labels.map({ Int($0[range.lowerBound + sample]) }) {
            if float == label { counts.floatCorrect? += 1 }
            if integer == label { counts.integerCorrect? += 1 }
          }
        }
      }
      if case .data = source { agreement = counts }
    }
    for (index, entry) in assembly.entries.enumerated() {
      rows.append(Self.row(index, entry, assembly, plan, ranges, meters[index]))
    }
    warn(options, input)
  }

  /// Noise and saturation of one tensor.
  private struct Meter {
    var noise = NoiseMeter()
    var saturated = 0
    var count = 0
  }

  /// The float tensors of one batch that integer tensors stand for.
  private struct FloatRun {
    private(set) var tensors: [Int: [Float]] = [:]
    let output: [Float]
    let classes: Int

    /// - Parameter known: outputs of all samples, if the network need not run again.
    init(
      _ executor: FloatExecutor, _ samples: RealSamples, _ range: Range<Int>,
      _ plan: ConversionPlan, keeping: Bool, known: [Float]?
    ) {
      if let known {
        classes = known.count / samples.count
        output = Array(known[range.lowerBound * classes..<range.upperBound * classes])
        return
      }
      var kept: [Int: [Float]] = [:]
      let wanted = Set(plan.nodes.map(\.tensor))
      output = executor.run(samples.values(range), count: range.count) { tensor, values in
        if keeping, wanted.contains(tensor) { kept[tensor] = values }
      }
      tensors = kept
      classes = output.count / range.count
    }

    func answer(_ sample: Int) -> Int {
      let logits = output[sample * classes..<(sample + 1) * classes]
      return logits.indices.reduce(logits.startIndex) { logits[$1] > logits[$0] ? $1 : $0 }
        - logits.startIndex
    }
  }

  private static func measure(
    _ tensor: Int, _ values: View<Int8>, _ run: FloatRun, _ assembly: ModelAssembly,
    _ plan: ConversionPlan, into meter: inout Meter
  ) {
    guard let planned = assembly.entries[tensor - 1].planned,
      let wanted = run.tensors[plan.nodes[planned].tensor]
    else { return }
    let quantization = assembly.builder.quantization(tensor)
    let unit = quantization.scale.multiplied(
      byPowerOfTwo: assembly.foldedTensors.contains(tensor) ? Int32(assembly.inputShift) : 0
    ).double
    let zeroPoint = Int(quantization.zeroPoint)
    for index in 0..<values.count {
      let q = Int(values[index])
      let real = unit * Double(q - zeroPoint)
      meter.noise.include(Double(wanted[index]), real)
      // At an end of int8 while the real value lies half a step or more beyond it.
      if q == 127
        ? Double(wanted[index]) > real + unit / 2
        : q == -128 && Double(wanted[index]) < real - unit / 2
      {
        meter.saturated += 1
      }
    }
    meter.count += values.count
  }

  private static func measureLogits(
    _ probe: IntegerProbe, _ run: FloatRun, _ plan: ConversionPlan, into meter: inout Meter
  ) {
    let unit = probe.logitScale.double
    for sample in 0..<run.output.count / run.classes {
      let logits = probe.logits(sample)
      for index in 0..<logits.count {
        meter.noise.include(
          Double(run.output[sample * run.classes + index]), unit * Double(logits[index]))
      }
    }
    meter.count += run.output.count
  }

  private static func row(
    _ index: Int, _ entry: ModelAssembly.Entry, _ assembly: ModelAssembly, _ plan: ConversionPlan,
    _ calibration: Calibration, _ meter: Meter
  ) -> ConversionRow {
    let node = assembly.builder.nodes[index]
    var row = ConversionRow(
      name: node.name, kind: node.operation.label,
      outputShape: TensorShape(
        height: node.output.height, width: node.output.width, channels: node.output.channels),
      scale: node.quantization.scale.decimal, zeroPoint: Int(node.quantization.zeroPoint),
      signalToNoise: meter.noise.signalToNoise, weightSignalToNoise: entry.weightSignalToNoise,
      notes: entry.notes, multiplyCount: node.operation.weighted?.multiplyCount ?? 0,
      parameterCount: node.weights.count + node.biases.count)
    if meter.count > 0 { row.saturated = meter.saturated * 1_000_000 / meter.count }
    guard let planned = entry.planned.map({ plan.nodes[$0] }) else { return row }
    let float = plan.network.nodes[planned.index]
    if case .activation(let kind) = float.operation { row.kind = kind.label }
    if node.weightScales.count == 1, float.operation.floatWeights.weights.areMostlyTiny {
      row.notes.append(tinyWeights)
    }
    if planned.tensor != planned.index + 1 {
      row.kind += " + " + plan.network.nodes[planned.tensor - 1].operation.label
    }
    if calibration.ranges.indices.contains(planned.tensor),
      calibration.ranges[planned.tensor].isValid
    {
      let range = calibration.ranges[planned.tensor]
      row.range = range.low...range.high
      if range.low == 0, range.high == 0 { row.notes.append("always zero") }
    }
    return row
  }

  /// The signal of one large weight hides this from a ratio of sums.
  private static let tinyWeights =
    "most weights are below 1/65536 of the largest; one Scale makes them 0"

  private mutating func warn(_ options: ConversionOptions, _ input: QuantizedInput) {
    for note in input.notes where note.contains("zero") {
      warnings.append(InputWarning(code: 602, message: note, place: "input"))
    }
    for row in rows {
      for note in row.notes where note.contains("zero") || note.contains("raised") {
        warnings.append(InputWarning(code: 602, message: note, place: "layer \(quoted(row.name))"))
      }
      if row.notes.contains(ConversionReport.tinyWeights) {
        warnings.append(
          InputWarning(
            code: 603, message: ConversionReport.tinyWeights,
            place: "layer \(quoted(row.name))", help: "try --scales per-channel or --equalize"))
      }
      if let noise = row.weightSignalToNoise, noise < 2000, options.weightScales == .perLayer {
        warnings.append(
          InputWarning(
            code: 603, message: "one Scale leaves the weights \(noise / 100) dB above their noise",
            place: "layer \(quoted(row.name))", help: "try --scales per-channel or --equalize"))
      }
    }
  }
}

extension [Float] {
  /// Whether more than half of what is not 0 is smaller than 2⁻¹⁶ of the largest magnitude.
  fileprivate var areMostlyTiny: Bool {
    let limit = reduce(0) { Swift.max($0, abs($1)) } / 65536
    let nonzero = count { $0 != 0 }
    return 2 * count { $0 != 0 && abs($0) < limit } > nonzero
  }
}

extension Scale {
  /// The value as a decimal of about seven digits.
  var decimal: String { "\(Float(double))" }
}

extension Tally.Operation {
  /// The operation's name for tables.
  var label: String {
    switch self {
    case .convolution(let shape): shape.isDepthwise ? "depthwise convolution" : "convolution"
    case .fullyConnected: "fully connected"
    case .maxPooling: "max pool"
    case .averagePooling: "average pool"
    case .add: "add"
    case .multiply: "multiply"
    case .concatenate: "concatenate"
    case .table: "table"
    case .rescale: "rescale"
    case .slicePad: "slice/pad"
    case .upsample: "upsample"
    }
  }
}
