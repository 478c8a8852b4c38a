import MicroKernels
public import Tensors

// Index letters: r output row, c output column, o output channel, i input channel, u kernel row,
// v kernel column, p position (row and column), k depth (u, v, i of one group).

/// Shape of a convolution (SPEC 6.1); a fully connected operation is its 1 × 1 case (SPEC 6.2).
///
/// Forward, input gradient and weight gradient all become matrix products over *patches*: the window's
/// values laid out contiguously. Each works on a range of rows or channels, so that the workspace can be
/// as small as a board needs; the sums are the same whatever the range.
public struct Convolution: Equatable, Sendable {
  public let input: Shape
  public let output: Shape
  public let geometry: WindowGeometry
  @Narrow public private(set) var groups: Int

  public init(input: Shape, output: Shape, geometry: WindowGeometry, groups: Int) {
    self.input = input
    self.output = output
    self.geometry = geometry
    self.groups = groups
  }

  // A division takes longer than the rest of what shapes are asked, and most have one group.
  public var inputsPerGroup: Int { groups == 1 ? input.channels : input.channels / groups }
  public var outputsPerGroup: Int { groups == 1 ? output.channels : output.channels / groups }
  /// K, the number of weights of one output channel.
  public var depth: Int { geometry.area * inputsPerGroup }
  /// K', the number of products in one input gradient (SPEC 8.3).
  public var backwardDepth: Int { geometry.area * outputsPerGroup }
  public var weightCount: Int { output.channels * depth }
  /// Whether each output channel reads exactly its own input channel.
  public var isDepthwise: Bool {
    groups > 1 && groups == input.channels && groups == output.channels
  }
  /// Whether patches are the input itself, so that no copy is needed and samples join as rows.
  public var isPointwise: Bool { geometry.isPointwise && groups == 1 }
  /// Whether windows can be read where they lie in a padded copy of the input, as runs of neighbouring
  /// values: one for each kernel row.
  public var readsRuns: Bool {
    groups == 1 && !geometry.isPointwise && geometry.dilationWidth == 1
  }
  /// The same of the windows over the output's gradient that make the input's.
  public var readsGradientRuns: Bool { readsRuns && geometry.dilationHeight == 1 }
  /// Multiply-accumulates of one sample's forward pass.
  public var multiplyCount: Int { output.positions * output.channels * depth }
}

// MARK: - Forward

extension Convolution {
  /// Bytes of workspace that `forward` needs for `rows` output rows to be fast: patches, or the weights
  /// of a depthwise convolution in another order.
  public func forwardWorkspace(rows: Int) -> Int {
    isDepthwise ? weightCount : patchesByteCount(rows: rows)
  }

  /// Bytes without which `forward` cannot do; a depthwise convolution then works where its weights lie.
  public func patchesByteCount(rows: Int) -> Int {
    isPointwise || isDepthwise ? 0 : rows * output.width * depth
  }

  /// Accumulators of output rows `rows` of one sample, without bias or zero-point terms:
  /// acc[p, o] = Σ w[o, k]·x[p, k], padding read as the zero point (SPEC 6.1).
  ///
  /// - Parameters:
  ///   - x: int8 [height, width, channels] of one sample.
  ///   - weights: int8 [outputs, depth]; packed only without groups.
  ///   - padding: the input's zero point.
  ///   - accumulators: int32 [rows·width, outputs].
  public func forward(
    _ x: View<Int8>, weights: MatrixOperand, padding: Int8, rows: Range<Int>,
    workspace: View<Int8>, into accumulators: View<Int32>
  ) {
    let positions = rows.count &* output.width
    if weights.isWindow {
      convolve(
        x, of: input, geometry, padding: padding, rows: rows, width: output.width, by: weights,
        workspace: workspace, into: accumulators)
      return
    }
    if isPointwise {
      multiply(
        rows: positions,
        x.slice(rows.lowerBound &* input.width &* input.channels, positions &* depth),
        aStride: depth, by: weights, into: accumulators, cStride: output.channels)
      return
    }
    if isDepthwise {
      if workspace.count < weightCount {
        forwardDepthwise(
          x, weights: weights.values, padding: padding, rows: rows, into: accumulators)
        return
      }
      var window = tally_window(geometry)
      // The views hold a sample, all weights twice, and the accumulators of `rows`.
      unsafe tally_depthwise_s8(
        x.pointer, int32(input.height), int32(input.width), int32(input.channels), &window,
        int32(rows.lowerBound), int32(rows.upperBound), int32(output.width),
        weights.values.pointer, workspace.pointer, Int32(padding), accumulators.pointer)
      return
    }
    for group in 0..<groups {
      gatherPatches(x, padding: padding, rows: rows, group: group, into: workspace)
      let first = group &* outputsPerGroup
      multiply(
        rows: positions, workspace, aStride: depth,
        by: groups == 1 ? weights : part(of: weights, firstRow: first, rows: outputsPerGroup),
        into: accumulators.slice(first, accumulators.count &- first), cStride: output.channels)
    }
  }

