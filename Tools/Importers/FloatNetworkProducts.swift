import Tally

/// A layer's weights in the order in which the inner loops read them.
///
/// Outputs stand in panels of eight, one vector register: panel, then input, then the eight
/// outputs. Each output is its own sum over the inputs in ascending order, so the panels change
/// speed and nothing else.
struct PackedWeights: Sendable {
  private static let width = 8

  private let bias: [Float]
  /// Per group: panels [input][8 outputs], the last panel filled up with zeros.
  private let groups: [[Float]]
  private let outputsPerGroup: Int
  /// Inputs of one sum.
  private let depth: Int
  /// [kernel position][channel], for convolutions with one input channel and one output channel
  /// per group.
  private let depthwise: [Float]?

  init?(_ operation: FloatOperation) {
    switch operation {
    case .convolution(let geometry, let groups, let outputs, let weights, let bias):
      self.init(weights, bias, groups: groups, outputs: outputs, geometry: geometry)
    case .fullyConnected(let outputs, let weights, let bias):
      self.init(weights, bias, groups: 1, outputs: outputs, geometry: nil)
    default: return nil
    }
  }

  private init(
    _ weights: [Float], _ bias: [Float], groups: Int, outputs: Int, geometry: WindowGeometry?
  ) {
    self.bias = bias
    let perGroup = outputs / groups
    let depth = weights.count / outputs
    outputsPerGroup = perGroup
    self.depth = depth
    let area = geometry.map { $0.kernelHeight * $0.kernelWidth } ?? 0
    if perGroup == 1 && depth == area && groups > 1 {
      var moved = [Float](repeating: 0, count: weights.count)
      for channel in 0..<outputs {
        for position in 0..<area {
          moved[position * outputs + channel] = weights[channel * area + position]
        }
      }
      depthwise = moved
      self.groups = []
      return
    }
    depthwise = nil
    let panels = (perGroup + Self.width - 1) / Self.width
    self.groups = (0..<groups).map { group in
      var packed = [Float](repeating: 0, count: panels * depth * Self.width)
      for output in 0..<perGroup {
        let panel = output / Self.width
        for input in 0..<depth {
          packed[(panel * depth + input) * Self.width + output % Self.width] =
            weights[(group * perGroup + output) * depth + input]
        }
      }
      return packed
    }
  }

  /// result[row, column] = Σ x[row, input] · weight[column, input] + bias[column].
  func multiply(_ x: [Float], rows: Int, into result: inout [Float], columns: Int) {
    x.withUnsafeBufferPointer { x in
      result.withUnsafeMutableBufferPointer { result in
        multiply(
          x.baseAddress!, rows: rows, rowStride: depth, group: 0, into: result.baseAddress!,
          resultStride: columns)
      }
    }
  }

  /// `rows` rows of `depth` inputs, `rowStride` apart, times the weights of one group.
  private func multiply(
    _ x: UnsafePointer<Float>, rows: Int, rowStride: Int, group: Int,
    into result: UnsafeMutablePointer<Float>, resultStride: Int
  ) {
    let firstOutput = group * outputsPerGroup
    groups[group].withUnsafeBufferPointer { packed in
      for panel in stride(from: 0, to: outputsPerGroup, by: Self.width) {
        let weights = UnsafeRawPointer(packed.baseAddress! + panel * depth)
        let used = min(Self.width, outputsPerGroup - panel)
        var row = 0
        while row < rows {
          // Four rows share each load of weights.
          let step = min(4, rows - row)
          let x0 = x + row * rowStride
          let x1 = x + (row + min(1, step - 1)) * rowStride
          let x2 = x + (row + min(2, step - 1)) * rowStride
          let x3 = x + (row + min(3, step - 1)) * rowStride
          var sum0 = SIMD8<Float>()
          var sum1 = SIMD8<Float>()
          var sum2 = SIMD8<Float>()
          var sum3 = SIMD8<Float>()
          for input in 0..<depth {
            let weight = weights.loadUnaligned(
              fromByteOffset: input * Self.width * 4, as: SIMD8<Float>.self)
            sum0 += weight * x0[input]
            sum1 += weight * x1[input]
            sum2 += weight * x2[input]
            sum3 += weight * x3[input]
          }
          let sums = [sum0, sum1, sum2, sum3]
          for offset in 0..<step {
            let target = result + (row + offset) * resultStride + panel
            for lane in 0..<used {
              target[lane] = sums[offset][lane] + bias[firstOutput + panel + lane]
            }
          }
          row += step
        }
      }
    }
  }

