import FixedPoint
import Testing

@Test("r² ≤ v < (r + 1)²")
func squareRootBrackets() {
  var generator = Generator(seed: 0x2F)
  var values = [UInt64](0...5000) + [.max, .max - 1, 1 << 63, 1 << 62, (1 << 62) - 1]
  for root in [1, 2, 255, 65535, 65536, 1 << 31, 0xFFFF_FFFF] as [UInt64] {
    values += [root * root - 1, root * root, root * root + 1]
  }
  for _ in 0..<5000 { values.append(UInt64(bitPattern: generator.anyMagnitude())) }
  for v in values {
    let root = UInt128(integerSquareRoot(v))
    require(
      root * root <= UInt128(v) && UInt128(v) < (root + 1) * (root + 1), true,
      "seed \(generator.seed): √\(v) gave \(root)")
  }
}

@Test("Bit length counts the halvings to zero")
func bitLengths() {
  for v in [UInt64](0...1030) + [UInt64](31...63).flatMap({ [1 << $0 - 1, 1 << $0] }) + [.max] {
    var halvings: Int32 = 0
    var rest = v
    while rest > 0 {
      rest /= 2
      halvings += 1
    }
    require(bitLength(v), halvings, "\(v)")
    if let narrow = UInt32(exactly: v) { require(bitLength(narrow), halvings, "UInt32 \(v)") }
  }
}
