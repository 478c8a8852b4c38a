/// What random bits are for; different purposes never share a counter (SPEC §4).
///
/// The raw value is part of the file format: it is the top byte of the counter's second word.
public enum Purpose: UInt8, Sendable {
  /// Stochastic rounding of gradients.
  case gradientRounding = 0
  /// Stochastic rounding of weight updates.
  case weightRounding = 1
  /// Signs of zeroth-order perturbations.
  case perturbation = 2
  /// Order of the samples in an epoch.
  case shuffle = 3
  case dropout = 4
  /// Initial weights.
  case initialization = 5
  /// Stochastic rounding where per-channel scales are folded and where ranges are tracked.
  case foldRounding = 6
  /// Draws of evolution strategies.
  case evolution = 7
  /// Channels chosen at random (SPEC 8.11).
  case channelChoice = 8
}
