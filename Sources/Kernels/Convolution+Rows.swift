public import Tensors

extension Convolution {
  /// What `forward` computes, with the weights of one output channel at a time: `row` gives them, and may
  /// give them anew each time, so that weights that exist nowhere (perturbed ones) need memory for one
  /// channel only.
  ///
  /// - Parameters:
  ///   - row: int8 [depth] of an output channel; valid until the next call.
  public func forwardByChannel(
    _ x: View<Int8>, padding: Int8, rows: Range<Int>, workspace: View<Int8>,
    into accumulators: View<Int32>, row: (_ channel: Int) -> View<Int8>
  ) {
    let positions = rows.count &* output.width
    if isDepthwise {
      for o in 0..<output.channels {
        depthwiseChannel(x, row(o), o, padding: padding, rows: rows, into: accumulators)
      }
      return
    }
    for group in 0..<groups {
      let patches: View<Int8>
      if isPointwise {
        patches = x.slice(
          rows.lowerBound &* input.width &* input.channels, positions &* depth)
      } else {
        gatherPatches(x, padding: padding, rows: rows, group: group, into: workspace)
        patches = workspace
      }
      for o in group &* outputsPerGroup..<(group &+ 1) &* outputsPerGroup {
        multiply(
          rows: positions, patches, aStride: depth,
          by: MatrixOperand(row(o), stride: depth, columns: 1, depth: depth),
          into: accumulators.slice(o, accumulators.count &- o), cStride: output.channels)
      }
    }
  }

  private func depthwiseChannel(
    _ x: View<Int8>, _ weights: View<Int8>, _ o: Int, padding: Int8, rows: Range<Int>,
    into accumulators: View<Int32>
  ) {
    var target = o
    for r in rows {
      for c in 0..<output.width {
        var sum: Int32 = 0
        for u in 0..<geometry.kernelHeight {
          let row = r &* geometry.strideHeight &- geometry.padTop &+ u &* geometry.dilationHeight
          for v in 0..<geometry.kernelWidth {
            let column =
              c &* geometry.strideWidth &- geometry.padLeft &+ v &* geometry.dilationWidth
            let inside = row >= 0 && row < input.height && column >= 0 && column < input.width
            let value =
              inside ? x[(row &* input.width &+ column) &* input.channels &+ o] : padding
            sum &+= Int32(weights[u &* geometry.kernelWidth &+ v]) &* Int32(value)
          }
        }
        accumulators[target] = sum
        target &+= output.channels
      }
    }
  }
}
