import FixedPoint
import Kernels
import Layers

extension Recipe {
  /// Scale of the loss gradient for a step of `batch` samples (SPEC 7).
  func lossScale(_ session: Session, batch: UInt32) -> Scale {
    switch loss {
    case .crossEntropy:
      SoftmaxCrossEntropy.gradientScale(samples: Int(truncatingIfNeeded: batch))
    case .meanSquaredError:
      MeanSquaredError.gradientScale(
        logitScale: session.logitScale, samples: Int(truncatingIfNeeded: batch),
        outputs: session.network.outputCount)
    }
  }
}
