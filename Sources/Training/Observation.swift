package import Layers
import Tensors

/// A moment of a step, for those who look into it: traces (Formats/trace.md) and tests.
package struct Observation {
  package enum Moment: Equatable, Sendable {
    /// The step begins; nothing of it has been computed.
    case begun
    /// A node's forward pass is done.
    case forward(Int)
    /// The gradient of a node's output is complete; with N the loss's is about to be rounded.
    case backward(Int)
    /// A node's parameter gradients have been added to what is pending.
    case contributed(Int)
    /// The step's changes have been made; the range tracker has not decided yet.
    case applied
  }

  package let moment: Moment
  package let session: Session
  package let recipe: Recipe
  package let step: UInt32
  /// The micro-batch; `wholeStep` at the step's beginning and end.
  package let query: UInt32
  /// Samples of the micro-batch.
  package let samples: Int
  /// The micro-batch's backward pass, from its moments.
  let pass: Backward?

  package static var wholeStep: UInt32 { 0xFFFF_FFFF }
}

extension Backward {
  func observation(_ moment: Observation.Moment) -> Observation {
    Observation(
      moment: moment, session: session, recipe: recipe, step: step, query: query,
      samples: samples, pass: self)
  }
}
