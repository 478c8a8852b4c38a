package import Tensors

/// Which tensors lie on a path from an updated node to the output, and so need a gradient (SPEC 8.4).
package struct GradientPath {
  private let flags: View<UInt8>

  /// Why a tensor has a gradient: back-propagation from the loss, or from a zeroth-order estimate.
  package static var fromLoss: UInt8 { 1 }
  package static var fromEstimate: UInt8 { 2 }

  /// Fills `memory`, one byte per tensor. Without training no tensor needs a gradient.
  package init(
    _ network: Network, _ training: SessionRequest.TrainingNeeds?, memory: View<UInt8>
  ) {
    flags = memory
    flags.fill(0)
    guard let training else { return }
    let (isAboveUpdate, reachesOutput): (UInt8, UInt8) = (1, 2)
    for index in 0..<network.nodeCount {
      let record = network.record(index)
      var needed = flags[record.firstInput]
      if let second = record.secondInput { needed |= flags[second] }
      flags[index + 1] = training.update(ofNode: index).isEmpty ? needed : isAboveUpdate
    }
    flags[network.nodeCount] |= reachesOutput
    for index in stride(from: network.nodeCount - 1, through: 0, by: -1)
    where flags[index + 1] & reachesOutput != 0 {
      let record = network.record(index)
      flags[record.firstInput] |= reachesOutput
      if let second = record.secondInput { flags[second] |= reachesOutput }
    }
    for tensor in 0..<network.tensorCount {
      flags[tensor] = flags[tensor] == isAboveUpdate | reachesOutput ? GradientPath.fromLoss : 0
    }
    // An estimate formed at a tensor goes back to the node that it trains (SPEC 8.16).
    for index in 0..<training.groupCount {
      let group = training.group(index)
      guard group.isOfTensor else { continue }
      var tensor = network.perturbedTensor(group)
      while tensor > group.node {
        flags[tensor] |= GradientPath.fromEstimate
        tensor = network.record(tensor - 1).firstInput
      }
    }
  }

  /// A path that an earlier `init` has filled.
  package init(filled memory: View<UInt8>) { flags = memory }

  package subscript(tensor: Int) -> Bool { flags[tensor] != 0 }
}
