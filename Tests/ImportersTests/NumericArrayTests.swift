import Importers
import Testing

@Suite("NumericArray")
struct NumericArrayTests {
  /// The definition: element [i, j, k] of the result is the element with permuted indices.
  @Test(
    "a transposition moves every index",
    arguments: [
      [0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0],
    ])
  func transposed(_ axes: [Int]) {
    let shape = [2, 3, 4]
    let array = NumericArray(shape: shape, storage: .int32((0..<24).map { Int32($0) }))
    let result = array.transposed(axes)
    #expect(result.shape == axes.map { shape[$0] })
    guard case .int32(let elements) = result.storage else {
      Issue.record("the type changed")
      return
    }
    var position = 0
    for i in 0..<result.shape[0] {
      for j in 0..<result.shape[1] {
        for k in 0..<result.shape[2] {
          var index = [0, 0, 0]
          for (axis, value) in zip(axes, [i, j, k]) { index[axis] = value }
          #expect(elements[position] == Int32((index[0] * 3 + index[1]) * 4 + index[2]))
          position += 1
        }
      }
    }
  }

  @Test("an axis of no extent, an array of one axis and one of none")
  func degenerate() {
    let empty = NumericArray(shape: [3, 0, 2], storage: .uint8([]))
    #expect(empty.transposed([2, 1, 0]).shape == [2, 0, 3])
    #expect(empty.rows(1..<2).shape == [1, 0, 2])
    let line = NumericArray(shape: [3], storage: .int8([1, 2, 3]))
    #expect(line.transposed([0]) == line)
    #expect(line.rows(1..<3) == NumericArray(shape: [2], storage: .int8([2, 3])))
    let single = NumericArray(shape: [], storage: .float64([2.5]))
    #expect(single.transposed([]) == single && single.count == 1)
  }

  @Test("rows of every type")
  func rows() {
    let decimals = ["1", "2.5", "-3", "4e9"].map { ExactDecimal(parsing: $0)! }
    let pairs: [(NumericArray.Storage, NumericArray.Storage)] = [
      (.uint8([1, 2, 3, 4]), .uint8([3, 4])), (.int8([1, 2, 3, 4]), .int8([3, 4])),
      (.int16([1, 2, 3, 4]), .int16([3, 4])), (.int32([1, 2, 3, 4]), .int32([3, 4])),
      (.int64([1, 2, 3, 4]), .int64([3, 4])), (.float32([1, 2, 3, 4]), .float32([3, 4])),
      (.float64([1, 2, 3, 4]), .float64([3, 4])),
      (.decimal(decimals), .decimal(Array(decimals.suffix(2)))),
    ]
    for (storage, expected) in pairs {
      let array = NumericArray(shape: [2, 2], storage: storage)
      #expect(array.rows(1..<2) == NumericArray(shape: [1, 2], storage: expected))
      #expect(array.reshaped([4]).count == 4)
    }
    // All types differ from each other even where the numbers are equal.
    for (i, a) in pairs.enumerated() {
      for (j, b) in pairs.enumerated() { #expect((a.0 == b.0) == (i == j)) }
    }
  }

  @Test("equality is of bits")
  func equality() {
    let nan = NumericArray(shape: [1], storage: .float32([.nan]))
    #expect(nan == nan)
    #expect(
      NumericArray(shape: [1], storage: .float64([0]))
        != NumericArray(shape: [1], storage: .float64([-0.0])))
  }

  @Test("NaN and infinities are refused with the first index and their number")
  func finite() throws {
    let good = NumericArray(
      shape: [3], storage: .float32([1, -.greatestFiniteMagnitude, 0x1p-149]))
    #expect(fault { () throws(InputError) in try good.requireFinite("w") } == nil)
    let bad = NumericArray(shape: [4], storage: .float64([0, .infinity, 1, .nan]))
    let error = try #require(fault { () throws(InputError) in try bad.requireFinite("w") })
    #expect(error.code == 601 && error.exit == 3 && error.place == "w, element 1")
    #expect(error.message.contains("infinity") && error.note!.hasPrefix("2 elements"))
    let nan = NumericArray(shape: [1], storage: .float32([.nan]))
    let other = try #require(fault { () throws(InputError) in try nan.requireFinite("w") })
    #expect(other.message.contains("NaN"))
  }

  @Test("integers of every integer type, and of no other")
  func integers() {
    #expect(NumericArray(shape: [1], storage: .uint8([255])).integers == [255])
    #expect(NumericArray(shape: [1], storage: .int64([.min])).integers == [.min])
    #expect(NumericArray(shape: [1], storage: .float32([1])).integers == nil)
  }
}
