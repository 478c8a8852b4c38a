public import Bytes
public import Layers
public import Tensors

/// Prepared samples in memory: int8 inputs with labels or numeric targets (SPEC 5.4, 9.3).
public struct Samples {
  /// int8 [count, n₀].
  public let values: View<Int8>
  /// One label per sample, or `nil`.
  public let labels: View<Int32>?
  /// Q16 targets [count, outputs], or `nil`.
  public let targets: View<Int32>?
  public let count: Int
  /// Leaf digests, 32 bytes per sample, if the caller keeps them; a board computes them when needed.
  public let leaves: View<UInt8>?

  public init(
    values: View<Int8>, labels: View<Int32>?, targets: View<Int32>?, count: Int,
    leaves: View<UInt8>? = nil
  ) {
    precondition(count >= 1 && values.count % count == 0, "samples of unequal size")
    precondition(labels == nil || labels?.count == count, "one label per sample")
    precondition(targets == nil || (targets?.count ?? 0) % count == 0, "targets of unequal size")
    precondition((labels == nil) != (targets == nil), "samples have labels or targets")
    self.values = values
    self.labels = labels
    self.targets = targets
    self.count = count
    self.leaves = leaves
  }

  var valuesPerSample: Int { values.count / count }
  var targetsPerSample: Int { (targets?.count ?? 0) / count }

  func values(_ sample: Int) -> View<Int8> {
    values.slice(sample * valuesPerSample, valuesPerSample)
  }

  func targets(_ sample: Int) -> View<Int32>? {
    targets?.slice(sample * targetsPerSample, targetsPerSample)
  }

  /// Whether the samples fit a network and a loss: input size, label range, number of targets.
  /// - Returns: the first sample that does not, or `nil`.
  public func firstMisfit(_ network: Network) -> Int? {
    guard valuesPerSample == network.inputShape.count else { return 0 }
    if let labels {
      for sample in 0..<count where labels[sample] < 0 || Int(labels[sample]) >= network.outputCount
      {
        return sample
      }
    } else if targetsPerSample != network.outputCount {
      return 0
    }
    return nil
  }

  /// leaf_i (SPEC 9.3).
  public func leaf(_ sample: Int) -> Digest {
    if let leaves {
      return leaves.withRawSpan { Digest(reading: $0, at: 32 * sample) }
    }
    return computeLeaf(sample)
  }

  /// Computes leaf_i from the sample.
  public func computeLeaf(_ sample: Int) -> Digest {
    var hash = SHA256()
    hash.update(tag: "tally/sample/v1")
    values(sample).withRawSpan { hash.update($0) }
    if let labels { hash.update(littleEndian: UInt32(bitPattern: labels[sample])) }
    if let targets = targets(sample) {
      for j in 0..<targets.count { hash.update(littleEndian: UInt32(bitPattern: targets[j])) }
    }
    return hash.finalize()
  }

  /// Computes all leaves into `memory`, 32 bytes each, and gives samples that use them.
  public func keepingLeaves(in memory: View<UInt8>) -> Samples {
    for sample in 0..<count {
      let leaf = computeLeaf(sample)
      for index in 0..<32 { memory[32 * sample + index] = leaf[index] }
    }
    return Samples(
      values: values, labels: labels, targets: targets, count: count, leaves: memory)
  }

  /// The data digest (SPEC 9.3).
  public var digest: Digest {
    var hash = SHA256()
    hash.update(tag: "tally/data/v1")
    hash.update(littleEndian: UInt64(truncatingIfNeeded: count))
    for sample in 0..<count { hash.update(leaf(sample)) }
    return hash.finalize()
  }
}

extension SHA256 {
  /// Domain tags are ASCII without terminator (SPEC 9.1).
  public mutating func update(tag: StaticString) {
    for index in 0..<tag.utf8CodeUnitCount {
      // A static string's bytes are there for the life of the program.
      update(littleEndian: unsafe tag.utf8Start[index])
    }
  }

  public mutating func update(_ digest: Digest) {
    for index in 0..<8 {
      // Digests are hashed as their 32 bytes, each word big-endian.
      update(littleEndian: digest.words[index].byteSwapped)
    }
  }
}
