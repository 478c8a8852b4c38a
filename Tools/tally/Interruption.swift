import Platform

/// Ctrl-C and SIGTERM, noticed between two steps.
enum Interruption {
  /// The signal that came, or 0. Written by the handler, which may do nothing else.
  nonisolated(unsafe) private static var received: sig_atomic_t = 0

  static var signal: Int32 { received }

  /// Notices the two signals from here on. A second one of a kind ends the process at once: what is
  /// written up to then is a valid prefix.
  static func watch() {
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
    // Writing to a reader that went away must not end a run before its journal is flushed.
    Platform.signal(SIGPIPE, SIG_IGN)
  }
}
