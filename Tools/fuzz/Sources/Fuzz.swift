import Foundation
import Importers

// libFuzzer brings `main`; `TALLY_FUZZ_READER` names the reader that it feeds. The fuzzer watches which
// code an input reaches, and keeps those that reach new code.

private let chosen: Reader = {
  let name = ProcessInfo.processInfo.environment["TALLY_FUZZ_READER"] ?? ""
  guard let reader = Reader.all.first(where: { $0.name == name }) else {
    let names = Reader.all.map(\.name).joined(separator: " ")
    FileHandle.standardError.write(Data("TALLY_FUZZ_READER is one of: \(names)\n".utf8))
    exit(2)
  }
  return reader
}()

/// Statuses that a refusal of bytes may have.
private let allowedStatuses: Set<Int32> = [2, 3, 4, 6]

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  do throws(InputError) {
    try chosen.read(bytes[...])
  } catch {
    precondition(allowedStatuses.contains(error.exit), "\(error)")
  }
  return 0
}
