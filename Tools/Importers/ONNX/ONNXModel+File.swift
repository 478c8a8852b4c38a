import Platform

extension ONNXModel {
  /// Reads an ONNX file; external data is looked for in its folder.
  ///
  /// - Throws: What `FileContents` and `init(parsing:)` throw.
  public init(contentsOf path: String) throws(InputError) {
    let file = try FileContents(path: path)
    try self.init(
      parsing: file.bytes, fileName: Path.name(of: path),
      directory: Path.folder(of: path))
  }
}
