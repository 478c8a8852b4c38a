import MicroKernels

/// Counts how often work was cut in parts, and runs them from the last to the first: any order must do.
public final class PartCounter: @unchecked Sendable {
  /// Written by the one task that counts.
  private var callCount = 0

  @TaskLocal private static var current: PartCounter?

  /// Runs `body` and counts what was cut in it.
  ///
  /// Who runs parts is the process's: another suite may take that over meanwhile, and its own calls are not
  /// counted. So 0 of one short piece of work proves nothing, and any other number does.
  public static func count(_ body: () throws -> Void) rethrows -> Int {
    let counter = PartCounter()
    tally_set_parallel { parts, body, context in
      PartCounter.current?.callCount += 1
      for part in (0..<parts).reversed() { body?(context, part) }
    }
    defer { tally_set_parallel(nil) }
    try $current.withValue(counter, operation: body)
    return counter.callCount
  }
}
