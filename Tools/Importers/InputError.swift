/// The one error of every host-side reader: what was found, where, why it is refused, what helps.
///
/// A rejection is always complete enough to act on. It prints as
///
///     error[TLY0106]: the file ends too early
///       --> digits.npy, offset 128
///       note: needs 64 bytes here, the file has 12 more
///       help: copy or download it again
///
/// `exit` is the command's exit status: 2 usage or recipe, 3 malformed or hostile file, 4 valid but
/// unsupported, 5 input or output. Codes are those of the bad-input catalogue and never change.
public struct InputError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The catalogue number, printed as `TLY0106`.
  public var code: Int
  /// What is wrong, in one clause.
  public var message: String
  /// File, offset, line and column, tensor, node or JSON path.
  public var place: String?
  /// The limit or the fact behind the refusal.
  public var note: String?
  /// One thing to do next.
  public var help: String?
  /// The exit status of the command that reports this error.
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

  /// The code as printed: `TLY` and four digits.
  public var codeName: String { InputError.name(ofCode: code) }

  public static func name(ofCode code: Int) -> String {
    let digits = String(code)
    return "TLY" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
  }

  public var description: String {
    diagnosticText("error", code, message, place: place, note: note, help: help)
  }
}

/// Something worth saying that does not stop the work; printed like an error, never thrown.
public struct InputWarning: Sendable, Equatable, CustomStringConvertible {
  public var code: Int
  public var message: String
  public var place: String?
  public var help: String?

  public init(code: Int, message: String, place: String? = nil, help: String? = nil) {
    self.code = code
    self.message = message
    self.place = place
    self.help = help
  }

  public var description: String {
    diagnosticText("warning", code, message, place: place, note: nil, help: help)
  }
}

private func diagnosticText(
  _ severity: String, _ code: Int, _ message: String, place: String?, note: String?, help: String?
) -> String {
  var text = "\(severity)[\(InputError.name(ofCode: code))]: \(message)"
  if let place { text += "\n  --> \(place)" }
  if let note { text += "\n  note: \(note)" }
  if let help { text += "\n  help: \(help)" }
  return text
}

// MARK: - 01xx: any file

extension InputError {
  static func cannotRead(_ path: String, _ reason: String, nearest: [String] = []) -> InputError {
    InputError(
      101, "cannot read the file: \(reason)", place: path,
      help: nearest.isEmpty ? nil : "did you mean \(listed(nearest))?", exit: 5)
  }

  static func empty(_ file: String) -> InputError {
    InputError(102, "the file is empty (0 bytes)", place: file, exit: 3)
  }

  static func unknownFormat(_ file: String, first bytes: ArraySlice<UInt8>) -> InputError {
    InputError(
      103, "the file's format is not known", place: file,
      note: "it starts with \(hexadecimal(bytes.prefix(8)))",
      help:
        "known: .tally, .tlj, ONNX, safetensors, .npy, .npz, idx, CSV, JSON, and gzip of these; "
        + "CIFAR batches have no mark of their own: write cifar:FILE", exit: 3)
  }

  static func notTheFile(_ file: String, _ what: String, help: String) -> InputError {
    InputError(
      105, "this is \(what), not the file itself", place: file, help: help, exit: 3)
  }

  static func truncated(_ file: String, needs count: Int, at offset: Int, has total: Int)
    -> InputError
  {
    InputError(
      106, "the file ends too early", place: "\(file), offset \(offset)",
      note: "needs \(count) bytes at offset \(offset), the file has \(total)",
      help: "copy or download it again", exit: 3)
  }

  static func trailingBytes(_ file: String, _ count: Int, at offset: Int) -> InputError {
    InputError(
      107, "\(count) bytes follow the end of the data",
      place: "\(file), offset \(offset)",
      note: "a file that is two things at once is refused", exit: 3)
  }

  static func changedWhileRead(_ path: String) -> InputError {
    InputError(
      108, "the file changed while it was read", place: path,
      help: "wait until it is written, then try again", exit: 5)
  }

  static func notRegular(_ path: String, _ what: String) -> InputError {
    InputError(
      109, "the input \(what)", place: path,
      note: "input must be a regular file of at most 2 GiB", exit: 5)
  }
}

// MARK: - 02xx: safetensors, and JSON wherever it stands

extension InputError {
  static func safetensorsHeader(_ file: String, _ what: String, note: String) -> InputError {
    InputError(201, what, place: "\(file), offset 0", note: note, exit: 3)
  }

  static func json(_ what: String, place: String, exit: Int32) -> InputError {
    InputError(202, "not valid JSON: \(what)", place: place, exit: exit)
  }

  static func duplicateKey(_ key: String, place: String, exit: Int32) -> InputError {
    InputError(
      203, "the key \(quoted(key)) appears twice", place: place,
      help: "keep one of them", exit: exit)
  }

  static func tensorPlacement(
    _ file: String, _ tensor: String, _ what: String, note: String
  ) -> InputError {
    InputError(
      204, "tensor \(quoted(tensor)) \(what)", place: file, note: note, exit: 3)
  }

  static func tensorLength(_ file: String, _ tensor: String, _ what: String, note: String? = nil)
    -> InputError
  {
    InputError(
      205, "tensor \(quoted(tensor)): \(what)", place: file, note: note, exit: 3)
  }

  static func tensorType(_ file: String, _ tensor: String, _ type: String) -> InputError {
    InputError(
      206, "tensor \(quoted(tensor)) has the unsupported type \(quoted(type))",
      place: file, note: "read are F64, F32, F16, BF16, I8…I64, U8…U64 and BOOL",
      help: "save it as F32 or F16", exit: 4)
  }

