import Importers
import Tally
import TallyTestSupport
import Testing

/// A block of Formats/vectors/kernels: one node, its inputs, and the gradient of its output.
struct KernelCase {
  struct Tensor {
    let shape: Shape
    let quantization: Quantization
    /// int8 [batch, shape].
    let values: [Int8]
  }

  let block: VectorBlock
  let batch: Int
  /// The number of the node: it names the lanes.
  let node: Int
  let inputs: [Tensor]
  let output: Shape
  let quantization: Quantization
  let operation: Tally.Operation
  let hasAccumulators: Bool
  let scalesPerChannel: Bool
  let weightScales: [Scale]
  let weights: [Int8]
  let biases: [Int32]
  let table: (values: [Int8], slopes: [Int16])?
  /// int8 [batch, output].
  let gradient: [Int8]
  let gradientScale: Scale

  init(_ block: VectorBlock) throws {
    self.block = block
    batch = try block.number("batch")
    node = try block.number("node")
    inputs = try (0...1).filter { block.has("input \($0) shape") }.map {
      try KernelCase.tensor(block, $0, batch: try block.number("batch"))
    }
    output = try KernelCase.shape(block, "output shape")
    quantization = try KernelCase.quantization(block, "output")
    operation = try KernelCase.operation(block, inputs[0].shape, output)
    let isWeighted = operation.weighted != nil
    hasAccumulators = try isWeighted && block.flag("accumulators")
    scalesPerChannel = try isWeighted && block.flag("per channel")
    weightScales = try isWeighted ? block.scales("weight scales") : []
    weights = try block.elements("weights", operation.weighted?.weightCount ?? 0, ifAny: isWeighted)
    biases = try block.elements("biases", output.channels, ifAny: isWeighted)
    if case .table = operation {
      table = (
        try block.elements("table values", 256), try block.elements("table slopes", 256)
      )
    } else {
      table = nil
    }
    gradient = try block.elements("gradient values", batch * output.count)
    gradientScale = try block.scale("gradient scale")
  }

  private static func tensor(_ block: VectorBlock, _ j: Int, batch: Int) throws -> Tensor {
    let shape = try shape(block, "input \(j) shape")
    let quantization = try quantization(block, "input \(j)")
    let values: [Int32] = try block.elements("input \(j) values", batch * shape.count)
    return Tensor(
      shape: shape, quantization: quantization,
      values: values.map { Int8(min(max($0, quantization.low), quantization.high)) })
  }

  private static func shape(_ block: VectorBlock, _ key: String) throws -> Shape {
    let extents: [Int] = try block.numbers(key)
    try #require(extents.count == 3)
    return Shape(height: extents[0], width: extents[1], channels: extents[2])
  }

  private static func quantization(_ block: VectorBlock, _ name: String) throws -> Quantization {
    let bounds: [Int32] = try block.numbers("\(name) bounds")
    try #require(bounds.count == 2)
    return Quantization(
      scale: try block.scale("\(name) scale"), zeroPoint: try block.number("\(name) zero"),
      low: bounds[0], high: bounds[1])
  }

  private static func operation(
    _ block: VectorBlock, _ input: Shape, _ output: Shape
  ) throws -> Tally.Operation {
    func pooling(countsPadding: Bool) throws -> Pooling {
      Pooling(
        input: input, output: output, geometry: try window(block), countsPadding: countsPadding)
    }
    switch try block.text("operation") {
    case "convolution":
      return .convolution(
        Convolution(
          input: input, output: output, geometry: try window(block),
          groups: try block.number("groups")))
    case "fully connected":
      return .fullyConnected(
        Convolution(
          input: Shape(vector: input.count), output: output,
          geometry: .init(kernelHeight: 1, kernelWidth: 1), groups: 1))
    case "max pooling": return .maxPooling(try pooling(countsPadding: false))
    case "average pooling":
      return .averagePooling(try pooling(countsPadding: try block.flag("counts padding")))
    case "add": return .add
    case "multiply": return .multiply
    case "concatenate": return .concatenate
    case "table": return .table
    case "rescale": return .rescale
    case "slice and pad":
      let (start, step, before): ([Int], [Int], [Int]) = try (
        block.numbers("start"), block.numbers("step"), block.numbers("before")
      )
      let axes = (0..<3).map {
        SlicePad.Axis(start: start[$0], step: step[$0], before: before[$0])
      }
      return .slicePad(
        SlicePad(
          input: input, output: output, rows: axes[0], columns: axes[1], channels: axes[2]))
    case "upsample":
      let factors: [Int] = try block.numbers("factors")
      return .upsample(Upsampling(input: input, rows: factors[0], columns: factors[1]))
    case let name: throw VectorError("\(block): no operation \(name)")
    }
  }

  private static func window(_ block: VectorBlock) throws -> Tensors.WindowGeometry {
    let kernel: [Int] = try block.numbers("kernel")
    let stride: [Int] = try block.numbers("stride")
    let padding: [Int] = try block.numbers("padding")
    let dilation: [Int] = block.has("dilation") ? try block.numbers("dilation") : [1, 1]
    return Tensors.WindowGeometry(
      kernelHeight: kernel[0], kernelWidth: kernel[1], strideHeight: stride[0],
      strideWidth: stride[1], dilationHeight: dilation[0], dilationWidth: dilation[1],
      padTop: padding[0], padLeft: padding[1], padBottom: padding[2], padRight: padding[3])
  }
}

extension VectorBlock {
  /// Elements of a key that some operations lack.
  fileprivate func elements<T: FixedWidthInteger>(
    _ key: String, _ count: Int, ifAny: Bool
  ) throws -> [T] {
    ifAny ? try elements(key, count) : []
  }
}

/// Memory for views that kernels read and write; it lives as long as this object.
final class Scratch {
  private var blocks: [AlignedMemory] = []

  func view<Element: BitwiseCopyable>(_ contents: [Element]) -> View<Element> {
    blocks.append(AlignedMemory(contents))
    return blocks[blocks.count - 1].view(of: Element.self)
  }

  /// `count` elements of garbage: a kernel must not count on zeros.
  func view<Element: FixedWidthInteger & BitwiseCopyable>(
    _ count: Int, of type: Element.Type = Element.self
  ) -> View<Element> {
    view([Element](repeating: Element(truncatingIfNeeded: 0x5A5A_5A5A as UInt32), count: count))
  }
}
