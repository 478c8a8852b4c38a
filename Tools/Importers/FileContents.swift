import Platform

/// The bytes of one whole regular file.
///
/// Everything that cannot be read whole and unchanged is refused with a reason: a missing file
/// names its nearest neighbours (TLY0101), an empty one says so (TLY0102), pipes, devices and files
/// above the limit are never opened for long (TLY0109).
public struct FileContents: Sendable {
  /// The largest file that is read, in bytes: 2 GiB.
  public static let byteCountLimit = 1 << 31

  public let path: String
  public let bytes: [UInt8]

  /// Reads the file at `path`.
  ///
  /// - Parameter limit: the largest size accepted, in bytes.
  /// - Throws: TLY0101, 0102, 0108 or 0109.
  public init(path: String, limit: Int = FileContents.byteCountLimit) throws(InputError) {
    self.path = path
    // A C string ends at its first zero: "model\0.onnx" would silently open "model".
    guard !path.utf8.contains(0) else { throw .cannotRead(path, "the path contains a zero byte") }
    guard !path.isEmpty else { throw .cannotRead(path, "the path is empty") }
    // Opening a pipe without a writer would wait for ever, hence not blocking.
    let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { throw Self.failure(path, errno) }
    defer { close(descriptor) }
    let before = try Self.status(descriptor, path)
    let count = try Self.regularSize(before, path, limit: limit)
    bytes = try Self.read(descriptor, count: count, path: path)
    let after = try Self.status(descriptor, path)
    guard bytes.count == count, Self.isUnchanged(before, after) else {
      throw .changedWhileRead(path)
    }
  }

  /// Whether `path` names something that exists, of any type.
  public static func exists(_ path: String) -> Bool {
    !path.utf8.contains(0) && access(path, F_OK) == 0
  }

  private static func status(_ descriptor: Int32, _ path: String) throws(InputError) -> stat {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw failure(path, errno) }
    return status
  }

  private static func regularSize(_ status: stat, _ path: String, limit: Int)
    throws(InputError) -> Int
  {
    switch status.st_mode & S_IFMT {
    case S_IFREG: break
    case S_IFDIR: throw .cannotRead(path, "it is a directory")
    case S_IFIFO: throw .notRegular(path, "is a pipe")
    case S_IFCHR, S_IFBLK: throw .notRegular(path, "is a device")
    default: throw .notRegular(path, "is not a regular file")
    }
    let count = Int(status.st_size)
    guard count > 0 else { throw .empty(path) }
    guard count <= limit else {
      throw .notRegular(path, "has \(count) bytes, the limit is \(limit)")
    }
    return count
  }

  /// Up to `count` bytes; fewer when the file was cut meanwhile.
  private static func read(_ descriptor: Int32, count: Int, path: String)
    throws(InputError) -> [UInt8]
  {
    var fault: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      filled = 0
      while filled < count {
        let got = Platform.read(descriptor, buffer.baseAddress! + filled, count - filled)
        if got < 0, errno == EINTR { continue }
        if got < 0 { fault = errno }
        if got <= 0 { return }
        filled += got
      }
    }
    if fault != 0 { throw failure(path, fault) }
    return bytes
  }

  private static func isUnchanged(_ a: stat, _ b: stat) -> Bool {
    #if canImport(Darwin)
      let same =
        a.st_mtimespec.tv_sec == b.st_mtimespec.tv_sec
        && a.st_mtimespec.tv_nsec == b.st_mtimespec.tv_nsec
    #else
      let same = a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec
    #endif
    return same && a.st_size == b.st_size
  }

  private static func failure(_ path: String, _ code: Int32) -> InputError {
    switch code {
    case ENOENT:
      return .cannotRead(path, "there is no such file", nearest: neighbours(of: path))
    case ENOTDIR: return .cannotRead(path, "a part of the path is not a folder")
    case EACCES, EPERM: return .cannotRead(path, "permission denied")
    case ENAMETOOLONG: return .cannotRead(path, "the path is too long")
    case ELOOP: return .notRegular(path, "is a loop of symbolic links")
    case ENXIO: return .notRegular(path, "is a socket or a device without a driver")
    default: return .cannotRead(path, String(cString: strerror(code)))
    }
  }

  /// Files of the same folder whose name is at most two edits away.
  private static func neighbours(of path: String) -> [String] {
    let folder = Path.folder(of: path)
    let name = Path.name(of: path)
    return nearestNames(to: name, among: Path.names(in: folder)).map {
      Path.joined(folder, $0)
    }
  }
}
