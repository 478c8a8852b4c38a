import Tally

/// How data become the first int8 tensor (SPEC 5.4), and what that tensor stands for.
struct QuantizedInput {
  var quantization: Quantization
  var maps: [ModelBuilder.InputMap]
  /// Real values that the calibration data, or the data's type, can take.
  var range: ClosedRange<Float>
  var notes: [String] = []

  /// - Parameters:
  ///   - samples: calibration data; nil stands for bytes.
  ///   - imported: what a quantised file prescribes.
  ///   - affine: what a quantised file does to its input first.
  ///   - exact: the maps of the model a file was exported from; they hold if nothing is prepared.
  init(
    _ preparation: InputPreparation, channels: Int, samples: NumericArray?,
    imported: ActivationQuantization?, affine: InputAffine? = nil,
    exact: [ModelBuilder.InputMap]? = nil
  ) throws(InputError) {
    // Channels that are prepared alike share their extremes.
    let isUniform =
      preparation.isUniform && (affine.map { $0.scale.count + $0.offset.count <= 2 } ?? true)
    let mapCount = isUniform ? 1 : channels
    let extremes = DataExtremes(samples, channels: mapCount)
    let ends: [(ExactNumber, ExactNumber)] = (0..<mapCount).map { channel in
      let a = preparation.exact(extremes.low[channel], channel: channel, then: affine)
      let b = preparation.exact(extremes.high[channel], channel: channel, then: affine)
      return a < b ? (a, b) : (b, a)
    }
    let zero = ExactNumber(0)
    let low = ends.reduce(zero) { $1.0 < $0 ? $1.0 : $0 }
    let high = ends.reduce(zero) { $0 < $1.1 ? $1.1 : $0 }
    range = low.float...high.float

    if let imported {
      quantization = Quantization(imported)
      notes.append("range from the file")
    } else if let whole = Self.integers(preparation, extremes) {
      // Integers stay themselves: nothing is rounded at all.
      (quantization, maps) = whole
      return
    } else {
      var step = ((high - low) / ExactNumber(255)).scale()
      if step == .zero {
        step = Scale(1) / Scale(255)
        notes.append("the calibration data are all zero")
      }
      let zeroPoint = -128 - (low / ExactNumber(step)).rounded()
      quantization = Quantization(
        scale: step, zeroPoint: Int32(min(max(zeroPoint, -128), 127)))
    }
    maps = []
    if let exact, imported != nil, preparation.isIdentity,
      exact.count == 1 || exact.count == channels
    {
      maps = exact
      return
    }
    for channel in 0..<mapCount {
      maps.append(try Self.map(preparation, affine, channel, quantization))
    }
  }

  /// q = x − 128 for unsigned bytes, q = x for signed ones, if real = x · scale with a positive scale.
  private static func integers(
    _ preparation: InputPreparation, _ extremes: DataExtremes
  ) -> (Quantization, [ModelBuilder.InputMap])? {
    let factor = preparation.exact(ExactNumber(1), channel: 0)
    guard let isSigned = extremes.byteIsSigned, preparation.isUniform,
      preparation.mean(0).numerator == 0, factor.sign > 0
    else { return nil }
    let zeroPoint: Int32 = isSigned ? 0 : -128
    let map = ModelBuilder.InputMap(scale: .powerOfTwo(0), offset: Int64(zeroPoint) << 32)
    return (Quantization(scale: factor.scale(), zeroPoint: zeroPoint), [map])
  }

