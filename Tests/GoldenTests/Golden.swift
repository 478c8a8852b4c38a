import Tally
import TallyTestSupport
import Testing

/// Which check runs which file of Formats/vectors.
///
/// A suite per folder runs every file it finds there through the check of that name, so a file without
/// one fails; `CoverageTests` looks at the folder as a whole.
enum Golden {
  typealias Check = @Sendable (VectorFile) throws -> Void

  /// Text files by path; the binary files beside them are named by the text files' checks.
  static let checks: [String: Check] = [
    arithmeticChecks, randomChecks, orderChecks, kernelChecks, lossChecks, optimizerChecks,
    inferenceChecks, adviceChecks,

  ].reduce(into: [:]) { $0.merge($1) { _, _ in preconditionFailure("one check per file") } }

  static func run(_ path: String) throws {
    let check = try #require(checks[path], "no test reads Formats/vectors/\(path)")
    let file = try VectorFile(path)
    #expect(!file.rows.isEmpty || !file.blocks.isEmpty, "\(path) is empty")
    try check(file)
    for block in file.blocks + [file.values] {
      expectEqual(block.unread, [], "\(block): keys that no test reads")
    }
  }
}

/// `#expect(found == expected)` where thousands are made in a debug build.
func expectEqual<T: Equatable>(
  _ found: T, _ expected: T, _ place: @autoclosure () -> String,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  if found != expected {
    Issue.record("\(place()): found \(found), expected \(expected)", sourceLocation: sourceLocation)
  }
}

extension VectorBlock {
  /// Holds values against `expect WHAT …`.
  func expect<T: FixedWidthInteger>(
    _ what: String, _ values: [T], sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    if let difference = try difference(what, values) {
      Issue.record("\(difference)", sourceLocation: sourceLocation)
    }
  }

  /// Holds a Scale against `expect WHAT`.
  func expect(
    _ what: String, _ scale: Scale, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    expectEqual(
      scale, try self.scale("expect \(what)"), "\(self), \(what)", sourceLocation: sourceLocation)
  }
}
