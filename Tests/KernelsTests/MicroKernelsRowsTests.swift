import MicroKernels
import Testing

extension MicroKernels {
  @Test("weighted rows are added, and rows whose scalar is 0 are not read")
  func addedRows() {
    var random = MicroKernelsRandom("added rows")
    for count in [1, 2, 15, 16, 17, 31, 48, 63, 64, 65, 100, 128, 131] {
      for rows in [0, 1, 2, 3, 4, 5, 63, 64, 65, 130] {
        let (stride, step) = (count + random.int(0...3), random.int(1...3))
        let x = FencedMemory(random.bytes(max(0, (rows - 1) * stride + count) * min(rows, 1)))
        var scalars = random.bytes(max(0, (rows - 1) * step + 1) * min(rows, 1))
        for r in 0..<rows where random.int(0...2) == 0 { scalars[r * step] = 0 }
        let start = random.words(count)
        var expected = start
        for r in 0..<rows {
          for i in 0..<count {
            expected[i] &+= Int32(scalars[r * step]) &* Int32(x.base[r * stride + i])
          }
        }
        Self.atEachLevel { level in
          let y = GuardedOutput<Int32>(count, filledWith: 0x5A5A_5A5A)
          for i in 0..<count { y.base[i] = start[i] }
          tally_add_rows_s8(
            Int32(rows), Int32(count), scalars, step, x.base, stride, y.base)
          #expect(y.array == expected, "\(rows)×\(count) at level \(level)")
          #expect(y.guardsHold)
        }
      }
    }
  }

  @Test("a row whose scalar is 0 may be memory that nobody may touch")
  func skippedRows() {
    let x = FencedMemory([Int8](repeating: 3, count: 64), atStart: true)
    let scalars: [Int8] = [0, 0, 5, 0]
    Self.atEachLevel { level in
      var y = [Int32](repeating: 1, count: 64)
      // Rows 0 and 1 lie in the page before, row 3 behind the memory's end.
      tally_add_rows_s8(4, 64, scalars, 1, x.base - 128, 64, &y)
      #expect(y == [Int32](repeating: 16, count: 64), "level \(level)")
    }
  }
}
