public import Foundation
public import Tally
import TallyHost

/// A text file of golden vectors (grammar: Formats/vectors/README.md).
///
/// A file with a `# columns:` comment is a table: `key: value` lines, then one row per line. Any other
/// is a list of blocks of `key: value` lines, separated by blank lines. Comments start with `#`.
public struct VectorFile {
  /// Relative to Formats/vectors, such as `kernels/add.txt`.
  public let path: String
  /// Names of a table's columns; empty for a block file.
  public let columns: [String]
  /// A table's rows.
  public let rows: [VectorRow]
  /// A table's `key: value` lines.
  public let values: VectorBlock
  public let blocks: [VectorBlock]

  public init(_ path: String) throws {
    let text = try String(contentsOf: VectorFolder.url(path), encoding: .utf8)
    try self.init(path, text: text)
  }

  public init(_ path: String, text: String) throws {
    var columns: [String] = []
    var rows: [VectorRow] = []
    var blocks: [VectorBlock] = []
    let values = VectorBlock("\(path), keys")
    var block: VectorBlock?
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
    {
      let place = "\(path):\(index + 1)"
      if line.hasPrefix("# columns:") {
        columns = words(line.dropFirst("# columns:".count))
      }
      if line.hasPrefix("#") { continue }
      if line.isEmpty {
        if let block { blocks.append(block) }
        block = nil
        continue
      }
      if let colon = line.range(of: ": ") {
        let key = String(line[..<colon.lowerBound])
        let value = String(line[colon.upperBound...])
        if columns.isEmpty {
          block = block ?? VectorBlock(place)
          block?.add(key, value)
        } else {
          values.add(key, value)
        }
        continue
      }
      let cells = words(line)
      guard !columns.isEmpty, cells.count == columns.count else {
        throw VectorError("\(place): neither a row of \(columns.count) columns nor a key")
      }
      rows.append(VectorRow(place: place, columns: columns, cells: cells))
    }
    if let block { blocks.append(block) }
    self.path = path
    self.columns = columns
    self.rows = rows
    self.values = values
    self.blocks = blocks
  }
}

public struct VectorError: Error, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}

private func words(_ text: Substring) -> [String] {
  text.split(separator: " ").map { String($0) }
}

/// One row of a table.
public struct VectorRow: CustomStringConvertible {
  public let place: String
  let columns: [String]
  let cells: [String]

  public func text(_ column: String) throws -> String {
    guard let index = columns.firstIndex(of: column) else {
      throw VectorError("\(place): no column \(column)")
    }
    return cells[index]
  }

  public func number<T: FixedWidthInteger>(
    _ column: String, _ type: T.Type = T.self, radix: Int = 10
  ) throws -> T {
    try parse(text(column), place, radix: radix)
  }

  /// The Scale in the columns `prefix.m` and `prefix.e`, or `m` and `e`.
  public func scale(_ prefix: String = "") throws -> Scale {
    try scaleOf(
      number(prefix.isEmpty ? "m" : prefix + ".m"), number(prefix.isEmpty ? "e" : prefix + ".e"),
      place)
  }

  public var description: String { "\(place): \(cells.joined(separator: " "))" }
}

/// One block of a block file. It remembers which of its lines have been read.
public final class VectorBlock: CustomStringConvertible {
  public let place: String
  public private(set) var lines: [(key: String, value: String)] = []
  private var isRead: [Bool] = []

  init(_ place: String) { self.place = place }

  fileprivate func add(_ key: String, _ value: String) {
    lines.append((key, value))
    isRead.append(false)
  }

  public var description: String {
    let name = lines.first { $0.key == "name" }?.value
    return name.map { "\(place) (\($0))" } ?? place
  }

  /// Keys that nobody has asked for, `name` apart.
  public var unread: [String] {
    zip(lines, isRead).filter { !$1 && $0.key != "name" }.map { $0.0.key }
  }

  public func has(_ key: String) -> Bool { lines.contains { $0.key == key } }

  public func text(_ key: String) throws -> String {
    guard let index = lines.firstIndex(where: { $0.key == key }) else {
      throw VectorError("\(self): no key \(key)")
    }
    isRead[index] = true
    return lines[index].value
  }

  public func optionalText(_ key: String) throws -> String? { has(key) ? try text(key) : nil }

  public func number<T: FixedWidthInteger>(_ key: String, _ type: T.Type = T.self) throws -> T {
    try parse(text(key), "\(self), \(key)", radix: 10)
  }

  public func flag(_ key: String) throws -> Bool { try number(key, Int.self) != 0 }

  /// Numbers separated by spaces; `none` for an empty list.
  public func numbers<T: FixedWidthInteger>(_ key: String, _ type: T.Type = T.self) throws -> [T] {
    let value = try text(key)
    if value == "none" { return [] }
    return try words(value[...]).map { try parse($0, "\(self), \(key)", radix: 10) }
  }

