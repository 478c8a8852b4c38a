import Importers
import Tally
import TallyHost
import TallyTestSupport
import Testing

/// The same forward pass through a model file and a session, fast and compact.
extension KernelCase {
  func checkSession(isCompact: Bool) throws {
    let model = try LoadedModel(try modelBytes())
    let nodes = model.network.nodeCount
    // Training, so that outputs above an updated node get their masks.
    let updates = AlignedMemory(
      (0..<nodes).flatMap { node -> [UInt8] in
        [model.network.node(node).operation.weighted == nil ? 0 : 3]
          + [UInt8](repeating: 0, count: 7)
      })
    let training = SessionRequest.TrainingNeeds(
      updates: updates.view(of: UInt8.self), hasMasters: true, hasMomentum: false,
      tracksRanges: false)
    let host = try HostSession(
      model, SessionRequest(samples: batch, isCompact: isCompact, training: training))
    let session = host.session
    for (j, input) in inputs.enumerated() {
      for (index, value) in input.values.enumerated() { session.activation(j)[index] = value }
    }
    session.run(nodes - 1, samples: batch)
    if hasAccumulators {
      try block.expect("output", (0..<batch).flatMap { session.logits(sample: $0).array })
      return
    }
    try block.expect("output", session.activation(nodes).array)
    if session.needsGradient(nodes) && operation.hasMask {
      let masks = try (0..<batch).flatMap { sample in
        try #require(session.mask(nodes, sample: sample)).bits(output.count)
      }
      try block.expect("mask", masks)
    }
    withExtendedLifetime(updates) {}
  }

  /// The node under test is the last; a node before it stands for where a second input comes from.
  private func modelBytes() throws -> [UInt8] {
    var builder = ModelBuilder(
      inputShape: inputs[0].shape,
      inputQuantization: inputs[0].quantization,
      inputMaps: [.init(scale: .powerOfTwo(0), offset: 0)])
    if inputs.count == 2 { builder.nodes.append(source(inputs[1])) }
    builder.nodes.append(
      .init(
        name: "", operation: operation, inputs: Array(inputs.indices), output: output,
        quantization: quantization, hasAccumulators: hasAccumulators, weights: weights,
        biases: biases, weightScales: weightScales, table: table))
    let bytes = try builder.bytes()
    guard scalesPerChannel && weightScales.count == 1 else { return bytes }
    return try settingPerChannelFlag(bytes)
  }

  /// A weighted node whose output has an input's shape and quantization.
  private func source(_ tensor: Tensor) -> ModelBuilder.Node {
    let input = inputs[0].shape
    let isVector = tensor.shape.positions == 1
    let from = isVector ? Shape(vector: input.count) : input
    let shape = Convolution(
      input: from, output: tensor.shape, geometry: .init(kernelHeight: 1, kernelWidth: 1),
      groups: 1)
    return .init(
      name: "", operation: isVector ? .fullyConnected(shape) : .convolution(shape), inputs: [0],
      output: tensor.shape, quantization: tensor.quantization,
      weights: [Int8](repeating: 1, count: shape.weightCount),
      biases: [Int32](repeating: 0, count: tensor.shape.channels), weightScales: [.powerOfTwo(-6)])
  }

  /// The builder takes one weight Scale for one per layer; with one channel it is both.
  private func settingPerChannelFlag(_ bytes: [UInt8]) throws -> [UInt8] {
    let section = try #require(
      stride(from: 64, to: bytes.count, by: 16).first { bytes[$0] == 1 && bytes[$0 + 1] == 0 })
    var bytes = bytes
    bytes[(0..<4).reduce(0) { $0 | Int(bytes[section + 8 + $1]) << (8 * $1) } + 1] |= 2
    return resealed(bytes)
  }
}

/// Model bytes with the digest that belongs to them.
func resealed(_ bytes: [UInt8]) -> [UInt8] {
  let content = Array(bytes.dropLast(Digest.byteCount))
  var hash = SHA256()
  hash.update(content.span.bytes)
  let digest = hash.finalize()
  return content + (0..<Digest.byteCount).map { digest[$0] }
}
