/// A whole number from 0, of any size: for quotients of exact inputs that 128 bits do not hold.
///
/// Used a few times per tensor, so it is plain: 32-bit limbs and long division bit by bit.
struct Natural: Equatable, Sendable {
  /// Least significant first, the last one not zero.
  private var limbs: [UInt32]

  static let zero = Natural(0)

  init(_ value: UInt64) {
    self.init(limbs: [UInt32(truncatingIfNeeded: value), UInt32(value >> 32)])
  }

  private init(limbs: [UInt32]) {
    self.limbs = limbs
    while self.limbs.last == 0 { self.limbs.removeLast() }
  }

  /// 10^k.
  static func powerOfTen(_ k: Int) -> Natural {
    var result = Natural(1)
    for _ in 0..<k { result = result * Natural(10) }
    return result
  }

  var isZero: Bool { limbs.isEmpty }

  /// Number of binary digits; 0 for zero.
  var bitLength: Int {
    guard let top = limbs.last else { return 0 }
    return 32 * limbs.count - top.leadingZeroBitCount
  }

  /// The value, or nil if it needs more than 64 bits.
  var word: UInt64? {
    guard limbs.count <= 2 else { return nil }
    return limbs.reversed().reduce(0) { $0 << 32 | UInt64($1) }
  }

  private subscript(bit index: Int) -> Bool { limbs[index / 32] >> UInt32(index % 32) & 1 == 1 }

  static func < (a: Natural, b: Natural) -> Bool {
    if a.limbs.count != b.limbs.count { return a.limbs.count < b.limbs.count }
    for (x, y) in zip(a.limbs.reversed(), b.limbs.reversed()) where x != y { return x < y }
    return false
  }

  static func + (a: Natural, b: Natural) -> Natural {
    var limbs: [UInt32] = []
    var carry: UInt64 = 0
    for index in 0..<max(a.limbs.count, b.limbs.count) + 1 {
      carry += index < a.limbs.count ? UInt64(a.limbs[index]) : 0
      carry += index < b.limbs.count ? UInt64(b.limbs[index]) : 0
      limbs.append(UInt32(truncatingIfNeeded: carry))
      carry >>= 32
    }
    return Natural(limbs: limbs)
  }

  /// - Precondition: b ≤ a.
  static func - (a: Natural, b: Natural) -> Natural {
    precondition(!(a < b), "a natural number is not negative")
    var limbs: [UInt32] = []
    var borrow: Int64 = 0
    for index in a.limbs.indices {
      borrow += Int64(a.limbs[index]) - (index < b.limbs.count ? Int64(b.limbs[index]) : 0)
      limbs.append(UInt32(truncatingIfNeeded: borrow))
      borrow >>= 32
    }
    return Natural(limbs: limbs)
  }

  static func * (a: Natural, b: Natural) -> Natural {
    var limbs = [UInt32](repeating: 0, count: a.limbs.count + b.limbs.count)
    for (i, x) in a.limbs.enumerated() {
      var carry: UInt64 = 0
      for (j, y) in b.limbs.enumerated() {
        carry += UInt64(x) * UInt64(y) + UInt64(limbs[i + j])
        limbs[i + j] = UInt32(truncatingIfNeeded: carry)
        carry >>= 32
      }
      limbs[i + b.limbs.count] = UInt32(carry)
    }
    return Natural(limbs: limbs)
  }

  /// a · 2^places.
  static func << (a: Natural, places: Int) -> Natural {
    let whole = [UInt32](repeating: 0, count: places / 32)
    let shift = UInt64(places % 32)
    var limbs = whole
    var carry: UInt64 = 0
    for limb in a.limbs {
      carry |= UInt64(limb) << shift
      limbs.append(UInt32(truncatingIfNeeded: carry))
      carry >>= 32
    }
    return Natural(limbs: limbs + [UInt32(carry)])
  }

  /// ⌊self / divisor⌋ and what is left.
  ///
  /// - Precondition: `divisor` is not zero.
  func divided(by divisor: Natural) -> (quotient: Natural, remainder: Natural) {
    precondition(!divisor.isZero, "division by zero")
    var quotient = [UInt32](repeating: 0, count: limbs.count)
    var remainder = Natural.zero
    for index in (0..<bitLength).reversed() {
      remainder = remainder << 1
      if self[bit: index] { remainder = remainder + Natural(1) }
      if !(remainder < divisor) {
        remainder = remainder - divisor
        quotient[index / 32] |= 1 << UInt32(index % 32)
      }
    }
    return (Natural(limbs: quotient), remainder)
  }
}
