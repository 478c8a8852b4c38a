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

  /// Sends a signal, then waits; the status as a shell gives it, 128 + n for an end by signal n.
  func end(by signal: Int32) -> Int32 {
    if process.isRunning { Foundation.kill(process.processIdentifier, signal) }
    process.waitUntilExit()
    return process.terminationStatus + (process.terminationReason == .uncaughtSignal ? 128 : 0)
  }

  /// What Tools/sanitize.sh tells the processes it watches.
  private static let sanitizer = ProcessInfo.processInfo.environment
    .filter { ["TSAN_OPTIONS", "ASAN_OPTIONS", "TEST_TMPDIR"].contains($0.key) }

  /// What a line of the shell gives in which `$TALLY` is the command.
  struct Outcome {
    var status: Int32
    var output: String
    var error: String
  }

  static func shell(_ line: String, in folder: String) throws -> Outcome {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/bash")
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    process.arguments = ["-c", line]
    process.environment = sanitizer.merging([
      "PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "TALLY": try #require(path),
    ]) { $1 }
    let output = URL(fileURLWithPath: "\(folder).output")
    let error = URL(fileURLWithPath: "\(folder).error")
    defer { for url in [output, error] { try? FileManager.default.removeItem(at: url) } }
    // Files and not pipes: a pipe that nobody empties would stop the command.
    for url in [output, error] { try Data().write(to: url) }
    process.standardOutput = try FileHandle(forWritingTo: output)
    process.standardError = try FileHandle(forWritingTo: error)
    try process.run()
    process.waitUntilExit()
    return Outcome(
      status: process.terminationStatus
        + (process.terminationReason == .uncaughtSignal ? 128 : 0),
      output: try String(contentsOf: output, encoding: .utf8),
      error: try String(contentsOf: error, encoding: .utf8))
  }

  /// Whether the command can be run by somebody who may not do everything.
  static let runsUnprivileged: Bool =
    path != nil
    && (geteuid() != 0 || (try? shell("\(unprivileged)$TALLY --version", in: "/tmp"))?.status == 0)

  /// Puts a command into the hands of somebody without rights, where we have all.
  static let unprivileged =
    geteuid() == 0 ? "setpriv --reuid=65534 --regid=65534 --clear-groups " : ""
}
