/// What turns the numbers of a file into the network's real input:
/// real = (x · scale − mean) / std, per channel.
public struct InputPreparation: Sendable, Equatable {
  public var scale: ExactRatio
  /// None, one, or one per channel.
  public var mean: [ExactRatio]
  /// None, one, or one per channel; not zero.
  public var std: [ExactRatio]
  /// The order of the axes in which data arrive.
  public var layout: DataLayout

  public init(
    scale: ExactRatio = ExactRatio(1), mean: [ExactRatio] = [], std: [ExactRatio] = [],
    layout: DataLayout = .nhwc
  ) {
    self.scale = scale
    self.mean = mean
    self.std = std
    self.layout = layout
  }

  /// Whether every channel is prepared alike.
  var isUniform: Bool { mean.count <= 1 && std.count <= 1 }

  func mean(_ channel: Int) -> ExactRatio {
    mean.isEmpty ? ExactRatio(0) : mean[mean.count == 1 ? 0 : channel]
  }

  func std(_ channel: Int) -> ExactRatio {
    std.isEmpty ? ExactRatio(1) : std[std.count == 1 ? 0 : channel]
  }

  /// - Throws: TLY0802 for a zero, or a count that is neither one nor the channels'.
  func check(channels: Int) throws(InputError) {
    guard scale.numerator != 0 else {
      throw .value("the input scale is 0", place: "--input-scale")
    }
    for (name, values) in [("--input-mean", mean), ("--input-std", std)]
    where values.count > 1 && values.count != channels {
      throw .value(
        "\(values.count) values for \(channels) channels", place: name,
        help: "give one for all channels, or \(channels)")
    }
    guard std.allSatisfy({ $0.numerator != 0 }) else {
      throw .value("a standard deviation is 0", place: "--input-std")
    }
  }

  /// The real value of x, rounded to float32 at the end: what the float network computes with.
  func real(_ x: Double, channel: Int) -> Float {
    Float((x * scale.double - mean(channel).double) / std(channel).double)
  }

  /// The real value of x, exactly; with what a file does to it after that.
  func exact(_ x: ExactNumber, channel: Int, then affine: InputAffine? = nil) -> ExactNumber {
    let real = (x * ExactNumber(scale) - ExactNumber(mean(channel))) / ExactNumber(std(channel))
    guard let affine else { return real }
    return real * ExactNumber(exactly: affine.scale(channel))
      + ExactNumber(exactly: affine.offset(channel))
  }

  /// Whether data are taken as they are.
  var isIdentity: Bool {
    scale == ExactRatio(1) && mean.allSatisfy { $0.numerator == 0 }
      && std.allSatisfy { $0 == ExactRatio(1) }
  }
}

extension ExactRatio {
  /// The nearest Double, or next to it: one division of two rounded integers.
  var double: Double { Double(numerator) / Double(denominator) }
}

extension InputPreparation {
  /// Samples as the float network takes them: float32 [count, height, width, channels].
  public func real(_ samples: NumericArray) -> [Float] {
    let channels = samples.shape[3]
    switch samples.storage {
    case .uint8(let a):
      // 256 values per channel: prepare each once.
      let table = (0..<256 * channels).map { real(Double($0 / channels), channel: $0 % channels) }
      return a.indices.map { table[Int(a[$0]) * channels + $0 % channels] }
    case .int8(let a): return real(a, channels) { Double($0) }
    case .int16(let a): return real(a, channels) { Double($0) }
    case .int32(let a): return real(a, channels) { Double($0) }
    case .int64(let a): return real(a, channels) { Double($0) }
    case .float32(let a): return real(a, channels) { Double($0) }
    case .float64(let a): return real(a, channels) { $0 }
    case .decimal(let a): return real(a, channels) { Double($0.description) ?? .nan }
    }
  }

  private func real<Element>(
    _ elements: [Element], _ channels: Int, _ double: (Element) -> Double
  ) -> [Float] {
    let means = (0..<channels).map { mean($0).double }
    let stds = (0..<channels).map { std($0).double }
    let factor = scale.double
    var channel = 0
    return elements.map { element in
      let value = (double(element) * factor - means[channel]) / stds[channel]
      channel = channel + 1 == channels ? 0 : channel + 1
      return Float(value)
    }
  }
}
