import Foundation
import Importers
import Testing

@Suite("FileContents")
struct FileContentsTests {
  @Test("reads every byte")
  func reads() throws {
    try withTemporaryFolder { folder in
      let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 3) }
      try write(bytes, to: "\(folder)/a.bin")
      #expect(try FileContents(path: "\(folder)/a.bin").bytes == bytes)
      try FileManager.default.createSymbolicLink(
        atPath: "\(folder)/link", withDestinationPath: "\(folder)/a.bin")
      #expect(try FileContents(path: "\(folder)/link").bytes == bytes)
    }
  }

  @Test("a path with line breaks and other alphabets is a path")
  func strangeNames() throws {
    try withTemporaryFolder { folder in
      for name in ["a\nb", "моде́ль.npz", "-rf", "a b"] {
        try write([1], to: "\(folder)/\(name)")
        #expect(try FileContents(path: "\(folder)/\(name)").bytes == [1])
      }
    }
  }

  @Test("what cannot be read says why", arguments: [101, 102, 109])
  func refused(_ code: Int) throws {
    try withTemporaryFolder { folder in
      try write([1], to: "\(folder)/digits.npz")
      try write([], to: "\(folder)/empty")
      #expect(mkfifo("\(folder)/pipe", 0o600) == 0)
      #expect(symlink("loop", "\(folder)/loop") == 0)
      // A sparse file: 2 GiB and one byte that take no space.
      try write([0], to: "\(folder)/huge")
      #expect(truncate("\(folder)/huge", off_t(FileContents.byteCountLimit) + 1) == 0)
      let cases: [(path: String, code: Int, exit: Int32, words: String)] = [
        ("\(folder)/digits.npx", 101, 5, "did you mean ‘\(folder)/digits.npz’?"),
        ("\(folder)/unlike-any-other", 101, 5, "there is no such file"),
        ("\(folder)/no/digits.npz", 101, 5, "there is no such file"),
        ("\(folder)/digits.npz/x", 101, 5, "not a folder"),
        (folder, 101, 5, "directory"),
        ("", 101, 5, "empty"),
        ("\(folder)/digits.npz\0.onnx", 101, 5, "zero byte"),
        ("\(folder)/" + String(repeating: "x", count: 5000), 101, 5, "too long"),
        ("\(folder)/empty", 102, 3, "0 bytes"),
        ("\(folder)/pipe", 109, 5, "pipe"),
        ("/dev/zero", 109, 5, "device"),
        ("\(folder)/loop", 109, 5, "loop"),
        ("\(folder)/huge", 109, 5, "2147483649 bytes"),
      ]
      for (path, expected, exit, words) in cases where expected == code {
        let error = try #require(
          fault { () throws(InputError) in _ = try FileContents(path: path) }, "\(path)")
        #expect(error.code == code && error.exit == exit, "\(error)")
        #expect(error.description.contains(words), "\(error)")
      }
    }
  }

  @Test("a file one byte above the limit is refused, one at the limit is read")
  func limit() throws {
    try withTemporaryFolder { folder in
      try write([1, 2, 3], to: "\(folder)/a")
      #expect(try FileContents(path: "\(folder)/a", limit: 3).bytes.count == 3)
      let error = fault { () throws(InputError) in
        _ = try FileContents(path: "\(folder)/a", limit: 2)
      }
      #expect(error?.code == 109)
    }
  }

  /// Files of the kernel's own file system state a size that their content does not have.
  private static let unsteady = "/sys/kernel/mm/transparent_hugepage/enabled"

  @Test(
    "fewer bytes than the size promised: the file changed meanwhile",
    .enabled(if: FileContents.exists(unsteady), "no such kernel file here"))
  func changed() throws {
    let error = try #require(
      fault { () throws(InputError) in _ = try FileContents(path: Self.unsteady) })
    #expect(error.code == 108 && error.exit == 5, "\(error)")
  }

  @Test("permission denied", .enabled(if: geteuid() != 0, "root may read everything"))
  func permission() throws {
    try withTemporaryFolder { folder in
      try write([1], to: "\(folder)/a")
      #expect(chmod("\(folder)/a", 0) == 0)
      let error = fault { () throws(InputError) in _ = try FileContents(path: "\(folder)/a") }
      #expect(error?.code == 101 && error?.exit == 5)
    }
  }
}
