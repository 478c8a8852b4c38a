import MicroKernels
import Testing

private struct Depthwise: CustomStringConvertible {
  var channels, kernelHeight, kernelWidth, stride, dilation, padLeft, padTop: Int
  var inputWidth, inputHeight, outputWidth, outputHeight, padding: Int

  var description: String {
    "C \(channels) K \(kernelHeight)×\(kernelWidth) stride \(stride) dilation \(dilation) "
      + "pad \(padTop),\(padLeft) in \(inputHeight)×\(inputWidth) "
      + "out \(outputHeight)×\(outputWidth) padding \(padding)"
  }

  /// The input row of kernel row i of output row r, or nil in the padding.
  func inputRow(_ r: Int, _ i: Int) -> Int? {
    let y = r * stride + i * dilation - padTop
    return y >= 0 && y < inputHeight ? y : nil
  }

  func sums(_ input: [Int8], _ weights: [Int8]) -> [Int32] {
    var acc: [Int32] = []
    for r in 0..<outputHeight {
      for o in 0..<outputWidth {
        for c in 0..<channels {
          var sum: Int32 = 0
          for i in 0..<kernelHeight {
            for j in 0..<kernelWidth {
              let x = o * stride + j * dilation - padLeft
              var value = Int32(padding)
              if let y = inputRow(r, i), x >= 0 && x < inputWidth {
                value = Int32(input[(y * inputWidth + x) * channels + c])
              }
              sum &+= Int32(weights[(i * kernelWidth + j) * channels + c]) * value
            }
          }
          acc.append(sum)
        }
      }
    }
    return acc
  }
}

extension MicroKernels {
  @Test("depthwise rows: padding, strides, dilations, any kernel")
  func depthwise() {
    var random = MicroKernelsRandom("depthwise")
    for trial in 0..<500 {
      // Two thirds 3 × 3 with stride 1 or 2, which has a version of its own for some channels.
      let common = trial % 3 != 0
      let channels = [1, 3, 7, 8, 16, 17, 24, 32, 48, 64, 65, 96][trial / 3 % 12]
      let wide = trial % 60 == 0
      let kernelHeight = common ? 3 : wide ? 9 : random.int(1...4)
      let kernelWidth = common ? 3 : wide ? 8 : random.int(1...5)
      let shape = Depthwise(
        channels: wide ? 5 : channels, kernelHeight: kernelHeight, kernelWidth: kernelWidth,
        stride: common ? random.int(1...2) : random.int(1...3),
        dilation: common ? 1 : random.int(1...2), padLeft: random.int(0...kernelWidth),
        padTop: random.int(0...kernelHeight), inputWidth: random.int(1...7),
        inputHeight: random.int(1...4), outputWidth: random.int(1...9),
        outputHeight: random.int(1...2), padding: random.int(-128...127))
      let input = random.bytes(shape.inputHeight * shape.inputWidth * shape.channels)
      let weights = random.bytes(kernelHeight * kernelWidth * shape.channels)
      let expected = shape.sums(input, weights)

      let rowBytes = shape.inputWidth * shape.channels
      let fencedInput = FencedMemory(input, atStart: random.next() & 1 == 0)
      let fencedWeights = FencedMemory(weights, atStart: random.next() & 1 == 0)
      var pointers: [UnsafePointer<Int8>?] = []
      for r in 0..<shape.outputHeight {
        for i in 0..<kernelHeight {
          pointers.append(
            shape.inputRow(r, i).map { UnsafePointer(fencedInput.base + $0 * rowBytes) })
        }
      }
      Self.atEachLevel { level in
        let acc = GuardedOutput<Int32>(expected.count, filledWith: 0x5555_5555)
        tally_depthwise_s8_rows(
          Int32(shape.outputHeight), Int32(shape.outputWidth), Int32(shape.channels),
          Int32(kernelHeight), Int32(kernelWidth), Int32(shape.stride), Int32(shape.dilation),
          Int32(shape.padLeft), Int32(shape.inputWidth), pointers, fencedWeights.base,
          Int32(shape.padding), acc.base)
        #expect(acc.array == expected, "\(shape) at level \(level)")
        #expect(acc.guardsHold, "\(shape) at level \(level) wrote outside")

        let row = GuardedOutput<Int32>(
          shape.outputWidth * shape.channels, filledWith: 0x5555_5555)
        tally_depthwise_s8_row(
          Int32(shape.outputWidth), Int32(shape.channels), Int32(kernelHeight),
          Int32(kernelWidth), Int32(shape.stride), Int32(shape.dilation), Int32(shape.padLeft),
          Int32(shape.inputWidth), pointers, fencedWeights.base, Int32(shape.padding), row.base)
        #expect(row.array == Array(expected.prefix(row.count)), "\(shape), one row")
      }
    }
  }

  @Test("depthwise at the ends of the ranges")
  func depthwiseExtremes() {
    for value in [-128, 127] {
      let input = [Int8](repeating: Int8(value), count: 8 * 64)
      let weights = [Int8](repeating: -128, count: 9 * 64)
      let expected = Int32(9 * -128 * value)
      Self.atEachLevel { level in
        var acc = [Int32](repeating: 1, count: 6 * 64)
        input.withUnsafeBufferPointer { input in
          let rows = [UnsafePointer<Int8>?](repeating: input.baseAddress, count: 3)
          tally_depthwise_s8_row(
            6, 64, 3, 3, 1, 1, 0, 8, rows, weights, 0, &acc)
        }
        #expect(acc.allSatisfy { $0 == expected }, "level \(level)")
      }
    }
  }
}
