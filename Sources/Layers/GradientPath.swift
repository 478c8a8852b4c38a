package import Tensors

/// Which tensors lie on a path from an updated node to the output, and so need a gradient (SPEC 8.4).
package struct GradientPath {
  private let flags: View<UInt8>

  /// Fills `memory`, one byte per tensor. Without training no tensor needs a gradient.
  package init(
    _ network: Network, _ training: SessionRequest.TrainingNeeds?, memory: View<UInt8>
  ) {
    flags = memory
    flags[0] = 0
    for index in 0..<network.nodeCount {
      let record = network.record(index)
      var needed = flags[record.firstInput]
      if let second = record.secondInput { needed |= flags[second] }
      if let training, !training.update(ofNode: index).isEmpty { needed = 1 }
      flags[index + 1] = training == nil ? 0 : needed
    }
  }

  /// A path that an earlier `init` has filled.
  package init(filled memory: View<UInt8>) { flags = memory }

  package subscript(tensor: Int) -> Bool { flags[tensor] != 0 }
}
