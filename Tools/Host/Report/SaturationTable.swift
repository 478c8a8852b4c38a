/// Saturation by layer, before and after training, as a table with bars.
struct SaturationTable {
  let before: LayerSaturation?
  let after: LayerSaturation
  let data: String

  /// Tables up to here have all layers, longer ones those that saturate.
  private static let mostRows = 8

  var html: String {
    let largest = max(
      1, ((before?.layers ?? []) + after.layers).map(\.partsPerMillion).max() ?? 1)
    func cells(_ layer: LayerSaturation.Layer?) -> String {
      guard let layer else { return "" }
      let tenths = layer.partsPerMillion * 1000 / largest
      return "<td>\(DecimalText.grouped(layer.partsPerMillion))</td><td class=\"word\">"
        + "<span class=\"bar\" style=\"width: \(tenths / 10).\(tenths % 10)%\"></span></td>"
    }
    let head =
      (before == nil ? "" : "<th>before</th><th class=\"bars\"></th>")
      + "<th>after</th><th class=\"bars\"></th>"
    // Of a deep network most rows would say 0.
    let shown = after.layers.indices.filter { index in
      after.layers.count <= SaturationTable.mostRows || after.layers[index].saturated > 0
        || (before?.layers[index].saturated ?? 0) > 0
    }
    let others = after.layers.count - shown.count
    let rows = shown.map { index in
      let layer = after.layers[index]
      return "<tr><td class=\"word\">\(HTMLText.escaped(layer.name))</td>"
        + "\(cells(before?.layers[index]))\(cells(layer))</tr>\n"
    }
    var text = HTMLText.paragraph("Outputs at their upper bound, 127, per million, on \(data).")
    if !shown.isEmpty {
      text +=
        "<div class=\"scroll\"><table class=\"wide\"><thead><tr><th class=\"word\">layer</th>"
        + "\(head)</tr></thead><tbody>\n\(rows.joined())</tbody></table></div>\n"
    }
    if others > 0 {
      text += HTMLText.paragraph("\(shown.isEmpty ? "" : "The other ")\(others) layers: none.")
    }
    return HTMLText.section("Saturation by layer", text)
  }
}
