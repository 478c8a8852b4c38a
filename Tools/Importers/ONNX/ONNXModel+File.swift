import Foundation

extension ONNXModel {
  /// Reads an ONNX file; external data is looked for in its folder.
  ///
  /// - Throws: TLY0101, TLY0102, TLY0109 and what `init(parsing:)` throws.
  public init(contentsOf path: String) throws(InputError) {
    let name = (path as NSString).lastPathComponent
    var status = stat()
    guard stat(path, &status) == 0 else {
      throw InputError(
        101, "cannot read '\(path)'", note: String(cString: strerror(errno)), exit: 5)
    }
    guard status.st_mode & S_IFMT == S_IFREG, status.st_size <= 1 << 31 else {
      let why = status.st_mode & S_IFMT == S_IFREG ? "over 2 GiB" : "not a plain file"
      throw InputError(109, "'\(path)' cannot be read: \(why)", exit: 5)
    }
    guard let data = FileManager.default.contents(atPath: path) else {
      throw InputError(101, "cannot read '\(path)'", exit: 5)
    }
    try self.init(
      parsing: [UInt8](data), fileName: name,
      directory: (path as NSString).deletingLastPathComponent)
  }
}
