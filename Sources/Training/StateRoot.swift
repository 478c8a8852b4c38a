public import Bytes
import FixedPoint
import Layers
import Tensors

extension Trainer {
  /// The state root: a digest of every parameter, velocity and Scale of the run (SPEC 9.5).
  public var root: Digest {
    var hash = SHA256()
    hash.update(tag: "tally/state/v1")
    let network = session.network
    for index in 0..<network.nodeCount {
      let update = trained(index)
      let node = network.node(index)
      if update.contains(.weights) {
        hash.update(view: session.weights(index, node))
        hash.update(optional: session.masters(index))
        hash.update(optional: session.weightVelocities(index))
      }
      if update.contains(.biases) {
        hash.update(view: session.biases(index, node))
        hash.update(optional: session.biasVelocities(index))
      }
    }
    for index in 0..<network.nodeCount {
      let node = network.node(index)
      for channel in 0..<node.scaleCount {
        hash.update(session.weightScale(index, node, channel))
      }
    }
    for tensor in 0..<network.tensorCount { hash.update(session.table.scale(tensor)) }
    return hash.finalize()
  }
}

extension Trainer {
  /// What a run changes of a node, by whatever method.
  private func trained(_ index: Int) -> UpdateSet {
    let needs = recipe.needs
    let update = needs.gradientUpdate(ofNode: index)
    return needs.perturbsWeights(session.network, ofNode: index)
      ? update.union([.weights, .biases]) : update
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