  /// Products of windows over `values` with packed weights, for output rows `rows`.
  private func convolve(
    _ values: View<Int8>, of shape: Shape, _ geometry: WindowGeometry, padding: Int8,
    rows: Range<Int>, width: Int, by weights: MatrixOperand, workspace: View<Int8>,
    into accumulators: View<Int32>
  ) {
    guard let packed = weights.packed else { preconditionFailure("windows need packed weights") }
    var window = pad(
      values, of: shape, geometry, padding: padding, rows: rows, width: width, into: workspace)
    // The workspace holds the padded rows, the accumulators those of `rows`.
    unsafe tally_convolve_s8(
      workspace.pointer, int32(shape.channels), &window, 0, int32(rows.count), int32(width),
      int32(weights.columns), packed.pointer, accumulators.pointer)
  }

  /// Copies what output rows `rows` read of a sample, with its padding around it.
  /// - Returns: the window over the copy.
  private func pad(
    _ values: View<Int8>, of shape: Shape, _ geometry: WindowGeometry, padding: Int8,
    rows: Range<Int>, width: Int, into padded: View<Int8>
  ) -> tally_window {
    var window = tally_window(geometry)
    window.pad_top &-= int32(rows.lowerBound &* geometry.strideHeight)
    // The view holds a sample of `shape`, the workspace what `paddedByteCount` says.
    unsafe tally_pad_s8(
      values.pointer, int32(shape.height), int32(shape.width), int32(shape.channels), &window,
      int32(rows.count), int32(width), padding, padded.pointer)
    return window
  }

  /// Bytes of a padded copy for `rows` output rows of a window.
  private static func paddedByteCount(
    _ geometry: WindowGeometry, rows: Int, width: Int, channels: Int
  ) -> Int {
    var window = tally_window(geometry)
    return Int(
      unsafe tally_padded_s8_bytes(
        &window, Int32(truncatingIfNeeded: rows), Int32(truncatingIfNeeded: width),
        Int32(truncatingIfNeeded: channels)))
  }

  /// Bytes of workspace that `forward` needs with weights packed for windows.
  public func forwardRunsWorkspace(rows: Int) -> Int {
    Convolution.paddedByteCount(
      geometry, rows: rows, width: output.width, channels: input.channels)
  }

  /// One group's rows of an operand.
  private func part(of operand: MatrixOperand, firstRow: Int, rows: Int) -> MatrixOperand {
    MatrixOperand(
      operand.values.slice(firstRow &* operand.stride, rows &* operand.stride),
      stride: operand.stride, columns: rows, depth: operand.depth)
  }

  /// Copies the windows of output rows `rows` into patches[p, u, v, i], `padding` outside the input.
  func gatherPatches(
    _ x: View<Int8>, padding: Int8, rows: Range<Int>, group: Int, into patches: View<Int8>
  ) {
    gather(
      x, of: input, firstChannel: group &* inputsPerGroup, channels: inputsPerGroup, geometry,
      padding: padding, rows: rows, width: output.width, into: patches)
  }

  private func gather(
    _ values: View<Int8>, of shape: Shape, firstChannel: Int, channels: Int,
    _ geometry: WindowGeometry, padding: Int8, rows: Range<Int>, width: Int,
    into patches: View<Int8>
  ) {
    var window = tally_window(geometry)
    // The views hold a sample of `shape`, and the patches of `rows`.
    unsafe tally_gather_patches_s8(
      values.pointer, int32(shape.height), int32(shape.width), int32(shape.channels),
      int32(firstChannel), int32(channels), &window, int32(rows.lowerBound),
      int32(rows.upperBound), int32(width), padding, patches.pointer)
  }

  private func int32(_ value: Int) -> Int32 { Int32(truncatingIfNeeded: value) }

