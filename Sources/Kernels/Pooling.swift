public import FixedPoint
import MicroKernels
public import Tensors

// Index letters: r output row, c output column, u kernel row, v kernel column, i channel.

/// Shape of a pooling operation (SPEC 6.3, 6.4).
public struct Pooling: Equatable, Sendable {
  public let input: Shape
  public let output: Shape
  public let geometry: WindowGeometry
  /// Average pooling divides by the whole window even where it overlaps the padding.
  public let countsPadding: Bool

  public init(input: Shape, output: Shape, geometry: WindowGeometry, countsPadding: Bool = false) {
    self.input = input
    self.output = output
    self.geometry = geometry
    self.countsPadding = countsPadding
  }

  /// Calls `body` with the element index of channel 0 for each input position under window (r, c), in
  /// order of kernel row, then kernel column.
  @inline(__always)
  func forEachInside(row r: Int, column c: Int, _ body: (_ element: Int) -> Void) {
    for u in 0..<geometry.kernelHeight {
      let row = r &* geometry.strideHeight &- geometry.padTop &+ u &* geometry.dilationHeight
      guard row >= 0 && row < input.height else { continue }
      for v in 0..<geometry.kernelWidth {
        let column = c &* geometry.strideWidth &- geometry.padLeft &+ v &* geometry.dilationWidth
        guard column >= 0 && column < input.width else { continue }
        body((row &* input.width &+ column) &* input.channels)
      }
    }
  }

  /// Number of input positions that window (r, c) is divided by.
  func divisor(row r: Int, column c: Int) -> Int {
    if countsPadding { return geometry.area }
    var count = 0
    forEachInside(row: r, column: c) { _ in count &+= 1 }
    return count
  }

  /// The divisor of every window, or `nil` if they differ.
  public var commonDivisor: Int? {
    let first = divisor(row: 0, column: 0)
    for r in 0..<output.height {
      for c in 0..<output.width where divisor(row: r, column: c) != first { return nil }
    }
    return first
  }

  /// Whether there is one window, with the whole input inside.
  private var isGlobal: Bool {
    output.positions == 1 && geometry.padTop == 0 && geometry.padLeft == 0
      && geometry.dilationHeight == 1 && geometry.dilationWidth == 1
      && geometry.kernelHeight >= input.height && geometry.kernelWidth >= input.width
  }

  /// Whether every window holds an input position.
  public var everyWindowHasInput: Bool {
    for r in 0..<output.height {
      for c in 0..<output.width {
        var count = 0
        forEachInside(row: r, column: c) { _ in count &+= 1 }
        if count == 0 { return false }
      }
    }
    return true
  }
}

// MARK: - Max pooling

extension Pooling {
  /// y = the largest x in the window (SPEC 6.3), one sample.
  public func max(_ x: View<Int8>, into y: View<Int8>) {
    var window = tally_window(geometry)
    // The views hold one sample each.
    unsafe tally_max_pool_s8(
      x.pointer, Int32(truncatingIfNeeded: input.height), Int32(truncatingIfNeeded: input.width),
      Int32(truncatingIfNeeded: input.channels), &window,
      Int32(truncatingIfNeeded: output.height), Int32(truncatingIfNeeded: output.width), y.pointer)
  }

  /// dx[first position of the maximum] += g (SPEC 6.3, backward), one sample.
  ///
  /// - Parameter gradient: int32 of the input's count; overwritten.
  public func maxGradient(_ x: View<Int8>, _ g: View<Int8>, into gradient: View<Int32>) {
    var window = tally_window(geometry)
    // The views hold one sample each.
    unsafe tally_max_pool_gradient_s8(
      x.pointer, Int32(truncatingIfNeeded: input.height), Int32(truncatingIfNeeded: input.width),
      Int32(truncatingIfNeeded: input.channels), &window,
      Int32(truncatingIfNeeded: output.height), Int32(truncatingIfNeeded: output.width), g.pointer,
      gradient.pointer)
  }

  /// Whether an input element can lie in two windows.
  public var hasOverlaps: Bool {
    geometry.strideHeight < geometry.kernelHeight || geometry.strideWidth < geometry.kernelWidth
  }

  /// The same for windows without overlaps: each element has one gradient at most, so int8 holds it.
  public func scatterMaxGradient(_ x: View<Int8>, _ g: View<Int8>, into gradient: View<Int8>) {
    assert(!hasOverlaps, "overlapping windows add up")
    var window = tally_window(geometry)
    // The views hold one sample each.
    unsafe tally_max_pool_scatter_s8(
      x.pointer, Int32(truncatingIfNeeded: input.height), Int32(truncatingIfNeeded: input.width),
      Int32(truncatingIfNeeded: input.channels), &window,
      Int32(truncatingIfNeeded: output.height), Int32(truncatingIfNeeded: output.width), g.pointer,
      gradient.pointer)
  }
}

