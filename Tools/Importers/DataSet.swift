/// Samples with their labels or target values, in the order of the file.
public struct DataSet: Sendable {
  public enum Targets: Sendable, Equatable {
    case none
    /// One class index per sample, never negative.
    case labels([Int32])
    /// Numbers to predict, [count, k].
    case values(NumericArray)
  }

  /// One sample and its label.
  public struct Sample: Sendable, Equatable {
    /// [height, width, channels]
    public let values: NumericArray
    public let label: Int32?
  }

  /// The text it was loaded from.
  public let source: String
  public let shape: SampleShape
  /// [count, height, width, channels], of the type the file holds.
  public let samples: NumericArray
  public let targets: Targets
  /// Names of the classes where the file has words for labels, in order of first appearance.
  public let classNames: [String]?
  /// What was odd and read all the same.
  public let warnings: [InputWarning]

  public var count: Int { samples.shape[0] }

  /// Class indices, when the targets are such.
  public var labels: [Int32]? {
    if case .labels(let labels) = targets { labels } else { nil }
  }

  /// - Precondition: `samples` has four axes, and there are as many targets as samples.
  public init(
    source: String, samples: NumericArray, targets: Targets, classNames: [String]? = nil,
    warnings: [InputWarning] = []
  ) {
    precondition(samples.shape.count == 4, "samples have the axes N, H, W, C")
    switch targets {
    case .none: break
    case .labels(let labels): precondition(labels.count == samples.shape[0])
    case .values(let values): precondition(values.shape.first == samples.shape[0])
    }
    self.source = source
    self.samples = samples
    self.targets = targets
    self.classNames = classNames
    self.warnings = warnings
    shape = samples.sampleShape
  }

  /// - Precondition: `index` is in `0..<count`.
  public subscript(index: Int) -> Sample {
    let values = samples.rows(index..<index + 1)
    return Sample(
      values: values.reshaped(Array(samples.shape.dropFirst())), label: labels?[index])
  }

  /// The samples in `range`, with their targets.
  ///
  /// - Throws: TLY0703 for an empty range and for one beyond the last sample.
  public func selecting(_ range: Range<Int>) throws(InputError) -> DataSet {
    guard range.lowerBound >= 0, range.upperBound <= count, !range.isEmpty else {
      throw .noSamples(
        source,
        range.isEmpty
          ? "the range \(range) selects no sample" : "the range \(range) reaches beyond the data",
        note: "there are \(count) samples", exit: 2)
    }
    let chosen: Targets =
      switch targets {
      case .none: .none
      case .labels(let labels): .labels(Array(labels[range]))
      case .values(let values): .values(values.rows(range))
      }
    return DataSet(
      source: source, samples: samples.rows(range), targets: chosen, classNames: classNames,
      warnings: warnings)
  }

  /// The labels, each in `0..<classCount`.
  ///
  /// - Throws: TLY0701 when there are none, when they are not integers, and for the first that is
  ///   out of range.
  public func labels(classCount: Int) throws(InputError) -> [Int32] {
    switch targets {
    case .none:
      throw .label(source, sample: 0, "the data has no labels", help: "give them: x.npy,y.npy")
    case .values(let values):
      let what =
        values.shape.count > 1 && values.shape[1] > 1
        ? "\(values.shape[1]) numbers in place of a label" : "the label is not an integer"
      throw .label(source, sample: 0, what, help: "save class indices: y.astype('int32')")
    case .labels(let labels):
      if let bad = labels.firstIndex(where: { $0 >= classCount }) {
        let isFromOne = labels.min() == 1 && labels.max().map { Int($0) } == classCount
        throw .label(
          source, sample: bad, "the label \(labels[bad]) is not below \(classCount) classes",
          help: isFromOne ? "labels run from 1 to \(classCount): subtract 1 from each" : nil)
      }
      return labels
    }
  }
}
