public import Tensors

// Index letters: m rows of a, n rows of b, k depth.

/// The one product all weighted operations rest on: c[m][n] = Σₖ a[m][k]·b[n][k], both operands stored
/// with their depth contiguous (SPEC 2.2, 6.1).
///
/// - Parameters:
///   - a: int8 [rows, depth], a row every `aStride` elements; −128…127.
///   - b: int8 [columns, depth], a row every `bStride` elements; −128…127.
///   - c: int32 [rows, columns], a row every `cStride` elements. The caller's bounds (SPEC 5.6, 8.3)
///     keep every sum in range, so the order of additions is free.
///   - accumulating: adds to `c` instead of replacing it.
@inlinable
public func multiply(
  rows: Int, columns: Int, depth: Int, _ a: View<Int8>, aStride: Int, _ b: View<Int8>, bStride: Int,
  into c: View<Int32>, cStride: Int, accumulating: Bool
) {
  for m in 0..<rows {
    let aRow = a.slice(m &* aStride, depth)
    for n in 0..<columns {
      let sum = dot(aRow, b.slice(n &* bStride, depth))
      let index = m &* cStride &+ n
      c[index] = accumulating ? c[index] &+ sum : sum
    }
  }
}

/// Σ a[k]·b[k] over equally long rows.
@inlinable
func dot(_ a: View<Int8>, _ b: View<Int8>) -> Int32 {
  var sum: Int32 = 0
  for k in 0..<a.count { sum &+= Int32(a[k]) &* Int32(b[k]) }
  return sum
}

/// target[c][r] = source[r][c].
@inlinable
public func transpose(
  rows: Int, columns: Int, _ source: View<Int8>, stride: Int, into target: View<Int8>,
  targetStride: Int
) {
  for r in 0..<rows {
    for c in 0..<columns { target[c &* targetStride &+ r] = source[r &* stride &+ c] }
  }
}

/// Σ values.
@inlinable
public func sum(_ values: View<Int8>) -> Int32 {
  var sum: Int32 = 0
  for index in 0..<values.count { sum &+= Int32(values[index]) }
  return sum
}

/// How many values equal `wanted`.
@inlinable
public func count(of wanted: Int8, in values: View<Int8>) -> Int {
  var count = 0
  for index in 0..<values.count where values[index] == wanted { count &+= 1 }
  return count
}
