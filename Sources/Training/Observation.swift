import CounterRandom
package import Layers
import Tensors

/// A moment of a step, for those who look into it: traces (Formats/trace.md) and tests.
package struct Observation {
  package enum Moment: Equatable, Sendable {
    /// The step begins; nothing of it has been computed.
    case begun
    /// The inputs of a micro-batch are in place.
    case loaded
    /// A query's losses with one sign have been added to its differences: 2·query with +, 2·query + 1
    /// with −. The logits are still those of the perturbed pass.
    case measured(Int)
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
  /// What the micro-batch's samples should give, from its moment `loaded`.
  let answers: Answers?

  /// Samples that a micro-batch takes.
  struct Answers {
    let samples: Samples
    let order: SampleOrder
    /// Position of the micro-batch's first sample in the epoch.
    let first: UInt32

    /// The number of the sample in a slot.
    func sample(_ slot: Int) -> Int {
      Int(truncatingIfNeeded: order[first &+ UInt32(truncatingIfNeeded: slot)])
    }
  }

  package static var wholeStep: UInt32 { 0xFFFF_FFFF }
}

extension Backward {
  /// Its own frame, so that a board's stack does not hold observations that nobody makes.
  @inline(never)
  func tell(_ moment: Observation.Moment, _ observing: (Observation) -> Void) {
    observing(
      Observation(
        moment: moment, session: session, recipe: recipe, step: step, query: query,
        samples: samples, pass: self, answers: nil))
  }
}
