/// How a float network becomes integers. The defaults are plain min–max per layer: on the networks
/// measured so far nothing else was better than noise.
public struct ConversionOptions: Sendable {
  /// Weight Scales: one for a layer's weights, or one for each of its output channels.
  public enum WeightScales: String, Sendable {
    case perLayer = "per-layer"
    case perChannel = "per-channel"
  }

  /// How a tensor's range follows from the values seen.
  public enum Method: Sendable, Equatable {
    /// Everything seen fits.
    case minMax
    /// The smallest range that holds this share of the values, such as 9999/10000; the rest is
    /// clamped. Cut off evenly at both ends.
    case percentile(ExactRatio)
    /// The range with the least mean squared error, clamping and rounding together.
    case meanSquaredError
  }

  public var weightScales: WeightScales
  public var method: Method
  /// Moves factors between consecutive layers, so that channels of one layer become alike.
  public var equalizesLayers: Bool
  /// Moves what quantisation adds to a channel's mean into its bias. Needs calibration data.
  public var correctsBiases: Bool
  public var input: InputPreparation
  public var classNames: [String]
  /// Samples that the per-layer noise is measured on, at most.
  public var measuredSamples: Int

  public init(
    weightScales: WeightScales = .perLayer, method: Method = .minMax,
    equalizesLayers: Bool = false, correctsBiases: Bool = false,
    input: InputPreparation = InputPreparation(), classNames: [String] = [],
    measuredSamples: Int = 64
  ) {
    self.weightScales = weightScales
    self.method = method
    self.equalizesLayers = equalizesLayers
    self.correctsBiases = correctsBiases
    self.input = input
    self.classNames = classNames
    self.measuredSamples = measuredSamples
  }
}

/// Where the ranges of activations come from.
public enum CalibrationSource: Sendable {
  /// Training samples; labels are used for the accuracy report only.
  case data(DataSet)
  /// Uniform bytes, prepared like data: for trying a network out, not for using it.
  case random
  /// No forward pass: means and variances are estimated from the weights.
  case none
}
