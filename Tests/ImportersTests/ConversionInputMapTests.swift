import Tally
import TallyHost
import Testing

@testable import Importers

/// SPEC 5.4 by its definition, in exact numbers.
private func defined(_ x: ExactNumber, _ map: ModelBuilder.InputMap) -> Int8 {
  let slope = map.isNegative ? -ExactNumber(map.scale) : ExactNumber(map.scale)
  let value = slope * x + ExactNumber(map.offset).scaled(byPowerOfTwo: -32)
  return Int8(min(max(value.rounded(), -128), 127))
}

@Suite("Input maps") struct ConversionInputMapTests {
  /// A network of `channels` inputs with these maps.
  private func model(_ maps: [ModelBuilder.InputMap], channels: Int) throws -> LoadedModel {
    var builder = ModelBuilder(
      inputShape: Shape(vector: channels),
      inputQuantization: Quantization(scale: .powerOfTwo(-8), zeroPoint: -128), inputMaps: maps)
    builder.nodes = [
      .init(
        name: "head",
        operation: .fullyConnected(
          Convolution(
            input: Shape(vector: channels), output: Shape(vector: 2),
            geometry: .init(kernelHeight: 1, kernelWidth: 1), groups: 1)),
        inputs: [0], output: Shape(vector: 2),
        quantization: Quantization(scale: .powerOfTwo(-16), zeroPoint: 0), hasAccumulators: true,
        weights: Array(repeating: 1, count: 2 * channels), biases: [0, 0],
        weightScales: [.powerOfTwo(-8)])
    ]
    return try LoadedModel(builder.bytes())
  }

