/// Saturation by layer, before and after training, as a table with bars.
struct SaturationTable {
  let before: LayerSaturation?
  let after: LayerSaturation
  let data: String

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
    let rows = after.layers.enumerated().map { index, layer in
      "<tr><td class=\"word\">\(HTMLText.escaped(layer.name))</td>"
        + "\(cells(before?.layers[index]))\(cells(layer))</tr>\n"
    }
    return HTMLText.section(
      "Saturation by layer",
      HTMLText.paragraph("Outputs at their upper bound, 127, in a million, on \(data).")
        + "<div class=\"scroll\"><table class=\"wide\"><thead><tr><th class=\"word\">layer</th>"
        + "\(head)</tr></thead><tbody>\n\(rows.joined())</tbody></table></div>\n")
  }
}
