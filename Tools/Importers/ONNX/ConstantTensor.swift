import Tally

/// A tensor whose elements are known while the network is read.
///
/// Every floating-point type becomes Float (rounded once), every integer type Int64; `elementType`
/// remembers what the file said.
struct ConstantTensor {
  enum Values {
    case floats([Float])
    case integers([Int64])
  }

  var shape: [Int]
  var values: Values
  var elementType: ONNXElementType
  /// The initialiser's name, kept through Identity, Reshape and Transpose: it names the layer.
  var name: String?
  /// The integers behind a DequantizeLinear of a constant.
  var quantized: QuantizedConstant?
  /// What the elements are the nearest floats to, if they are scales and the file says.
  var exactScales: [Scale]?

  init(shape: [Int], floats: [Float], name: String? = nil) {
    self.shape = shape
    self.values = .floats(floats)
    self.elementType = .float
    self.name = name
  }

  init(
    shape: [Int], integers: [Int64], elementType: ONNXElementType = .int64, name: String? = nil
  ) {
    self.shape = shape
    self.values = .integers(integers)
    self.elementType = elementType
    self.name = name
  }

  var count: Int {
    switch values {
    case .floats(let values): values.count
    case .integers(let values): values.count
    }
  }

  /// The elements if they are integers.
  var integers: [Int64]? {
    if case .integers(let values) = values { values } else { nil }
  }

  /// The elements if they are floats.
  var floats: [Float]? {
    if case .floats(let values) = values { values } else { nil }
  }

  /// The elements as Float, whatever they are.
  var asFloats: [Float] {
    switch values {
    case .floats(let values): values
    case .integers(let values): values.map { Float($0) }
    }
  }

  /// The one element of a tensor that has only one.
  var scalar: Float? { count == 1 ? asFloats[0] : nil }

  /// The elements moved: output element i is input element `source[i]`.
  func gathered(_ source: [Int], shape: [Int]) -> ConstantTensor {
    var result = self
    result.shape = shape
    switch values {
    case .floats(let values): result.values = .floats(source.map { values[$0] })
    case .integers(let values): result.values = .integers(source.map { values[$0] })
    }
    result.quantized = nil
    result.exactScales = nil
    return result
  }
}

/// Integer weights and how they scale: real = value · scale (zero point 0).
struct QuantizedConstant {
  /// Elements in the tensor's order, −128…127 for weights, Int32 for biases.
  var values: [Int64]
  var elementType: ONNXElementType
  /// One scale, or one per index of `axis`.
  var scales: [Float]
  var exactScales: [Scale]?
  var axis: Int
}

/// Row-major strides of a shape.
func rowMajorStrides(_ shape: [Int]) -> [Int] {
  var strides = [Int](repeating: 1, count: shape.count)
  for axis in stride(from: shape.count - 2, through: 0, by: -1) {
    strides[axis] = strides[axis + 1] * shape[axis + 1]
  }
  return strides
}

/// The product of the sizes, or nil if one is negative or the product passes `limit`.
///
/// Sizes of 0 make the product 0 and do not excuse the others: the product of any part of an
/// accepted list is within the limit too.
func checkedCount(_ sizes: [Int], limit: Int = 1 << 31) -> Int? {
  var product = 1
  for size in sizes where size != 0 {
    let (next, overflow) = product.multipliedReportingOverflow(by: size)
    if size < 0 || overflow || next > limit { return nil }
    product = next
  }
  return sizes.contains(0) ? 0 : product
}
