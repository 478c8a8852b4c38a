import Foundation
import Importers

extension BadInput {
  /// Rows 36, 43 and 75 to 78: archives, arrays and other tools' files.
  static let containers: [BadInput] = [
    changedArchive(36, "an archive with a wrong checksum") { $0[60] ^= 1 },
    // Bit 0 of the flags, in the local header and in the directory.
    changedArchive(36, "an encrypted archive") { bytes in
      for mark in directoryEntries(bytes) { bytes[mark + 8] |= 1 }
      bytes[6] |= 1
    },
    changedArchive(36, "an archive with two entries of one name") {
      rename(&$0, "y.npy", "x.npy")
    },
    changedArchive(36, "an archive whose entry leaves the folder") {
      rename(&$0, "y.npy", "../.y")
    },
    BadInput(43, "a NumPy array of objects", 505, 3) { box in
      try box.write(numpy("|O", [0]), "bad-object.npy")
      return box.run("inspect", "bad-object.npy")
    },
    BadInput(43, "a NumPy header that is no literal", 505, 3) { box in
      try box.write(numpy(header: "{'descr': open('x'), 'shape': (1,)}", [0]), "bad-header.npy")
      return box.run("inspect", "bad-header.npy")
    },
    BadInput(75, "a PyTorch checkpoint", 409, 4) { box in
      try box.write(
        ZipArchive.stored([("archive/data.pkl", [0x80, 2]), ("archive/version", [0x33])]), "bad.pt")
      return box.run("inspect", box.path("bad.pt"))
    },
    BadInput(75, "a Keras model", 409, 4) { box in
      try box.write(
        ZipArchive.stored([("config.json", text("{}")), ("model.weights.h5", [1])]), "bad.keras")
      return box.run("convert", box.path("bad.keras"), "-o", "out.tally", "--calibrate", "none")
    },
    BadInput(
      75, "an HDF5 file", 409, 4, [0x89] + text("HDF\r\n") + [0x1a, 0x0a, 0, 0], "inspect",
      "bad-model.bin"),
    BadInput(
      75, "a TensorFlow Lite model", 409, 4, [28, 0, 0, 0] + text("TFL3") + [0, 0, 0, 0], "inspect",
      "bad-model.bin"),
    BadInput(
      76, "idx whose sizes are not its bytes", 706, 3, [0, 0, 8, 1, 0, 0, 0, 9, 1], "inspect",
      "bad-sizes.idx"),
    BadInput(
      76, "idx of an unknown type", 706, 3, [0, 0, 7, 1, 0, 0, 0, 1, 1], "inspect", "bad-type.idx"),
    BadInput(
      77, "gzip with a wrong checksum", 707, 3,
      [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 1, 0, 0xfe, 0xff, 7, 0, 0, 0, 0, 1, 0, 0, 0],
      "inspect", "bad-sum.gz"),
    BadInput(
      77, "gzip with bytes behind it", 707, 3, gzip([7]) + [1, 2, 3], "inspect", "bad-tail.gz"),
    BadInput(
      77, "gzip of two members", 707, 3, gzip([7]) + gzip([7]), "inspect", "bad-members.gz"),
    BadInput(78, "a CIFAR batch of a wrong size", 708, 3) { box in
      try box.write([1, 2, 3], "bad-batch.bin")
      return box.run("eval", "m.tally", "--data", "cifar:\(box.path("bad-batch.bin"))")
    },
  ]

  /// An archive of samples and labels with some bytes changed, through `eval`.
  private static func changedArchive(
    _ number: Int, _ input: String, _ change: @escaping @Sendable (inout [UInt8]) -> Void
  ) -> BadInput {
    data(number, input, 406, 3) {
      var archive = try npz(goodInputs, labels([0, 1, 2]))
      change(&archive)
      return archive
    }
  }

  /// Another name of the same length, in the local header and in the directory.
  private static func rename(_ bytes: inout [UInt8], _ name: String, _ other: String) {
    for start in bytes.indices.dropLast(name.utf8.count)
    where bytes[start...].starts(with: name.utf8) {
      bytes.replaceSubrange(start..<start + name.utf8.count, with: other.utf8)
    }
  }

  /// Where the entries of an archive's directory begin.
  private static func directoryEntries(_ bytes: [UInt8]) -> [Int] {
    bytes.indices.dropLast(4).filter { Array(bytes[$0..<$0 + 4]) == text("PK\u{1}\u{2}") }
  }

  private static func numpy(_ type: String, _ content: [UInt8]) -> [UInt8] {
    numpy(header: "{'descr': '\(type)', 'fortran_order': False, 'shape': (1,), }", content)
  }

  private static func numpy(header: String, _ content: [UInt8]) -> [UInt8] {
    let padded = header + String(repeating: " ", count: 117 - header.count) + "\n"
    return [0x93] + text("NUMPY") + [1, 0, 118, 0] + text(padded) + content
  }

  /// A stored block of one byte, its checksum made bit by bit.
  private static func gzip(_ bytes: [UInt8]) -> [UInt8] {
    var crc: UInt32 = ~0
    for byte in bytes {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
    }
    let count = UInt16(bytes.count)
    func little(_ value: UInt32, _ count: Int) -> [UInt8] {
      (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt32($0))) }
    }
    return [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1] + little(UInt32(count), 2)
      + little(UInt32(~count), 2) + bytes + little(~crc, 4) + little(UInt32(count), 4)
  }
}