  /// One channel in, one channel out: the patches would be K times the input for nothing.
  func forwardDepthwise(
    _ x: View<Int8>, weights: View<Int8>, padding: Int8, rows: Range<Int>,
    into accumulators: View<Int32>
  ) {
    let channels = output.channels
    var target = 0
    for r in rows {
      for c in 0..<output.width {
        let sums = accumulators.slice(target, channels)
        sums.fill(0)
        for u in 0..<geometry.kernelHeight {
          let row = r &* geometry.strideHeight &- geometry.padTop &+ u &* geometry.dilationHeight
          for v in 0..<geometry.kernelWidth {
            let column =
              c &* geometry.strideWidth &- geometry.padLeft &+ v &* geometry.dilationWidth
            let tap = u &* geometry.kernelWidth &+ v
            if row >= 0 && row < input.height && column >= 0 && column < input.width {
              let values = x.slice((row &* input.width &+ column) &* channels, channels)
              for o in 0..<channels {
                sums[o] &+= Int32(weights[o &* depth &+ tap]) &* Int32(values[o])
              }
            } else {
              for o in 0..<channels {
                sums[o] &+= Int32(weights[o &* depth &+ tap]) &* Int32(padding)
              }
            }
          }
        }
        target &+= channels
      }
    }
  }
}

// MARK: - Input gradient

extension Convolution {
  /// Bytes of workspace that `inputGradient` needs for `rows` input rows, beside the turned weights.
  public func inputGradientWorkspace(rows: Int) -> Int {
    isDepthwise ? weightCount : isPointwise ? 0 : rows * input.width * backwardDepth
  }

  /// Whether the windows move by single steps, so that gradients are gathered by a window themselves.
  private var hasUnitStrides: Bool { geometry.strideHeight == 1 && geometry.strideWidth == 1 }
  /// The window over the output's gradient that makes the input's, of unit strides: row r of g meets row
  /// `row` of x through tap u where r = row + top − u·dilation; with u running backward, the window starts
  /// extent − 1 − top above.
  private var gradientWindow: WindowGeometry {
    var window = geometry
    window.padTop = geometry.extentHeight - 1 - geometry.padTop
    window.padLeft = geometry.extentWidth - 1 - geometry.padLeft
    return window
  }

  /// The same with weights packed for windows.
  public func inputGradientRunsWorkspace(rows: Int) -> Int {
    var window = tally_window(geometry)
    return Int(
      unsafe tally_padded_gradient_s8_bytes(
        &window, int32(rows), int32(input.width), int32(output.channels)))
  }

  /// Bytes that turned weights take, packed for windows over the output's gradient.
  public var packedGradientByteCount: Int {
    var window = tally_window(geometry)
    return Int(
      unsafe tally_packed_gradient_s8_bytes(
        int32(input.channels), &window, int32(output.channels)))
  }

  /// Packs weights that were turned for windows.
  public func packTurned(_ turned: View<Int8>, into memory: View<UInt8>) -> MatrixOperand {
    var window = tally_window(geometry)
    // The plan gave `packedGradientByteCount` bytes.
    unsafe tally_pack_gradient_s8(
      int32(input.channels), &window, int32(output.channels), turned.pointer, memory.pointer)
    return MatrixOperand(
      packed: memory, isWindow: true, of: turned, columns: input.channels, depth: backwardDepth)
  }

  /// Turns weights [o, u, v, i] into [i, u, v, o] per group, the rows that input gradients read.
  ///
  /// - Parameter forWindows: puts the taps in the order of windows over the output's gradient.
  public func turnWeights(
    _ weights: View<Int8>, forWindows: Bool = false, into turned: View<Int8>
  ) {
    let area = geometry.area
    for group in 0..<groups {
      for tap in 0..<area {
        let source = group &* outputsPerGroup &* depth &+ tap &* inputsPerGroup
        let target =
          (group &* inputsPerGroup &* area &+ turnedTap(tap, forWindows: forWindows))
          &* outputsPerGroup
        transpose(
          rows: outputsPerGroup, columns: inputsPerGroup,
          weights.slice(source, weights.count &- source), stride: depth,
          into: turned.slice(target, turned.count &- target),
          targetStride: area &* outputsPerGroup)
      }
    }
  }

  /// Where a tap stands in turned weights: for unit strides taps run backward, as a window over the output's
  /// gradient then meets them.
  private func turnedTap(_ tap: Int, forWindows: Bool) -> Int {
    guard forWindows || hasUnitStrides && !isDepthwise else { return tap }
    var window = tally_window(geometry)
    return Int(
      unsafe tally_gradient_tap(
        &window, int32(tap / geometry.kernelWidth), int32(tap % geometry.kernelWidth)))
  }

