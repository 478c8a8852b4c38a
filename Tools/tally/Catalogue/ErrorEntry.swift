/// What `tally explain` says of one error code.
struct ErrorEntry: Sendable {
  /// 307 is printed as TLY0307.
  let code: Int
  /// What went wrong, in one clause.
  let title: String
  /// What it means and how it comes about.
  let meaning: String
  /// What to do about it.
  let remedy: String
  /// The exit status of the command, in words; "warning" for what stops nothing.
  let exit: String

  init(_ code: Int, exit: String, _ title: String, _ meaning: String, do remedy: String) {
    self.code = code
    self.title = title
    self.meaning = meaning
    self.remedy = remedy
    self.exit = exit
  }

  /// Every code the command and the exporter can print, in order.
  static let all: [ErrorEntry] =
    files + checkpoints + graphs + containers + exporters + numbers + data + usage + records
    + exporterWork

  static func find(_ code: Int) -> ErrorEntry? { all.first { $0.code == code } }
}
