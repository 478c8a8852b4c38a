import MicroKernels
import Testing

/// A window over a sample, and what convolutions and pooling over it are, position by position.
private struct Windowed: CustomStringConvertible {
  var window: tally_window
  var height, width, channels, outputHeight, outputWidth: Int

  init(_ random: inout MicroKernelsRandom, channels: Int, dilates: Bool, pools: Bool = false) {
    let (kernelHeight, kernelWidth) = (random.int(1...4), random.int(1...4))
    let dilation = dilates ? random.int(1...2) : 1
    let (strideHeight, strideWidth) = (random.int(1...3), random.int(1...3))
    let padTop = random.int(0...kernelHeight - 1)
    let padLeft = random.int(0...kernelWidth - 1)
    let extentHeight = dilation * (kernelHeight - 1) + 1
    let extentWidth = dilation * (kernelWidth - 1) + 1
    height = random.int(extentHeight...extentHeight + 7)
    width = random.int(extentWidth...extentWidth + 9)
    self.channels = channels
    // The padding below and to the right is at most what the kernel allows.
    let (below, right) =
      pools ? (0, 0) : (random.int(0...kernelHeight - 1), random.int(0...kernelWidth - 1))
    outputHeight = (height + padTop + below - extentHeight) / strideHeight + 1
    outputWidth = (width + padLeft + right - extentWidth) / strideWidth + 1
    window = tally_window(
      kernel_height: Int32(kernelHeight), kernel_width: Int32(kernelWidth),
      stride_height: Int32(strideHeight), stride_width: Int32(strideWidth),
      dilation_height: Int32(dilation), dilation_width: Int32(dilation), pad_top: Int32(padTop),
      pad_left: Int32(padLeft))
  }

  var description: String { "\(height)×\(width)×\(channels) \(window)" }
  var taps: Int { Int(window.kernel_height * window.kernel_width) }
  var count: Int { height * width * channels }
  var positions: Int { outputHeight * outputWidth }

  /// The input position that tap `tap` of output `position` reads, or nil outside.
  func source(_ position: Int, _ tap: Int) -> Int? {
    let (u, v) = (tap / Int(window.kernel_width), tap % Int(window.kernel_width))
    let row =
      position / outputWidth * Int(window.stride_height) - Int(window.pad_top)
      + u * Int(window.dilation_height)
    let column =
      position % outputWidth * Int(window.stride_width) - Int(window.pad_left)
      + v * Int(window.dilation_width)
    return row >= 0 && row < height && column >= 0 && column < width ? row * width + column : nil
  }
}

