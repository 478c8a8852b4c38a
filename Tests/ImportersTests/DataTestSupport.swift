import Foundation
import Importers
import Testing

/// What a reader threw, or nil when it accepted its input.
func fault(_ body: () throws(InputError) -> Void) -> InputError? {
  do throws(InputError) {
    try body()
    return nil
  } catch {
    return error
  }
}

/// A repeatable generator (SplitMix64); tests print the seed they used.
struct SplitMix64: RandomNumberGenerator {
  var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }
}

/// The folder of real data that is not part of the repository.
enum SharedData {
  /// `TALLY_DATA`, or `shared/data` beside one of the folders above this file.
  static let folder: String? = {
    if let path = ProcessInfo.processInfo.environment["TALLY_DATA"] { return path }
    var folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    while folder.path != "/" {
      folder.deleteLastPathComponent()
      let candidate = folder.appendingPathComponent("shared/data").path
      if FileManager.default.fileExists(atPath: candidate + "/INDEX.md") { return candidate }
    }
    return nil
  }()

  static func has(_ name: String) -> Bool {
    folder.map { FileManager.default.fileExists(atPath: "\($0)/\(name)") } ?? false
  }

  static func path(_ name: String) -> String { "\(folder ?? "missing")/\(name)" }
}

/// A new folder that is removed when the body ends.
func withTemporaryFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
  let url = FileManager.default.temporaryDirectory
    .appendingPathComponent("tally-tests-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: url) }
  return try body(url.path)
}

func write(_ bytes: [UInt8], to path: String) throws {
  try Data(bytes).write(to: URL(fileURLWithPath: path))
}

func ascii(_ text: String) -> [UInt8] { Array(text.utf8) }

/// The low `count` bytes of a number, lowest first.
func little(_ number: Int, _ count: Int) -> [UInt8] {
  (0..<count).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
}

func big(_ number: Int, _ count: Int) -> [UInt8] { little(number, count).reversed() }
