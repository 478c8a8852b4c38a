import Importers
import Kernels
import Tally
import TallyTestSupport
import Tensors
import Testing

/// Sparse gradients multiply what a sample keeps of its channels in the memory that is planned for all of them
/// (SPEC 8.12; `Tiling`).
@Suite("Workspaces of kept channels") struct KeptWorkspaceTests {
  private static let shapes: [Convolution] = {
    var shapes = ConvolutionInPlaceTests.shapes.filter { $0.groups == 1 }
    for (stride, inputs, outputs) in [(1, 70, 6), (2, 16, 70), (1, 3, 33)] {
      var window = Tensors.WindowGeometry(
        kernelHeight: 3, kernelWidth: 3, padTop: 1, padLeft: 1, padBottom: 1, padRight: 1)
      (window.strideHeight, window.strideWidth) = (stride, stride)
      shapes.append(
        Convolution(
          input: Shape(height: 8, width: 8, channels: inputs),
          output: Shape(height: 8 / stride, width: 8 / stride, channels: outputs),
          geometry: window, groups: 1))
    }
    return shapes
  }()

  @Test("no number of channels takes more than all of them")
  func sizes() {
    for shape in KeptWorkspaceTests.shapes {
      for count in 1...shape.output.channels {
        let kept = shape.keeping(count)
        #expect(kept.packedGradientByteCount <= shape.packedGradientByteCount, "\(shape)")
        for rows in 1...shape.input.height {
          #expect(
            kept.inputGradientRunsWorkspace(rows: rows)
              <= shape.inputGradientRunsWorkspace(rows: rows), "\(shape)")
          #expect(
            kept.inputGradientWorkspace(rows: rows) <= shape.inputGradientWorkspace(rows: rows),
            "\(shape)")
        }
        #expect(packedByteCount(kept) <= packedByteCount(shape), "\(shape)")
        let positions = shape.output.positions
        #expect(
          kept.weightGradientWorkspace(channels: count, positions: positions)
            <= shape.weightGradientWorkspace(
              channels: shape.output.channels, positions: positions), "\(shape)")
      }
    }
  }

  private func packedByteCount(_ shape: Convolution) -> Int {
    MatrixOperand.packedByteCount(columns: shape.input.channels, depth: shape.backwardDepth)
  }

  /// Goal: nothing is written behind the memory that the whole gradient is planned for, and the sums are
  /// those of the gradient whose other channels are 0.
  @Test("from one channel to all, in windows and in patches")
  func products() {
    var random = MicroKernelsRandom("workspaces of kept channels")
    for shape in KeptWorkspaceTests.shapes {
      let outputs = shape.output.channels
      for count in Set([1, 2, outputs / 2, outputs - 1, outputs]) where 1...outputs ~= count {
        for forWindows in [false, true] where !forWindows || shape.readsGradientRuns {
          check(shape, keeping: count, forWindows: forWindows, &random)
        }
      }
    }
  }

  private func check(
    _ shape: Convolution, keeping count: Int, forWindows: Bool, _ random: inout MicroKernelsRandom
  ) {
    // Lives as long as its views.
    var memory: [AlignedMemory] = []
    func view<T: BitwiseCopyable>(_ values: [T]) -> View<T> {
      memory.append(AlignedMemory(values))
      return memory.last!.view(of: T.self)
    }
    let guardByteCount = 64
    /// Memory of exactly `byteCount` bytes, with a guard behind it.
    func workspace(_ byteCount: Int) -> (bytes: View<UInt8>, behind: View<UInt8>) {
      let all = view([UInt8](repeating: 0xA5, count: byteCount + guardByteCount))
      return (all.slice(0, byteCount), all.slice(byteCount, guardByteCount))
    }
    defer { withExtendedLifetime(memory) {} }
    let (outputs, positions) = (shape.output.channels, shape.output.positions)
    // As many as are wanted, spread over all.
    let list = (0..<count).map { Int32($0 * outputs / count) }
    let w = random.bytes(shape.weightCount)
    let g = random.bytes(shape.output.count)
    let masked = g.indices.map { list.contains(Int32($0 % outputs)) ? g[$0] : 0 }
    let part = (0..<positions).flatMap { p in list.map { g[p * outputs + Int($0)] } }

    let kept = shape.keeping(count)
    let gathered = workspace(shape.weightCount)
    let packed = workspace(
      forWindows ? shape.packedGradientByteCount : packedByteCount(shape))
    let rows = 0..<shape.input.height
    let patches = workspace(
      forWindows
        ? shape.inputGradientRunsWorkspace(rows: rows.count)
        : shape.inputGradientWorkspace(rows: rows.count))
    let (weights, channels) = (view(w), view(list))
    let operand = kept.turnWeights(
      weights, of: channels, forWindows: forWindows,
      gatheringInto: gathered.bytes.part(0, shape.weightCount, of: Int8.self),
      packingInto: packed.bytes)
    let dx = view([Int32](repeating: 77, count: shape.input.count))
    kept.inputGradient(
      view(part), turned: operand, rows: rows,
      workspace: patches.bytes.part(0, patches.bytes.count, of: Int8.self), into: dx)
    let expected = view([Int32](repeating: 0, count: shape.input.count))
    shape.inputGradientInPlace(view(masked), weights: weights, rows: rows, into: expected)
    let isSame = (0..<dx.count).allSatisfy { dx[$0] == expected[$0] }
    #expect(isSame, "\(count) channels, windows \(forWindows), \(shape)")
    for guarded in [gathered.behind, packed.behind, patches.behind] {
      let isUntouched = (0..<guarded.count).allSatisfy { guarded[$0] == 0xA5 }
      #expect(isUntouched, "\(count) channels, windows \(forWindows), \(shape)")
    }
  }
}
