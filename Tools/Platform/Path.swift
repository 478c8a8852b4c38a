/// Names of files and folders, as text between slashes.
public enum Path {
  /// What stands after the last slash: `r.tlj` of `runs/r.tlj`.
  public static func name(of path: String) -> String {
    let parts = path.split(separator: "/")
    return parts.last.map(String.init) ?? path
  }

  /// What stands before the name, without a slash at its end: `runs` of `runs/r.tlj`, empty for `r.tlj`.
  public static func folder(of path: String) -> String {
    var text = path[...]
    while text.count > 1, text.hasSuffix("/") { text = text.dropLast() }
    guard let slash = text.lastIndex(of: "/") else { return "" }
    text = text[..<slash]
    while text.hasSuffix("/") { text = text.dropLast() }
    return text.isEmpty ? "/" : String(text)
  }

  /// The name without what follows its last dot: `r` of `runs/r.tlj`.
  public static func stem(of path: String) -> String {
    let name = name(of: path)
    guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return name }
    return String(name[..<dot])
  }

  public static func joined(_ folder: String, _ name: String) -> String {
    folder.isEmpty ? name : folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
  }

  /// Names in a folder, the working folder if it is empty, in order; none if it cannot be read.
  public static func names(in folder: String) -> [String] {
    guard let stream = opendir(folder.isEmpty ? "." : folder) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 1) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// Makes a folder and those above it, as far as they are missing.
  ///
  /// - Returns: the reason why it is not there afterwards, or nil.
  public static func makeFolder(_ path: String) -> String? {
    let above = folder(of: path)
    if !above.isEmpty, above != path, access(above, F_OK) != 0, let reason = makeFolder(above) {
      return reason
    }
    guard mkdir(path, 0o755) != 0 else { return nil }
    let reason = errno
    var status = stat()
    let isFolder = stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    return isFolder ? nil : String(cString: strerror(reason))
  }
}
