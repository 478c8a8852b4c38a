/// HTML and SVG as text, with everything from outside escaped.
enum HTMLText {
  static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// A table; cells are escaped here. Columns of `words` stand to the left.
  static func table(_ head: [String], _ rows: [[String]], words: Set<Int> = [0]) -> String {
    func row(_ cells: [String], _ tag: String) -> String {
      let texts = cells.enumerated().map { column, cell in
        "<\(tag)\(words.contains(column) ? " class=\"word\"" : "")>\(escaped(cell))</\(tag)>"
      }
      return "<tr>\(texts.joined())</tr>\n"
    }
    return "<div class=\"scroll\"><table><thead>\(row(head, "th"))</thead><tbody>\n"
      + rows.map { row($0, "td") }.joined() + "</tbody></table></div>\n"
  }

  static func section(_ title: String, _ body: String) -> String {
    "<section><h2>\(escaped(title))</h2>\n\(body)</section>\n"
  }

  static func paragraph(_ text: String) -> String { "<p>\(escaped(text))</p>\n" }

  /// A coordinate with one digit, so that the page's bytes do not depend on a float printer's taste.
  static func coordinate(_ value: Double) -> String {
    let tenths = Int((value * 10).rounded())
    let sign = tenths < 0 ? "-" : ""
    return "\(sign)\(tenths.magnitude / 10).\(tenths.magnitude % 10)"
  }
}
