import Foundation
import Importers

// Feeds one reader from libFuzzer:
//
//     TallyFuzz READER [libFuzzer's arguments]
//     TallyFuzz --list
//
// The fuzzer watches which code an input reaches, and keeps those that reach new code.

/// libFuzzer's driver, from the runtime that `-sanitize=fuzzer` links.
@_silgen_name("LLVMFuzzerRunDriver")
func runDriver(
  _ count: UnsafeMutablePointer<CInt>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
  _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

nonisolated(unsafe) var chosen: Reader?

/// Statuses that a refusal of bytes may have.
let allowedStatuses: Set<Int32> = [2, 3, 4]

let body: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt = { start, count in
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  do throws(InputError) {
    try chosen?.read(bytes[...])
  } catch {
    precondition(allowedStatuses.contains(error.exit) || error.exit == 6, "\(error)")
  }
  return 0
}

/// Hands the arguments behind the reader's name to the driver.
func fuzz() -> CInt {
  guard let name = CommandLine.arguments.dropFirst().first, name != "--list" else {
    print(Reader.all.map(\.name).joined(separator: "\n"))
    return 0
  }
  guard let reader = Reader.all.first(where: { $0.name == name }) else {
    FileHandle.standardError.write(Data("no reader \(name)\n".utf8))
    return 2
  }
  chosen = reader
  var count = CommandLine.argc - 1
  var arguments = CommandLine.unsafeArgv + 1
  return runDriver(&count, &arguments, body)
}

exit(fuzz())
