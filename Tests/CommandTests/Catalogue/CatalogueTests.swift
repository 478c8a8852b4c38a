import Foundation
import Importers
import Testing

@testable import TallyCommand

/// A row that another test shows, because no single command line can: by that test's own words.
struct ShownElsewhere: Sendable {
  let number: Int
  let input: String
  let code: Int
  let exit: String
  /// From the package's root.
  let file: String
  let test: String

  static let all: [ShownElsewhere] = [
    ShownElsewhere(
      number: 1, input: "a file that may not be read", code: 101, exit: "5",
      file: "Tests/CommandTests/OutputProcessTests.swift", test: "func permission()"),
    ShownElsewhere(
      number: 8, input: "a file that changes while it is read", code: 108, exit: "5",
      file: "Tests/ImportersTests/FileContentsTests.swift", test: "func changed()"),
    ShownElsewhere(
      number: 16, input: "tensors of rank 0, which are read", code: 0, exit: "0",
      file: "Tests/ImportersTests/SafetensorsTests.swift", test: "empty ones, scalars"),
    ShownElsewhere(
      number: 36, input: "archives that unpack to far more than they hold", code: 406, exit: "3",
      file: "Tests/ImportersTests/MalformedInputTests.swift", test: "unpacks 1 000 to 1"),
    ShownElsewhere(
      number: 60, input: "a read-only folder, a limit of size, a full device", code: 806,
      exit: "5", file: "Tests/CommandTests/OutputProcessTests.swift", test: "func fileLimit()"),
    ShownElsewhere(
      number: 62, input: "Ctrl-C and SIGTERM at any moment", code: 0, exit: "130, 143",
      file: "Tests/CommandTests/OutputProcessTests.swift", test: "func signals("),
    ShownElsewhere(
      number: 62, input: "a reader that goes away", code: 0, exit: "as if it had stayed",
      file: "Tests/CommandTests/OutputProcessTests.swift", test: "func closedPipe("),
    ShownElsewhere(
      number: 66, input: "a journal that ends inside a record", code: 0, exit: "0 with a note",
      file: "Tests/CommandTests/VerifyTests.swift", test: "func truncated()"),
    ShownElsewhere(
      number: 73, input: "names that are no C identifiers, made into some", code: 0, exit: "0",
      file: "Tests/TallyCTests/CSourceTests.swift", test: "func identifiers("),
    exporter(30, "a whole module in a pickle", 401, "4", "test_pytorch.py", "TLY0401"),
    exporter(31, "a pickle that names a function", 402, "3", "test_pytorch.py", "TLY0402"),
    exporter(32, "a damaged checkpoint", 403, "3", "test_pytorch.py", "TLY0403"),
    exporter(
      33, "a checkpoint without one of its storages", 404, "3", "test_pytorch.py", "TLY0404"),
    exporter(34, "a TorchScript program", 405, "4", "test_pytorch.py", "TLY0405"),
    exporter(35, "tensors of the other byte order", 0, "0", "test_pytorch.py", "big"),
    exporter(39, "a Keras model with code in it", 501, "4", "test_keras.py", "TLY0501"),
    exporter(40, "Keras layers with the channels first", 304, "4", "test_keras.py", "TLY0304"),
    exporter(42, "HDF5 that its library cannot read", 504, "3", "test_keras.py", "TLY0504"),
  ]

  private static func exporter(
    _ number: Int, _ input: String, _ code: Int, _ exit: String, _ file: String, _ test: String
  ) -> ShownElsewhere {
    ShownElsewhere(
      number: number, input: input, code: code, exit: exit, file: "Tools/export/tests/\(file)",
      test: test)
  }
}

