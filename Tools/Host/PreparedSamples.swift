public import Importers
public import Tally

/// A data set as the network reads it: int8 inputs, labels or Q16 targets, leaf digests.
public final class PreparedSamples {
  /// Views: this object must outlive them (`AlignedMemory`).
  public let samples: Samples
  public let digest: Digest
  private let values: AlignedMemory
  private let goals: AlignedMemory
  private let leaves: AlignedMemory

  /// - Parameters:
  ///   - values: int8 [count, n₀], prepared by the model's input maps (SPEC 5.4).
  ///   - labels: one per sample, or `nil` with targets.
  ///   - targets: Q16 [count, outputs].
  public init(values: [Int8], labels: [Int32]?, targets: [Int32]?, count: Int) {
    self.values = AlignedMemory(values)
    goals = AlignedMemory(labels ?? targets ?? [])
    leaves = AlignedMemory(byteCount: 32 * count)
    let goalView = goals.view(of: Int32.self)
    samples = Samples(
      values: self.values.view(of: Int8.self), labels: labels == nil ? nil : goalView,
      targets: labels == nil ? goalView : nil, count: count
    ).keepingLeaves(in: leaves.view(of: UInt8.self))
    digest = samples.digest
  }
}

extension PreparedSamples {
  /// A data set through a model's input maps.
  ///
  /// - Throws: TLY0701 for labels that are missing or beyond the model's outputs, TLY0702 for samples or
  ///   targets of another size, TLY0601 for NaN and infinities.
  public convenience init(_ data: DataSet, for model: LoadedModel) throws(InputError) {
    let prepared = try PreparedData(data, for: model.network)
    guard prepared.labels != nil || prepared.targets != nil else {
      throw InputError(
        701, "the data has neither labels nor targets", place: data.source,
        help: "give them: x.npy,y.npy or file.npz:x,y", exit: 3)
    }
    self.init(
      values: prepared.values, labels: prepared.labels, targets: prepared.targets,
      count: prepared.count)
  }
}
