import CounterRandom
import FixedPoint
import Kernels
import Layers
public import Tensors

/// The zeroth-order part of one step: what is measured, and the tensor gradients made of it
/// (SPEC 8.15, 8.16).
struct ZerothOrderStep {
  let perturbation: Perturbation
  let recipe: Recipe
  /// B_t.
  let batch: Int
  /// D, by sample and query; by query where samples share directions.
  let differences: View<Int32>

  private var session: Session { perturbation.session }
  private var zerothOrder: ZerothOrderRecipe { perturbation.zerothOrder }
  private var group: CoordinateGroup { perturbation.group }

  init(
    _ session: Session, _ recipe: Recipe, _ zerothOrder: ZerothOrderRecipe, key: RandomKey,
    step: UInt32, batch: Int
  ) {
    let index = zerothOrder.groupIndex(step: step)
    let group = zerothOrder.group(index)
    self.recipe = recipe
    self.batch = batch
    perturbation = Perturbation(
      session: session, zerothOrder: zerothOrder, group: group,
      size: PerturbationSize(session, zerothOrder, group: index), key: key, step: step)
    differences = session.arena.view(
      session.table.offset(0, .differences),
      zerothOrder.differenceCount(samples: batch, group), of: Int32.self)
  }

  /// The node before which a micro-batch measures.
  var firstNode: Int { session.network.firstPerturbedNode(group) }

  private func index(_ position: Int, _ query: Int) -> Int {
    zerothOrder.differenceIndex(group, position: position, query: query)
  }

  // MARK: Measuring

  /// The passes that a micro-batch measures with: 2·query, and 1 more for the opposite sign.
  var passes: StrideTo<Int> {
    stride(
      from: 0, to: 2 * zerothOrder.queries, by: zerothOrder.difference == .antithetic ? 1 : 2)
  }

  /// Before the passes of the micro-batch whose first sample is at position `first` of the step.
  func beginMeasuring(first: Int) {
    guard first == 0 else { return }
    differences.fill(0)
    perturbation.size.baseLoss = 0
  }

  /// Runs one pass of a micro-batch whose nodes before `firstNode` have run.
  func run(_ pass: Int, first: Int, samples: Int) {
    perturbation.run(
      query: pass >> 1, sign: pass & 1 == 0 ? 1 : -1, first: first, samples: samples)
  }

  /// Takes in the loss of a sample in a pass.
  func note(_ loss: Int64, position: Int, pass: Int) {
    add(pass & 1 == 0 ? 1 : -1, loss, position: position, query: pass >> 1)
  }

  /// After the passes: every value is what it was.
  func endMeasuring() { perturbation.restore() }

  /// Takes in the loss of a sample without perturbation.
  func note(baseLoss loss: Int64, position: Int) {
    if zerothOrder.difference == .forward {
      for query in 0..<zerothOrder.queries { add(-1, loss, position: position, query: query) }
    }
    let size = perturbation.size
    guard size.isAdapted else { return }
    guard zerothOrder.isPerSample(group) else {
      size.baseLoss = saturatingSum(size.baseLoss, loss)
      return
    }
    for query in 0..<zerothOrder.queries {
      size.count(difference: differences[index(position, query)], baseLoss: loss, samples: 1)
    }
  }

  private func add(_ sign: Int32, _ loss: Int64, position: Int, query: Int) {
    // The bound keeps every sum in 32 bits, whatever its order.
    let sharing = zerothOrder.isPerSample(group) ? 1 : Int64(batch)
    let bounded = min(loss, (1 << 30 - 1) / sharing)
    differences[index(position, query)] &+= sign &* Int32(truncatingIfNeeded: bounded)
  }

  /// Makes D of the measured sums: of the samples of a micro-batch, or with shared directions of the step.
  func finish(first: Int, samples: Int) {
    let isPerSample = zerothOrder.isPerSample(group)
    guard isPerSample || first + samples == batch else { return }
    let queries = zerothOrder.queries
    for entry in isPerSample ? first * queries..<(first + samples) * queries : 0..<queries {
      var difference = differences[entry]
      if !isPerSample {
        perturbation.size.count(
          difference: difference, baseLoss: perturbation.size.baseLoss, samples: batch)
      }
      if zerothOrder.difference == .forward { difference &*= 2 }
      if zerothOrder.usesSign { difference = difference.signum() << 12 }
      differences[entry] = difference
    }
  }

  // MARK: Tensors

