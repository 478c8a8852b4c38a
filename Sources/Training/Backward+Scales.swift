import FixedPoint
import Kernels
import Layers
import Tensors

// Weight Scales as targets of training (SPEC 8.11).

extension Backward {
  /// Adds a micro-batch's contribution to the velocities of a node's gains.
  func updateScales(_ index: Int, _ node: Node, _ scale: Scale, _ tiling: Tiling) {
    guard let velocities = session.scaleVelocities(index) else {
      preconditionFailure("a plan has velocities for updated Scales")
    }
    let gains = gainGradient(index, node, tiling)
    let unit = rates.scales * scale * session.table.scale(index + 1)
    let multiplier = unit.multiplied(byPowerOfTwo: 30).multiplier
    let most = recipe.largestGainContribution
    if node.scalesPerChannel {
      for c in 0..<gains.count {
        velocities[c] &+= Gain.contribution(Int64(gains[c]), multiplier, most: most)
      }
    } else {
      var gamma: Int64 = 0
      for c in 0..<gains.count { gamma &+= Int64(gains[c]) }
      velocities[0] &+= Gain.contribution(gamma, multiplier, most: most)
    }
  }

  /// γ of every channel over the micro-batch, at the start of the node's workspace.
  func gainGradient(_ index: Int, _ node: Node, _ tiling: Tiling) -> View<Int32> {
    let gains = session.arena.view(
      session.table.offset(index + 1, .backwardWorkspace) + tiling.biasGradient,
      node.output.channels, of: Int32.self)
    gains.fill(0)
    for sample in 0..<samples {
      Kernels.gainGradient(
        session.activation(index + 1, sample: sample), gradient(index + 1, sample: sample),
        zeroPoint: node.quantization.zeroPoint, into: gains)
    }
    return gains
  }
}

extension Trainer {
  /// v ← clamp(v), S_w ← S_w·(1 − v), at the end of a step.
  func applyScales(_ index: Int, _ node: Node, _ velocities: View<Int32>) {
    for c in 0..<velocities.count {
      let velocity = min(max(velocities[c], -Gain.limit), Gain.limit)
      velocities[c] = recipe.momentum == 0 ? 0 : velocity
      let scale = session.weightScale(index, node, c)
      session.setWeightScale(index, node, c, Gain.step(scale, velocity: velocity))
    }
  }
}
