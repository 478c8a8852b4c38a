import MicroKernels
public import Tensors

/// sums[i] += Σᵣ scalars[r·step]·x[r·stride + i]; rows whose scalar is 0 are not read.
///
/// The product that skips work: it reads both operands where they lie, and costs nothing for a gradient
/// that is 0.
///
/// - Parameters:
///   - rows: number of scalars.
///   - x: int8 [rows, sums.count], a row every `stride` elements.
///   - sums: int32, added to; the caller's bounds (SPEC 8.3) keep every sum in range.
public func addRows(
  _ rows: Int, scalars: View<Int8>, step: Int, _ x: View<Int8>, stride: Int,
  into sums: View<Int32>
) {
  assert(rows == 0 || scalars.count > (rows - 1) * step, "too few scalars")
  assert(rows == 0 || x.count >= (rows - 1) * stride + sums.count, "too few rows")
  // The views hold what the shapes say; the microkernel touches no more.
  unsafe tally_add_rows_s8(
    Int32(truncatingIfNeeded: rows), Int32(truncatingIfNeeded: sums.count), scalars.pointer, step,
    x.pointer, stride, sums.pointer)
}
