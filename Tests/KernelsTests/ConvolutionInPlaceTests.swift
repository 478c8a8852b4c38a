import Importers
import Kernels
import Tally
import TallyTestSupport
import Tensors
import Testing

@Suite("Backward convolutions in place (SPEC 6.1)") struct ConvolutionInPlaceTests {
  /// Shapes with every combination of stride, dilation, padding and groups that matters.
  static let shapes: [Convolution] = {
    var shapes: [Convolution] = []
    for (kernel, stride, dilation, pad) in [
      (1, 1, 1, 0), (1, 2, 1, 0), (3, 1, 1, 1), (3, 2, 1, 1), (2, 3, 2, 1), (3, 1, 2, 2),
      (5, 4, 1, 3),
    ] {
      for (inputs, outputs, groups) in [(3, 5, 1), (6, 4, 2), (4, 4, 4), (1, 2, 1), (20, 3, 1)] {
        var window = Tensors.WindowGeometry(kernelHeight: kernel, kernelWidth: kernel)
        (window.strideHeight, window.strideWidth) = (stride, max(1, stride - 1))
        (window.dilationHeight, window.dilationWidth) = (dilation, dilation)
        (window.padTop, window.padLeft) = (pad, max(0, pad - 1))
        (window.padBottom, window.padRight) = (max(0, pad - 1), pad)
        let input = Shape(height: 7, width: 6, channels: inputs)
        guard let height = window.outputHeight(7), let width = window.outputWidth(6) else {
          continue
        }
        shapes.append(
          Convolution(
            input: input, output: Shape(height: height, width: width, channels: outputs),
            geometry: window, groups: groups))
      }
    }
    return shapes
  }()

  /// Calls `body` for each product of a weight, an input and a gradient element that SPEC 6.1 sums.
  private func forEachProduct(
    _ shape: Convolution, _ body: (_ weight: Int, _ input: Int, _ output: Int) -> Void
  ) {
    let (window, perGroup) = (shape.geometry, shape.inputsPerGroup)
    for r in 0..<shape.output.height {
      for c in 0..<shape.output.width {
        for o in 0..<shape.output.channels {
          for u in 0..<window.kernelHeight {
            for v in 0..<window.kernelWidth {
              let row = r * window.strideHeight - window.padTop + u * window.dilationHeight
              let column = c * window.strideWidth - window.padLeft + v * window.dilationWidth
              guard (0..<shape.input.height).contains(row) else { continue }
              guard (0..<shape.input.width).contains(column) else { continue }
              for i in 0..<perGroup {
                let channel = o / shape.outputsPerGroup * perGroup + i
                body(
                  ((o * window.kernelHeight + u) * window.kernelWidth + v) * perGroup + i,
                  (row * shape.input.width + column) * shape.input.channels + channel,
                  (r * shape.output.width + c) * shape.output.channels + o)
              }
            }
          }
        }
      }
    }
  }

  @Test("sums in place are the sums of the equations")
  func inPlace() {
    var random = MicroKernelsRandom("convolutions in place")
    for shape in ConvolutionInPlaceTests.shapes {
      // Lives as long as its views.
      var memory: [AlignedMemory] = []
      func view<T: BitwiseCopyable>(_ values: [T]) -> View<T> {
        memory.append(AlignedMemory(values))
        return memory.last!.view(of: T.self)
      }
      defer { withExtendedLifetime(memory) {} }
      let x = view(random.bytes(shape.input.count))
      let w = view(random.bytes(shape.weightCount))
      let g = view(random.bytes(shape.output.count).map { $0 & 1 == 0 ? 0 : $0 })
      let zeroPoint = Int32(random.int(-1...0) * 128 + 5)
      var dx = [Int32](repeating: 0, count: shape.input.count)
      var dw = [Int32](repeating: 0, count: shape.weightCount)
      forEachProduct(shape) { weight, input, output in
        dx[input] &+= Int32(w[weight]) * Int32(g[output])
        dw[weight] &+= (Int32(x[input]) - zeroPoint) * Int32(g[output])
      }
      for tile in [1, 3, shape.input.height] {
        var sums: [Int32] = []
        for first in stride(from: 0, to: shape.input.height, by: tile) {
          let rows = first..<min(first + tile, shape.input.height)
          let count = rows.count * shape.input.width * shape.input.channels
          let part = view([Int32](repeating: 77, count: count))
          shape.inputGradientInPlace(g, weights: w, rows: rows, into: part)
          sums += (0..<count).map { part[$0] }
        }
        #expect(sums == dx, "\(shape)")
      }
      var rows: [Int32] = []
      for o in 0..<shape.output.channels {
        let row = view([Int32](repeating: 0, count: shape.depth))
        shape.weightGradientInPlace(
          x, g, column: o, step: shape.output.channels, zeroPoint: zeroPoint, channel: o, into: row)
        rows += (0..<row.count).map { row[$0] }
      }
      #expect(rows == dw, "\(shape)")
    }
  }
}
