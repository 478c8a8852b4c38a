public import Tensors

// The backward pass for little memory: weights, inputs and gradients are read where they lie, nothing is
// turned, packed or gathered, and elements whose gradient is 0 cost nothing. The sums are those of
// `inputGradient` and `weightGradient`.

extension Convolution {
  /// dx[p, i] = Σ w[o, u, v, i]·g[…, o] for input rows `rows` of one sample (SPEC 6.1, backward).
  ///
  /// - Parameters:
  ///   - g: int8 [height, width, outputs] of one sample, the gradient of the output.
  ///   - weights: int8 [outputs, depth], as they are stored.
  ///   - gradient: int32 [rows·width, inputs].
  public func inputGradientInPlace(
    _ g: View<Int8>, weights: View<Int8>, rows: Range<Int>, into gradient: View<Int32>
  ) {
    if isDepthwise {
      // One weight per tap and channel: stored weights are turned ones.
      inputGradientDepthwise(g, turned: weights, rows: rows, into: gradient)
      return
    }
    gradient.fill(0)
    var target = 0
    for row in rows {
      for column in 0..<input.width {
        for u in 0..<geometry.kernelHeight {
          for v in 0..<geometry.kernelWidth {
            guard let position = outputPosition(row: row, column: column, u: u, v: v) else {
              continue
            }
            let tap = u &* geometry.kernelWidth &+ v
            for group in 0..<groups {
              let first = group &* outputsPerGroup
              let start = first &* depth &+ tap &* inputsPerGroup
              addRows(
                outputsPerGroup,
                scalars: g.slice(position &* output.channels &+ first, outputsPerGroup), step: 1,
                weights.slice(start, weights.count &- start), stride: depth,
                into: gradient.slice(target &+ group &* inputsPerGroup, inputsPerGroup))
            }
          }
        }
        target &+= input.channels
      }
    }
  }

  /// dw[o, k] += Σ x̂·g over one sample for one output channel, the zero-point term included
  /// (SPEC 6.1, backward).
  ///
  /// - Parameters:
  ///   - x: int8 [height, width, inputs] of one sample.
  ///   - g: int8 [height, width, step] of one sample; the channel's gradient is its column `column`,
  ///     which is not `o` where a depthwise convolution's channels are selected (SPEC 8.11).
  ///   - gradient: int32 [depth], added to.
  public func weightGradientInPlace(
    _ x: View<Int8>, _ g: View<Int8>, column: Int, step: Int, zeroPoint: Int32, channel o: Int,
    into gradient: View<Int32>
  ) {
    let group = o / outputsPerGroup
    for u in 0..<geometry.kernelHeight {
      for v in 0..<geometry.kernelWidth {
        let tap = u &* geometry.kernelWidth &+ v
        let sums = gradient.slice(tap &* inputsPerGroup, inputsPerGroup)
        // Output columns whose tap lies inside the input.
        let offset = v &* geometry.dilationWidth &- geometry.padLeft
        let firstColumn =
          offset >= 0 ? 0 : (geometry.strideWidth &- 1 &- offset) / geometry.strideWidth
        let room = input.width &- 1 &- offset
        guard room >= 0 else { continue }
        let columns = min(output.width, room / geometry.strideWidth &+ 1) &- firstColumn
        guard columns > 0 else { continue }
        var total: Int32 = 0
        for r in 0..<output.height {
          let row = r &* geometry.strideHeight &- geometry.padTop &+ u &* geometry.dilationHeight
          guard row >= 0 && row < input.height else { continue }
          let source =
            (row &* input.width &+ firstColumn &* geometry.strideWidth &+ offset) &* input.channels
            &+ group &* inputsPerGroup
          let first = (r &* output.width &+ firstColumn) &* step &+ column
          let scalars = g.slice(first, g.count &- first)
          addRows(
            columns, scalars: scalars, step: step, x.slice(source, x.count &- source),
            stride: geometry.strideWidth &* input.channels, into: sums)
          if zeroPoint != 0 {
            for c in 0..<columns { total &+= Int32(scalars[c &* step]) }
          }
        }
        if zeroPoint != 0 {
          let correction = zeroPoint &* total
          for i in 0..<inputsPerGroup { sums[i] &-= correction }
        }
      }
    }
  }
}