  /// The operation on `count` of its output channels alone; one group.
  public func keeping(_ count: Int) -> Convolution {
    Convolution(
      input: input, output: Shape(height: output.height, width: output.width, channels: count),
      geometry: geometry, groups: 1)
  }

  /// The weights of some output channels in the order that input gradients read them, packed; one group.
  ///
  /// - Parameters:
  ///   - channels: int32, the output channels, ascending.
  ///   - forWindows: packs them for windows over the output's gradient.
  ///   - gathered: int8 [area, channels, inputs].
  ///   - packed: `packedGradientByteCount` for windows, else as `MatrixOperand.packedByteCount(columns:
  ///     inputs, depth: area·channels)` says.
  public func turnWeights(
    _ weights: View<Int8>, of channels: View<Int32>, forWindows: Bool,
    gatheringInto gathered: View<Int8>, packingInto packed: View<UInt8>
  ) -> MatrixOperand {
    let inputs = input.channels
    for tap in 0..<geometry.area {
      var target = turnedTap(tap, forWindows: forWindows) &* channels.count &* inputs
      for j in 0..<channels.count {
        let source = Int(channels[j]) &* depth &+ tap &* inputs
        gathered.slice(target, inputs).copy(from: weights.slice(source, inputs))
        target &+= inputs
      }
    }
    guard forWindows else {
      return MatrixOperand(
        turning: gathered, stride: inputs, columns: inputs, depth: backwardDepth,
        packingInto: packed)
    }
    var window = tally_window(geometry)
    // The views hold a weight for each tap, channel and input, and what they take packed.
    unsafe tally_pack_gradient_s8_transposed(
      int32(inputs), &window, int32(output.channels), gathered.pointer, packed.pointer)
    return MatrixOperand(
      packed: packed, isWindow: true, of: gathered, columns: inputs, depth: backwardDepth)
  }

  /// dx[p, i] = Σ w[o, u, v, i]·g[…, o] for input rows `rows` of one sample (SPEC 6.1, backward).
  ///
  /// - Parameters:
  ///   - g: int8 [height, width, outputs] of one sample, the gradient of the output.
  ///   - turned: weights as `turnWeights` lays them out; packed only without groups.
  ///   - gradient: int32 [rows·width, inputs].
  public func inputGradient(
    _ g: View<Int8>, turned: MatrixOperand, rows: Range<Int>, workspace: View<Int8>,
    into gradient: View<Int32>
  ) {
    let positions = rows.count &* input.width
    if turned.isWindow {
      guard let packed = turned.packed else { preconditionFailure("windows need packed weights") }
      var window = tally_window(geometry)
      // The views hold a sample, the padded rows of it, and the accumulators of `rows`.
      unsafe tally_convolve_input_gradient_s8(
        g.pointer, int32(output.height), int32(output.width), int32(output.channels), &window,
        int32(rows.lowerBound), int32(rows.upperBound), int32(input.width),
        int32(input.channels), packed.pointer, workspace.pointer, gradient.pointer)
      return
    }
    if isPointwise {
      multiply(
        rows: positions,
        g.slice(rows.lowerBound &* output.width &* output.channels, positions &* output.channels),
        aStride: output.channels, by: turned, into: gradient, cStride: input.channels)
      return
    }
    if isDepthwise {
      var window = tally_window(geometry)
      // The views hold a sample, all weights twice, and the accumulators of `rows`.
      unsafe tally_depthwise_input_gradient_s8(
        g.pointer, int32(output.height), int32(output.width), int32(output.channels), &window,
        int32(rows.lowerBound), int32(rows.upperBound), int32(input.width),
        turned.values.pointer, workspace.pointer, gradient.pointer)
      return
    }
    for group in 0..<groups {
      gatherGradientPatches(g, rows: rows, group: group, into: workspace)
      let first = group &* inputsPerGroup
      multiply(
        rows: positions, workspace, aStride: backwardDepth,
        by: groups == 1 ? turned : part(of: turned, firstRow: first, rows: inputsPerGroup),
        into: gradient.slice(first, gradient.count &- first), cStride: input.channels)
    }
  }

