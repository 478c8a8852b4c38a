/// Numbers as they were read, in C order: the last axis runs fastest.
///
/// Nothing is converted on the way except to a wider type that holds every value: 16-bit floats
/// become `float32`, unsigned 16 and 32 bits the next wider signed type, Booleans 0 and 1.
public struct NumericArray: Sendable, Equatable {
  /// Elements by type. Equality compares bits, so −0 is not 0 and a NaN equals itself.
  public enum Storage: Sendable {
    case uint8([UInt8])
    case int8([Int8])
    case int16([Int16])
    case int32([Int32])
    case int64([Int64])
    case float32([Float])
    case float64([Double])
    case decimal([ExactDecimal])
  }

  public let shape: [Int]
  public let storage: Storage

  /// - Precondition: the product of `shape` is the number of elements.
  public init(shape: [Int], storage: Storage) {
    precondition(checkedProduct(shape) == storage.count, "the shape does not fit the elements")
    self.shape = shape
    self.storage = storage
  }

  public var count: Int { storage.count }

  /// The same elements under another shape.
  ///
  /// - Precondition: both shapes have the same product.
  public func reshaped(_ shape: [Int]) -> NumericArray {
    NumericArray(shape: shape, storage: storage)
  }

  /// The elements with index in `range` along the first axis.
  ///
  /// - Precondition: the array has a first axis and `range` lies within it.
  public func rows(_ range: Range<Int>) -> NumericArray {
    precondition(!shape.isEmpty && range.lowerBound >= 0 && range.upperBound <= shape[0])
    let rowCount = shape[0] == 0 ? 0 : count / shape[0]
    let elements = range.lowerBound * rowCount..<range.upperBound * rowCount
    return NumericArray(
      shape: [range.count] + shape.dropFirst(), storage: storage.rearranged(.slice(elements)))
  }

  /// The array with its axes in another order: axis `i` of the result is axis `axes[i]` of this one.
  ///
  /// - Precondition: `axes` is a permutation of the axes.
  public func transposed(_ axes: [Int]) -> NumericArray {
    precondition(axes.sorted() == Array(0..<shape.count), "not a permutation of the axes")
    if axes == Array(0..<shape.count) { return self }
    let strides = Self.strides(shape)
    let newShape = axes.map { shape[$0] }
    return NumericArray(
      shape: newShape,
      storage: storage.rearranged(.walk(shape: newShape, strides: axes.map { strides[$0] })))
  }

  /// Elements between neighbours along each axis.
  static func strides(_ shape: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in shape.indices.dropLast().reversed() {
      strides[axis] = strides[axis + 1] * shape[axis + 1]
    }
    return strides
  }

  /// The elements as integers, or nil when the type is not an integer one.
  public var integers: [Int64]? {
    switch storage {
    case .uint8(let a): a.map { Int64($0) }
    case .int8(let a): a.map { Int64($0) }
    case .int16(let a): a.map { Int64($0) }
    case .int32(let a): a.map { Int64($0) }
    case .int64(let a): a
    case .float32, .float64, .decimal: nil
    }
  }

  /// Refuses NaN and infinities.
  ///
  /// - Parameter name: the tensor or array, for the message.
  /// - Throws: TLY0601 with the first such element and their number.
  public func requireFinite(_ name: String) throws(InputError) {
    let bad: (first: Int, count: Int, isNaN: Bool)?
    switch storage {
    case .float32(let a): bad = Self.notFinite(a)
    case .float64(let a): bad = Self.notFinite(a)
    case .uint8, .int8, .int16, .int32, .int64, .decimal: bad = nil
    }
    guard let bad else { return }
    throw .notFinite(name, bad.isNaN ? "NaN" : "an infinity", index: bad.first, count: bad.count)
  }

  private static func notFinite<Number: FloatingPoint>(_ numbers: [Number])
    -> (first: Int, count: Int, isNaN: Bool)?
  {
    guard let first = numbers.firstIndex(where: { !$0.isFinite }) else { return nil }
    let count = numbers[first...].reduce(0) { $0 + ($1.isFinite ? 0 : 1) }
    return (first, count, numbers[first].isNaN)
  }
}

extension NumericArray.Storage: Equatable {
  public var count: Int {
    switch self {
    case .uint8(let a): a.count
    case .int8(let a): a.count
    case .int16(let a): a.count
    case .int32(let a): a.count
    case .int64(let a): a.count
    case .float32(let a): a.count
    case .float64(let a): a.count
    case .decimal(let a): a.count
    }
  }

  public static func == (a: Self, b: Self) -> Bool {
    switch (a, b) {
    case (.uint8(let a), .uint8(let b)): a == b
    case (.int8(let a), .int8(let b)): a == b
    case (.int16(let a), .int16(let b)): a == b
    case (.int32(let a), .int32(let b)): a == b
    case (.int64(let a), .int64(let b)): a == b
    case (.float32(let a), .float32(let b)):
      a.count == b.count && zip(a, b).allSatisfy { $0.bitPattern == $1.bitPattern }
    case (.float64(let a), .float64(let b)):
      a.count == b.count && zip(a, b).allSatisfy { $0.bitPattern == $1.bitPattern }
    case (.decimal(let a), .decimal(let b)): a == b
    default: false
    }
  }

  /// The same elements in another order, or some of them.
  func rearranged(_ order: ElementOrder) -> Self {
    switch self {
    case .uint8(let a): .uint8(order.apply(a))
    case .int8(let a): .int8(order.apply(a))
    case .int16(let a): .int16(order.apply(a))
    case .int32(let a): .int32(order.apply(a))
    case .int64(let a): .int64(order.apply(a))
    case .float32(let a): .float32(order.apply(a))
    case .float64(let a): .float64(order.apply(a))
    case .decimal(let a): .decimal(order.apply(a))
    }
  }
}

/// Which elements to take, in which order, whatever their type.
enum ElementOrder {
  case slice(Range<Int>)
  /// Every index of `shape` in C order, at the sum of index · stride.
  case walk(shape: [Int], strides: [Int])

  func apply<Element>(_ elements: [Element]) -> [Element] {
    switch self {
    case .slice(let range): return Array(elements[range])
    case .walk(let shape, let strides):
      guard let inner = shape.last, let step = strides.last, !elements.isEmpty else {
        return elements
      }
      return [Element](unsafeUninitializedCapacity: elements.count) { output, filled in
        elements.withUnsafeBufferPointer { input in
          var index = [Int](repeating: 0, count: shape.count)
          var start = 0
          filled = 0
          while filled < input.count {
            for k in 0..<inner {
              (output.baseAddress! + filled + k).initialize(to: input[start + k * step])
            }
            filled += inner
            // Count up over the outer axes, like an odometer.
            var axis = shape.count - 2
            while axis >= 0 {
              index[axis] += 1
              start += strides[axis]
              if index[axis] < shape[axis] { break }
              start -= strides[axis] * shape[axis]
              index[axis] = 0
              axis -= 1
            }
          }
        }
      }
    }
  }
}
