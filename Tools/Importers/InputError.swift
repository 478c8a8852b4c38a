// To be replaced at merge: the branch `data` owns this file; the definitions are identical.

/// What is wrong with a file or an option somebody gave, in the words of the error catalogue.
public struct InputError: Error, Sendable, CustomStringConvertible {
  /// The catalogue number: 301 prints as `TLY0301`.
  public var code: Int
  /// What is wrong, in one line.
  public var message: String
  /// Where: a file and offset, a tensor, a node or a layer.
  public var place: String?
  /// The limit or fact behind the refusal.
  public var note: String?
  /// One thing to do next.
  public var help: String?
  /// The exit status of the command: 2 usage, 3 malformed, 4 unsupported, 5 input/output.
  public var exit: Int32

  public init(
    _ code: Int, _ message: String, place: String? = nil, note: String? = nil,
    help: String? = nil, exit: Int32
  ) {
    self.code = code
    self.message = message
    self.place = place
    self.note = note
    self.help = help
    self.exit = exit
  }

  public var description: String {
    let digits = String(code)
    let padding = String(repeating: "0", count: max(0, 4 - digits.count))
    var text = "error[TLY\(padding)\(digits)]: \(message)"
    if let place { text += "\n  --> \(place)" }
    if let note { text += "\n  note: \(note)" }
    if let help { text += "\n  help: \(help)" }
    return text
  }
}