  /// The output position that kernel tap (u, v) joins to input position (row, column), if there is one.
  @inline(__always)
  func outputPosition(row: Int, column: Int, u: Int, v: Int) -> Int? {
    let y = row &+ geometry.padTop &- u &* geometry.dilationHeight
    let x = column &+ geometry.padLeft &- v &* geometry.dilationWidth
    guard y >= 0, x >= 0 else { return nil }
    let r = y / geometry.strideHeight
    let c = x / geometry.strideWidth
    guard
      r &* geometry.strideHeight == y, c &* geometry.strideWidth == x, r < output.height,
      c < output.width
    else { return nil }
    return r &* output.width &+ c
  }

  /// patches[p, u, v, o] = the gradient that tap (u, v) brings to input position p, 0 where none does.
  private func gatherGradientPatches(
    _ g: View<Int8>, rows: Range<Int>, group: Int, into patches: View<Int8>
  ) {
    let channels = outputsPerGroup
    let firstChannel = group &* channels
    if hasUnitStrides {
      gather(
        g, of: output, firstChannel: firstChannel, channels: channels, gradientWindow, padding: 0,
        rows: rows, width: input.width, into: patches)
      return
    }
    var window = tally_window(geometry)
    // The views hold a sample of the output, and the patches of `rows`.
    unsafe tally_gather_gradient_patches_s8(
      g.pointer, int32(output.height), int32(output.width), int32(output.channels),
      int32(firstChannel), int32(channels), &window, int32(rows.lowerBound),
      int32(rows.upperBound), int32(input.width), patches.pointer)
  }

  func inputGradientDepthwise(
    _ g: View<Int8>, turned: View<Int8>, rows: Range<Int>, into gradient: View<Int32>
  ) {
    let channels = input.channels
    let area = geometry.area
    var target = 0
    for row in rows {
      for column in 0..<input.width {
        let sums = gradient.slice(target, channels)
        sums.fill(0)
        for u in 0..<geometry.kernelHeight {
          for v in 0..<geometry.kernelWidth {
            guard let position = outputPosition(row: row, column: column, u: u, v: v) else {
              continue
            }
            let tap = u &* geometry.kernelWidth &+ v
            let values = g.slice(position &* channels, channels)
            for i in 0..<channels {
              sums[i] &+= Int32(turned[i &* area &+ tap]) &* Int32(values[i])
            }
          }
        }
        target &+= channels
      }
    }
  }
}

// MARK: - Parameter gradients

extension Convolution {
  /// Bytes of workspace that `weightGradient` needs for `channels` output channels of one group and
  /// `positions` positions: packed patches, the turned gradient, and patches.
  public func weightGradientWorkspace(channels: Int, positions: Int) -> Int {
    if isDepthwise { return 0 }
    if readsRuns {
      let rows = positions / output.width
      return paddedGradientInput(rows) + gradientRunsByteCount(rows: rows, channels: channels)
    }
    return packedPatches(positions) + positions * channels + (isPointwise ? 0 : positions * depth)
  }

  /// Where the rest begins behind a padded copy of the input.
  private func paddedGradientInput(_ rows: Int) -> Int {
    (forwardRunsWorkspace(rows: rows) + 63) & ~63
  }

  private func gradientRunsByteCount(rows: Int, channels: Int) -> Int {
    var window = tally_window(geometry)
    return Int(
      unsafe tally_window_gradient_bytes(
        &window, int32(rows), int32(output.width), int32(input.channels), int32(channels)))
  }

  private func packedPatches(_ positions: Int) -> Int {
    MatrixOperand.packedByteCount(columns: depth, depth: positions)
  }

