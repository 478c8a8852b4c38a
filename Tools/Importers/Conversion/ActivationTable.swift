import Tally

/// The 256 values and slopes of an activation that is not a clamp, with the clamp that may follow it
/// (SPEC 6.8).
struct ActivationTable {
  var values: [Int8] = []
  /// Real slope in Q12: over the width of one step around each input, so that a kink is averaged.
  var slopes: [Int16] = []

  init(_ kind: ActivationKind, from input: Quantization, to output: Quantization) {
    let step = QuantizationStep(output.scale)
    let width = input.scale.double
    for q in -128...127 {
      let x = width * Double(q - Int(input.zeroPoint))
      let value = Int64(output.zeroPoint) + step.rounded(kind(x))
      values.append(Int8(min(max(value, Int64(output.low)), Int64(output.high))))
      // Beyond int8 an activation goes on rising; beyond the bounds of a clamp it does not.
      if value < output.low && output.low > -128 || value > output.high && output.high < 127 {
        slopes.append(0)
        continue
      }
      let slope = (kind(x + width / 2) - kind(x - width / 2)) / width * 4096
      slopes.append(Int16(min(max((slope + 0.5).rounded(.down), -32768), 32767)))
    }
  }
}