extension MicroKernels {
  @Test("depthwise convolutions of samples, forward and backward")
  func depthwiseSamples() {
    var random = MicroKernelsRandom("depthwise samples")
    for trial in 0..<150 {
      let channels = [1, 3, 8, 16, 17, 32, 64, 70][trial % 8]
      let shape = Windowed(&random, channels: channels, dilates: trial % 3 == 0)
      let padding = Int8(truncatingIfNeeded: random.int(-128...127))
      let x = random.bytes(shape.count)
      let weights = random.bytes(channels * shape.taps).map { max($0, -127) }
      let g = random.bytes(shape.positions * channels).map { max($0, -127) }
      var forward = [Int32](repeating: 0, count: shape.positions * channels)
      var backward = [Int32](repeating: 0, count: shape.count)
      var byWeight = [Int32](repeating: 3, count: weights.count)
      for position in 0..<shape.positions {
        for tap in 0..<shape.taps {
          let source = shape.source(position, tap)
          for c in 0..<channels {
            let value = source.map { Int32(x[$0 * channels + c]) } ?? Int32(padding)
            let weight = Int32(weights[c * shape.taps + tap])
            let gradient = Int32(g[position * channels + c])
            forward[position * channels + c] += weight * value
            if let source { backward[source * channels + c] += weight * gradient }
            byWeight[c * shape.taps + tap] += value * gradient
          }
        }
      }
      let fenced = (FencedMemory(x), FencedMemory(g), FencedMemory(weights))
      let (oh, ow) = (Int32(shape.outputHeight), Int32(shape.outputWidth))
      let (h, w, c) = (Int32(shape.height), Int32(shape.width), Int32(channels))
      // Rows in two parts: a tile begins anywhere.
      let (cut, inputCut) = (oh / 2, h / 3)
      var window = shape.window
      Self.atEachLevel { level in
        let turned = GuardedOutput<Int8>(weights.count, filledWith: 0x55)
        let acc = GuardedOutput<Int32>(forward.count, filledWith: 0x5555_5555)
        let dx = GuardedOutput<Int32>(backward.count, filledWith: 0x5555_5555)
        let dw = FencedMemory([Int32](repeating: 3, count: weights.count))
        for (first, end) in [(0, cut), (cut, oh)] {
          tally_depthwise_s8(
            fenced.0.base, h, w, c, &window, first, end, ow, fenced.2.base, turned.base,
            Int32(padding), acc.base + Int(first * ow * c))
          tally_depthwise_weight_gradient_s8(
            fenced.0.base, h, w, c, &window, first, end, ow, fenced.1.base, Int32(padding), dw.base)
        }
        for (first, end) in [(0, inputCut), (inputCut, h)] {
          tally_depthwise_input_gradient_s8(
            fenced.1.base, oh, ow, c, &window, first, end, w, fenced.2.base, turned.base,
            dx.base + Int(first * w * c))
        }
        #expect(acc.array == forward && acc.guardsHold, "\(shape) at level \(level)")
        #expect(dx.array == backward && dx.guardsHold, "\(shape) at level \(level)")
        #expect(dw.array == byWeight && turned.guardsHold, "\(shape) at level \(level)")
      }
    }
  }

  @Test("convolutions that read windows in place, and their weight gradients")
  func runs() {
    var random = MicroKernelsRandom("runs")
    for trial in 0..<150 {
      let channels = [1, 2, 3, 4, 5, 8, 16, 21][trial % 8]
      let outputs = [1, 8, 16, 20, 40, 70][trial % 6]
      var shape = Windowed(&random, channels: channels, dilates: false)
      shape.window.dilation_height = 1
      let depth = shape.taps * channels
      let padding = Int8(truncatingIfNeeded: random.int(-128...127))
      let x = random.bytes(shape.count)
      let weights = random.bytes(outputs * depth)
      // A gradient of more channels, of which the first `outputs` are taken.
      let stored = outputs + random.int(0...3)
      let g = random.bytes(shape.positions * stored).map { max($0, -127) }
      var forward = [Int32](repeating: 0, count: shape.positions * outputs)
      var byWeight = [Int32](repeating: 3, count: weights.count)
      for position in 0..<shape.positions {
        for tap in 0..<shape.taps {
          let source = shape.source(position, tap)
          for i in 0..<channels {
            let value = source.map { Int32(x[$0 * channels + i]) } ?? Int32(padding)
            for o in 0..<outputs {
              let k = o * depth + tap * channels + i
              forward[position * outputs + o] &+= Int32(weights[k]) * value
              byWeight[k] &+= Int32(g[position * stored + o]) * value
            }
          }
        }
      }
      let fenced = (FencedMemory(x), FencedMemory(g), FencedMemory(weights))
      let (oh, ow) = (Int32(shape.outputHeight), Int32(shape.outputWidth))
      let cut = oh / 2
      var window = shape.window
      Self.atEachLevel { level in
        let padded = GuardedOutput<Int8>(
          tally_padded_s8_bytes(&window, oh, ow, Int32(channels)), filledWith: 0x55)
        let packed = GuardedOutput<UInt8>(
          tally_packed_window_s8_bytes(Int32(outputs), &window, Int32(channels)),
          filledWith: 0x55)
        let scratch = GuardedOutput<UInt8>(
          tally_window_gradient_bytes(&window, oh, ow, Int32(channels), Int32(outputs)),
          filledWith: 0x55)
        let acc = GuardedOutput<Int32>(forward.count, filledWith: 0x5555_5555)
        let dw = FencedMemory([Int32](repeating: 3, count: weights.count))
        tally_pad_s8(
          fenced.0.base, Int32(shape.height), Int32(shape.width), Int32(channels), &window, oh, ow,
          padding, padded.base)
        tally_pack_window_s8(
          Int32(outputs), &window, Int32(channels), fenced.2.base, packed.base)
        for (first, end) in [(0, cut), (cut, oh)] {
          tally_convolve_s8(
            padded.base, Int32(channels), &window, first, end, ow, Int32(outputs), packed.base,
            acc.base + Int(first) * shape.outputWidth * outputs)
          tally_convolve_weight_gradient_s8(
            padded.base, Int32(channels), &window, first, end, ow, fenced.1.base, Int32(stored),
            Int32(outputs), scratch.base, dw.base)
        }
        #expect(acc.array == forward && acc.guardsHold, "\(shape), \(outputs), level \(level)")
        #expect(dw.array == byWeight, "\(shape), \(outputs), level \(level)")
        #expect(padded.guardsHold && packed.guardsHold && scratch.guardsHold, "\(shape)")
      }
    }
  }

