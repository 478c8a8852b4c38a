import Platform
import Importers

/// A file that is written whole or not at all.
///
/// Checked before the work starts, so that nobody trains for an hour to learn that the folder is
/// missing; written beside its place and renamed, so that a crash leaves the old file.
struct OutputFile {
  let path: String
  /// Whether a file that is there is to stay, unless it has the very bytes that are written.
  private let keepsOld: Bool

  /// - Parameters:
  ///   - resumes: the work goes on from where it was cut, perhaps after its output was written: a file
  ///     that is there may be this work's own, and `write` compares.
  ///   - inputs: files that are read; the output may not be one of them, forced or not.
  /// - Throws: TLY0806 if the file exists and neither `force` nor `resumes`, is a folder or an input, or
  ///   its folder is missing.
  init(
    _ path: String, force: Bool, resumes: Bool = false, inputs: [String] = []
  ) throws(InputError) {
    self.path = path
    keepsOld = !force
    guard !path.isEmpty, !path.utf8.contains(0) else { throw OutputFile.refused(path, "no name") }
    let folder = OutputFile.folder(of: path)
    guard let parent = OutputFile.status(folder), parent.st_mode & S_IFMT == S_IFDIR else {
      throw OutputFile.refused(path, "its folder does not exist", help: "mkdir -p \(folder)")
    }
    guard let found = OutputFile.status(path) else { return }
    guard found.st_mode & S_IFMT != S_IFDIR else {
      throw OutputFile.refused(path, "it is a folder")
    }
    for input in inputs {
      if let other = OutputFile.status(input), other.st_ino == found.st_ino,
        other.st_dev == found.st_dev
      {
        throw OutputFile.refused(path, "it is also an input", help: "choose another name")
      }
    }
    if !force, !resumes {
      throw OutputFile.refused(path, "it exists", help: "--force replaces it")
    }
  }

  /// Writes the file; one that was there before the work went on must have these very bytes.
  ///
  /// - Throws: TLY0806 with the system's reason, or for other bytes; the old file, if any, is untouched.
  func write(_ bytes: [UInt8]) throws(InputError) {
    if keepsOld, OutputFile.status(path) != nil {
      if try FileContents(path: path).bytes == bytes { return }
      throw OutputFile.refused(
        path, "it exists, and is another file than what is to be written",
        help: "--force replaces it")
    }
    let failure: InputError? = Interruption.held {
      let temporary = "\(path).\(getpid()).tmp"
      let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
      guard descriptor >= 0 else { return OutputFile.failure(path) }
      var isWritten = OutputFile.write(bytes, to: descriptor) && fsync(descriptor) == 0
      // The first failure is the one to tell of.
      let reason = errno
      if close(descriptor) != 0 { isWritten = false } else if !isWritten { errno = reason }
      if isWritten, rename(temporary, path) == 0 { return nil }
      let error = OutputFile.failure(path)
      unlink(temporary)
      return error
    }
    if let failure { throw failure }
  }

  /// Whether all bytes were written; `errno` says why not.
  static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
    bytes.withUnsafeBytes { buffer in
      var done = 0
      while done < buffer.count {
        let count = Platform.write(descriptor, buffer.baseAddress! + done, buffer.count - done)
        if count < 0, errno == EINTR { continue }
        if count <= 0 { return false }
        done += count
      }
      return true
    }
  }

  /// Whether a file is there and has no bytes: what is left of one whose writer ended at once.
  static func isEmpty(_ path: String) -> Bool {
    status(path).map { $0.st_mode & S_IFMT == S_IFREG && $0.st_size == 0 } ?? false
  }

  /// Makes a folder for outputs, and those above it.
  ///
  /// - Throws: TLY0806.
  static func makeFolder(_ path: String) throws(InputError) {
    if let reason = Path.makeFolder(path) {
      throw InputError(806, "cannot make the folder: \(reason)", place: path, exit: 5)
    }
  }

  static func failure(_ path: String) -> InputError {
    refused(path, String(cString: strerror(errno)))
  }

  private static func refused(_ path: String, _ why: String, help: String? = nil) -> InputError {
    InputError(806, "cannot write the file: \(why)", place: path, help: help, exit: 5)
  }

  private static func folder(of path: String) -> String {
    let folder = Path.folder(of: path)
    return folder.isEmpty ? "." : folder
  }

  private static func status(_ path: String) -> stat? {
    var status = stat()
    return stat(path, &status) == 0 ? status : nil
  }
}

extension ArgumentList {
  /// The file that `--output` names; nil for a dry run, which writes nothing.
  func outputFile() throws(InputError) -> OutputFile? {
    if has("--dry-run") { return nil }
    return try OutputFile(
      try require("--output"), force: has("--force"), inputs: positionals)
  }
}
