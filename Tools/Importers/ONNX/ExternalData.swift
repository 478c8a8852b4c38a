import Platform

/// Reads weights that a model keeps in files beside it, and nothing else.
///
/// A model file comes from a stranger and names the files to read. So the name is taken apart
/// and opened one component at a time below the model's folder, never following a link; a file
/// with a second hard link is refused as well, since its other name may be anywhere.
final class ExternalData {
  private let directory: String
  private let modelName: String
  private var files: [String: [UInt8]] = [:]
  private var declaredBytes = 0
  private static let sizeLimit = 1 << 31

  init(directory: String, modelName: String) {
    self.directory = directory
    self.modelName = modelName
  }

  /// `count` bytes of the file at `location`.
  ///
  /// - Throws: TLY0302 if the file is missing, TLY0303 if reading it would not be safe.
  func bytes(
    _ location: ONNXTensor.ExternalLocation, count: Int, tensor: String
  ) throws(InputError) -> ArraySlice<UInt8> {
    let file = try contents(of: location.path, tensor: tensor)
    guard location.offset >= 0, location.offset <= Int64(file.count),
      count <= file.count - Int(location.offset)
    else {
      throw refused(
        location.path, tensor,
        "bytes \(location.offset)..<\(location.offset)+\(count) of a file of \(file.count)")
    }
    // Tied weights may share bytes; a thousand tensors over one range are an attack on memory.
    declaredBytes += count
    guard declaredBytes <= 4 * files.values.reduce(0, { $0 + $1.count }) else {
      throw refused(location.path, tensor, "tensors claim its bytes again and again")
    }
    return file[Int(location.offset)..<Int(location.offset) + count]
  }

  private func refused(_ path: String, _ tensor: String, _ why: String) -> InputError {
    InputError(
      303, "external data '\(path)' is refused for safety: \(why)",
      place: "\(modelName) tensor '\(tensor)'",
      note: "external data must be a plain file in the model's folder",
      help: "copy the file itself next to the model, or export with external_data=False", exit: 3)
  }

  private func contents(of path: String, tensor: String) throws(InputError) -> [UInt8] {
    if let known = files[path] { return known }
    if path.isEmpty { throw refused(path, tensor, "no file name") }
    if path.hasPrefix("/") || path.contains("\\") || path.dropFirst().hasPrefix(":") {
      throw refused(path, tensor, "not a relative path")
    }
    if path.utf8.contains(0) { throw refused(path, tensor, "a zero byte in the name") }
    let components = path.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
      .filter { $0 != "." }
    if components.isEmpty || components.contains("") || components.contains("..") {
      throw refused(path, tensor, "it leaves the model's folder")
    }
    let loaded = try read(components, path: path, tensor: tensor)
    files[path] = loaded
    return loaded
  }

  private func read(
    _ components: [String], path: String, tensor: String
  ) throws(InputError) -> [UInt8] {
    var descriptor = open(directory.isEmpty ? "." : directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw InputError(
        302, "the model's folder cannot be opened", place: modelName,
        note: String(cString: strerror(errno)), exit: 3)
    }
    defer { close(descriptor) }
    for (index, component) in components.enumerated() {
      let isLast = index == components.count - 1
      // O_NONBLOCK: a FIFO must not hang the reader before it can be refused.
      let flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | (isLast ? 0 : O_DIRECTORY)
      let next = openat(descriptor, component, flags)
      if next < 0 {
        let reason = errno
        // A link among the folders answers ENOTDIR with O_DIRECTORY, ELOOP without.
        if reason == ELOOP || reason == ENOTDIR {
          throw refused(path, tensor, "'\(component)' is a link or not a folder")
        }
        throw InputError(
          302, "weights are in '\(path)', which cannot be read next to the model",
          place: "\(modelName) tensor '\(tensor)'", note: String(cString: strerror(reason)),
          help: "copy both files, or export with external_data=False", exit: 3)
      }
      close(descriptor)
      descriptor = next
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw refused(path, tensor, "not a plain file")
    }
    if status.st_nlink > 1 { throw refused(path, tensor, "it has \(status.st_nlink) hard links") }
    guard status.st_size <= Self.sizeLimit else { throw refused(path, tensor, "over 2 GiB") }
    return try readAll(descriptor, count: Int(status.st_size), path: path)
  }

  private func readAll(
    _ descriptor: Int32, count: Int, path: String
  ) throws(InputError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      let step = bytes.withUnsafeMutableBytes {
        Platform.read(descriptor, $0.baseAddress! + filled, count - filled)
      }
      if step < 0 && errno == EINTR { continue }
      if step <= 0 {
        throw InputError(
          108, "'\(path)' changed while it was read", place: modelName,
          note: "\(filled) of \(count) bytes", exit: 5)
      }
      filled += step
    }
    return bytes
  }
}
