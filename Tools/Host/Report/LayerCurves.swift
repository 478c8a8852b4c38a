/// Curves of one kind by layer: a chart while colors tell them apart; beyond, a chart of the whole and a
/// table by layer.
struct LayerCurves {
  let title: String
  let curves: [LineChart.Curve]
  /// All layers together.
  let whole: LineChart.Curve
  let scale: Int
  var isPercent = false

  var html: String {
    guard curves.count > LineChart.mostCurves else { return chart(title, curves).svg }
    let whole = chart("\(title); \(self.whole.name)", [self.whole])
    let rows = curves.map { curve in
      let values = curve.points.map(\.y)
      let mean = values.reduce(0, +) / max(1, values.count)
      return [curve.name] + [values.min() ?? 0, mean, values.max() ?? 0].map(whole.text)
    }
    return whole.svg + HTMLText.table(["layer", "lowest", "mean", "highest"], rows)
  }

  private func chart(_ title: String, _ curves: [LineChart.Curve]) -> LineChart {
    LineChart(title: title, curves: curves, scale: scale, isPercent: isPercent)
  }
}
