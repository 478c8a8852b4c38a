public import Importers
public import Tally
public import TallyHost

/// A number n·2^k, exact: an integer or a binary floating-point number of a data file.
public struct Dyadic: Sendable {
  public let n: Int64
  public let k: Int

  public init(_ n: Int64, _ k: Int = 0) {
    self.n = n
    self.k = k
  }

  public init(_ value: Double) {
    guard value != 0 else {
      self.init(0)
      return
    }
    let significand = Int64(value.significandBitPattern | 1 << 52)
    self.init(value < 0 ? -significand : significand, Int(value.exponent) - 52)
  }
}

/// Data preparation by the definition: one exact sum, one floor (SPEC 5.4, 9.3).
///
/// Written for tests, with 128 bits where the product needs other ways for numbers of any size.
public enum ExactPreparation {
  /// clamp(⌊±A·x + B·2⁻³² + ½⌋, −128, 127).
  public static func quantize(
    _ x: Dyadic, _ map: (scale: Scale, isNegative: Bool, offset: Int64)
  ) -> Int8 {
    let product = Int128(map.scale.mantissa) * Int128(map.isNegative ? -x.n : x.n)
    let places = Int(map.scale.exponent) - 31 + x.k
    // All three terms in units of 2^unit.
    let unit = min(places, -33)
    let sum =
      product << (places - unit) + Int128(map.offset) << (-32 - unit) + Int128(1) << (-1 - unit)
    return Int8(clamping: sum >> -unit)
  }

  /// ⌊y·2¹⁶ + ½⌋, saturated.
  public static func target(_ y: Dyadic) -> Int32 {
    let places = y.k + 16
    if places >= 0 { return Int32(clamping: Int128(y.n) << places) }
    return Int32(clamping: (Int128(y.n) + Int128(1) << (-places - 1)) >> -places)
  }

  /// Values in the order of the network's input (NHWC), through its input maps.
  public static func quantize(_ values: [Dyadic], for network: Network) -> [Int8] {
    let channels = network.inputShape.channels
    let maps = (0..<network.sections.mapCount).map { network.inputMap($0) }
    return values.enumerated().map { index, value in
      quantize(value, maps[maps.count > 1 ? index % channels : 0])
    }
  }

  /// The samples of a data set for a network.
  public static func samples(_ data: DataSet, for network: Network) throws -> PreparedSamples {
    let values = quantize(try dyadics(data.samples), for: network)
    switch data.targets {
    case .labels(let labels):
      return PreparedSamples(values: values, labels: labels, targets: nil, count: data.count)
    case .values(let numbers):
      return PreparedSamples(
        values: values, labels: nil, targets: try dyadics(numbers).map { target($0) },
        count: data.count)
    case .none: throw VectorError("\(data.source) has neither labels nor targets")
    }
  }

  private static func dyadics(_ array: NumericArray) throws -> [Dyadic] {
    if let integers = array.integers { return integers.map { Dyadic($0) } }
    switch array.storage {
    case .float32(let values): return values.map { Dyadic(Double($0)) }
    case .float64(let values): return values.map { Dyadic($0) }
    default: throw VectorError("data of a type that golden vectors do not use")
    }
  }

  /// The data of a golden run: `x` and `y` of an archive without compression.
  public static func load(_ path: String, for model: LoadedModel) throws -> PreparedSamples {
    let shape = model.network.inputShape
    let data = try DataSet(
      parsing: path, layout: model.network.readsChannelsFirst ? .nchw : .nhwc,
      expected: SampleShape(height: shape.height, width: shape.width, channels: shape.channels)
    ) { _, _ throws(InflateFailure) in
      // Golden data are stored, not compressed.
      throw .corrupt
    }
    return try samples(data, for: model.network)
  }
}
