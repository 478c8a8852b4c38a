import Platform

/// Ctrl-C and SIGTERM: they end the process at once, except where somebody asks for them between two
/// steps, and while an output is written.
enum Interruption {
  /// The signal that came, or 0. Written by the handler, which may do nothing else.
  nonisolated(unsafe) private static var received: sig_atomic_t = 0

  /// The signal that came since this was first asked, or 0.
  ///
  /// From the first question on, the two signals are noticed and no longer end the process. A second
  /// one of a kind does: what is written up to then is a valid prefix.
  static var signal: Int32 {
    watching
    return received
  }

  private static let watching: Void = {
    for number in [SIGINT, SIGTERM] {
      var action = sigaction()
      let handler: @convention(c) (Int32) -> Void = { Interruption.received = $0 }
      #if canImport(Darwin)
        action.__sigaction_u.__sa_handler = handler
      #else
        action.__sigaction_handler.sa_handler = handler
      #endif
      action.sa_flags = Int32(bitPattern: UInt32(SA_RESETHAND))
      sigaction(number, &action, nil)
    }
  }()

  /// A reader that went away, or a limit of file size, is an error of the write and not the end of the
  /// process: a run flushes its journal and says what happened.
  static func reportFailedWrites() {
    Platform.signal(SIGPIPE, SIG_IGN)
    Platform.signal(SIGXFSZ, SIG_IGN)
  }

  /// Does `body` without letting a signal come between: an output and its temporary file are one thing.
  static func held<Result>(_ body: () -> Result) -> Result {
    var held = sigset_t()
    var before = sigset_t()
    sigemptyset(&held)
    for number in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&held, number) }
    pthread_sigmask(SIG_BLOCK, &held, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    return body()
  }
}
