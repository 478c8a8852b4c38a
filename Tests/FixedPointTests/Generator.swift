import Testing

/// SplitMix64: test inputs only, so that a failure can be replayed from its seed.
struct Generator: RandomNumberGenerator {
  let seed: UInt64
  private var state: UInt64

  init(seed: UInt64) {
    self.seed = seed
    state = seed
  }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// Values of all magnitudes: a random 64-bit number shifted right by 0…63.
  mutating func anyMagnitude() -> Int64 {
    let places = next() & 63
    return Int64(bitPattern: next()) >> Int64(places)
  }

  mutating func mantissa() -> Int32 { Int32(1 << 30 | next() & 0x3FFF_FFFF) }
}

/// ⌊a / n⌋ in 128 bits, n > 0: the definition the tests fall back on.
func floorQuotient(_ a: Int128, _ n: Int128) -> Int128 {
  let (quotient, remainder) = a.quotientAndRemainder(dividingBy: n)
  return remainder < 0 ? quotient - 1 : quotient
}

/// Records one failure with its inputs. `#expect` in a loop of 100 000 cases would be slow.
func require<T: Equatable>(
  _ found: T, _ expected: T, _ inputs: @autoclosure () -> String,
  _ location: SourceLocation = #_sourceLocation
) {
  if found != expected {
    Issue.record("\(inputs()): found \(found), expected \(expected)", sourceLocation: location)
  }
}
