import FixedPoint
public import Tensors

// Few-shot classification by the nearest mean of features (SPEC 7.4).
// Index letters: c class, d feature.

/// Prototypes of classes: integer means of the features of a few samples.
///
/// Add the samples of all classes, call `finish`, then ask for logits. The caller owns the memory.
public struct NearestPrototype {
  /// int32 [classes, D]: sums, after `finish` the prototypes.
  public let sums: View<Int32>
  /// int32 [classes]: samples of each.
  public let counts: View<Int32>

  /// D ≤ 33 025: |z| ≤ 65 025·D < 2³¹.
  @inlinable public static var largestFeatureCount: Int { 33_025 }

  /// - Precondition: features are at most `largestFeatureCount`.
  public init(sums: View<Int32>, counts: View<Int32>) {
    precondition(
      counts.count > 0 && sums.count % counts.count == 0
        && sums.count / counts.count <= NearestPrototype.largestFeatureCount,
      "prototypes of unequal or too large size")
    self.sums = sums
    self.counts = counts
    sums.fill(0)
    counts.fill(0)
  }

  public var featureCount: Int { sums.count / counts.count }

  private func row(_ c: Int) -> View<Int32> { sums.slice(c &* featureCount, featureCount) }

  /// One sample of a class; at most 2²³ of them keep the sums in 32 bits.
  ///
  /// - Parameter features: int8 [D].
  public func add(_ features: View<Int8>, label: Int) {
    let sums = row(label)
    for d in 0..<sums.count { sums[d] &+= Int32(features[d]) }
    counts[label] &+= 1
  }

  /// p ← divRound(Σ f, n) of every class that has samples.
  public func finish() {
    for c in 0..<counts.count where counts[c] > 0 {
      let sums = row(c)
      for d in 0..<sums.count {
        sums[d] = Int32(
          truncatingIfNeeded: dividedRoundingHalfUp(Int64(sums[d]), by: Int64(counts[c])))
      }
    }
  }

  /// z_c = −Σ_d (f_d − p_c,d)²; the lowest int32 for a class without samples.
  ///
  /// - Parameters:
  ///   - features: int8 [D].
  ///   - logits: int32 [classes], overwritten; their Scale is that of the features squared.
  public func logits(_ features: View<Int8>, into logits: View<Int32>) {
    for c in 0..<counts.count {
      guard counts[c] > 0 else {
        logits[c] = .min
        continue
      }
      let prototype = row(c)
      var sum: Int32 = 0
      for d in 0..<prototype.count {
        let distance = Int32(features[d]) &- prototype[d]
        sum &-= distance &* distance
      }
      logits[c] = sum
    }
  }

  /// Σ_c g_c·(p_c,d − Z): the gradient of the features for fixed prototypes.
  ///
  /// - Parameters:
  ///   - g: int32 [classes], |g| ≤ 2¹⁵ with Σ g = 0 over the classes that have samples.
  ///   - features: int32 [D], overwritten; the Scale is that of g times twice that of the features.
  public func gradient(_ g: View<Int32>, zeroPoint: Int32, into features: View<Int32>) {
    features.fill(0)
    for c in 0..<counts.count where counts[c] > 0 && g[c] != 0 {
      let prototype = row(c)
      for d in 0..<prototype.count { features[d] &+= g[c] &* (prototype[d] &- zeroPoint) }
    }
  }
}
