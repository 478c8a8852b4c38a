import Tally

/// A layer's weights and biases as integers (SPEC 5.5).
struct QuantizedWeights {
  var weights: [Int8]
  /// One, or one per output channel.
  var scales: [Scale]
  var biases: [Int32]
  var notes: [String] = []

  /// The largest |bias| (SPEC 5.6).
  static let largestBias: Int64 = 25_000_000
  /// Channels below this part of the layer's largest weight share its Scale: smaller ones would give
  /// biases and updates beyond their integers for weights that hardly matter.
  private static let channelFloor = -10

  /// - Parameters:
  ///   - weights: [outputs][depth].
  ///   - bias: [outputs].
  ///   - input: Scale of the layer's input.
  ///   - perChannel: one Scale per output channel.
  init(
    _ weights: [Float], bias: [Double], input: Scale, perChannel: Bool, layer: String
  ) throws(InputError) {
    let outputs = bias.count
    let depth = weights.count / outputs
    let largest = (0..<outputs).map { output in
      weights[output * depth..<(output + 1) * depth].reduce(Float(0)) { max($0, abs($1)) }
    }
    let top = largest.max() ?? 0
    if top == 0 {
      notes.append("all weights are zero")
      scales = [InitialWeights.scale(depth: depth)]
    } else if perChannel {
      let floor = Self.scale(top).multiplied(byPowerOfTwo: Int32(Self.channelFloor))
      scales = largest.map { $0 == 0 ? floor : max(Self.scale($0), floor) }
    } else {
      scales = [Self.scale(top)]
    }
    let raised = Self.raise(&scales, for: bias, input: input)
    if raised > 0 {
      guard raised <= 8 else {
        throw .limit(
          "a bias is too large for the weights beside it", place: "layer \(quoted(layer))",
          note: "|bias| / (input Scale · weight Scale) is at most \(Self.largestBias)",
          help: "try --scales per-channel, or check that the data is prepared as in training")
      }
      notes.append("weight Scale raised \(1 << raised) times to hold a bias")
    }
    self.weights = []
    self.weights.reserveCapacity(weights.count)
    biases = []
    for output in 0..<outputs {
      let scale = scales[scales.count == 1 ? 0 : output]
      let step = QuantizationStep(scale)
      for weight in weights[output * depth..<(output + 1) * depth] {
        self.weights.append(Int8(min(max(step.rounded(weight), -127), 127)))
      }
      biases.append(Int32(QuantizationStep(input, scale).rounded(bias[output])))
    }
  }

  /// The integers that a quantised file prescribes.
  init(_ imported: ImportedQuantization, layer: String) throws(InputError) {
    weights = imported.weights.map { max($0, -127) }
    scales =
      imported.exactWeightScales
      ?? imported.weightScales.map { ExactNumber(exactly: Double($0)).scale() }
    biases = imported.bias
    notes = ["weights from the file"]
    let clamped = imported.weights.count { $0 == -128 }
    if clamped > 0 { notes.append("\(clamped) weights of −128 became −127") }
    if let bias = biases.first(where: { Int64($0).magnitude > Self.largestBias }) {
      throw .limit(
        "the bias \(bias) is out of range", place: "layer \(quoted(layer))",
        note: "at most ±\(Self.largestBias) of input Scale · weight Scale", help: nil)
    }
  }

  /// Weights drawn for node number `node` (SPEC 8.10), biases zero.
  init(initial shape: Convolution, seed: UInt64, node: Int) {
    let memory = AlignedMemory(byteCount: shape.weightCount)
    let view = memory.view(of: Int8.self)
    InitialWeights.fill(view, seed: seed, node: node)
    weights = (0..<view.count).map { view[$0] }
    scales = [InitialWeights.scale(depth: shape.depth)]
    biases = Array(repeating: 0, count: shape.output.channels)
  }

  /// max |w| / 127, so that no weight is −128 and none is clamped.
  private static func scale(_ largest: Float) -> Scale {
    (ExactNumber(exactly: Double(largest)) / ExactNumber(127)).scale()
  }

  /// Doubles Scales until every bias fits; gives the largest number of doublings, 9 for too many.
  private static func raise(_ scales: inout [Scale], for bias: [Double], input: Scale) -> Int {
    var most = 0
    for index in scales.indices {
      let own = scales.count == 1 ? bias : [bias[index]]
      var doublings = 0
      func isTooLarge() -> Bool {
        let step = QuantizationStep(input, scales[index])
        return own.contains { step.rounded($0).magnitude > UInt64(largestBias) }
      }
      while doublings <= 8, isTooLarge() {
        scales[index] = scales[index].multiplied(byPowerOfTwo: 1)
        doublings += 1
      }
      most = max(most, doublings)
    }
    return most
  }

  /// Signal to noise of the weights, in hundredths of a decibel.
  func signalToNoise(_ weights: [Float]) -> Int? {
    var noise = NoiseMeter()
    let depth = weights.count / biases.count
    for (index, weight) in weights.enumerated() {
      let scale = scales[scales.count == 1 ? 0 : index / depth].double
      noise.include(Double(weight), Double(self.weights[index]) * scale)
    }
    return noise.signalToNoise
  }
}

/// Sums up a signal and its difference from what became of it.
struct NoiseMeter {
  private var signal = 0.0
  private var noise = 0.0

  mutating func include(_ wanted: Double, _ found: Double) {
    signal += wanted * wanted
    noise += (wanted - found) * (wanted - found)
  }

  /// 10 · log10(signal / noise), in hundredths; nil without noise or signal.
  var signalToNoise: Int? {
    guard signal > 0, noise > 0 else { return nil }
    let decibels = 10 * DeterministicMath.log(signal / noise) / 2.302585092994046
    return Int((decibels * 100).rounded())
  }
}