  /// dw[o, k] += Σ x·g over output rows `rows` of one sample, for output channels `channels` of one
  /// group, without the zero-point term Z·Σg (SPEC 6.1, backward).
  ///
  /// - Parameters:
  ///   - channels: output channels, all of one group (any range for a depthwise convolution).
  ///   - gradient: int32 [channels, depth], added to.
  public func weightGradient(
    _ x: View<Int8>, _ g: View<Int8>, padding: Int8, channels: Range<Int>, rows: Range<Int>,
    workspace: View<Int8>, into gradient: View<Int32>
  ) {
    if isDepthwise {
      if channels.count < output.channels {
        weightGradientDepthwise(
          x, g, padding: padding, channels: channels, rows: rows, into: gradient)
        return
      }
      var window = tally_window(geometry)
      // The views hold a sample each, and all weights' accumulators.
      unsafe tally_depthwise_weight_gradient_s8(
        x.pointer, int32(input.height), int32(input.width), int32(input.channels), &window,
        int32(rows.lowerBound), int32(rows.upperBound), int32(output.width), g.pointer,
        Int32(padding), gradient.pointer)
      return
    }
    let positions = rows.count &* output.width
    let firstPosition = rows.lowerBound &* output.width
    if readsRuns {
      var window = pad(
        x, of: input, geometry, padding: padding, rows: rows, width: output.width, into: workspace)
      let behind = paddedGradientInput(rows.count)
      let first = firstPosition &* output.channels &+ channels.lowerBound
      let scratch = workspace.slice(
        behind, gradientRunsByteCount(rows: rows.count, channels: channels.count))
      // The views hold what their shapes say.
      unsafe tally_convolve_weight_gradient_s8(
        workspace.pointer, int32(input.channels), &window, 0, int32(rows.count),
        int32(output.width), g.slice(first, g.count &- first).pointer, int32(output.channels),
        int32(channels.count), scratch.pointer, gradient.pointer)
      return
    }
    if isPointwise {
      weightGradient(
        patches: x.slice(firstPosition &* depth, positions &* depth), g, positions: positions,
        firstPosition: firstPosition, channels: channels, workspace: workspace, into: gradient)
      return
    }
    let patches = workspace.slice(
      packedPatches(positions) &+ positions &* channels.count, positions &* depth)
    gatherPatches(
      x, padding: padding, rows: rows, group: channels.lowerBound / outputsPerGroup, into: patches)
    weightGradient(
      patches: patches, g, positions: positions, firstPosition: firstPosition, channels: channels,
      workspace: workspace, into: gradient)
  }

  /// dw[o, k] += Σₚ patches[p, k]·g[firstPosition + p, o]. Of a pointwise operation, samples join as
  /// positions.
  public func weightGradient(
    patches: View<Int8>, _ g: View<Int8>, positions: Int, firstPosition: Int, channels: Range<Int>,
    workspace: View<Int8>, into gradient: View<Int32>
  ) {
    let packed = packedPatches(positions)
    let turnedGradient = workspace.slice(packed, positions &* channels.count)
    let first = firstPosition &* output.channels &+ channels.lowerBound
    transpose(
      rows: positions, columns: channels.count, g.slice(first, g.count &- first),
      stride: output.channels, into: turnedGradient, targetStride: positions)
    multiply(
      rows: channels.count, turnedGradient, aStride: positions,
      by: MatrixOperand(
        turning: patches, stride: depth, columns: depth, depth: positions,
        packingInto: workspace.slice(0, packed).bytes),
      into: gradient, cStride: depth, accumulating: true)
  }

  func weightGradientDepthwise(
    _ x: View<Int8>, _ g: View<Int8>, padding: Int8, channels: Range<Int>, rows: Range<Int>,
    into gradient: View<Int32>
  ) {
    let stride = output.channels
    for r in rows {
      for c in 0..<output.width {
        let values = g.slice((r &* output.width &+ c) &* stride, stride)
        for u in 0..<geometry.kernelHeight {
          let row = r &* geometry.strideHeight &- geometry.padTop &+ u &* geometry.dilationHeight
          for v in 0..<geometry.kernelWidth {
            let column =
              c &* geometry.strideWidth &- geometry.padLeft &+ v &* geometry.dilationWidth
            let tap = u &* geometry.kernelWidth &+ v
            let inside = row >= 0 && row < input.height && column >= 0 && column < input.width
            let start = (row &* input.width &+ column) &* stride
            for o in channels {
              let value = inside ? x[start &+ o] : padding
              gradient[(o &- channels.lowerBound) &* depth &+ tap] &+=
                Int32(value) &* Int32(values[o])
            }
          }
        }
      }
    }
  }

  /// db[o] += Σ g over the positions of one sample.
  public func biasGradient(_ g: View<Int8>, into gradient: View<Int32>) {
    sumRows(
      g, rows: output.positions, columns: output.channels, stride: output.channels,
      into: gradient)
  }
}

extension tally_window {
  /// The geometry as the microkernels take it; they need no padding below or to the right.
  init(_ geometry: WindowGeometry) {
    func int32(_ value: Int) -> Int32 { Int32(truncatingIfNeeded: value) }
    self.init(
      kernel_height: int32(geometry.kernelHeight), kernel_width: int32(geometry.kernelWidth),
      stride_height: int32(geometry.strideHeight), stride_width: int32(geometry.strideWidth),
      dilation_height: int32(geometry.dilationHeight),
      dilation_width: int32(geometry.dilationWidth), pad_top: int32(geometry.padTop),
      pad_left: int32(geometry.padLeft))
  }
}