  public func scales(_ key: String) throws -> [Scale] {
    let words: [Int32] = try numbers(key)
    return try stride(from: 0, to: words.count, by: 2).map {
      try scaleOf(words[$0], words[$0 + 1], "\(self), \(key)")
    }
  }

  public func scale(_ key: String) throws -> Scale {
    let scales = try scales(key)
    guard scales.count == 1 else { throw VectorError("\(self), \(key): not one Scale") }
    return scales[0]
  }

  /// Elements `first ..< first + count` of the sequence a `rule a b c d` names, or of the numbers
  /// written out: element i = (i·a + b) mod c + d, the remainder never negative.
  public func elements<T: FixedWidthInteger>(
    _ key: String, _ count: Int, from first: Int = 0, _ type: T.Type = T.self
  ) throws -> [T] {
    let value = try text(key)
    guard value.hasPrefix("rule ") else {
      let all: [T] = try numbers(key)
      guard first + count == all.count else {
        throw VectorError("\(self), \(key): \(all.count) numbers, \(first + count) wanted")
      }
      return Array(all[first...])
    }
    let parts: [Int] = try words(value.dropFirst(5)).map {
      try parse($0, "\(self), \(key)", radix: 10)
    }
    guard parts.count == 4, parts[2] > 0 else {
      throw VectorError("\(self), \(key): a rule has four numbers")
    }
    return try (first..<first + count).map { index in
      let remainder = (index * parts[0] + parts[1]) % parts[2]
      let element = (remainder < 0 ? remainder + parts[2] : remainder) + parts[3]
      guard let exact = T(exactly: element) else {
        throw VectorError("\(self), \(key): element \(index) does not fit")
      }
      return exact
    }
  }

  /// Holds `values` against `expect WHAT sha256` and `expect WHAT firstN`, or `expect WHAT` written out.
  /// - Returns: `nil` if they agree, else what differs.
  public func difference<T: FixedWidthInteger>(_ what: String, _ values: [T]) throws -> String? {
    if has("expect \(what)") {
      let expected: [T] = try numbers("expect \(what)")
      return expected == values ? nil : "\(self): \(what) is \(values), not \(expected)"
    }
    let digest = try text("expect \(what) sha256")
    // The first numbers help to find a fault, and must not contradict the digest.
    let prefix = "expect \(what) first"
    guard let key = lines.first(where: { $0.key.hasPrefix(prefix) })?.key,
      let length = Int(key.dropFirst(prefix.count))
    else { throw VectorError("\(self): no \(prefix)N") }
    let expected: [T] = try numbers(key)
    let found = Array(values.prefix(length))
    if found == expected && hexadecimalDigest(values) == digest { return nil }
    return "\(self): \(what) begins \(found), not \(expected); \(values.count) values"
  }
}

private func parse<T: FixedWidthInteger>(_ text: String, _ place: String, radix: Int) throws -> T {
  guard let value = T(text, radix: radix) else {
    throw VectorError("\(place): \(text) is not a number that fits")
  }
  return value
}

private func scaleOf(_ mantissa: Int32, _ exponent: Int32, _ place: String) throws -> Scale {
  guard mantissa >= 1 << 30 || (mantissa == 0 && exponent == 0), abs(exponent) <= 8192 else {
    throw VectorError("\(place): (\(mantissa), \(exponent)) is not a Scale")
  }
  return Scale(restoring: mantissa, exponent: exponent)
}

/// SHA-256 of the values as little-endian bytes, in hexadecimal.
public func hexadecimalDigest<T: FixedWidthInteger>(_ values: [T]) -> String {
  var hash = SHA256()
  // Every machine the tests run on is little-endian.
  values.withUnsafeBytes { hash.update($0.bytes) }
  return hash.finalize().hexadecimal
}

/// The folder Formats/vectors.
public enum VectorFolder {
  private static let root = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  /// The top of the repository.
  public static var repository: URL { root }

  public static func url(_ path: String) -> URL {
    root.appending(path: "Formats/vectors").appending(path: path)
  }

  public static func bytes(_ path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: url(path)))
  }

  /// Every file below Formats/vectors, relative to it, in order.
  public static func files(_ folder: String = "") -> [String] {
    let base = url(folder)
    let files =
      FileManager.default.enumerator(atPath: base.path)?.compactMap { $0 as? String } ?? []
    return files.filter {
      var isFolder: ObjCBool = false
      _ = FileManager.default.fileExists(
        atPath: base.appending(path: $0).path, isDirectory: &isFolder)
      return !isFolder.boolValue
    }.map { folder.isEmpty ? $0 : "\(folder)/\($0)" }.sorted()
  }
}
