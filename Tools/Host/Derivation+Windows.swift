import FixedPoint
import Kernels
import Layers
import Tally
import Tensors
import Training

// Elements of pooling and of operations that move values (SPEC 6.3, 6.4, 6.7, 6.10, 6.11).

extension Deriver {
  /// An output element's sample, position and channel.
  func coordinates(
    _ element: Int, _ shape: Shape
  ) -> (sample: Int, row: Int, column: Int, channel: Int) {
    let (sample, rest) = (element / shape.count, element % shape.count)
    let position = rest / shape.channels
    return (sample, position / shape.width, position % shape.width, rest % shape.channels)
  }

  /// The input positions under a window, in order of kernel row, then kernel column.
  func window(
    _ geometry: WindowGeometry, _ input: Shape, row: Int, column: Int
  ) -> [(row: Int, column: Int)] {
    var positions: [(row: Int, column: Int)] = []
    for u in 0..<geometry.kernelHeight {
      for v in 0..<geometry.kernelWidth {
        let y = row * geometry.strideHeight - geometry.padTop + u * geometry.dilationHeight
        let x = column * geometry.strideWidth - geometry.padLeft + v * geometry.dilationWidth
        if (0..<input.height).contains(y) && (0..<input.width).contains(x) {
          positions.append((y, x))
        }
      }
    }
    return positions
  }

  /// n of SPEC 6.4.
  func divisor(_ pooling: Pooling, row: Int, column: Int) -> Int {
    pooling.countsPadding
      ? pooling.geometry.kernelHeight * pooling.geometry.kernelWidth
      : window(pooling.geometry, pooling.input, row: row, column: column).count
  }

  private func value(
    _ x: LoadedTrace.Entry, _ shape: Shape, _ sample: Int, _ row: Int, _ column: Int, _ channel: Int
  ) -> Int64 {
    Int64(
      trace.value(
        x, ((sample * shape.height + row) * shape.width + column) * shape.channels + channel))
  }

  func largest(_ pooling: Pooling, _ node: Node, _ element: Int) -> Derivation? {
    guard let x = values(node.firstInput) else { return nil }
    let at = coordinates(element, pooling.output)
    let inside = window(pooling.geometry, pooling.input, row: at.row, column: at.column)
      .map { value(x, pooling.input, at.sample, $0.row, $0.column, at.channel) }
    guard let most = inside.max() else { return nil }
    return Derivation(
      value: most,
      lines: ["largest      of the \(inside.count) inside the window = \(most)   (SPEC 6.3)"])
  }

  func average(_ pooling: Pooling, _ index: Int, _ node: Node, _ element: Int) -> Derivation? {
    guard let x = values(node.firstInput) else { return nil }
    let at = coordinates(element, pooling.output)
    let zero = zeroPoint(node.firstInput)
    let inside = window(pooling.geometry, pooling.input, row: at.row, column: at.column)
    let sum = inside.reduce(Int64(0)) {
      $0 + value(x, pooling.input, at.sample, $1.row, $1.column, at.channel) - zero
    }
    let n = divisor(pooling, row: at.row, column: at.column)
    var lines = [
      "accumulator  Σ (x − Z) over \(inside.count) positions = \(sum), n = \(n)   (SPEC 6.4)"
    ]
    let multiplier = (scale(node.firstInput) / (scale(index + 1) * Scale(UInt64(n)))).multiplier
    return place(requantized(sum, multiplier, "S_x/(S_y·n)", &lines), index, lines)
  }

  func joined(_ index: Int, _ node: Node, _ element: Int) -> Derivation? {
    guard let second = node.secondInput else { return nil }
    let first = network.shape(ofTensor: node.firstInput).channels
    let at = coordinates(element, node.output)
    let isFirst = at.channel < first
    let tensor = isFirst ? node.firstInput : second
    guard let x = values(tensor) else { return nil }
    let channel = isFirst ? at.channel : at.channel - first
    let rest =
      value(x, network.shape(ofTensor: tensor), at.sample, at.row, at.column, channel)
      - zeroPoint(tensor)
    var lines = [
      "accumulator  x − Z of input \(isFirst ? 1 : 2), channel \(channel) = \(rest)   (SPEC 6.7)"
    ]
    let multiplier = (scale(tensor) / scale(index + 1)).multiplier
    return place(requantized(rest, multiplier, "S_x/S_y", &lines), index, lines)
  }

  /// The source index of output index `j`, or `nil` where padding stands (SPEC 6.10).
  private func source(_ axis: SlicePad.Axis, _ j: Int, extent: Int) -> Int? {
    guard j >= axis.before else { return nil }
    let index = axis.start + axis.step * (j - axis.before)
    return index < extent ? index : nil
  }

  /// The input element that an output element of a sample copies, or `nil` for padding.
  func source(_ slice: SlicePad, row: Int, column: Int, channel: Int) -> Int? {
    guard let y = source(slice.rows, row, extent: slice.input.height),
      let x = source(slice.columns, column, extent: slice.input.width),
      let i = source(slice.channels, channel, extent: slice.input.channels)
    else { return nil }
    return (y * slice.input.width + x) * slice.input.channels + i
  }

  func sliced(_ slice: SlicePad, _ node: Node, _ element: Int) -> Derivation? {
    guard let x = values(node.firstInput) else { return nil }
    let at = coordinates(element, slice.output)
    guard let source = source(slice, row: at.row, column: at.column, channel: at.channel) else {
      let zero = zeroPoint(node.firstInput)
      return Derivation(value: zero, lines: ["padding      Z = \(zero)   (SPEC 6.10)"])
    }
    let copied = Int64(trace.value(x, at.sample * slice.input.count + source))
    return Derivation(
      value: copied, lines: ["copied       x[\(source)] = \(copied)   (SPEC 6.10)"])
  }

  func copied(_ upsampling: Upsampling, _ node: Node, _ element: Int) -> Derivation? {
    guard let x = values(node.firstInput) else { return nil }
    let at = coordinates(element, upsampling.output)
    let (row, column) = (at.row / upsampling.rows, at.column / upsampling.columns)
    let copied = value(x, upsampling.input, at.sample, row, column, at.channel)
    return Derivation(
      value: copied, lines: ["copied       x[\(row), \(column)] = \(copied)   (SPEC 6.11)"])
  }
}
