/// The order of the axes of a four-dimensional array as it stands in the file.
public enum DataLayout: String, Hashable, Sendable {
  /// Samples, height, width, channels.
  case nhwc
  /// Samples, channels, height, width: PyTorch's order.
  case nchw
}
