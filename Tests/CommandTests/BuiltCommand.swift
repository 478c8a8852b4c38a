import Foundation
import Testing

/// The `tally` that was built beside the tests, as a process of its own.
struct BuiltCommand {
  static let path: String? = {
    let beside = Bundle.main.executableURL?.resolvingSymlinksInPath().deletingLastPathComponent()
      .appendingPathComponent("tally").path
    return beside.flatMap { FileManager.default.isExecutableFile(atPath: $0) ? $0 : nil }
  }()

  private let process = Process()

  /// Starts it in `folder`, its words thrown away.
  init(_ arguments: [String], in folder: String) throws {
    process.executableURL = URL(fileURLWithPath: try #require(BuiltCommand.path))
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    process.arguments = arguments
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
  }

  /// Ends it at once, without a chance to clean up; whether it was still running.
  func kill() -> Bool {
    guard process.isRunning else { return false }
    Foundation.kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
    return process.terminationReason == .uncaughtSignal
  }

  func wait() -> Int32 {
    process.waitUntilExit()
    return process.terminationStatus
  }
}