  @Test("patches of input gradients")
  func gradientPatches() {
    var random = MicroKernelsRandom("gradient patches")
    for trial in 0..<100 {
      let stored = [1, 3, 8, 17, 32][trial % 5]
      let first = random.int(0...stored - 1)
      let channels = random.int(1...stored - first)
      let shape = Windowed(&random, channels: 1, dilates: true)
      let g = random.bytes(shape.positions * stored)
      var expected = [Int8](
        repeating: 0, count: shape.height * shape.width * shape.taps * channels)
      for position in 0..<shape.positions {
        for tap in 0..<shape.taps {
          guard let source = shape.source(position, tap) else { continue }
          for o in 0..<channels {
            expected[(source * shape.taps + tap) * channels + o] = g[position * stored + first + o]
          }
        }
      }
      let fenced = FencedMemory(g)
      let patches = GuardedOutput<Int8>(expected.count, filledWith: 0x55)
      var window = shape.window
      tally_gather_gradient_patches_s8(
        fenced.base, Int32(shape.outputHeight), Int32(shape.outputWidth), Int32(stored),
        Int32(first), Int32(channels), &window, 0, Int32(shape.height), Int32(shape.width),
        patches.base)
      #expect(patches.array == expected && patches.guardsHold, "\(shape)")
    }
  }

