import MicroKernels
import Testing

/// C[m][n] = Σ_k A[m][k]·B[n][k], wrapping.
private func product(
  _ m: Int, _ n: Int, _ k: Int, _ a: [Int8], _ lda: Int, _ b: [Int8], _ ldb: Int
) -> [Int32] {
  var c = [Int32](repeating: 0, count: m * n)
  a.withUnsafeBufferPointer { a in
    b.withUnsafeBufferPointer { b in
      c.withUnsafeMutableBufferPointer { c in
        for row in 0..<m {
          for column in 0..<n {
            var sum: Int32 = 0
            var depth = 0
            while depth < k {
              sum &+= Int32(a[row * lda + depth]) &* Int32(b[column * ldb + depth])
              depth &+= 1
            }
            c[row * n + column] = sum
          }
        }
      }
    }
  }
  return c
}

/// Reads `rows` of `length` out of memory with a leading dimension.
private func rows(_ memory: [Int32], _ rows: Int, _ length: Int, _ stride: Int) -> [Int32] {
  (0..<rows).flatMap { memory[$0 * stride..<$0 * stride + length] }
}

/// The elements of a [rows, length] matrix with this leading dimension.
private func extent(_ rows: Int, _ length: Int, _ stride: Int) -> Int {
  rows == 0 ? 0 : (rows - 1) * stride + length
}

extension MicroKernels {
  struct Product: CustomStringConvertible, Sendable {
    let m, n, k: Int
    var description: String { "\(m)×\(n)×\(k)" }
  }

