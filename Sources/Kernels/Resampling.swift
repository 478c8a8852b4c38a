public import Tensors

// Operations that move values without changing them (SPEC 6.10, 6.11). All work on one sample.

/// Slicing and padding along the three axes: y[j] = x[start + step·(j − before)] where that lies inside.
public struct SlicePad: Equatable, Sendable {
  public struct Axis: Equatable, Sendable {
    @Narrow public private(set) var start: Int
    @Narrow public private(set) var step: Int
    @Narrow public private(set) var before: Int

    public init(start: Int, step: Int, before: Int) {
      self.start = start
      self.step = step
      self.before = before
    }

    /// The source index of output index `j`, or `nil` where padding stands.
    @inline(__always)
    func source(_ j: Int, extent: Int) -> Int? {
      let index = start &+ step &* (j &- before)
      return j >= before && index < extent ? index : nil
    }
  }

  public let input: Shape
  public let output: Shape
  public let rows: Axis
  public let columns: Axis
  public let channels: Axis

  public init(input: Shape, output: Shape, rows: Axis, columns: Axis, channels: Axis) {
    self.input = input
    self.output = output
    self.rows = rows
    self.columns = columns
    self.channels = channels
  }

  /// Calls `body` with each output element and its source element, or `nil` for padding.
  @inline(__always)
  private func forEach(_ body: (_ target: Int, _ source: Int?) -> Void) {
    var target = 0
    for r in 0..<output.height {
      let row = rows.source(r, extent: input.height)
      for c in 0..<output.width {
        let column = columns.source(c, extent: input.width)
        for o in 0..<output.channels {
          if let row, let column, let channel = channels.source(o, extent: input.channels) {
            body(target, (row &* input.width &+ column) &* input.channels &+ channel)
          } else {
            body(target, nil)
          }
          target &+= 1
        }
      }
    }
  }

  public func forward(_ x: View<Int8>, zeroPoint: Int8, into y: View<Int8>) {
    forEach { target, source in y[target] = source.map { x[$0] } ?? zeroPoint }
  }

  public func gradient(_ g: View<Int8>, into gradient: View<Int32>) {
    gradient.fill(0)
    forEach { target, source in
      if let source { gradient[source] = Int32(g[target]) }
    }
  }
}

/// Nearest-neighbour enlargement by whole factors: y[r, c] = x[r div rows, c div columns].
public struct Upsampling: Equatable, Sendable {
  public let input: Shape
  @Narrow public private(set) var rows: Int
  @Narrow public private(set) var columns: Int

  public init(input: Shape, rows: Int, columns: Int) {
    self.input = input
    self.rows = rows
    self.columns = columns
  }

  public var output: Shape {
    Shape(
      height: input.height &* rows, width: input.width &* columns, channels: input.channels)
  }

  public func forward(_ x: View<Int8>, into y: View<Int8>) {
    let channels = input.channels
    let width = input.width &* columns
    for r in 0..<input.height &* rows {
      for c in 0..<width {
        let source = (r / rows &* input.width &+ c / columns) &* channels
        y.slice((r &* width &+ c) &* channels, channels).copy(from: x.slice(source, channels))
      }
    }
  }

  public func gradient(_ g: View<Int8>, into gradient: View<Int32>) {
    gradient.fill(0)
    let channels = input.channels
    let width = input.width &* columns
    for r in 0..<input.height &* rows {
      for c in 0..<width {
        let target = (r / rows &* input.width &+ c / columns) &* channels
        let source = (r &* width &+ c) &* channels
        for i in 0..<channels { gradient[target &+ i] &+= Int32(g[source &+ i]) }
      }
    }
  }
}