  /// q = real / S + Z, and real is an affine function of x.
  private static func map(
    _ preparation: InputPreparation, _ affine: InputAffine?, _ channel: Int,
    _ quantization: Quantization
  ) throws(InputError) -> ModelBuilder.InputMap {
    let step = ExactNumber(quantization.scale)
    let atZero = preparation.exact(ExactNumber(0), channel: channel, then: affine)
    let atOne = preparation.exact(ExactNumber(1), channel: channel, then: affine)
    let slope = (atOne - atZero) / step
    guard !slope.isZero else {
      throw .limit(
        "the network multiplies its input by 0", place: "input",
        note: "channel \(channel) would not depend on the data")
    }
    let offset = ExactNumber(Int64(quantization.zeroPoint)) + atZero / step
    let fixed = offset.scaled(byPowerOfTwo: 32).rounded()
    let scale = slope.magnitude.scale()
    guard fixed != .min, fixed != .max, abs(scale.exponent) <= 512 else {
      throw .limit(
        "the input's mean lies beyond 2³¹ steps of its range", place: "input",
        help: "check --input-scale, --input-mean and --input-std")
    }
    return ModelBuilder.InputMap(scale: scale, isNegative: slope.sign < 0, offset: fixed)
  }
}

extension Quantization {
  /// A file's float Scale has 24 bits: exact, unless it stands for a wider one. Integers of both types end at the int8 range.
  init(_ imported: ActivationQuantization) {
    self.init(
      scale: imported.exactScale ?? ExactNumber(exactly: Double(imported.scale)).scale(),
      zeroPoint: Int32(imported.zeroPoint))
  }
}

/// The smallest and largest data value of each channel; of bytes, those of the type.
private struct DataExtremes {
  var low: [ExactNumber]
  var high: [ExactNumber]
  /// Whether the data are bytes, and signed ones.
  var byteIsSigned: Bool?

  init(_ samples: NumericArray?, channels: Int) {
    switch samples?.storage {
    case .uint8, nil:
      (low, high) = Self.constant(0...255, channels)
      byteIsSigned = false
    case .int8:
      (low, high) = Self.constant(-128...127, channels)
      byteIsSigned = true
    case .int16(let a): (low, high) = Self.find(a, channels, <) { ExactNumber(Int64($0)) }
    case .int32(let a): (low, high) = Self.find(a, channels, <) { ExactNumber(Int64($0)) }
    case .int64(let a): (low, high) = Self.find(a, channels, <) { ExactNumber($0) }
    case .float32(let a):
      (low, high) = Self.find(a, channels, <) { ExactNumber(exactly: Double($0)) }
    case .float64(let a): (low, high) = Self.find(a, channels, <) { ExactNumber(exactly: $0) }
    case .decimal(let a):
      (low, high) = Self.find(a, channels, { $0.isLess(than: $1) }) { ExactNumber($0) }
    }
  }

  private static func constant(_ range: ClosedRange<Int64>, _ channels: Int)
    -> ([ExactNumber], [ExactNumber])
  {
    (
      Array(repeating: ExactNumber(range.lowerBound), count: channels),
      Array(repeating: ExactNumber(range.upperBound), count: channels)
    )
  }

  private static func find<Element>(
    _ elements: [Element], _ channels: Int, _ isLess: (Element, Element) -> Bool,
    _ exact: (Element) -> ExactNumber
  ) -> ([ExactNumber], [ExactNumber]) {
    var low = Array(elements.prefix(channels))
    var high = low
    var channel = 0
    for element in elements {
      if isLess(element, low[channel]) { low[channel] = element }
      if isLess(high[channel], element) { high[channel] = element }
      channel = channel + 1 == channels ? 0 : channel + 1
    }
    return (low.map(exact), high.map(exact))
  }
}

extension ExactDecimal {
  /// Whether this number is below another: by their Doubles where those are far enough apart to be
  /// sure, else exactly.
  fileprivate func isLess(than other: ExactDecimal) -> Bool {
    let (a, b) = (approximation, other.approximation)
    // Each is off by less than 2⁻⁴⁰ of itself.
    let doubt = 0x1p-38 * (abs(a) + abs(b))
    if abs(a - b) > doubt { return a < b }
    return ExactNumber(self) < ExactNumber(other)
  }

  private var approximation: Double {
    guard abs(exponent) <= 200 else { return magnitude == 0 ? 0 : .nan }
    var power = 1.0
    for _ in 0..<abs(exponent) { power *= 10 }
    let value = exponent < 0 ? Double(magnitude) / power : Double(magnitude) * power
    return isNegative ? -value : value
  }
}
