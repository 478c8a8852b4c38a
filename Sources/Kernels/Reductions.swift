import MicroKernels
public import Tensors

/// Σ values, wrapping.
@inlinable
public func sum(_ values: View<Int32>) -> Int32 {
  var sum: Int32 = 0
  for index in 0..<values.count { sum &+= values[index] }
  return sum
}

/// Σ values.
public func sum(_ values: View<Int8>) -> Int32 {
  var sum: Int32 = 0
  // One row, one sum.
  unsafe tally_row_sums_s8(1, Int32(truncatingIfNeeded: values.count), values.pointer, 0, &sum)
  return sum
}

/// sums[r] = Σ_c values[r, c].
///
/// - Parameter values: int8 [sums.count, columns].
public func sumEachRow(_ values: View<Int8>, columns: Int, into sums: View<Int32>) {
  assert(values.count >= sums.count * columns, "too few rows")
  // As many rows as sums.
  unsafe tally_row_sums_s8(
    Int32(truncatingIfNeeded: sums.count), Int32(truncatingIfNeeded: columns), values.pointer,
    columns, sums.pointer)
}

/// sums[c] += Σᵣ values[r, c].
///
/// - Parameter stride: elements from one row to the next.
public func sumRows(
  _ values: View<Int8>, rows: Int, columns: Int, stride: Int, into sums: View<Int32>
) {
  assert(rows == 0 || values.count >= (rows - 1) * stride + columns, "too few rows")
  // `rows` rows of `columns` elements.
  unsafe tally_sum_rows_s8(
    Int32(truncatingIfNeeded: rows), Int32(truncatingIfNeeded: columns), values.pointer, stride,
    sums.pointer)
}

/// How many values lie in a range within −128…127.
public func count(of wanted: ClosedRange<Int32>, in values: View<Int8>) -> Int {
  // The view is as long as its count says.
  Int(
    unsafe tally_count_s8(
      Int32(truncatingIfNeeded: values.count), values.pointer, wanted.lowerBound,
      wanted.upperBound))
}