@Suite("The catalogue of bad input") struct CatalogueTests {
  @Test("gives its error: code, status, place, what to know or do", arguments: BadInput.all)
  func answer(_ row: BadInput) throws {
    let box = try Sandbox()
    let outcome = try row.run(box)
    let name = InputError.name(ofCode: row.code)
    #expect(outcome.status == row.exit, "\(outcome)")
    if outcome.json["verdict"] == nil {
      let words = row.exit == 0 ? "warning[\(name)]: " : "error[\(name)]: "
      let parts = outcome.error.components(separatedBy: words)
      let rest = try #require(parts.count > 1 ? parts[1] : nil, "\(outcome)")
      #expect(rest.contains("\n  --> "), "where: \(outcome)")
    } else {
      // An answer about a journal, not a fault of a file: its place is a step.
      #expect(outcome.json["code"] as? String == name, "\(outcome)")
    }
    #expect(ErrorEntry.find(row.code) != nil)
    // Nothing half-made is left behind, and nothing made where there is an error.
    #expect(!box.files.contains { $0.hasSuffix(".tmp") })
    if row.exit != 0 && box.exists("out.tally") {
      // Made by the run that the row begins with.
      #expect(row.number == 60 || (64...71).contains(row.number), "\(outcome)")
    }
  }

  /// The page says why 41 and 72 are missing. 56, 58 and so on stand with their row.
  @Test("has every row")
  func complete() {
    let numbers = Set(BadInput.all.map(\.number) + ShownElsewhere.all.map(\.number))
    #expect((1...80).filter { !numbers.contains($0) } == [41, 72])
  }

  @Test("shows every code that can be printed")
  func codes() {
    let shown = Set(BadInput.all.map(\.code) + ShownElsewhere.all.map(\.code))
    let missing = ErrorEntry.all.map(\.code).filter { !shown.contains($0) }
    // Of the exporter's own work, and faults of the program itself.
    #expect(missing == [607, 999, 1001, 1002, 1006, 1007])
  }

  @Test(
    "every row tested elsewhere names a test that is there",
    arguments: ShownElsewhere.all.indices)
  func elsewhere(_ index: Int) throws {
    let row = ShownElsewhere.all[index]
    let source = try String(contentsOf: root.appending(path: row.file), encoding: .utf8)
    #expect(source.contains(row.test), "row \(row.number)")
  }

  /// `TALLY_WRITE_GOLDEN=1` writes the table anew.
  @Test("Formats/errors.md is this table")
  func page() throws {
    var rows: [(number: Int, line: String)] = BadInput.all.map {
      ($0.number, line($0.number, $0.input, $0.code, "\($0.exit)", $0.file))
    }
    rows += ShownElsewhere.all.map {
      ($0.number, line($0.number, $0.input, $0.code, $0.exit, $0.file))
    }
    // Rows of one number keep their order.
    let sorted = rows.enumerated().sorted {
      ($0.element.number, $0.offset) < ($1.element.number, $1.offset)
    }
    let page = """
      # Bad input and its answers

      What each kind of bad input is answered with: the error code (`tally explain CODE` says more), the exit status, and the test
      that shows it. The tests make this page; they fail where it is not what they do. Files of other tools are the exporter's, and so
      are their rows (`Tools/export`). What is read but odd is a warning, and the status 0.

      Two numbers have no row. 41 is a Keras file with more or fewer weights than its layers need: Keras compares them as it loads,
      and what it refuses is answered as rows 39 and 42 are. 72 is messages of federated clients: nothing here reads any.

      | row | input | code | exit | test |
      |---|---|---|---|---|
      \(sorted.map(\.element.line).joined(separator: "\n"))

      """
    let url = root.appending(path: "Formats/errors.md")
    if ProcessInfo.processInfo.environment["TALLY_WRITE_GOLDEN"] != nil {
      try Data(page.utf8).write(to: url)
    }
    #expect(try String(contentsOf: url, encoding: .utf8) == page)
  }

  private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  private func line(
    _ number: Int, _ input: String, _ code: Int, _ exit: String, _ file: String
  ) -> String {
    let name = code == 0 ? "–" : InputError.name(ofCode: code)
    return "| \(number) | \(input) | \(name) | \(exit) | `\(file)` |"
  }
}
