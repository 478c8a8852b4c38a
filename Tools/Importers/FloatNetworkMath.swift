/// exp, tanh and erf from + − × ÷ alone, in Double and in one order: the same bits on every
/// machine, which the C library's functions do not promise. Relative error below 10⁻¹³.
enum DeterministicMath {
  /// ln 2 split so that n · high is exact for |n| < 2¹¹.
  private static let ln2High = 0x1.62e42fee00000p-1
  private static let ln2Low = 0x1.a39ef35793c76p-33
  private static let log2E = 0x1.71547652b82fep+0

  static func exp(_ x: Double) -> Double {
    if x != x { return x }
    if x > 709 { return .infinity }
    if x < -708 { return 0 }
    // x = n · ln 2 + r, |r| ≤ ln 2 / 2.
    let n = Int(x * log2E + (x < 0 ? -0.5 : 0.5))
    let r = x - Double(n) * ln2High - Double(n) * ln2Low
    // Taylor's series up to r¹³ / 13!, by Horner's rule with divisions: r < 0.35 needs no more.
    var sum = 1.0
    for k in stride(from: 13.0, through: 1.0, by: -1.0) { sum = 1 + sum * r / k }
    return sum * Double(sign: .plus, exponent: n, significand: 1)
  }

  static func tanh(_ x: Double) -> Double {
    if x < 0 { return -tanh(-x) }
    if x > 20 { return 1 }
    // 1 − 2 / (e²ˣ + 1) loses digits near 0; there the first terms of the series are enough.
    if x < 1e-3 { return x - x * x * x / 3 }
    return 1 - 2 / (exp(2 * x) + 1)
  }

  static func sigmoid(_ x: Double) -> Double {
    x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x))
  }

  /// erf x = 2/√π · e^(−x²) · Σ 2ⁿ x²ⁿ⁺¹ / (1 · 3 · … · (2n + 1)): all terms positive.
  static func erf(_ x: Double) -> Double {
    if x < 0 { return -erf(-x) }
    if x > 6 { return 1 }
    var term = x
    var sum = x
    var odd = 1.0
    while term > sum * 1e-14 {
      odd += 2
      term = term * 2 * x * x / odd
      sum += term
    }
    return 1.1283791670955126 * exp(-x * x) * sum
  }

  /// ln x for x > 0, by 2 · artanh((m − 1) / (m + 1)) of the significand.
  static func log(_ x: Double) -> Double {
    if x == 0 { return -.infinity }
    if !(x > 0) || x == .infinity { return x > 0 ? x : .nan }
    var exponent = Double(x.exponent)
    var significand = x.significand
    // Around 1, so that logarithms of numbers near 1 keep their digits.
    if significand > 1.4142135623730951 {
      significand /= 2
      exponent += 1
    }
    let z = (significand - 1) / (significand + 1)
    var sum = 0.0
    for k in stride(from: 25.0, through: 1.0, by: -2.0) { sum = sum * z * z + 1 / k }
    return exponent * ln2High + (exponent * ln2Low + 2 * z * sum)
  }
}

extension ActivationKind {
  /// The function in real numbers, for recognition and for tables.
  public func callAsFunction(_ x: Double) -> Double {
    switch self {
    case .relu: return x < 0 ? 0 : x
    case .clip(let low, let high): return min(max(x, Double(low)), Double(high))
    case .leakyRelu(let alpha): return x < 0 ? Double(alpha) * x : x
    case .sigmoid: return DeterministicMath.sigmoid(x)
    case .tanh: return DeterministicMath.tanh(x)
    case .gelu: return x * (1 + DeterministicMath.erf(x * 0.7071067811865476)) / 2
    case .geluTanh:
      let inner = 0.7978845608028654 * (x + 0.044715 * x * x * x)
      return x * (1 + DeterministicMath.tanh(inner)) / 2
    case .silu: return x * DeterministicMath.sigmoid(x)
    case .hardSigmoid(let alpha, let beta):
      return min(max(Double(alpha) * x + Double(beta), 0), 1)
    case .hardSwish: return x * min(max(x / 6 + 0.5, 0), 1)
    }
  }
}