  static let sizes = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 100, 113,
  ]

  /// Each size in each place, the other two drawn, so that no case is large; and a few large ones.
  static func products(_ random: inout MicroKernelsRandom) -> [Product] {
    let small = Self.sizes.filter { $0 <= 33 }
    var list: [Product] = []
    for size in sizes {
      for _ in 0..<2 {
        let x = small.randomElement(using: &random)!, y = small.randomElement(using: &random)!
        list += [Product(m: size, n: x, k: y), Product(m: x, n: size, k: y)]
        list.append(Product(m: x, n: y, k: size))
      }
    }
    list += [
      Product(m: 0, n: 5, k: 5), Product(m: 5, n: 0, k: 5), Product(m: 5, n: 5, k: 0),
      Product(m: 1, n: 130, k: 129), Product(m: 13, n: 113, k: 36), Product(m: 50, n: 20, k: 40),
      Product(m: 3, n: 17, k: 517), Product(m: 49, n: 16, k: 260), Product(m: 7, n: 64, k: 64),
    ]
    return list
  }

  @Test("dot form: C = A·Bᵀ on row-major operands")
  func dotForm() {
    var random = MicroKernelsRandom("dot form")
    for shape in Self.products(&random) {
      let (m, n, k) = (shape.m, shape.n, shape.k)
      let lda = k + random.int(0...3), ldb = k + random.int(0...3), ldc = n + random.int(0...2)
      let a = random.bytes(extent(m, k, lda)), b = random.bytes(extent(n, k, ldb))
      let expected = product(m, n, k, a, lda, b, ldb)
      let fencedA = FencedMemory(a, atStart: random.next() & 1 == 0)
      let fencedB = FencedMemory(b, atStart: random.next() & 1 == 0)
      Self.atEachLevel { level in
        let c = GuardedOutput<Int32>(extent(m, n, ldc), filledWith: 0x5555_5555)
        tally_gemm_s8_nt(
          Int32(m), Int32(n), Int32(k), fencedA.base, lda, fencedB.base, ldb, c.base, ldc)
        let found = c.array
        #expect(rows(found, m, n, ldc) == expected, "\(shape) at level \(level)")
        #expect(c.guardsHold, "\(shape) at level \(level) wrote outside")
        #expect(
          found.indices.allSatisfy { $0 % ldc < n || found[$0] == 0x5555_5555 },
          "\(shape) at level \(level) wrote between rows")
      }
    }
  }

  @Test("packed form: the same product, stored or added, from B in either order")
  func packedForm() {
    var random = MicroKernelsRandom("packed form")
    for shape in Self.products(&random) {
      let (m, n, k) = (shape.m, shape.n, shape.k)
      let lda = k + random.int(0...3), ldb = k + random.int(0...3), ldt = n + random.int(0...3)
      let ldc = n + random.int(0...2)
      let a = random.bytes(extent(m, k, lda)), b = random.bytes(extent(n, k, ldb))
      var transposed = random.bytes(extent(k, n, ldt))
      for column in 0..<n {
        for depth in 0..<k { transposed[depth * ldt + column] = b[column * ldb + depth] }
      }
      let expected = product(m, n, k, a, lda, b, ldb)
      let before = random.words(extent(m, n, ldc))
      let fencedA = FencedMemory(a, atStart: random.next() & 1 == 0)
      let fencedB = FencedMemory(b, atStart: random.next() & 1 == 0)
      let fencedT = FencedMemory(transposed, atStart: random.next() & 1 == 0)

      let byteCount = tally_packed_s8_bytes(Int32(n), Int32(k))
      #expect(byteCount == ((k + 3) / 4 * 4 + 4) * ((n + 15) / 16 * 16))
      var packed: [[UInt8]] = []
      Self.atEachLevel { level in
        for isTransposed in [false, true] {
          let out = GuardedOutput<UInt8>(byteCount, filledWith: 0xAA)
          if isTransposed {
            tally_pack_s8_transposed(Int32(n), Int32(k), fencedT.base, ldt, out.base)
          } else {
            tally_pack_s8(Int32(n), Int32(k), fencedB.base, ldb, out.base)
          }
          #expect(out.guardsHold, "packing \(shape) at level \(level) wrote outside")
          packed.append(out.array)
        }
      }
      #expect(packed.allSatisfy { $0 == packed[0] }, "packed bytes of \(shape) differ by level")

      Self.atEachLevel { level in
        // One byte on, so that nothing in the packed buffer is aligned.
        let image = FencedMemory([0] + packed[0])
        for accumulate in [false, true] {
          let c = GuardedOutput<Int32>(before.count, filledWith: 0x5555_5555)
          if !before.isEmpty { c.base.update(from: before, count: before.count) }
          tally_gemm_s8_packed(
            Int32(m), Int32(n), Int32(k), fencedA.base, lda, image.base + 1, c.base, ldc,
            accumulate ? 1 : 0)
          let found = c.array
          let sums = accumulate ? zip(rows(before, m, n, ldc), expected).map(&+) : expected
          #expect(rows(found, m, n, ldc) == sums, "\(shape) at level \(level), \(accumulate)")
          #expect(c.guardsHold, "\(shape) at level \(level) wrote outside")
          #expect(
            found.indices.allSatisfy { $0 % ldc < n || found[$0] == before[$0] },
            "\(shape) at level \(level) wrote between rows")
        }
      }
    }
  }

  @Test("the packed layout is the documented one")
  func packedLayout() {
    var random = MicroKernelsRandom("packed layout")
    for (n, k) in [(70, 6), (16, 4), (129, 5), (33, 9), (64, 1)] {
      let b = random.bytes(n * k)
      let columns = (n + 15) / 16 * 16, depth = (k + 3) / 4 * 4
      var expected: [UInt8] = []
      for column in 0..<columns {
        var sum: Int32 = 0
        if column < n { for d in 0..<k { sum += Int32(b[column * k + d]) } }
        withUnsafeBytes(of: (-128 * sum).littleEndian) { expected += $0 }
      }
      for first in stride(from: 0, to: columns, by: 64) {
        for quad in 0..<depth / 4 {
          for column in first..<min(first + 64, columns) {
            for d in 4 * quad..<4 * quad + 4 {
              expected.append(
                column < n && d < k ? UInt8(bitPattern: b[column * k + d]) : 0)
            }
          }
        }
      }
      var found = [UInt8](repeating: 0xAA, count: tally_packed_s8_bytes(Int32(n), Int32(k)))
      tally_pack_s8(Int32(n), Int32(k), b, k, &found)
      #expect(found == expected, "\(n)×\(k)")
    }
  }

  @Test("sums at the ends of int8, and one that wraps int32")
  func extremeSums() {
    // 128·128·131 072 = 2^31: the smallest product of extremes that wraps.
    let depths = [1, 4, 63, 64, 65, 256, 131_072]
    for depth in depths {
      for (x, y) in [(-128, -128), (-128, 127), (127, -128), (127, 127)] {
        let a = [Int8](repeating: Int8(x), count: depth)
        let b = [Int8](repeating: Int8(y), count: depth * 2)
        let expected = Int32(truncatingIfNeeded: x * y * depth)
        var packed = [UInt8](repeating: 0, count: tally_packed_s8_bytes(2, Int32(depth)))
        Self.atEachLevel { level in
          var c: [Int32] = [1, 1]
          tally_gemm_s8_nt(1, 2, Int32(depth), a, depth, b, depth, &c, 2)
          #expect(c == [expected, expected], "dot \(x)·\(y)·\(depth) at level \(level)")
          tally_pack_s8(2, Int32(depth), b, depth, &packed)
          tally_gemm_s8_packed(1, 2, Int32(depth), a, depth, packed, &c, 2, 0)
          #expect(c == [expected, expected], "packed \(x)·\(y)·\(depth) at level \(level)")
        }
      }
    }
  }

  @Test("transposing moves every byte once")
  func transposition() {
    var random = MicroKernelsRandom("transposition")
    let sizes = [0, 1, 3, 15, 16, 17, 31, 33, 64, 65, 130]
    for rows in sizes {
      for columns in sizes {
        let lds = columns + random.int(0...3), ldd = rows + random.int(0...3)
        let source = random.bytes(extent(rows, columns, lds))
        let fenced = FencedMemory(source, atStart: random.next() & 1 == 0)
        Self.atEachLevel { level in
          let out = GuardedOutput<Int8>(extent(columns, rows, ldd), filledWith: 0x55)
          tally_transpose_s8(Int32(rows), Int32(columns), fenced.base, lds, out.base, ldd)
          let found = out.array
          var expected = [Int8](repeating: 0x55, count: found.count)
          for r in 0..<rows {
            for c in 0..<columns { expected[c * ldd + r] = source[r * lds + c] }
          }
          #expect(found == expected, "\(rows)×\(columns) at level \(level)")
          #expect(out.guardsHold, "\(rows)×\(columns) at level \(level) wrote outside")
        }
      }
    }
  }
}
