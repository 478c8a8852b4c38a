import Foundation
import Importers
import TallyTestSupport
import Testing

@Suite("ONNX: external data")
struct ONNXExternalDataTests {
  private static let weights = (0..<12).flatMap { index -> [UInt8] in
    withUnsafeBytes(of: (Float(index) / 8 - 0.5).bitPattern.littleEndian) { Array($0) }
  }

  /// The dense sketch with its weights in a file.
  private func sketch(_ path: String, offset: Int64 = 0, length: Int64? = nil) -> ONNXSketch {
    var sketch = ONNXSketch.dense
    sketch.initializers[0].raw = nil
    sketch.initializers[0].external = .init(path: path, offset: offset, length: length)
    return sketch
  }

  private func code(
    in folder: String, _ path: String, offset: Int64 = 0, length: Int64? = nil
  ) -> Int? {
    fault { () throws(InputError) in
      _ = try sketch(path, offset: offset, length: length).network(directory: folder)
    }?.code
  }

  @Test("plain files beside the model, at any offset, also in a folder below")
  func accepted() throws {
    try withTemporaryFolder { folder in
      let padding = [UInt8](repeating: 9, count: 64)
      try write(padding + Self.weights + padding, to: "\(folder)/w.data")
      try FileManager.default.createDirectory(
        atPath: "\(folder)/deep/er", withIntermediateDirectories: true)
      try write(Self.weights, to: "\(folder)/deep/er/w.data")
      let expected = try ONNXSketch.dense.network().nodes.map(parameters)
      for (path, offset, length) in [
        ("w.data", 64, nil), ("./w.data", 64, 48), ("deep/er/w.data", 0, nil),
      ] as [(String, Int64, Int64?)] {
        let network = try sketch(path, offset: offset, length: length).network(directory: folder)
        #expect(network.nodes.map(parameters) == expected)
      }
    }
  }

  @Test("missing: the error names the file")
  func missing() throws {
    try withTemporaryFolder { folder in
      let error = try #require(
        fault { () throws(InputError) in
          _ = try sketch("w.data").network(directory: folder)
        })
      #expect(error.code == 302)
      #expect(error.exit == 3)
      #expect(error.message.contains("w.data"))
      #expect(error.help?.contains("external_data=False") == true)
      #expect(fault { () throws(InputError) in _ = try sketch("w.data").network() }?.code == 302)
    }
  }

  @Test("names that leave the folder")
  func escapes() throws {
    try withTemporaryFolder { outer in
      let folder = "\(outer)/model"
      try FileManager.default.createDirectory(
        atPath: "\(folder)/sub", withIntermediateDirectories: true)
      try write(Self.weights, to: "\(outer)/x")
      try write(Self.weights, to: "\(folder)/x")
      #expect(code(in: folder, "x") == nil)
      for path in [
        "../x", "sub/../../x", "sub/../x", "\(outer)/x", "/etc/hostname", "", ".", "./", "sub//x",
        "x/", "C:x", "..\\x", "x\u{0}", "..",
      ] {
        #expect(code(in: folder, path) == 303, "'\(path)'")
      }
    }
  }

  @Test("links, folders and pipes")
  func links() throws {
    try withTemporaryFolder { folder in
      let files = FileManager.default
      try files.createDirectory(
        atPath: "\(folder)/real", withIntermediateDirectories: true)
      try write(Self.weights, to: "\(folder)/real/w")
      try write(Self.weights, to: "\(folder)/single")
      #expect(code(in: folder, "real/w") == nil)
      #expect(code(in: folder, "single") == nil)
      try files.createSymbolicLink(
        atPath: "\(folder)/soft", withDestinationPath: "\(folder)/single")
      try files.createSymbolicLink(
        atPath: "\(folder)/door", withDestinationPath: "\(folder)/real")
      try files.linkItem(atPath: "\(folder)/real/w", toPath: "\(folder)/hard")
      #expect(mkfifo("\(folder)/pipe", 0o600) == 0)
      for path in ["soft", "door/w", "hard", "real/w", "real", "pipe"] {
        #expect(code(in: folder, path) == 303, "'\(path)'")
      }
      // The model's own folder may be reached by a link: the user named it.
      #expect(code(in: "\(folder)/door/..", "single") == nil)
    }
  }

  @Test("ranges outside the file")
  func ranges() throws {
    try withTemporaryFolder { folder in
      try write(Self.weights, to: "\(folder)/w")
      #expect(code(in: folder, "w", offset: 0, length: 48) == nil)
      #expect(code(in: folder, "w", offset: 4) == 303)
      #expect(code(in: folder, "w", offset: -4) == 303)
      #expect(code(in: folder, "w", offset: .max) == 303)
      #expect(code(in: folder, "w", offset: .min) == 303)
      #expect(code(in: folder, "w", length: 44) == 309)
      #expect(code(in: folder, "w", length: -1) == 309)
    }
  }

  @Test("a thousand tensors over the same bytes")
  func sharedBytes() throws {
    try withTemporaryFolder { folder in
      try write(Self.weights, to: "\(folder)/w")
      var tied = sketch("w")
      var twin = tied.initializers[0]
      twin.name = "twin"
      tied.initializers.append(twin)
      #expect(fault { () throws(InputError) in _ = try tied.network(directory: folder) } == nil)
      for index in 0..<1000 {
        twin.name = "twin\(index)"
        tied.initializers.append(twin)
      }
      #expect(
        fault { () throws(InputError) in _ = try tied.network(directory: folder) }?.code == 303)
    }
  }

  @Test("an offset that is no number")
  func offsetText() throws {
    // Written by hand: the writer only knows numbers.
    var bytes = sketch("w").bytes
    let text = Array("offset".utf8)
    let position = try #require(
      bytes.indices.dropLast(9).first { Array(bytes[$0..<$0 + 6]) == text })
    // "offset", then key 2, length 1, "0".
    #expect(bytes[position + 8] == UInt8(ascii: "0"))
    bytes[position + 8] = UInt8(ascii: "x")
    #expect(
      fault { () throws(InputError) in _ = try ONNXModel(parsing: bytes) }?.code == 301)
  }
}