  static func noElements(_ tensor: String, in file: String) -> InputError {
    InputError(
      207, "the weights \(quoted(tensor)) have no elements", place: file,
      note: "one of their sizes is 0", help: "remove the layer", exit: 4)
  }

  static func missingShards(_ file: String, _ missing: [String]) -> InputError {
    InputError(
      208, "the index names files that are not beside it: \(listed(missing))",
      place: file, help: "copy every shard into the same folder", exit: 3)
  }

  static func missingTensors(_ file: String, _ missing: [String]) -> InputError {
    InputError(
      208, "the parts do not hold what the index says: \(listed(missing))", place: file,
      help: "copy every shard of the same checkpoint into the folder", exit: 3)
  }
}

// MARK: - 04xx, 05xx, 06xx: containers, arrays, numbers

extension InputError {
  static func zip(_ file: String, _ what: String, at offset: Int? = nil, note: String? = nil)
    -> InputError
  {
    InputError(
      406, what, place: offset.map { "\(file), offset \($0)" } ?? file, note: note,
      exit: 3)
  }

  /// The wanted arrays are not in the archive, or more than one pair could be meant.
  static func arrayKeys(_ file: String, _ what: String, found: [String]) -> InputError {
    InputError(
      407, what, place: file, note: "the file holds \(listed(found))",
      help: "name them: \(file):SAMPLES,LABELS", exit: 2)
  }

  /// A float checkpoint of another tool; the official Python libraries read those.
  ///
  /// - Parameter arguments: of the exporter, between its name and the output's.
  public static func needsExporter(
    _ file: String, _ what: String, _ arguments: String
  ) -> InputError {
    InputError(
      409, "\(what) is not read directly", place: file,
      note: "such files are read by their own libraries only",
      help: "python3 Tools/export/tally_export.py \(arguments) -o model.onnx", exit: 4)
  }

  static func numpy(_ file: String, _ what: String, at offset: Int? = nil, note: String? = nil)
    -> InputError
  {
    InputError(
      505, what, place: offset.map { "\(file), offset \($0)" } ?? file, note: note,
      exit: 3)
  }

  static func notFinite(_ name: String, _ what: String, index: Int, count: Int) -> InputError {
    InputError(
      601, "\(what) in \(quoted(name))", place: "\(name), element \(index)",
      note: "\(count) elements are NaN or infinite; they are never replaced silently",
      help: "repair or remove them in the tool that wrote the file", exit: 3)
  }

  /// A number that no integer or float type here can hold, or a type outside the supported ones.
  static func unsupportedNumber(_ place: String, _ what: String, exit: Int32 = 4) -> InputError {
    InputError(606, what, place: place, exit: exit)
  }
}

// MARK: - 07xx: data sets

extension InputError {
  static func label(_ file: String, sample index: Int, _ what: String, help: String? = nil)
    -> InputError
  {
    InputError(701, what, place: "\(file), sample \(index)", help: help, exit: 3)
  }

  /// Exit 2 when the data and the model disagree, 3 when a file disagrees with itself.
  static func shape(_ file: String, _ what: String, help: String? = nil, exit: Int32 = 2)
    -> InputError
  {
    InputError(702, what, place: file, help: help, exit: exit)
  }

  /// Exit 2 when a range selects nothing, 3 when the file itself holds nothing.
  static func noSamples(_ file: String, _ what: String, note: String? = nil, exit: Int32)
    -> InputError
  {
    InputError(703, what, place: file, note: note, exit: exit)
  }

  static func csv(_ place: String, _ what: String, help: String? = nil) -> InputError {
    InputError(704, what, place: place, help: help, exit: 3)
  }

  static func idx(_ file: String, _ what: String, note: String? = nil) -> InputError {
    InputError(706, what, place: file, note: note, exit: 3)
  }

  static func gzip(_ file: String, _ what: String, note: String? = nil) -> InputError {
    InputError(707, what, place: file, note: note, exit: 3)
  }

  static func cifar(_ file: String, _ what: String, note: String? = nil) -> InputError {
    InputError(708, what, place: file, note: note, exit: 3)
  }
}

// MARK: - 08xx: what the user wrote

extension InputError {
  static func unknownKey(_ key: String, place: String, known: [String]) -> InputError {
    let near = nearestNames(to: key, among: known)
    return InputError(
      801, "unknown key \(quoted(key))", place: place,
      note: near.isEmpty ? "known here: \(listed(known))" : nil,
      help: near.isEmpty ? nil : "did you mean \(listed(near))?", exit: 2)
  }

  static func value(_ what: String, place: String, note: String? = nil, help: String? = nil)
    -> InputError
  {
    InputError(802, what, place: place, note: note, help: help, exit: 2)
  }

  static func missingValue(_ what: String, place: String, help: String? = nil) -> InputError {
    InputError(805, what, place: place, help: help, exit: 2)
  }

  static func bareFraction(_ text: String, place: String) -> InputError {
    let ratio = ExactRatio(parsing: text).map { " or \"\($0)\"" } ?? ""
    return InputError(
      809, "\(text) would be read through floating point", place: place,
      note: "decimals are strings or ratios, so that every machine reads the same number",
      help: "write \"\(text)\"\(ratio)", exit: 2)
  }
}

// MARK: - Words

func quoted(_ text: String) -> String { "\u{2018}\(text)\u{2019}" }

/// At most eight names, then how many more there are.
func listed(_ names: [String]) -> String {
  let shown = names.prefix(8).map(quoted).joined(separator: ", ")
  return names.count > 8 ? "\(shown) and \(names.count - 8) more" : shown
}

func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
  bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
}
