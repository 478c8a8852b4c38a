import Tally

/// The arena over the time of a step: one rectangle for each buffer, where it lies and while it lives.
struct MemoryMap {
  let memory: PlannedMemory
  /// What the time on the right is for.
  let ending: String

  private static let width = 640.0
  private static let height = 320.0
  private static let left = 84.0

  var svg: String {
    let total = max(1, memory.byteCount)
    let times = memory.buffers.filter { !$0.isPersistent }.map(\.end)
    let lastTime = (times.max() ?? 0) + 1
    func x(_ time: Int) -> Double {
      MemoryMap.left + (MemoryMap.width - MemoryMap.left - 8) * Double(time) / Double(lastTime)
    }
    func y(_ offset: Int) -> Double {
      8 + (MemoryMap.height - 34) * (1 - Double(offset) / Double(total))
    }
    let purposes = self.purposes
    let keys = purposes.enumerated().map { index, name in
      "<span class=\"name\"><span class=\"key c\(index % LineChart.mostCurves)\"></span>\(HTMLText.escaped(name))</span>"
    }
    var text =
      "<figure><figcaption>memory over a step \(keys.joined(separator: " "))</figcaption>\n"
      + "<svg viewBox=\"0 0 \(Int(MemoryMap.width)) \(Int(MemoryMap.height))\" role=\"img\" "
      + "aria-label=\"memory map\">\n"
    for buffer in memory.buffers {
      let start = buffer.isPersistent ? 0 : buffer.start
      let end = buffer.isPersistent ? lastTime : buffer.end + 1
      let top = y(buffer.offset + buffer.byteCount)
      let series = purposes.firstIndex(of: buffer.purpose) ?? LineChart.mostCurves - 1
      text +=
        "<rect class=\"block c\(series)\" x=\"\(HTMLText.coordinate(x(start)))\" "
        + "y=\"\(HTMLText.coordinate(top))\" width=\"\(HTMLText.coordinate(x(end) - x(start)))\" "
        + "height=\"\(HTMLText.coordinate(max(0.3, y(buffer.offset) - top)))\"><title>"
        + "\(HTMLText.escaped(buffer.purpose)), \(HTMLText.escaped(buffer.layer)): "
        + "\(DecimalText.grouped(buffer.byteCount)) bytes at \(buffer.offset)</title></rect>\n"
    }
    text +=
      "<text class=\"tick end\" x=\"78\" y=\"14\">\(HTMLText.escaped(DecimalText.bytes(total)))"
      + "</text><text class=\"tick end\" x=\"78\" y=\"294\">0</text>"
      + "<text class=\"tick\" x=\"84\" y=\"312\">forward</text>"
      + "<text class=\"tick end\" x=\"632\" y=\"312\">\(HTMLText.escaped(ending))</text>\n"
    return text + "</svg></figure>\n"
  }

  /// Largest first, as many as have a color of their own; the rest share the last one.
  private var purposes: [String] {
    let sorted = memory.byPurpose.sorted { ($1.byteCount, $0.name) < ($0.byteCount, $1.name) }
    let own = LineChart.mostCurves - 1
    return sorted.prefix(own).map(\.name) + (sorted.count > own ? ["other"] : [])
  }
}
