/// The extent of one sample: height, width, channels. A vector of n features is 1×1×n.
public struct SampleShape: Sendable, Hashable, CustomStringConvertible {
  public var height: Int
  public var width: Int
  public var channels: Int

  public init(height: Int, width: Int, channels: Int) {
    self.height = height
    self.width = width
    self.channels = channels
  }

  /// Elements in a sample.
  public var count: Int { height * width * channels }

  public var description: String { "\(height)×\(width)×\(channels)" }
}

extension NumericArray {
  /// The array as samples of height, width and channels, in that order: [count, h, w, c].
  ///
  /// | axes in the file | samples |
  /// |---|---|
  /// | N | 1×1×1 |
  /// | N, F | 1×1×F; h×w×c when that is expected and has F elements |
  /// | N, A, B | A×B×1; 1×A×B when that is expected (`nchw`: 1×B×A, transposed) |
  /// | N, A, B, C | A×B×C (`nchw`: B×C×A, transposed) |
  ///
  /// An image of one channel is flattened when a vector is expected.
  /// - Parameter expected: the input of the model, or nil when anything will do.
  /// - Throws: TLY0702 when the samples have another shape than expected.
  func asSamples(layout: DataLayout, expected: SampleShape?, file: String)
    throws(InputError) -> NumericArray
  {
    let isPlanar = layout == .nchw
    let result: NumericArray
    switch shape.count {
    case 1: result = reshaped([shape[0], 1, 1, 1])
    case 2:
      if let expected, expected.count == shape[1], expected.height * expected.width > 1 {
        let (h, w, c) = (expected.height, expected.width, expected.channels)
        result =
          isPlanar
          ? reshaped([shape[0], c, h, w]).transposed([0, 2, 3, 1])
          : reshaped([shape[0], h, w, c])
      } else {
        result = reshaped([shape[0], 1, 1, shape[1]])
      }
    case 3:
      let (a, b) = (shape[1], shape[2])
      if isPlanar, expected == SampleShape(height: 1, width: b, channels: a) {
        result = reshaped([shape[0], a, 1, b]).transposed([0, 2, 3, 1])
      } else if !isPlanar, expected == SampleShape(height: 1, width: a, channels: b) {
        result = reshaped([shape[0], 1, a, b])
      } else {
        result = reshaped([shape[0], a, b, 1])
      }
    case 4: result = isPlanar ? transposed([0, 2, 3, 1]) : self
    default:
      throw .shape(file, "an array of \(shape.count) axes is not a set of samples")
    }
    guard let expected else { return result }
    let found = result.sampleShape
    if found == expected { return result }
    if found.channels == 1, expected == SampleShape(height: 1, width: 1, channels: found.count) {
      return result.reshaped([shape[0], 1, 1, found.count])
    }
    throw .shape(
      file, "samples are \(found), the model wants \(expected)",
      help: layoutHelp(layout, expected: expected))
  }

  /// Height, width and channels of an array of samples.
  var sampleShape: SampleShape {
    SampleShape(height: shape[1], width: shape[2], channels: shape[3])
  }

  /// The other layout, when the same array would fit under it.
  private func layoutHelp(_ layout: DataLayout, expected: SampleShape) -> String? {
    guard shape.count == 4 else { return nil }
    let other: DataLayout = layout == .nhwc ? .nchw : .nhwc
    let order = other == .nhwc ? [1, 2, 3] : [2, 3, 1]
    let sizes = order.map { shape[$0] }
    guard sizes == [expected.height, expected.width, expected.channels] else { return nil }
    return "the axes look like \(other.rawValue): pass --layout \(other.rawValue)"
  }
}