  @Test("input gradients without the zeros between strides")
  func inputGradients() {
    var random = MicroKernelsRandom("input gradients")
    for trial in 0..<150 {
      let outputs = [1, 3, 4, 8, 17, 32][trial % 6]
      let inputs = [1, 16, 5, 40, 64, 70, 3][trial % 7]
      let shape = Windowed(&random, channels: inputs, dilates: false)
      let g = random.bytes(shape.positions * outputs)
      // [inputs, taps, outputs], in the order of taps that the kernel wants.
      let weights = random.bytes(inputs * shape.taps * outputs)
      var window = shape.window
      let order = (0..<shape.taps).map { tap in
        Int(
          tally_gradient_tap(
            &window, Int32(tap) / window.kernel_width, Int32(tap) % window.kernel_width))
      }
      #expect(order.sorted() == Array(0..<shape.taps), "\(shape)")
      var expected = [Int32](repeating: 0, count: shape.count)
      for position in 0..<shape.positions {
        for tap in 0..<shape.taps {
          guard let source = shape.source(position, tap) else { continue }
          for i in 0..<inputs {
            for o in 0..<outputs {
              expected[source * inputs + i] &+=
                Int32(weights[(i * shape.taps + order[tap]) * outputs + o])
                * Int32(g[position * outputs + o])
            }
          }
        }
      }
      let fenced = (FencedMemory(g), FencedMemory(weights))
      // [taps, outputs, inputs]
      let byOutput = FencedMemory(
        (0..<weights.count).map { weights[$0 % inputs * shape.taps * outputs + $0 / inputs] })
      let cut = Int32(random.int(1...shape.height))
      Self.atEachLevel { level in
        let packed = GuardedOutput<UInt8>(
          tally_packed_gradient_s8_bytes(Int32(inputs), &window, Int32(outputs)), filledWith: 0x55)
        tally_pack_gradient_s8(
          Int32(inputs), &window, Int32(outputs), fenced.1.base, packed.base)
        let same = GuardedOutput<UInt8>(packed.array.count, filledWith: 0x55)
        tally_pack_gradient_s8_transposed(
          Int32(inputs), &window, Int32(outputs), byOutput.base, same.base)
        #expect(
          same.array == packed.array && same.guardsHold, "\(shape), \(outputs) at level \(level)")
        let dx = GuardedOutput<Int32>(expected.count, filledWith: 0x5555_5555)
        for (first, end) in [(0, cut), (cut, Int32(shape.height))] where first < end {
          let padded = GuardedOutput<Int8>(
            tally_padded_gradient_s8_bytes(
              &window, end - first, Int32(shape.width), Int32(outputs)), filledWith: 0x55)
          tally_convolve_input_gradient_s8(
            fenced.0.base, Int32(shape.outputHeight), Int32(shape.outputWidth), Int32(outputs),
            &window, first, end, Int32(shape.width), Int32(inputs), packed.base, padded.base,
            dx.base + Int(first) * shape.width * inputs)
          #expect(padded.guardsHold, "\(shape) at level \(level)")
        }
        #expect(
          dx.array == expected && dx.guardsHold && packed.guardsHold,
          "\(shape), \(outputs) at level \(level)")
      }
    }
  }

  @Test("max pooling takes the first of the largest")
  func pooling() {
    var random = MicroKernelsRandom("pooling")
    var scattered = 0
    for trial in 0..<150 {
      let channels = [1, 3, 8, 16, 20, 32, 64, 70][trial % 8]
      let shape = Windowed(&random, channels: channels, dilates: false, pools: true)
      // Few values, so that there are ties.
      let x = random.bytes(shape.count).map { trial % 2 == 0 ? $0 : $0 & 3 }
      let g = random.bytes(shape.positions * channels)
      var expected = [Int8](repeating: 0, count: g.count)
      var backward = [Int32](repeating: 0, count: x.count)
      for position in 0..<shape.positions {
        for c in 0..<channels {
          let sources = (0..<shape.taps).compactMap { shape.source(position, $0) }
          let largest = sources.map { x[$0 * channels + c] }.max()!
          let place = sources.first { x[$0 * channels + c] == largest }!
          expected[position * channels + c] = largest
          backward[place * channels + c] += Int32(g[position * channels + c])
        }
      }
      let fenced = (FencedMemory(x), FencedMemory(g))
      let (oh, ow) = (Int32(shape.outputHeight), Int32(shape.outputWidth))
      let (h, w, c) = (Int32(shape.height), Int32(shape.width), Int32(channels))
      var window = shape.window
      Self.atEachLevel { level in
        let y = GuardedOutput<Int8>(expected.count, filledWith: 0x55)
        tally_max_pool_s8(fenced.0.base, h, w, c, &window, oh, ow, y.base)
        #expect(y.array == expected && y.guardsHold, "\(shape) at level \(level)")
        let dx = GuardedOutput<Int32>(backward.count, filledWith: 0x5555_5555)
        tally_max_pool_gradient_s8(
          fenced.0.base, h, w, c, &window, oh, ow, fenced.1.base, dx.base)
        #expect(dx.array == backward && dx.guardsHold, "\(shape) at level \(level)")
        let overlaps =
          window.stride_height < window.kernel_height || window.stride_width < window.kernel_width
        if overlaps { return }
        scattered += 1
        let scatter = GuardedOutput<Int8>(backward.count, filledWith: 0x55)
        tally_max_pool_scatter_s8(
          fenced.0.base, h, w, c, &window, oh, ow, fenced.1.base, scatter.base)
        #expect(
          scatter.array.map { Int32($0) } == backward && scatter.guardsHold,
          "\(shape) at level \(level)")
      }
    }
    #expect(scattered > 20)
  }
}
