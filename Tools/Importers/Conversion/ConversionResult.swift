import Tally

/// A converted model and what is known about it.
public struct ConversionResult: Sendable {
  /// The `.tally` file.
  public var modelBytes: [UInt8]
  /// One per node of the model, in its order.
  public var rows: [ConversionRow]
  public var warnings: [InputWarning]
  /// How often the float network and the integers answer alike; nil without data.
  public var agreement: TopOneAgreement?
}

/// One line of the table that `tally convert` prints.
public struct ConversionRow: Sendable, Equatable {
  public var name: String
  /// The operation, with what is fused into it: `convolution + relu`.
  public var kind: String
  public var outputShape: TensorShape
  /// Smallest and largest real value seen, after fused activations; nil when nothing was run.
  public var range: ClosedRange<Float>?
  /// Real value of one step of the output, as a decimal.
  public var scale: String
  public var zeroPoint: Int
  /// Signal to quantisation noise of the output in hundredths of a decibel: everything that was lost
  /// up to here. nil when nothing was run, or when there is no noise or no signal.
  public var signalToNoise: Int?
  /// The same of the weights alone.
  public var weightSignalToNoise: Int?
  /// Outputs at the end of the int8 range that stand for values beyond it, in parts per million.
  public var saturated: Int?
  public var notes: [String]
  /// Multiplications of one forward pass of one sample.
  public var multiplyCount: Int
  public var parameterCount: Int
}

/// Top-1 answers on the calibration samples.
public struct TopOneAgreement: Sendable, Equatable {
  public var sampleCount: Int
  /// Samples for which both answer alike.
  public var agreeing: Int
  /// Right answers; nil without labels.
  public var floatCorrect: Int?
  public var integerCorrect: Int?
}
