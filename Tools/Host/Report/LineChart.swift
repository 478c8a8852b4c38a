/// Curves over steps as inline SVG.
///
/// Values are integers in the chart's own unit (`scale` of them are 1), because they come from integers.
struct LineChart {
  struct Curve {
    let name: String
    /// x ascending.
    let points: [(x: Int, y: Int)]
  }

  let title: String
  let curves: [Curve]
  /// Units that make 1: 10,000 for shares with four digits.
  let scale: Int
  /// Whether the numbers on the y axis are percents.
  var isPercent = false
  var xName = "step"

  /// Curves that are told apart by their colors.
  static let mostCurves = 6

  /// Points that a curve may have; longer ones are averaged over equal stretches of x.
  private static let largestPointCount = 400
  private static let width = 640.0
  private static let height = 220.0
  private static let left = 84.0
  private static let bottom = 26.0

  var svg: String {
    let all = curves.map { LineChart.thinned($0.points) }
    let xs = curves.map(\.points).joined().map(\.x)
    let ys = all.joined().map(\.y)
    guard let firstX = xs.min(), let lastX = xs.max(), let low = ys.min(), let high = ys.max()
    else { return "" }
    let ticks = LineChart.ticks(min(0, low), max(high, low + 1))
    let bottomY = ticks[0]
    let topY = ticks[ticks.count - 1]
    func x(_ value: Int) -> Double {
      LineChart.left + (LineChart.width - LineChart.left - 8)
        * Double(value - firstX) / Double(max(1, lastX - firstX))
    }
    func y(_ value: Int) -> Double {
      let share = Double(value - bottomY) / Double(max(1, topY - bottomY))
      return 10 + (LineChart.height - LineChart.bottom - 10) * (1 - share)
    }
    var text =
      "<figure><figcaption>\(caption)</figcaption>\n"
      + "<svg viewBox=\"0 0 \(Int(LineChart.width)) \(Int(LineChart.height))\" role=\"img\" "
      + "aria-label=\"\(HTMLText.escaped(title))\">\n"
    for tick in ticks {
      let at = HTMLText.coordinate(y(tick))
      text +=
        "<line class=\"grid\" x1=\"\(HTMLText.coordinate(LineChart.left))\" x2=\"632\" "
        + "y1=\"\(at)\" y2=\"\(at)\"/>"
        + "<text class=\"tick end\" x=\"78\" y=\"\(at)\" dy=\"0.35em\">\(label(tick))</text>\n"
    }
    let baseline = HTMLText.coordinate(LineChart.height - 8)
    text +=
      "<text class=\"tick\" x=\"\(HTMLText.coordinate(LineChart.left))\" y=\"\(baseline)\">"
      + "\(xName) \(DecimalText.grouped(firstX))</text>"
      + "<text class=\"tick end\" x=\"632\" y=\"\(baseline)\">"
      + "\(DecimalText.grouped(lastX))</text>\n"
    for (index, points) in all.enumerated() {
      if points.count == 1 {
        text +=
          "<circle class=\"series c\(index % LineChart.mostCurves)\" cx=\"\(HTMLText.coordinate(x(points[0].x)))\" "
          + "cy=\"\(HTMLText.coordinate(y(points[0].y)))\" r=\"3\"/>\n"
        continue
      }
      let path = points.map { "\(HTMLText.coordinate(x($0.x))),\(HTMLText.coordinate(y($0.y)))" }
      text +=
        "<polyline class=\"series c\(index % LineChart.mostCurves)\" points=\"\(path.joined(separator: " "))\"/>\n"
    }
    return text + "</svg></figure>\n"
  }

  /// The title, and which curve is which.
  private var caption: String {
    guard curves.count > 1 else { return HTMLText.escaped(title) }
    let names = curves.enumerated().map { index, curve in
      "<span class=\"name\"><span class=\"key c\(index % LineChart.mostCurves)\"></span>"
        + "\(HTMLText.escaped(curve.name))</span>"
    }
    return "\(HTMLText.escaped(title)) \(names.joined(separator: " "))"
  }

  /// A value as a table says it: all digits of the scale.
  func text(_ value: Int) -> String {
    if scale == 1 { return DecimalText.grouped(value) }
    let places = min(4, max(0, String(scale).count - 1))
    let text = DecimalText.ratio(UInt64(value.magnitude), UInt64(scale), places: places)
    return (value < 0 ? "-" : "") + text + (isPercent ? " %" : "")
  }

  /// The same as the axis says it: no zeros behind the point.
  private func label(_ value: Int) -> String {
    let text = text(value)
    guard let point = text.firstIndex(of: ".") else { return text }
    let end = text[point...].firstIndex(of: " ") ?? text.endIndex
    let digits = text[..<end].reversed().drop { $0 == "0" }.drop { $0 == "." }
    return String(digits.reversed()) + text[end...]
  }

  /// Three to six round numbers around a range.
  static func ticks(_ low: Int, _ high: Int) -> [Int] {
    var step = 1
    while true {
      for factor in [1, 2, 5] {
        let size = step * factor
        let first = Int((Double(low) / Double(size)).rounded(.down))
        let last = Int((Double(high) / Double(size)).rounded(.up))
        if last - first <= 5 { return (first...max(last, first + 1)).map { $0 * size } }
      }
      step *= 10
    }
  }

  static func thinned(_ points: [(x: Int, y: Int)]) -> [(x: Int, y: Int)] {
    guard points.count > largestPointCount else { return points }
    return (0..<largestPointCount).map { bucket in
      let first = bucket * points.count / largestPointCount
      let next = (bucket + 1) * points.count / largestPointCount
      let sum = points[first..<next].reduce(0) { $0 + $1.y }
      return (points[(first + next) / 2].x, sum / (next - first))
    }
  }
}