  /// A convolution, by gathering each window into a row (not for 1×1 windows) and multiplying.
  func convolve(
    _ x: [Float], _ shape: TensorShape, into result: inout [Float], _ output: TensorShape,
    geometry: WindowGeometry, groups groupCount: Int, count: Int
  ) {
    if depthwise != nil {
      convolveDepthwise(x, shape, into: &result, output, geometry: geometry, count: count)
      return
    }
    let channels = shape.channels / groupCount
    let isPointwise =
      geometry == WindowGeometry(kernelHeight: 1, kernelWidth: 1) && groupCount == 1
    // One row of the output at a time keeps the gathered windows in the cache.
    var windows = [Float](repeating: 0, count: isPointwise ? 0 : output.width * depth)
    x.withUnsafeBufferPointer { x in
      result.withUnsafeMutableBufferPointer { result in
        windows.withUnsafeMutableBufferPointer { windows in
          for sample in 0..<count {
            let input = x.baseAddress! + sample * shape.count
            let target = result.baseAddress! + sample * output.count
            if isPointwise {
              multiply(
                input, rows: shape.height * shape.width, rowStride: shape.channels, group: 0,
                into: target, resultStride: output.channels)
              continue
            }
            for row in 0..<output.height {
              for group in 0..<groupCount {
                gather(
                  input, shape, row: row, columns: output.width, firstChannel: group * channels,
                  channels: channels, geometry, into: windows.baseAddress!)
                multiply(
                  UnsafePointer(windows.baseAddress!), rows: output.width, rowStride: depth,
                  group: group,
                  into: target + row * output.width * output.channels + group * outputsPerGroup,
                  resultStride: output.channels)
              }
            }
          }
        }
      }
    }
  }

  /// The windows of one row of the output: [column][kernel row][kernel column][channel].
  private func gather(
    _ input: UnsafePointer<Float>, _ shape: TensorShape, row: Int, columns: Int,
    firstChannel: Int, channels: Int, _ geometry: WindowGeometry,
    into windows: UnsafeMutablePointer<Float>
  ) {
    var target = windows
    for column in 0..<columns {
      for y in 0..<geometry.kernelHeight {
        let inputRow = row * geometry.strideHeight - geometry.padTop + y * geometry.dilationHeight
        let isInside = inputRow >= 0 && inputRow < shape.height
        for x in 0..<geometry.kernelWidth {
          let inputColumn =
            column * geometry.strideWidth - geometry.padLeft + x * geometry.dilationWidth
          if isInside && inputColumn >= 0 && inputColumn < shape.width {
            let source =
              input + (inputRow * shape.width + inputColumn) * shape.channels + firstChannel
            target.update(from: source, count: channels)
          } else {
            target.update(repeating: 0, count: channels)
          }
          target += channels
        }
      }
    }
  }

  private func convolveDepthwise(
    _ x: [Float], _ shape: TensorShape, into result: inout [Float], _ output: TensorShape,
    geometry: WindowGeometry, count: Int
  ) {
    guard let weights = depthwise else { return }
    let channels = shape.channels
    x.withUnsafeBufferPointer { x in
      weights.withUnsafeBufferPointer { weights in
        result.withUnsafeMutableBufferPointer { result in
          for position in 0..<count * output.height * output.width {
            let sample = position / (output.height * output.width)
            let row = position / output.width % output.height
            let column = position % output.width
            let target = result.baseAddress! + position * channels
            for y in 0..<geometry.kernelHeight {
              let inputRow =
                row * geometry.strideHeight - geometry.padTop + y * geometry.dilationHeight
              guard inputRow >= 0, inputRow < shape.height else { continue }
              for x0 in 0..<geometry.kernelWidth {
                let inputColumn =
                  column * geometry.strideWidth - geometry.padLeft + x0 * geometry.dilationWidth
                guard inputColumn >= 0, inputColumn < shape.width else { continue }
                let source =
                  x.baseAddress!
                  + ((sample * shape.height + inputRow) * shape.width + inputColumn) * channels
                let factors =
                  weights.baseAddress! + (y * geometry.kernelWidth + x0) * channels
                for channel in 0..<channels {
                  target[channel] += source[channel] * factors[channel]
                }
              }
            }
            for channel in 0..<channels { target[channel] += bias[channel] }
          }
        }
      }
    }
  }
}
