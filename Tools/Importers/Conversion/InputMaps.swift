public import Tally

/// A model's input maps at work on data (SPEC 5.4): any number a file can hold becomes an int8,
/// rounded once.
public struct InputMaps: Sendable {
  private struct Map: Sendable {
    /// ±A's mantissa and the power of two it stands at.
    var mantissa: Int128
    var exponent: Int
    /// B + ½ in Q32.
    var offset: Int128
    var exact: ExactNumber
  }

  private let maps: [Map]
  /// The network's input: height, width, channels.
  public let shape: SampleShape
  /// Labels are below this; targets are this many per sample.
  public let outputCount: Int

  public init(_ network: Network) {
    let input = network.inputShape
    shape = SampleShape(height: input.height, width: input.width, channels: input.channels)
    outputCount = network.outputCount
    maps = (0..<network.sections.mapCount).map { index in
      let (scale, isNegative, offset) = network.inputMap(index)
      let slope = ExactNumber(scale)
      return Map(
        mantissa: isNegative ? -Int128(scale.mantissa) : Int128(scale.mantissa),
        exponent: Int(scale.exponent) - 31, offset: Int128(offset) + 1 << 31,
        exact: isNegative ? -slope : slope)
    }
  }

  /// Samples as the network reads them.
  ///
  /// - Parameter samples: [count, height, width, channels] of the network's input shape.
  /// - Returns: int8 [count, height, width, channels].
  /// - Throws: TLY0702 for another shape, TLY0601 for NaN and infinities.
  public func apply(_ samples: NumericArray, source: String = "data") throws(InputError) -> [Int8] {
    guard samples.shape.count == 4, samples.sampleShape == shape else {
      throw .shape(source, "samples of shape \(samples.shape), the model wants \(shape)")
    }
    try samples.requireFinite(source)
    switch samples.storage {
    case .uint8(let a): return applyBytes(a) { Int64($0) }
    case .int8(let a):
      return applyBytes(a.map { UInt8(bitPattern: $0) }) {
        Int64(Int8(bitPattern: $0))
      }
    case .int16(let a): return forEach(a) { quantize(Int128($0), 0, $1) }
    case .int32(let a): return forEach(a) { quantize(Int128($0), 0, $1) }
    case .int64(let a): return forEach(a) { quantize(Int128($0), 0, $1) }
    case .float32(let a):
      return forEach(a) { value, map in
        let parts = BinaryParts(value)
        return quantize(Int128(parts.significand), parts.exponent, map)
      }
    case .float64(let a):
      return forEach(a) { value, map in
        let parts = BinaryParts(value)
        return quantize(Int128(parts.significand), parts.exponent, map)
      }
    case .decimal(let a): return applyDecimals(a)
    }
  }

  /// ⌊±A·x + B + ½⌋, clamped to int8, for x = significand·2^exponent with |significand| ≤ 2⁶³.
  private func quantize(_ significand: Int128, _ exponent: Int, _ map: Map) -> Int8 {
    if significand == 0 { return Self.clamped(map.offset >> 32) }
    // |product| < 2⁹⁴; it stands at 2^places, the offset at 2^−32.
    let product = significand * map.mantissa
    let places = exponent + map.exponent
    let size = 128 - product.magnitude.leadingZeroBitCount + places
    // At 2³⁹ and more no offset below 2³² changes the clamped result.
    if size > 40 { return product < 0 ? -128 : 127 }
    let shift = places + 32
    // Below 2^−32 only the floor of the product counts, because the offset has no bits there.
    let term = shift >= 0 ? product << Int128(shift) : product >> Int128(min(-shift, 127))
    return Self.clamped((term + map.offset) >> 32)
  }

  private static func clamped(_ value: Int128) -> Int8 { Int8(min(max(value, -128), 127)) }

  private func forEach<Element>(_ elements: [Element], _ quantize: (Element, Map) -> Int8) -> [Int8]
  {
    if maps.count == 1 { return elements.map { quantize($0, maps[0]) } }
    var channel = 0
    return elements.map { element in
      let result = quantize(element, maps[channel])
      channel = channel + 1 == maps.count ? 0 : channel + 1
      return result
    }
  }

  /// One table of 256 results per map.
  private func applyBytes(_ bytes: [UInt8], _ value: (UInt8) -> Int64) -> [Int8] {
    let tables = maps.map { map in
      (0...255).map { quantize(Int128(value(UInt8($0))), 0, map) }
    }
    if tables.count == 1 {
      let table = tables[0]
      return bytes.map { table[Int($0)] }
    }
    return bytes.indices.map { tables[$0 % tables.count][Int(bytes[$0])] }
  }

  /// Tables of text are small and repeat their numbers.
  private func applyDecimals(_ decimals: [ExactDecimal]) -> [Int8] {
    var known = [[ExactDecimal: Int8]](repeating: [:], count: maps.count)
    return decimals.enumerated().map { index, decimal in
      let channel = index % maps.count
      if let result = known[channel][decimal] { return result }
      let map = maps[channel]
      // ⌊(A·x·2³² + offset) / 2³²⌋, and the offset is an integer.
      let term = (map.exact * ExactNumber(decimal)).scaled(byPowerOfTwo: 32).floor()
      let result = Self.clamped((Int128(term) + map.offset) >> 32)
      known[channel][decimal] = result
      return result
    }
  }
}

// MARK: - Labels and targets

/// A data set as a network takes it: int8 inputs with labels or Q16 targets (SPEC 9.3).
public struct PreparedData: Sendable {
  /// int8 [count, height, width, channels].
  public var values: [Int8]
  /// One per sample; nil with targets, and nil with neither.
  public var labels: [Int32]?
  /// Q16 [count, outputs].
  public var targets: [Int32]?
  public var count: Int

  /// - Throws: TLY0702 and TLY0601 as `InputMaps.apply`; TLY0701 for a label that is no class;
  ///   TLY0702 for targets of another number than the network's outputs.
  public init(_ data: DataSet, for network: Network) throws(InputError) {
    let maps = InputMaps(network)
    values = try maps.apply(data.samples, source: data.source)
    count = data.count
    switch data.targets {
    case .none: break
    case .labels: labels = try data.labels(classCount: maps.outputCount)
    case .values(let array):
      guard array.count == count * maps.outputCount else {
        throw .shape(
          data.source,
          "\(array.count / max(count, 1)) targets per sample, the model gives \(maps.outputCount)")
      }
      try array.requireFinite(data.source)
      targets = fixedPointTargets(array)
    }
  }
}

/// ⌊y·2¹⁶ + ½⌋, saturated to int32.
func fixedPointTargets(_ array: NumericArray) -> [Int32] {
  func round(_ value: ExactNumber) -> Int32 {
    Int32(clamping: value.scaled(byPowerOfTwo: 16).rounded())
  }
  switch array.storage {
  case .uint8(let a): return a.map { Int32($0) << 16 }
  case .int8(let a): return a.map { Int32($0) << 16 }
  case .int16(let a): return a.map { Int32(clamping: Int64($0) << 16) }
  case .int32(let a): return a.map { Int32(clamping: Int64($0) << 16) }
  case .int64(let a): return a.map { Int32(clamping: max(min($0, 1 << 32), -1 << 32) << 16) }
  case .float32(let a): return a.map { round(ExactNumber(exactly: Double($0))) }
  case .float64(let a): return a.map { round(ExactNumber(exactly: $0)) }
  case .decimal(let a): return a.map { round(ExactNumber($0)) }
  }
}
