/// The window of a convolution or pooling: kernel, stride, dilation, padding (SPEC 6.1).
public struct WindowGeometry: Equatable, Sendable {
  @Narrow public var kernelHeight: Int
  @Narrow public var kernelWidth: Int
  @Narrow public var strideHeight: Int
  @Narrow public var strideWidth: Int
  @Narrow public var dilationHeight: Int
  @Narrow public var dilationWidth: Int
  @Narrow public var padTop: Int
  @Narrow public var padLeft: Int
  @Narrow public var padBottom: Int
  @Narrow public var padRight: Int

  public init(
    kernelHeight: Int, kernelWidth: Int, strideHeight: Int = 1, strideWidth: Int = 1,
    dilationHeight: Int = 1, dilationWidth: Int = 1,
    padTop: Int = 0, padLeft: Int = 0, padBottom: Int = 0, padRight: Int = 0
  ) {
    self.kernelHeight = kernelHeight
    self.kernelWidth = kernelWidth
    self.strideHeight = strideHeight
    self.strideWidth = strideWidth
    self.dilationHeight = dilationHeight
    self.dilationWidth = dilationWidth
    self.padTop = padTop
    self.padLeft = padLeft
    self.padBottom = padBottom
    self.padRight = padRight
  }

  /// Rows that the dilated kernel spans.
  public var extentHeight: Int { dilationHeight * (kernelHeight - 1) + 1 }
  /// Columns that the dilated kernel spans.
  public var extentWidth: Int { dilationWidth * (kernelWidth - 1) + 1 }
  /// Number of kernel positions.
  public var area: Int { kernelHeight * kernelWidth }

  /// Output rows for `height` input rows, or `nil` if the kernel does not fit.
  public func outputHeight(_ height: Int) -> Int? {
    let room = height + padTop + padBottom - extentHeight
    return room < 0 ? nil : room / strideHeight + 1
  }

  /// Output columns for `width` input columns, or `nil` if the kernel does not fit.
  public func outputWidth(_ width: Int) -> Int? {
    let room = width + padLeft + padRight - extentWidth
    return room < 0 ? nil : room / strideWidth + 1
  }

  /// Whether the window reads each input position once, in order, without padding: patches are the input.
  public var isPointwise: Bool {
    kernelHeight == 1 && kernelWidth == 1 && strideHeight == 1 && strideWidth == 1
      && padTop == 0 && padLeft == 0 && padBottom == 0 && padRight == 0
  }
}
