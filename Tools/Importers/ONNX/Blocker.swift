/// One thing in the file that Tally cannot do.
struct Blocker {
  /// 304 operator, 305 attribute or form, 311 subgraph or function, 312 quantisation.
  var code: Int
  var operatorName: String
  /// What exactly: "not supported", "mode 'reflect'", "axis 1 of 3".
  var reason: String
  var help: String?
  var path: String
  /// Index of the ONNX node.
  var node: Int
}

extension ONNXImporter {
  /// Notes that the current node stands in the way; its results are blocked.
  mutating func block(_ code: Int, _ reason: String, help: String? = nil) -> [Value] {
    note(code, reason, help: help)
    return [.blocked]
  }

  /// Notes an obstacle without blocking what follows, so that more can be found.
  mutating func note(_ code: Int, _ reason: String, help: String? = nil) {
    blockers.append(
      Blocker(
        code: code, operatorName: node.qualifiedOperator, reason: reason, help: help,
        path: node.path, node: nodeIndex))
  }

  /// One error for all obstacles: each operator and reason once, with its count and places.
  func blockingError() -> InputError? {
    guard let first = blockers.first else { return nil }
    var groups: [[Blocker]] = []
    var groupOf: [String: Int] = [:]
    for blocker in blockers {
      let key = "\(blocker.operatorName): \(blocker.reason)"
      if let index = groupOf[key] {
        groups[index].append(blocker)
      } else {
        groupOf[key] = groups.count
        groups.append([blocker])
      }
    }
    let lines = groups.map { members in
      let paths = members.map(\.path)
      let shown = paths.prefix(4).joined(separator: ", ") + (paths.count > 4 ? ", …" : "")
      return "\(members[0].operatorName) ×\(paths.count): \(members[0].reason) (\(shown))"
    }
    var helps: [String] = []
    for blocker in blockers {
      if let help = blocker.help, !helps.contains(help) { helps.append(help) }
    }
    let codes = blockers.map(\.code)
    // The most basic obstacle names the error.
    let code = [304, 311, 312, 305].first { codes.contains($0) } ?? first.code
    let count = blockers.count
    let what =
      switch code {
      case 304: "uses operators that Tally does not support"
      case 311: "contains subgraphs or functions"
      case 312: "is quantised in a way that Tally cannot keep exactly"
      default: "uses operators in a form that Tally does not support"
      }
    return InputError(
      code, "\(model.fileName) \(what) (\(count) \(count == 1 ? "node" : "nodes"))",
      place: "\(first.operatorName) at \(first.path)", note: lines.joined(separator: "\n        "),
      help: helps.isEmpty ? nil : helps.joined(separator: "; "), exit: 4)
  }
}
