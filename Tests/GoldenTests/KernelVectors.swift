import MicroKernels
import Tally
import TallyTestSupport
import Testing

@Suite("Golden vectors of the kernels (SPEC 6, 8.4)") struct KernelVectors {
  @Test("a file", arguments: VectorFolder.files("kernels"))
  func file(path: String) throws { try Golden.run(path) }
}

extension Golden {
  private static let operations = [
    "convolution", "fully_connected", "max_pooling", "average_pooling", "add", "multiply",
    "concatenate", "table", "rescale", "slice_and_pad", "upsample",
  ]

  static let kernelChecks: [String: Check] = operations.reduce(
    into: [
      "kernels/round_gradient.txt": { file in try file.blocks.forEach(checkRounding) },
      "kernels/merge_gradients.txt": { file in try file.blocks.forEach(checkMerge) },
    ]
  ) { checks, name in
    checks["kernels/\(name).txt"] = { file in
      for block in file.blocks {
        let kernel = try KernelCase(block)
        try forEachLevel { try kernel.checkFunctions() }
        try kernel.checkSession(isCompact: false)
        try kernel.checkSession(isCompact: true)
      }
    }
  }

  /// Calls `body` with the plain microkernels and with every faster version this machine has.
  static func forEachLevel(_ body: () throws -> Void) rethrows {
    // A level chosen while other tests run does them no harm: all versions give the same.
    tally_set_simd_level(.max)
    let best = tally_simd_level()
    defer { tally_set_simd_level(best) }
    for level in 0...best {
      tally_set_simd_level(level)
      try body()
    }
  }

  private static func stream(_ block: VectorBlock) throws -> RandomStream {
    let purpose = try #require(Purpose(rawValue: try block.number("purpose")))
    return RandomKey(seed: try block.number("seed")).stream(
      purpose, tensor: try block.number("tensor"), step: try block.number("step"),
      query: try block.number("query"))
  }

  private static func checkRounding(_ block: VectorBlock) throws {
    let count: Int = try block.number("count")
    let scale = try block.scale("scale")
    let stream = try stream(block)
    let scratch = Scratch()
    let accumulators = scratch.view(try block.elements("values", count, Int32.self))
    try forEachLevel {
      let largest = largestMagnitude(accumulators)
      let shift = gradientShift(largest)
      try block.expect(
        "scale", largest == 0 ? .zero : scale.multiplied(byPowerOfTwo: shift))
      let gradient: View<Int8> = scratch.view(count)
      roundGradient(accumulators, shift: shift, stream, first: 0, into: gradient)
      try block.expect("gradient", gradient.array)
      // In parts, as boards do it: the lanes belong to the elements.
      for size in [1, 7, 8, 13] {
        let parts: View<Int8> = scratch.view(count)
        for first in stride(from: 0, to: count, by: size) {
          let length = min(size, count - first)
          roundGradient(
            accumulators.slice(first, length), shift: shift, stream, first: first,
            into: parts.slice(first, length))
        }
        try block.expect("gradient", parts.array)
      }
    }
  }

  private static func checkMerge(_ block: VectorBlock) throws {
    let count: Int = try block.number("count")
    let scales = try (block.scale("scale 0"), block.scale("scale 1"))
    let values: ([Int8], [Int8]) = try (
      block.elements("values 0", count), block.elements("values 1", count)
    )
    let stream = try stream(block)
    // A zero Scale loses: the engine keeps the other gradient without calling the kernel.
    if scales.0 == .zero || scales.1 == .zero {
      try block.expect("gradient", scales.0 == .zero ? values.1 : values.0)
      try block.expect("scale", scales.0 == .zero ? scales.1 : scales.0)
      return
    }
    let scratch = Scratch()
    let target = scratch.view(values.0)
    let merge = GradientMerge(target, scales.0, scratch.view(values.1), scales.1)
    let elements = 0..<target.count
    let largest = merge.largestMagnitude(of: elements)
    let shift = gradientShift(largest)
    merge.round(elements, shift: shift, stream)
    try block.expect("gradient", target.array)
    try block.expect(
      "scale", largest == 0 ? .zero : merge.scale.multiplied(byPowerOfTwo: shift - 15))
  }
}
