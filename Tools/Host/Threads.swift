import TallyThreads

/// The threads of this process that share the samples of a pass, or rows of them (SPEC 11).
///
/// How work is cut depends on its size and on the number of threads alone, and all of it is exact: any number
/// gives the same bytes. Short nodes stay on their caller's thread, so small networks gain nothing. A session
/// makes as many parts as it was planned for (`SessionRequest.threads`).
public enum Threads {
  /// The largest number that is used, whatever is asked for.
  public static let most = Int(TALLY_MOST_THREADS)

  /// Uses `count` threads from now on, the caller's among them.
  ///
  /// - Parameter count: 1…`most`.
  /// - Returns: how many there are; fewer if the system gives no more.
  @discardableResult
  public static func use(_ count: Int) -> Int { Int(tally_use_threads(Int32(clamping: count))) }

  /// How many are in use.
  public static var count: Int { Int(tally_threads()) }
}
