import MicroKernels

/// Which version of the microkernels runs. All give the same bytes (SPEC 11).
public enum SIMDLevel: Int32, CaseIterable, Sendable {
  case plain = 0
  case avx2
  case vnni
  case neon

  /// The version in use: the best one of this CPU, unless another was chosen.
  public static var current: SIMDLevel { SIMDLevel(rawValue: tally_simd_level()) ?? .plain }

  /// Chooses a version for all threads; a level this CPU does not have becomes the best one below.
  public static func choose(_ level: SIMDLevel) { tally_set_simd_level(level.rawValue) }
  /// Back to the best version of this CPU.
  public static func chooseBest() { tally_set_simd_level(.max) }
}
