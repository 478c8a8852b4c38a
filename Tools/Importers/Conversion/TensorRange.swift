import Tally

/// The smallest and largest real value of a tensor.
struct TensorRange: Sendable, Equatable {
  var low = Float.infinity
  var high = -Float.infinity

  /// Whether anything was seen, all of it finite.
  var isValid: Bool { low <= high && low > -.infinity && high < .infinity }

  mutating func include(_ values: [Float]) {
    for value in values {
      if value < low { low = value }
      if value > high { high = value }
    }
  }
}

extension Quantization {
  /// 255 steps over a range, which is widened to hold a real 0; 0 is one of the steps.
  init(_ range: TensorRange) {
    let low = ExactNumber(exactly: Double(min(range.low, 0)))
    let high = ExactNumber(exactly: Double(max(range.high, 0)))
    let scale = ((high - low) / ExactNumber(255)).scale()
    guard scale != .zero else {
      self.init(scale: Scale(1) / Scale(255), zeroPoint: 0)
      return
    }
    let zeroPoint = -128 - (low / ExactNumber(scale)).rounded()
    self.init(scale: scale, zeroPoint: Int32(min(max(zeroPoint, -128), 127)))
  }
}

/// Ranges of the tensors of a float network over the calibration samples.
struct Calibration {
  /// Per tensor of the network.
  private(set) var ranges: [TensorRange]
  /// What the float network answers to the samples, [count, outputs]; nil if it was not run.
  private(set) var outputs: [Float]?

  /// Runs all samples through the float network.
  ///
  /// - Throws: TLY0601 if a layer gives NaN or an infinity.
  init(_ plan: ConversionPlan, _ samples: RealSamples, method: ConversionOptions.Method)
    throws(InputError)
  {
    let executor = FloatExecutor(plan.network)
    let tensors = plan.nodes.map(\.tensor)
    var ranges = [TensorRange](
      repeating: TensorRange(), count: plan.network.nodes.count + 1)
    var histograms: [Int: ValueHistogram] = [:]
    var outputs: [Float] = []
    var bad: Int?
    let isWanted = Set(tensors)
    samples.forEachBatch { values, count in
      outputs += executor.run(values, count: count) { tensor, values in
        guard tensor == 0 || isWanted.contains(tensor) else { return }
        ranges[tensor].include(values)
        if bad == nil, values.contains(where: { !$0.isFinite }) { bad = tensor }
        if method != .minMax, tensor > 0 {
          histograms[tensor, default: ValueHistogram()].include(values)
        }
      }
    }
    if let bad {
      throw InputError(
        601, "the float network gives NaN or an infinity on the calibration data",
        place: bad == 0 ? "input" : "layer \(quoted(plan.network.nodes[bad - 1].name))",
        help: "check --input-scale, --input-mean and --input-std against how it was trained",
        exit: 3)
    }
    for (tensor, histogram) in histograms {
      ranges[tensor] = histogram.range(within: ranges[tensor], method)
    }
    self.ranges = ranges
    self.outputs = outputs
  }

  init(ranges: [TensorRange]) { self.ranges = ranges }
}

/// Calibration samples as the float network takes them, prepared batch by batch.
struct RealSamples: Sendable {
  let samples: NumericArray
  let preparation: InputPreparation
  /// Samples in one batch.
  let batch: Int

  var count: Int { samples.shape[0] }

  init(_ samples: NumericArray, _ preparation: InputPreparation, for network: FloatNetwork) {
    self.samples = samples
    self.preparation = preparation
    // Some ten tensors live at a time; keep them within a few dozen megabytes.
    let largest = (0...network.nodes.count).map { network.shape(of: $0).count }.max() ?? 1
    batch = max(1, min(32, (1 << 20) / max(largest, 1)))
  }

  /// Real values of the samples in `range`, [count, height, width, channels].
  func values(_ range: Range<Int>) -> [Float] { preparation.real(samples.rows(range)) }

  func forEachBatch(limit: Int = .max, _ body: (_ values: [Float], _ count: Int) -> Void) {
    let end = min(count, limit)
    for first in stride(from: 0, to: end, by: batch) {
      let range = first..<min(first + batch, end)
      body(values(range), range.count)
    }
  }
}
