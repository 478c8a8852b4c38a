import Platform
import Importers
import Tally
import TallyHost

/// The checkpoints of a run, in the folder `JOURNAL.checkpoints` beside its journal.
///
/// Each is a file of its own that appears whole or not at all, so whatever ends the process leaves the
/// older ones usable.
struct CheckpointFolder {
  let path: String

  init(besides journal: String) { path = journal + ".checkpoints" }

  /// A file of the folder and the steps done at it.
  struct Entry {
    let path: String
    let step: UInt32
  }

  /// Ascending by step.
  var entries: [Entry] {
    names.compactMap { name in
      guard name.hasSuffix(".tlc"), let step = UInt32(name.dropLast(4)) else { return nil }
      return Entry(path: "\(path)/\(name)", step: step)
    }.sorted { $0.step < $1.step }
  }

  private var names: [String] { Path.names(in: path) }

  /// - Throws: TLY0902 or 0901 for a file that is no checkpoint, TLY0101 if it cannot be read.
  static func load(_ entry: Entry) throws(InputError) -> LoadedCheckpoint {
    let contents = try FileContents(path: entry.path)
    do throws(CheckpointError) {
      let checkpoint = try LoadedCheckpoint(contents.bytes)
      if checkpoint.step == entry.step { return checkpoint }
    } catch {
      throw InputError(error, file: entry.path)
    }
    throw InputError(
      902, "not a good checkpoint: it is of another step than its name", place: entry.path, exit: 3)
  }

  /// - Throws: TLY0806.
  func write(_ bytes: [UInt8], step: UInt32) throws(InputError) {
    if mkdir(path, 0o755) != 0 && errno != EEXIST { throw OutputFile.failure(path) }
    let digits = String(step)
    let name = String(repeating: "0", count: max(0, 10 - digits.count)) + digits
    try OutputFile("\(path)/\(name).tlc", force: true).write(bytes)
  }

  /// Removes checkpoints that `isUnwanted`, and what a killed process left half written.
  func remove(where isUnwanted: (Entry) -> Bool) {
    for name in names where name.hasSuffix(".tmp") { unlink("\(path)/\(name)") }
    for entry in entries where isUnwanted(entry) { unlink(entry.path) }
    // Fails while something is left in it, as it should.
    rmdir(path)
  }
}

extension InputError {
  /// What is wrong with a checkpoint file.
  init(_ error: CheckpointError, file: String) {
    let (code, exit, words): (Int, Int32, String) =
      switch error {
      case .notACheckpoint: (103, 3, "it does not start as a checkpoint")
      case .unsupportedVersion: (901, 4, "another format or arithmetic version")
      case .wrongLength: (106, 3, "its length is not the one it states")
      case .damaged: (902, 3, "its digest is not that of its bytes")
      }
    self.init(code, "not a good checkpoint: \(words)", place: file, exit: exit)
  }
}
