import TallyTestSupport
import Testing

@testable import Kernels
@testable import Tally

@Suite("Golden vectors of the losses (SPEC 7)") struct LossVectors {
  @Test("a file", arguments: VectorFolder.files("loss"))
  func file(path: String) throws { try Golden.run(path) }
}

extension Golden {
  static let lossChecks: [String: Check] = [
    "loss/cross_entropy.txt": { file in
      for block in file.blocks {
        if block.has("samples") {
          let samples: Int = try block.number("samples")
          try block.expect("gradient scale", SoftmaxCrossEntropy.gradientScale(samples: samples))
        } else {
          try checkCrossEntropy(block)
        }
      }
    },
    "loss/mean_squared_error.txt": { file in
      for block in file.blocks {
        let scale = try block.scale("scale")
        let logits: [Int32] = try block.numbers("logits")
        let targets: [Int32] = try block.numbers("targets")
        let scratch = Scratch()
        let gradient: View<Int32> = scratch.view(logits.count)
        let error = MeanSquaredError(logitScale: scale)
        let loss = error.loss(
          scratch.view(logits), targetOf: { targets[$0] }, gradient: gradient)
        expectEqual(loss, try block.number("expect loss"), "\(block), loss")
        try block.expect("gradient", gradient.array)
        try block.expect(
          "gradient scale of 7 samples",
          MeanSquaredError.gradientScale(
            logitScale: scale, samples: 7, outputs: logits.count))
      }
    },
  ]

  private static func checkCrossEntropy(_ block: VectorBlock) throws {
    let count =
      block.has("classes")
      ? try block.number("classes") : try block.numbers("logits", Int.self).count
    let logits: [Int32] = try block.elements("logits", count)
    let label: Int = try block.number("label")
    let loss = SoftmaxCrossEntropy(logitScale: try block.scale("scale"))
    try block.expect("multiplier", [loss.multiplier.mantissa, loss.multiplier.shift])
    let largest = try #require(logits.max())
    try block.expect("t", logits.map { Int32(loss.exponent(largest, $0)) })

    let scratch = Scratch()
    let view = scratch.view(logits)
    let gradient: View<Int32> = scratch.view(count)
    expectEqual(
      loss.loss(view, label: label, gradient: gradient), try block.number("expect loss"),
      "\(block), loss")
    expectEqual(
      loss.loss(view, label: label, gradient: nil), try block.number("expect loss"),
      "\(block), loss alone")
    try block.expect("gradient", gradient.array)
    // p is the gradient everywhere but at the label; there another label shows it.
    var p = gradient.array
    if count > 1 {
      _ = loss.loss(view, label: label == 0 ? 1 : 0, gradient: gradient)
      p[label] = gradient[label]
    } else {
      p[0] = 1 << 15
    }
    try block.expect("p", p)
  }
}
