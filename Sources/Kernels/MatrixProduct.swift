import MicroKernels
public import Tensors

// Index letters: m rows of a, n rows of b, k depth.

/// The right side of a matrix product: int8 [columns, depth], as stored or also packed for wide vectors.
public struct MatrixOperand {
  /// int8, a row of `depth` every `stride` elements.
  public let values: View<Int8>
  public let stride: Int
  public let columns: Int
  public let depth: Int
  /// The same values in the microkernels' order; worth it from about eight rows of a on.
  public let packed: View<UInt8>?
  /// Whether they are packed kernel row by kernel row, for windows that are read where they lie.
  public let isWindow: Bool

  public init(_ values: View<Int8>, stride: Int, columns: Int, depth: Int) {
    isWindow = false
    self.values = values
    self.stride = stride
    self.columns = columns
    self.depth = depth
    packed = nil
  }

  /// What an operand of these `values` was packed to before.
  public init(packed: View<UInt8>, isWindow: Bool, of values: View<Int8>, columns: Int, depth: Int)
  {
    self.values = values
    stride = depth
    self.columns = columns
    self.depth = depth
    self.packed = packed
    self.isWindow = isWindow
  }

  /// Bytes that packing takes.
  public static func packedByteCount(columns: Int, depth: Int) -> Int {
    Int(tally_packed_s8_bytes(Int32(truncatingIfNeeded: columns), Int32(truncatingIfNeeded: depth)))
  }

  /// Bytes that packing the weights of a window takes.
  public static func packedByteCount(
    columns: Int, window geometry: WindowGeometry, channels: Int
  ) -> Int {
    var window = tally_window(geometry)
    return Int(
      unsafe tally_packed_window_s8_bytes(
        Int32(truncatingIfNeeded: columns), &window, Int32(truncatingIfNeeded: channels)))
  }

  /// Packs weights [columns, kernel height, kernel width, channels] kernel row by kernel row.
  public init(
    _ values: View<Int8>, columns: Int, window geometry: WindowGeometry, channels: Int,
    packingInto memory: View<UInt8>
  ) {
    isWindow = true
    self.values = values
    depth = geometry.area &* channels
    stride = depth
    self.columns = columns
    packed = memory
    var window = tally_window(geometry)
    // The plan gave `packedByteCount` bytes.
    unsafe tally_pack_window_s8(
      Int32(truncatingIfNeeded: columns), &window, Int32(truncatingIfNeeded: channels),
      values.pointer, memory.pointer)
  }

  /// Packs into `memory`.
  public init(
    _ values: View<Int8>, stride: Int, columns: Int, depth: Int, packingInto memory: View<UInt8>
  ) {
    isWindow = false
    self.values = values
    self.stride = stride
    self.columns = columns
    self.depth = depth
    packed = memory
    // The plan gave `packedByteCount` bytes.
    unsafe tally_pack_s8(
      Int32(truncatingIfNeeded: columns), Int32(truncatingIfNeeded: depth), values.pointer, stride,
      memory.pointer)
  }

  /// Packs a matrix that is stored the other way round: int8 [depth, columns].
  public init(
    turning values: View<Int8>, stride: Int, columns: Int, depth: Int,
    packingInto memory: View<UInt8>
  ) {
    isWindow = false
    self.values = values
    self.stride = stride
    self.columns = columns
    self.depth = depth
    packed = memory
    // The plan gave `packedByteCount` bytes.
    unsafe tally_pack_s8_transposed(
      Int32(truncatingIfNeeded: columns), Int32(truncatingIfNeeded: depth), values.pointer, stride,
      memory.pointer)
  }
}

/// The one product all weighted operations rest on: c[m][n] = Σₖ a[m][k]·b[n][k], both operands with
/// their depth contiguous (SPEC 2.2, 6.1). `multiplyPlainly` defines it.
///
/// - Parameters:
///   - a: int8 [rows, depth], a row every `aStride` elements; −128…127.
///   - b: int8 [columns, depth]; −128…127.
///   - c: int32 [rows, columns], a row every `cStride` elements. The caller's bounds (SPEC 5.6, 8.3)
///     keep every sum in range, so the order of additions is free.
///   - accumulating: adds to `c` instead of replacing it; needs a packed operand.
public func multiply(
  rows: Int, _ a: View<Int8>, aStride: Int, by b: MatrixOperand, into c: View<Int32>, cStride: Int,
  accumulating: Bool = false
) {
  let m = Int32(truncatingIfNeeded: rows)
  let n = Int32(truncatingIfNeeded: b.columns)
  let k = Int32(truncatingIfNeeded: b.depth)
  // Views are as long as their shapes say; the microkernels touch no more.
  if let packed = b.packed {
    unsafe tally_gemm_s8_packed(
      m, n, k, a.pointer, aStride, packed.pointer, c.pointer, cStride, accumulating ? 1 : 0)
  } else {
    precondition(!accumulating, "only packed operands accumulate")
    unsafe tally_gemm_s8_nt(
      m, n, k, a.pointer, aStride, b.values.pointer, b.stride, c.pointer, cStride)
  }
}

/// What `multiply` computes, as plainly as it can be said.
public func multiplyPlainly(
  rows: Int, columns: Int, depth: Int, _ a: View<Int8>, aStride: Int, _ b: View<Int8>, bStride: Int,
  into c: View<Int32>, cStride: Int, accumulating: Bool
) {
  for m in 0..<rows {
    for n in 0..<columns {
      var sum: Int32 = accumulating ? c[m &* cStride &+ n] : 0
      for k in 0..<depth {
        sum &+= Int32(a[m &* aStride &+ k]) &* Int32(b[n &* bStride &+ k])
      }
      c[m &* cStride &+ n] = sum
    }
  }
}

/// target[c][r] = source[r][c].
public func transpose(
  rows: Int, columns: Int, _ source: View<Int8>, stride: Int, into target: View<Int8>,
  targetStride: Int
) {
  // Views are as long as their shapes say.
  unsafe tally_transpose_s8(
    Int32(truncatingIfNeeded: rows), Int32(truncatingIfNeeded: columns), source.pointer, stride,
    target.pointer, targetStride)
}
