import MicroKernels
import Synchronization
import Testing

/// Parts that were run by `lastToFirst`.
private let sharedParts = Atomic<Int>(0)

/// What threads may do at worst: every part at another time than its caller would.
private let lastToFirst:
  @convention(c) (
    Int32, (@convention(c) (UnsafeMutableRawPointer?, Int32) -> Void)?, UnsafeMutableRawPointer?
  ) -> Void = { parts, body, context in
    sharedParts.add(Int(parts), ordering: .relaxed)
    for part in (0..<parts).reversed() { body?(context, part) }
  }

extension MicroKernels {
  /// Calls `body` unshared and with work cut for 2, 3, 7 and 16 threads; all must give the same.
  private static func expectSame<T: Equatable>(_ name: String, _ body: () -> T) {
    let expected = body()
    let before = sharedParts.load(ordering: .relaxed)
    for threads: Int32 in [2, 3, 7, 16] {
      tally_set_parallel(lastToFirst, threads)
      let found = body()
      tally_set_parallel(nil, 1)
      #expect(found == expected, "\(name), \(threads) threads")
    }
    #expect(sharedParts.load(ordering: .relaxed) >= before + 8, "\(name) is never shared")
  }

  @Test("work cut for threads gives the same")
  func threads() {
    var random = MicroKernelsRandom("threads")
    let count = 130 * 1024 + 77
    let key: [UInt32] = [UInt32(truncatingIfNeeded: random.next()), 9]
    let counter: [UInt32] = [3, UInt32(truncatingIfNeeded: random.next()), 5]
    let values = (0..<count).map { _ in Int32(truncatingIfNeeded: random.int(-70_000...70_000)) }
    let bits = (0..<count / 8 + 1).map { _ in UInt8(truncatingIfNeeded: random.int(0...255)) }
    Self.expectSame("stochastic shift") {
      var out = [Int8](repeating: 0, count: count)
      tally_shift_stochastic_s8(Int32(count), values, 9, 13, key, counter, &out, bits)
      return out
    }
    Self.expectSame("contribution") {
      var target = values
      let clipped = tally_contribute_q16(
        Int32(count), values, 1_500_000_001, 36, 5, key, counter, 1 << 11, 1, &target)
      return target + [clipped]
    }
    Self.expectSame("refresh") {
      var masters = values.map { $0 &* 150 }
      var weights = [Int8](repeating: 0, count: count)
      tally_refresh_s8(Int32(count), &masters, &weights)
      return masters + weights.map { Int32($0) }
    }
    let (rows, depth) = (211, 331)
    let g = random.bytes(3 * rows)
    let x = random.bytes(3 * depth)
    Self.expectSame("product update") {
      var target = Array(values.prefix(rows * depth))
      let clipped = tally_contribute_product_q16(
        0, Int32(rows), Int32(depth), 3, g, rows, x, depth, -7, 1_300_000_007, 33, key, counter,
        1 << 14, 0, &target)
      return target + [clipped]
    }
    let a = random.bytes(129 * 260)
    let b = random.bytes(2100 * 260)
    Self.expectSame("dot form") {
      var c = [Int32](repeating: 0, count: 2 * 2100)
      tally_gemm_s8_nt(2, 2100, 260, a, 260, b, 260, &c, 2100)
      return c
    }
    var packed = [UInt8](repeating: 0, count: tally_packed_s8_bytes(131, 260))
    tally_pack_s8(131, 260, b, 260, &packed)
    Self.expectSame("packed form") {
      var c = [Int32](repeating: 4, count: 129 * 131)
      tally_gemm_s8_packed(129, 131, 260, a, 260, packed, &c, 131, 1)
      return c
    }
  }

  @Test("convolutions cut for threads give the same")
  func threadsOfConvolutions() {
    var random = MicroKernelsRandom("threads of convolutions")
    for stride: Int32 in [1, 2] {
      var window = tally_window(
        kernel_height: 3, kernel_width: 3, stride_height: stride, stride_width: stride,
        dilation_height: 1, dilation_width: 1, pad_top: 1, pad_left: 1)
      let (size, channels, outputs): (Int32, Int32, Int32) = (37, 33, 40)
      let out = (size - 1) / stride + 1
      let x = random.bytes(Int(size * size * channels))
      let weights = random.bytes(Int(outputs * 9 * channels))
      let g = random.bytes(Int(out * out * outputs))
      Self.expectSame("convolution") {
        var padded = [Int8](
          repeating: 0, count: tally_padded_s8_bytes(&window, out, out, channels))
        tally_pad_s8(x, size, size, channels, &window, out, out, 3, &padded)
        var packed = [UInt8](
          repeating: 0, count: tally_packed_window_s8_bytes(outputs, &window, channels))
        tally_pack_window_s8(outputs, &window, channels, weights, &packed)
        var acc = [Int32](repeating: 0, count: Int((out - 2) * out * outputs))
        tally_convolve_s8(
          padded, channels, &window, 1, out - 1, out, outputs, packed, &acc)
        return acc
      }
      Self.expectSame("input gradient") {
        var packed = [UInt8](
          repeating: 0, count: tally_packed_gradient_s8_bytes(channels, &window, outputs))
        tally_pack_gradient_s8(channels, &window, outputs, weights, &packed)
        var padded = [Int8](
          repeating: 0, count: tally_padded_gradient_s8_bytes(&window, size - 2, size, outputs))
        var dx = [Int32](repeating: 0, count: Int((size - 2) * size * channels))
        tally_convolve_input_gradient_s8(
          g, out, out, outputs, &window, 1, size - 1, size, channels, packed, &padded, &dx)
        return dx
      }
      let deep = random.bytes(Int(size * size) * 400)
      let kernels = random.bytes(9 * 400)
      Self.expectSame("depthwise convolution") {
        var turned = [Int8](repeating: 0, count: kernels.count)
        var acc = [Int32](repeating: 0, count: Int(out * out) * 400)
        tally_depthwise_s8(
          deep, size, size, 400, &window, 0, out, out, kernels, &turned, -3, &acc)
        return acc
      }
    }
  }
}
