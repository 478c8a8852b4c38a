public import Bytes
import FixedPoint
public import Layers
import Tensors

extension Trainer {
  /// The state root: a digest of every parameter, velocity and Scale of the run (SPEC 9.5).
  public var root: Digest { session.stateRoot(recipe) }
}

extension Session {
  /// The state root of a run by `recipe` (SPEC 9.5).
  public func stateRoot(_ recipe: Recipe) -> Digest {
    var hash = SHA256()
    hash.update(tag: "tally/state/v1")
    let needs = recipe.needs
    for index in 0..<network.nodeCount {
      var update = needs.gradientUpdate(ofNode: index)
      if needs.perturbsWeights(network, ofNode: index) { update.formUnion([.weights, .biases]) }
      // A gain leaves biases their real values, in new units.
      if needs.perturbsScales(network, ofNode: index) { update.insert(.biases) }
      let node = network.node(index)
      if update.contains(.weights) {
        hash.update(view: weights(index, node))
        hash.update(optional: masters(index))
        hash.update(optional: weightVelocities(index))
      }
      if update.contains(.biases) {
        hash.update(view: biases(index, node))
        hash.update(optional: biasVelocities(index))
      }
      hash.update(optional: scaleVelocities(index))
    }
    for index in 0..<network.nodeCount {
      let node = network.node(index)
      for channel in 0..<node.scaleCount {
        hash.update(weightScale(index, node, channel))
      }
    }
    for tensor in 0..<network.tensorCount { hash.update(table.scale(tensor)) }
    for index in 0..<network.nodeCount {
      if let largest = largestGradient(index) { hash.update(view: largest.slice(0, 2)) }
    }
    for group in 0..<needs.groupCount {
      if let counts = perturbationCounts(group: group) {
        hash.update(littleEndian: UInt32(truncatingIfNeeded: counts[0]))
      }
    }
    return hash.finalize()
  }
}

extension SHA256 {
  /// Hashes elements as they lie in memory: every target is little-endian.
  mutating func update<Element>(view: View<Element>) {
    view.withRawSpan { update($0) }
  }

  mutating func update<Element>(optional view: View<Element>?) {
    if let view { update(view: view) }
  }

  mutating func update(_ scale: Scale) {
    update(littleEndian: UInt32(bitPattern: scale.mantissa))
    update(littleEndian: UInt32(bitPattern: scale.exponent))
  }
}