// MARK: - Average pooling

extension Pooling {
  /// y = place(requant(Σ x̂, S_x / (S_y·n))) (SPEC 6.4), one sample.
  public func average(
    _ x: View<Int8>, from inputQuantization: Quantization, _ outputQuantization: Quantization,
    into y: View<Int8>
  ) {
    var target = 0
    var lastDivisor = -1
    var multiplier = Multiplier(.zero)
    for r in 0..<output.height {
      for c in 0..<output.width {
        let n = divisor(row: r, column: c)
        if n != lastDivisor {
          lastDivisor = n
          multiplier = Multiplier(
            inputQuantization.scale
              / (outputQuantization.scale * Scale(UInt64(truncatingIfNeeded: n))))
        }
        averageWindow(
          x, row: r, column: c, zeroPoint: inputQuantization.zeroPoint, multiplier,
          outputQuantization, into: y.slice(target, output.channels))
        target &+= output.channels
      }
    }
  }

  /// One window, 64 channels at a time: y = place(requant(Σ x̂)).
  private func averageWindow(
    _ x: View<Int8>, row r: Int, column c: Int, zeroPoint: Int32, _ multiplier: Multiplier,
    _ quantization: Quantization, into y: View<Int8>
  ) {
    let rows = insideRows(r)
    let columns = insideColumns(c)
    let inside = Int32(truncatingIfNeeded: rows.count &* columns.count)
    var first = 0
    while first < y.count {
      let count = Swift.min(64, y.count &- first)
      var sums = InlineArray<64, Int32>(repeating: 0 &- zeroPoint &* inside)
      var span = sums.mutableSpan
      unsafe span.withUnsafeMutableBufferPointer { buffer in
        guard let start = buffer.baseAddress else { return }
        for row in rows {
          let source = (row &* input.width &+ columns.lowerBound) &* input.channels &+ first
          // A row of the window: `columns.count` positions of `count` channels.
          unsafe tally_sum_rows_s8(
            Int32(truncatingIfNeeded: columns.count), Int32(truncatingIfNeeded: count),
            x.pointer + source, input.channels, start)
        }
        unsafe tally_requantize_s8(
          Int32(truncatingIfNeeded: count), start, multiplier.mantissa, multiplier.shift,
          quantization.zeroPoint, quantization.low, quantization.high, y.pointer + first, nil)
      }
      first &+= count
    }
  }

  /// Input rows under the windows of output row `r`; dilation 1.
  private func insideRows(_ r: Int) -> Range<Int> {
    let top = r &* geometry.strideHeight &- geometry.padTop
    return clippedRange(top, top &+ geometry.kernelHeight, input.height)
  }

  private func insideColumns(_ c: Int) -> Range<Int> {
    let left = c &* geometry.strideWidth &- geometry.padLeft
    return clippedRange(left, left &+ geometry.kernelWidth, input.width)
  }

  private func clippedRange(_ start: Int, _ end: Int, _ extent: Int) -> Range<Int> {
    let first = Swift.max(start, 0)
    return first..<Swift.max(first, Swift.min(end, extent))
  }

  /// Scale of `averageGradient` for an output gradient of Scale `scale`.
  public func averageGradientScale(_ scale: Scale, commonDivisor: Int?) -> Scale {
    scale / Scale(UInt64(truncatingIfNeeded: commonDivisor ?? 64 &* geometry.area))
  }

  /// dx = Σ g of the windows over a position, weighted where their divisors differ (SPEC 6.4, backward).
  public func averageGradient(_ g: View<Int8>, commonDivisor: Int?, into gradient: View<Int32>) {
    if isGlobal {
      // One window with everything inside: every position has the same gradient.
      let first = gradient.slice(0, input.channels)
      for i in 0..<input.channels { first[i] = Int32(g[i]) }
      for position in 1..<input.positions {
        gradient.slice(position &* input.channels, input.channels).copy(from: first)
      }
      return
    }
    gradient.fill(0)
    var source = 0
    for r in 0..<output.height {
      for c in 0..<output.width {
        var weight: Int32 = 1
        if commonDivisor == nil {
          let n = divisor(row: r, column: c)
          weight = Int32(truncatingIfNeeded: (128 &* geometry.area &+ n) / (2 &* n))
        }
        forEachInside(row: r, column: c) { element in
          for i in 0..<output.channels {
            gradient[element &+ i] &+= Int32(g[source &+ i]) &* weight
          }
        }
        source &+= output.channels
      }
    }
  }
}
