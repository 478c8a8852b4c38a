import Platform
import Importers
import TallyHost

/// Where the command's words go: results to standard output, everything else to standard error.
///
/// Tests give it closures; `main` gives it the real streams.
final class Console {
  /// The outside world as the command sees it.
  struct World {
    var writeOutput: (String) -> Void
    var writeError: (String) -> Void
    /// Whether standard error is a terminal that can redraw a line.
    var errorIsTerminal = false
    /// Columns of that terminal, which may change while the command runs.
    var errorWidth: () -> Int = { 80 }
    var environment: (String) -> String? = { _ in nil }
    /// The number of the signal that asks the command to stop, or 0.
    var interruption: () -> Int32 = { 0 }
  }

  let world: World
  private(set) var isJSON = false
  private(set) var isQuiet = false
  private(set) var isVerbose = false
  private var hasColor = false

  init(_ world: World) { self.world = world }

  /// Takes over `--json`, `-q`, `-v` and `--color`.
  func configure(_ arguments: ArgumentList) throws(InputError) {
    isJSON = arguments.has("--json")
    isQuiet = arguments.has("--quiet")
    isVerbose = arguments.has("--verbose")
    switch arguments["--color"] ?? "auto" {
    case "always": hasColor = true
    case "never": hasColor = false
    case "auto": hasColor = canRedraw && (world.environment("NO_COLOR") ?? "").isEmpty
    case let word:
      throw InputError(
        802, "\u{2018}\(word)\u{2019} is not auto, always or never", place: "--color", exit: 2)
    }
  }

  /// Decides about JSON before the arguments are read, for errors about them.
  func expectJSON(_ isJSON: Bool) { self.isJSON = isJSON }

  /// Whether progress may redraw its line.
  var canRedraw: Bool { world.errorIsTerminal && world.environment("TERM") != "dumb" }

  /// A line of the result, for people; with `--json` the object stands for it.
  func print(_ line: String = "") {
    if !isJSON { world.writeOutput(line + "\n") }
  }

  /// The one JSON object, if it was asked for.
  func result(_ object: JSONOutput) {
    if isJSON { world.writeOutput(object.text + "\n") }
  }

  /// Something worth knowing that is not the result.
  func note(_ text: String) {
    if !isQuiet { world.writeError(text + "\n") }
  }

  func warn(_ warning: InputWarning) {
    if !isQuiet { world.writeError(colored(warning.description, "warning", 33) + "\n") }
  }

  /// Prints an error on standard error.
  func complain(_ error: InputError) {
    world.writeError(colored(error.description, "error", 31) + "\n")
  }

  /// Prints an error that ends the command; with `--json` its parts are the object.
  func report(_ error: InputError) {
    complain(error)
    var parts: [(key: String, value: JSONOutput)] = [
      ("code", .string(error.codeName)), ("message", .string(error.message)),
    ]
    for (key, text) in [("place", error.place), ("note", error.note), ("help", error.help)] {
      if let text { parts.append((key, .string(text))) }
    }
    result(["error": .object(parts), "exit": JSONOutput(error.exit)])
  }

  private func colored(_ text: String, _ word: String, _ color: Int) -> String {
    guard hasColor, let end = text.firstIndex(of: ":"), text.hasPrefix(word) else { return text }
    return "\u{1B}[1;\(color)m\(text[..<end])\u{1B}[0m\(text[end...])"
  }
}

extension Console.World {
  /// What the terminal says of itself; 80 columns if it says nothing.
  private static var terminalWidth: Int {
    var size = winsize()
    let isKnown = ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
    return isKnown ? Int(size.ws_col) : 80
  }

  /// The process's own streams. A reader that went away is not an error: the rest is dropped.
  static var process: Console.World {
    func write(_ text: String, to descriptor: Int32) {
      var bytes = Array(text.utf8)[...]
      while !bytes.isEmpty {
        let count = bytes.withUnsafeBytes { Platform.write(descriptor, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        if count <= 0 { return }
        bytes = bytes.dropFirst(count)
      }
    }
    return Console.World(
      writeOutput: { write($0, to: STDOUT_FILENO) }, writeError: { write($0, to: STDERR_FILENO) },
      errorIsTerminal: isatty(STDERR_FILENO) == 1, errorWidth: { terminalWidth },
      environment: { getenv($0).map { String(cString: $0) } }, interruption: { Interruption.signal }
    )
  }
}