  @Test("every type gives what the definition gives", arguments: [UInt64(3), 4, 5])
  func definition(seed: UInt64) throws {
    print("seed \(seed)")
    var random = SplitMix64(seed: seed)
    var maps: [ModelBuilder.InputMap] = []
    for exponent in [Int32(-20), -3, 0, 2] {
      maps.append(
        .init(
          scale: Scale(random.next() | 1 << 63).multiplied(byPowerOfTwo: exponent - 64),
          isNegative: random.next() % 2 == 0,
          offset: Int64(bitPattern: random.next()) >> Int64(20 + random.next() % 10)))
    }
    let loaded = try model(maps, channels: 4)
    let input = InputMaps(loaded.network)
    func check<T>(_ values: [T], _ storage: NumericArray.Storage, _ exact: (T) -> ExactNumber)
      throws
    {
      let found = try input.apply(
        NumericArray(shape: [values.count / 4, 1, 1, 4], storage: storage))
      for (index, value) in values.enumerated() {
        #expect(found[index] == defined(exact(value), maps[index % 4]), "\(value) map \(index % 4)")
      }
    }
    let bytes = (0..<256).map { UInt8($0) }
    try check(bytes, .uint8(bytes)) { ExactNumber(Int64($0)) }
    let signed = bytes.map { Int8(bitPattern: $0) }
    try check(signed, .int8(signed)) { ExactNumber(Int64($0)) }
    let words = (0..<200).map { _ in
      Int64(bitPattern: random.next()) >> Int64(random.next() % 63)
    }
    try check(words, .int64(words)) { ExactNumber($0) }
    let halves = words.map { Int16(truncatingIfNeeded: $0) }
    try check(halves, .int16(halves)) { ExactNumber(Int64($0)) }
    let middles = words.map { Int32(truncatingIfNeeded: $0) }
    try check(middles, .int32(middles)) { ExactNumber(Int64($0)) }
    // All exponents, from denormals to the largest.
    let floats = (0..<400).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: random.next())) }
      .map { $0.isFinite ? $0 : 1 }
    try check(floats, .float32(floats)) { ExactNumber(exactly: Double($0)) }
    // Near the middle, where the last bit decides.
    let near = (0..<400).map { _ in (Double(random.next() % 2000) - 1000) / 16 }
    try check(near, .float64(near)) { ExactNumber(exactly: $0) }
    let decimals =
      near.map { ExactDecimal(parsing: "\($0)")! }
      + ["1e300", "-1e300", "1e-300", "-1e-300"].map { ExactDecimal(parsing: $0)! }
    try check(decimals, .decimal(decimals)) { ExactNumber($0) }
  }

  @Test("ties go up, ends clamp")
  func ties() throws {
    let loaded = try model([.init(scale: .powerOfTwo(-1), offset: 0)], channels: 1)
    let maps = InputMaps(loaded.network)
    func map(_ values: [Float]) throws -> [Int8] {
      try maps.apply(NumericArray(shape: [values.count, 1, 1, 1], storage: .float32(values)))
    }
    #expect(try map([-5, -3, -1, 0, 1, 3, 5]) == [-2, -1, 0, 0, 1, 2, 3])
    #expect(try map([253, 254, 255, 300, .greatestFiniteMagnitude]) == [127, 127, 127, 127, 127])
    #expect(try map([-256, -257, -258, -.greatestFiniteMagnitude]) == [-128, -128, -128, -128])
    #expect(try map([0.999_999_94, 1, -1, -1.000_000_1]) == [0, 1, 0, -1])
    #expect(try map([.leastNonzeroMagnitude, -.leastNonzeroMagnitude, -0.0]) == [0, 0, 0])
  }

  @Test("NaN, infinities and other shapes are refused")
  func refusals() throws {
    let loaded = try model([.init(scale: .powerOfTwo(0), offset: 0)], channels: 2)
    let maps = InputMaps(loaded.network)
    for bad in [Float.nan, .infinity, -.infinity] {
      let error = fault { () throws(InputError) in
        _ = try maps.apply(NumericArray(shape: [1, 1, 1, 2], storage: .float32([1, bad])))
      }
      #expect(error?.code == 601 && error?.exit == 3)
    }
    for shape in [[2, 1, 1, 1], [1, 2, 1, 1], [2], [1, 2]] {
      let error = fault { () throws(InputError) in
        _ = try maps.apply(NumericArray(shape: shape, storage: .uint8([1, 2])))
      }
      #expect(error?.code == 702 && error?.exit == 2, "\(shape)")
    }
  }

  @Test("labels and targets: range, Q16, saturation")
  func targets() throws {
    let loaded = try model([.init(scale: .powerOfTwo(0), offset: 0)], channels: 1)
    let samples = NumericArray(shape: [2, 1, 1, 1], storage: .uint8([1, 2]))
    func prepare(_ targets: DataSet.Targets) throws(InputError) -> PreparedData {
      try PreparedData(
        DataSet(source: "test", samples: samples, targets: targets), for: loaded.network)
    }
    #expect(try prepare(.labels([0, 1])).labels == [0, 1])
    #expect(fault { () throws(InputError) in _ = try prepare(.labels([0, 2])) }?.code == 701)
    let values = try prepare(
      .values(NumericArray(shape: [2, 2], storage: .float64([0.5, -0.25, 1e9, -1e9]))))
    #expect(values.targets == [1 << 15, -(1 << 14), .max, .min] && values.labels == nil)
    let fine: [Double] = [0x1p-17, -0x1p-17, 0x1.8p-16, -0x1.8p-16]
    #expect(
      try prepare(.values(NumericArray(shape: [2, 2], storage: .float64(fine)))).targets
        == [1, 0, 2, -1])
    let decimals = ["0.1", "-0.1", "32767.99999", "7"].map { ExactDecimal(parsing: $0)! }
    // 0.1·65536 = 6553.6; 32767.99999·65536 rounds to 2³¹ − 1 + … and stays inside.
    #expect(
      try prepare(.values(NumericArray(shape: [2, 2], storage: .decimal(decimals)))).targets
        == [6554, -6554, 2_147_483_647, 7 << 16])
    let integers = NumericArray(shape: [2, 2], storage: .int64([.max, .min, 3, -3]))
    #expect(try prepare(.values(integers)).targets == [.max, .min, 3 << 16, -3 << 16])
    let three = NumericArray(shape: [2, 3], storage: .float32(Array(repeating: 0, count: 6)))
    #expect(fault { () throws(InputError) in _ = try prepare(.values(three)) }?.code == 702)
    #expect(try prepare(.none).labels == nil)
  }

  // MARK: - Maps the converter chooses

  private func input(
    _ preparation: InputPreparation, channels: Int = 1, _ samples: NumericArray? = nil
  ) throws -> QuantizedInput {
    try QuantizedInput(preparation, channels: channels, samples: samples, imported: nil)
  }

  @Test("bytes without a mean stay themselves")
  func bytes() throws {
    let unsigned = try input(InputPreparation(scale: ExactRatio(1, 255)!))
    #expect(unsigned.maps == [.init(scale: .powerOfTwo(0), offset: -128 << 32)])
    #expect(unsigned.quantization.zeroPoint == -128)
    #expect(unsigned.quantization.scale == Scale(mantissa: 1_077_952_576, exponent: -7))
    let signed = try input(
      InputPreparation(), NumericArray(shape: [1, 1, 1, 1], storage: .int8([5])))
    #expect(signed.maps == [.init(scale: .powerOfTwo(0), offset: 0)])
    #expect(signed.quantization.zeroPoint == 0 && signed.quantization.scale == .powerOfTwo(0))
  }

  @Test("means and deviations per channel share one grid, and real zero is on it")
  func normalized() throws {
    let texts = (["0.485", "0.456", "0.406"], ["0.229", "0.224", "0.225"])
    let preparation = InputPreparation(
      scale: ExactRatio(1, 255)!, mean: texts.0.map { ExactRatio(parsing: $0)! },
      std: texts.1.map { ExactRatio(parsing: $0)! })
    let found = try input(preparation, channels: 3)
    #expect(found.maps.count == 3)
    let step = found.quantization.scale.double
    for channel in 0..<3 {
      for x in [0, 1, 100, 254, 255] {
        let real = Double(preparation.real(Double(x), channel: channel))
        let q = defined(ExactNumber(Int64(x)), found.maps[channel])
        let back = step * Double(Int32(q) - found.quantization.zeroPoint)
        // Half a step, and half a step more at the ends, where the zero point was rounded.
        #expect(abs(real - back) <= step * (x == 0 || x == 255 ? 1 : 0.51), "\(channel) \(x)")
      }
    }
    // A file of floats takes the range it has.
    let floats = NumericArray(
      shape: [2, 1, 1, 3], storage: .float32([0, 64, 128, 255, 32, 16]))
    let other = try input(preparation, channels: 3, floats)
    #expect(other.quantization.scale != found.quantization.scale)
  }

  @Test("a negative scale turns the grid around")
  func negative() throws {
    let found = try input(InputPreparation(scale: ExactRatio(-1, 128)!))
    #expect(found.maps.count == 1 && found.maps[0].isNegative)
    for x in 0...255 {
      let q = defined(ExactNumber(Int64(x)), found.maps[0])
      #expect(Int32(q) == found.quantization.zeroPoint - Int32(x), "\(x)")
    }
  }

  @Test("a mean far outside the data is refused")
  func farMean() throws {
    let preparation = InputPreparation(
      scale: ExactRatio(1, 1_000_000_000)!, mean: [ExactRatio(1_000_000)])
    // Real zero is at x = 10¹⁵: the range is all mean, and fits.
    #expect(try input(preparation).maps.count == 1)
    let error = fault { () throws(InputError) in
      try InputPreparation(scale: ExactRatio(0)).check(channels: 1)
    }
    #expect(error?.code == 802 && error?.exit == 2)
    let counts = fault { () throws(InputError) in
      try InputPreparation(mean: [ExactRatio(1), ExactRatio(2)]).check(channels: 3)
    }
    #expect(counts?.code == 802)
  }
}
