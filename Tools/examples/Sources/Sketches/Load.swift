public import Tally

/// Load: a view over a model's bytes, already in flash or in a file.
///
/// - Parameter image: aligned to 64 bytes; must stay in place while the network is used.
/// - Returns: the number of inputs and of outputs.
/// - Throws: `ModelError` with the offset of the first byte found wrong.
public func describe(
  _ image: UnsafeRawBufferPointer
) throws(ModelError) -> (inputs: Int, outputs: Int) {
  let network = try Network(validating: image)
  return (network.inputShape.count, network.outputCount)
}
