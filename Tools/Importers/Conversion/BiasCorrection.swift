import Tally

/// What must be added to each channel's bias so that its mean is that of the float network.
///
/// Layer by layer, because a corrected layer changes what the next one reads: the layer's real weights
/// are replaced by its integers, its input by what the corrected integer network gives there.
struct BiasCorrection {
  /// Per planned node, per channel; empty where nothing is corrected.
  private(set) var terms: [[Double]]
  private static let largestSampleCount = 128

  init(_ plan: ConversionPlan) { terms = Array(repeating: [], count: plan.nodes.count) }

  /// - Parameter assemble: builds the model with the terms found so far.
  init(
    _ plan: ConversionPlan, _ samples: RealSamples,
    assemble: (BiasCorrection) throws(InputError) -> ModelAssembly
  ) throws(InputError) {
    self.init(plan)
    let wanted = plan.nodes.indices.filter { position in
      let node = plan.network.nodes[plan.nodes[position].index]
      return node.operation.hasWeights && node.quantization == nil
    }
    let means = Self.means(plan, wanted, samples)
    for position in wanted {
      let assembly = try assemble(self)
      let found = try Self.mean(
        of: plan.nodes[position], try assembly.builder.checkedBytes(), assembly, plan, samples)
      terms[position] = zip(means[position] ?? [], found).map { $0 - $1 }
    }
  }

  /// Per channel means of the float nodes, before any fused activation.
  private static func means(_ plan: ConversionPlan, _ wanted: [Int], _ samples: RealSamples)
    -> [Int: [Double]]
  {
    var sums: [Int: ChannelMeans] = [:]
    for position in wanted {
      let shape = plan.network.nodes[plan.nodes[position].index].shape
      sums[plan.nodes[position].index + 1] = ChannelMeans(channels: shape.channels)
    }
    let executor = FloatExecutor(plan.network)
    samples.forEachBatch(limit: largestSampleCount) { values, count in
      _ = executor.run(values, count: count) { tensor, values in sums[tensor]?.include(values) }
    }
    return Dictionary(
      uniqueKeysWithValues: wanted.map { ($0, sums[plan.nodes[$0].index + 1]?.means ?? []) })
  }

  /// Per channel means of one node computed from integers, before any fused activation.
  private static func mean(
    of planned: ConversionPlan.Node, _ bytes: [UInt8], _ assembly: ModelAssembly,
    _ plan: ConversionPlan, _ samples: RealSamples
  ) throws(InputError) -> [Double] {
    guard
      let index = assembly.entries.firstIndex(where: {
        $0.planned.map { plan.nodes[$0].index } == planned.index
      })
    else { return [] }
    let model = assembly.builder.nodes[index]
    let input = assembly.builder.quantization(model.inputs[0])
    let node = plan.network.nodes[planned.index]
    let unit = Float(input.scale.double)
    let depth = model.weights.count / model.biases.count
    func weightScale(_ channel: Int) -> Double {
      model.weightScales[model.weightScales.count == 1 ? 0 : channel].double
    }
    let layer = FloatNetwork(
      inputShape: plan.network.shape(of: node.inputs[0]),
      nodes: [
        FloatNode(
          name: node.name, inputs: [0],
          operation: node.operation.replacing(
            model.weights.enumerated().map { Float(Double($1) * weightScale($0 / depth)) },
            model.biases.enumerated().map {
              Float(Double($1) * input.scale.double * weightScale($0))
            }),
          shape: node.shape)
      ], output: 1)
    let executor = FloatExecutor(layer)
    let probe = try IntegerProbe(bytes, batch: samples.batch)
    let maps = InputMaps(probe.network)
    var means = ChannelMeans(channels: node.shape.channels)
    let end = min(samples.count, largestSampleCount)
    for first in stride(from: 0, to: end, by: samples.batch) {
      let range = first..<min(first + samples.batch, end)
      let values = try maps.apply(samples.samples.rows(range))
      probe.run(values, count: range.count, until: index) { tensor, values in
        guard tensor == model.inputs[0] else { return }
        let real = (0..<values.count).map { Float(Int32(values[$0]) - input.zeroPoint) * unit }
        means.include(executor.run(real, count: range.count))
      }
    }
    return means.means
  }
}

private struct ChannelMeans {
  private var sums: [Double]
  private var count = 0

  init(channels: Int) { sums = Array(repeating: 0, count: channels) }

  mutating func include(_ values: [Float]) {
    for (index, value) in values.enumerated() { sums[index % sums.count] += Double(value) }
    count += values.count / sums.count
  }

  var means: [Double] { sums.map { count == 0 ? 0 : $0 / Double(count) } }
}