  /// Forms the gradient of the perturbed tensor for a micro-batch, and carries it back to the weights
  /// of the group's node (SPEC 8.16).
  ///
  /// - Parameter backward: the micro-batch's backward pass, which is over.
  func trainNode(_ backward: Backward, first: Int) {
    guard group.isOfTensor else { return }
    let network = session.network
    let tensor = network.perturbedTensor(group)
    let sigma = perturbation.tensorSigma(tensor)
    let estimate = ZerothOrderEstimate(
      zerothOrder, group, batch: batch, dimension: network.dimension(group))
    let isAccumulators = network.node(tensor - 1).hasAccumulators
    let scale = estimate.scale(
      unit: isAccumulators ? session.logitScale : session.table.scale(tensor), sigma: sigma)
    let quantization = network.quantization(ofTensor: tensor)
    let (least, most) = (quantization.low + sigma, quantization.high - sigma)
    if perturbation.size.isAdapted && !isAccumulators {
      countMoved(
        session.activation(tensor).slice(0, backward.samples * estimate.dimension),
        quantization, sigma)
    }
    let accumulators = session.arena.view(
      session.table.offset(0, .signedSums), session.request.signedSumCount, of: Int32.self)
    let queries = zerothOrder.queries
    backward.run(from: tensor, to: group.node, scale: scale, accumulators: accumulators) {
      sample, start, part in
      let position = first + sample
      signedSums(
        differences.slice(index(position, 0), queries),
        perturbation.stream(tensor - 1, .tensor, position: position, query: 0), first: start,
        into: part)
      guard !isAccumulators else { return }
      let values = session.activation(tensor, sample: sample)
      for element in 0..<part.count {
        let value = Int32(values[start + element])
        if value < least || value > most { part[element] = 0 }
      }
    }
  }
}

// MARK: - The size of perturbations

extension ZerothOrderStep {
  /// Counts values of a tensor that σ could not move, though a perturbation of one could.
  private func countMoved(_ values: View<Int8>, _ bounds: Quantization, _ sigma: Int32) {
    func inside(_ distance: Int32) -> Int {
      let (low, high) = (bounds.low + distance, bounds.high - distance)
      return low > high ? 0 : count(of: low...high, in: values)
    }
    perturbation.size.count(movable: inside(1), moved: inside(sigma))
  }

  /// The same of a group's weights.
  private func countMovedWeights() {
    let network = session.network
    for index in group.node..<network.nodeCount where network.contains(group, index) {
      let weights = session.weights(index, network.node(index))
      perturbation.size.count(
        movable: count(of: -126...126, in: weights),
        moved: perturbation.movedWeights(weights))
    }
  }

  /// After the step's updates: whether σ of its group changes (SPEC 8.18).
  func adaptSize() -> RangeChange? {
    guard perturbation.size.visit(period: recipe.rangePeriod) else { return nil }
    if group.kind == .weights { countMovedWeights() }
    guard let change = perturbation.size.decide() else { return nil }
    return RangeChange(
      step: perturbation.step,
      index: UInt32(truncatingIfNeeded: zerothOrder.groupIndex(step: perturbation.step)),
      target: .perturbation, octaves: change.octaves, tail: UInt32(clamping: change.tail),
      count: UInt32(clamping: change.count))
  }
}

extension ZerothOrderStep {
  /// What the step's differences change, where they change parameters directly.
  func update(_ rates: Backward.Rates) -> ZerothOrderUpdate {
    ZerothOrderUpdate(
      perturbation: perturbation, recipe: recipe, rates: rates, batch: batch,
      differences: differences)
  }

  /// For the journal.
  var record: ZerothOrderRecord {
    ZerothOrderRecord(
      step: perturbation.step,
      group: UInt16(truncatingIfNeeded: zerothOrder.groupIndex(step: perturbation.step)),
      samples: UInt32(truncatingIfNeeded: batch), differences: differences)
  }
}

/// The differences of one step; the record of the journal (Formats/journal.md, differences).
public struct ZerothOrderRecord {
  public let step: UInt32
  public let group: UInt16
  /// B_t.
  public let samples: UInt32
  /// D; good until the next step.
  public let differences: View<Int32>

  public init(step: UInt32, group: UInt16, samples: UInt32, differences: View<Int32>) {
    self.step = step
    self.group = group
    self.samples = samples
    self.differences = differences
  }
}

/// How a sum of D·u becomes a gradient in real units (SPEC 8.15).
struct ZerothOrderEstimate {
  /// φ = Q_eff / (Q_eff + d − 1): what of an estimate over Q_eff directions of d dimensions is signal.
  let shrink: Scale
  /// Q·B_t.
  private let evaluations: Int
  /// d.
  let dimension: Int

  init(_ zerothOrder: ZerothOrderRecipe, _ group: CoordinateGroup, batch: Int, dimension: Int) {
    evaluations = zerothOrder.queries * batch
    self.dimension = dimension
    let directions = zerothOrder.isPerSample(group) ? evaluations : zerothOrder.queries
    shrink =
      Scale(UInt64(truncatingIfNeeded: directions))
      / Scale(UInt64(truncatingIfNeeded: directions + dimension - 1))
  }

  /// The Scale of Σ D·u for numbers of real unit `unit` that were moved by `sigma` units.
  func scale(unit: Scale, sigma: Int32) -> Scale {
    let moved = unit * Scale(UInt64(truncatingIfNeeded: Int(sigma) * evaluations))
    return (shrink / moved).multiplied(byPowerOfTwo: -17)
  }
}
