extension ONNXImporter {
  /// Replaces the end of a spelled-out activation by the activation.
  ///
  /// Exporters write GELU, SiLU, hard-swish and the like as five or more elementwise nodes, in
  /// many orders. Matching orders would never end, so the function is recognised by its values:
  /// if everything between an earlier tensor and this one is a function of single elements, and
  /// it agrees with a known activation everywhere it is tried, it is that activation. The
  /// nodes in between are then unused and disappear.
  mutating func recognized(_ view: TensorView) -> TensorView {
    for base in pointwiseSources(of: view.tensor) {
      guard let kind = knownActivation(from: base, to: view.tensor) else { continue }
      graph.nodes[view.tensor - 1].operation = .network(.activation(kind))
      graph.nodes[view.tensor - 1].inputs = [base]
      return view
    }
    return view
  }

  /// Tensors from which `tensor` may be a function of single elements, farthest first.
  private func pointwiseSources(of tensor: Int) -> [Int] {
    var sources: Set<Int> = []
    var waiting = directSources(tensor)
    // Nothing recognisable is longer than the tanh form of GELU: nine nodes.
    while let source = waiting.popLast(), sources.count < 24 {
      if sources.insert(source).inserted { waiting += directSources(source) }
    }
    return sources.sorted()
  }

  private func directSources(_ tensor: Int) -> [Int] {
    guard tensor > 0 else { return [] }
    let made = graph.nodes[tensor - 1]
    switch made.operation {
    case .elementwise, .network(.activation), .network(.add), .network(.multiply):
      return made.inputs
    case .affine(let scale, let offset):
      return isUniform(scale) && isUniform(offset) ? made.inputs : []
    default: return []
    }
  }

  private func isUniform(_ values: [Double]) -> Bool { values.allSatisfy { $0 == values[0] } }

  private func knownActivation(from base: Int, to tensor: Int) -> ActivationKind? {
    let made = graph.nodes[tensor - 1]
    // A single activation is what it says.
    if case .network(.activation) = made.operation, made.inputs == [base] { return nil }
    if case .affine = made.operation, made.inputs == [base] { return nil }
    guard graph.shape(of: base) == made.shape, let below = evaluate(tensor, from: base, at: -1)
    else { return nil }
    var candidates: [ActivationKind] = [
      .silu, .gelu, .geluTanh, .hardSwish, .sigmoid, .tanh, .relu,
      .hardSigmoid(alpha: 1 / 6, beta: 0.5), .hardSigmoid(alpha: 0.2, beta: 0.5),
    ]
    if below < 0, below > -1 { candidates.append(.leakyRelu(alpha: Float(-below))) }
    for step in -20...20 {
      // Sixteenths off the round numbers: no sample falls on a corner of a function.
      let x = Double(step) * 0.5 + 0.0625
      guard let value = evaluate(tensor, from: base, at: x) else { return nil }
      candidates.removeAll { !(abs($0(x) - value) <= 2e-6 * (1 + abs(value))) }
      if candidates.isEmpty { return nil }
    }
    return candidates.first
  }

  /// The function between two tensors at one point; nil if it is no function of single elements.
  private func evaluate(_ tensor: Int, from base: Int, at x: Double) -> Double? {
    var known = [base: x]
    return evaluate(tensor, from: base, &known, depth: 0)
  }

  private func evaluate(
    _ tensor: Int, from base: Int, _ known: inout [Int: Double], depth: Int
  ) -> Double? {
    if let value = known[tensor] { return value }
    guard tensor > base, depth < 24 else { return nil }
    let made = graph.nodes[tensor - 1]
    var inputs: [Double] = []
    for input in made.inputs {
      guard graph.shape(of: input) == made.shape,
        let value = evaluate(input, from: base, &known, depth: depth + 1)
      else { return nil }
      inputs.append(value)
    }
    let value: Double
    switch made.operation {
    case .affine(let scale, let offset):
      guard isUniform(scale), isUniform(offset) else { return nil }
      value = scale[0] * inputs[0] + offset[0]
    case .network(.activation(let kind)): value = kind(inputs[0])
    case .network(.add): value = inputs[0] + inputs[1]
    case .network(.multiply): value = inputs[0] * inputs[1]
    case .elementwise(let function):
      switch function {
      case .erf: value = DeterministicMath.erf(inputs[0])
      case .exp: value = DeterministicMath.exp(inputs[0])
      case .absolute: value = abs(inputs[0])
      case .maximum: value = max(inputs[0], inputs[1])
      case .minimum: value = min(inputs[0], inputs[1])
      case .divide: value = inputs[0] / inputs[1]
      }
    default: return nil
    }
    known[tensor] = value
    return value
  }
}
