import Importers
import Tally

/// Samples made by a rule: each class has its own pattern of bright and dark inputs, and every sample
/// flips and shades it a little. Any language can make the same ones.
///
/// - Parameter first: the number of the first sample; another range gives other samples.
func ruleSamples(of network: ModelBuilder, count: Int, from first: Int) -> FlashImage.Samples {
  let inputs = network.inputShape.count
  let classes = network.nodes[network.nodes.count - 1].output.count
  var samples = FlashImage.Samples()
  for sample in first..<first + count {
    let label = sample % classes
    for index in 0..<inputs {
      let isBright = mixed(label, index) % 3 == 0
      let noise = mixed(1_000 + sample, index)
      let isFlipped = noise % 16 == 0
      let shade = Int8(truncatingIfNeeded: Int(noise / 16 % 64) - 32)
      samples.values.append((isBright != isFlipped ? 80 : -90) + shade)
    }
    samples.labels.append(Int32(label))
  }
  return samples
}

/// 32 bits that look random: two rounds of a multiplicative hash.
private func mixed(_ a: Int, _ b: Int) -> UInt32 {
  var x = UInt32(truncatingIfNeeded: a * 0x1_0000 + b) &* 0x9E37_79B1
  x = (x ^ x >> 15) &* 0x85EB_CA6B
  x = (x ^ x >> 13) &* 0xC2B2_AE35
  return x ^ x >> 16
}
