import Importers
import Testing

@Suite("FileKind")
struct FileKindTests {
  static let known: [(kind: FileKind, bytes: [UInt8])] = [
    // Written out from Formats/model.md and Formats/journal.md, not taken from the core.
    (.tally, [0x54, 0x41, 0x4c, 0x4c, 0x59, 0x0d, 0x0a, 0x1a, 1, 0]),
    (.journal, ascii("TLYJRNL\n") + [1, 0]),
    (.numpy, npy(npyHeader("<f4", "(1,)"), [0, 0, 0, 0])),
    (.npz, ZipFixture(members: [.init("x.npy", [1])]).bytes),
    (.zip, ZipFixture(members: [.init("x.npy", [1]), .init("readme", [1])]).bytes),
    (.zip, ZipFixture(members: []).bytes),
    (
      .torch, ZipFixture(members: [.init("model/data.pkl", [1]), .init("model/data/0", [1])]).bytes
    ),
    (
      .keras,
      ZipFixture(members: [.init("config.json", [1]), .init("model.weights.h5", [1])]).bytes
    ),
    (.gzip, gzipMember([1])),
    (.idx, idx(8, [2, 1], [1, 2])),
    (.idx, idx(7, [1], [0])),  // no such type: for the idx reader to say
    (.hdf5, [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a, 0]),
    (.tflite, [0x1c, 0, 0, 0] + ascii("TFL3") + [0, 0]),
    (.safetensors, safetensors("{}", [])),
    (.pickle, [0x80, 2, 0x7d, 0x71, 0, 0x2e]),
    (.pickle, [0x80, 2, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9]),
    (.onnx, [8, 8, 0x12, 1, 65, 0x3a, 0]),
    (.onnx, [8, 3, 0x12, 1, 65, 0x28, 1, 0x3a, 0xb2, 0xce, 1, 10]),  // the graph is cut off
    (.json, ascii("{\"epochs\": 5}")),
    (.json, [0xef, 0xbb, 0xbf] + ascii(" \n// recipe\n{}")),
    (.text, ascii("5.1,3.5,Iris-setosa\r\n")),
    (.text, ascii("höhe,breite\n")),
    // The detector looks at 4 096 bytes, which may end within a character.
    (.text, [UInt8](repeating: 0x20, count: 4095) + ascii("é")),
  ]

  @Test("is told by content", arguments: known.indices)
  func detected(_ index: Int) throws {
    let (kind, bytes) = Self.known[index]
    #expect(try FileKind.detect(bytes[...], file: "f") == kind)
  }

  @Test("what is no known file says its first eight bytes")
  func unknown() throws {
    let bytes: [[UInt8]] = [
      [0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4, 5],
      [8, 8, 0x12, 1, 65],  // an IR version and a producer, but no graph
      [0x3a, 0],  // a graph without a version
      [8, 8, 0x0b, 0x0c],  // wire type 3
      [8, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 0x3a, 0],  // version 2⁴⁰
      ascii("text") + [0],
      [0x54, 0x41, 0x4c, 0x4c, 0x59, 0x0a, 0x1a, 0],  // a model copied as text: CR is lost
      [0xff],
    ]
    for bytes in bytes {
      let error = try #require(
        fault { () throws(InputError) in _ = try FileKind.detect(bytes[...], file: "f") })
      #expect(error.code == 103 && error.exit == 3, "\(error)")
    }
    let error = fault { () throws(InputError) in
      _ = try FileKind.detect(bytes[0][...], file: "f")
    }
    #expect(error?.note == "it starts with de ad be ef 01 02 03 04")
  }

  @Test("a pointer or a web page in the file's place")
  func placeholders() throws {
    let texts = [
      "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n",
      "\n<!DOCTYPE html>\n<html>", "<HTML>", "<?xml version=\"1.0\"?>",
    ]
    for text in texts {
      let error = try #require(
        fault { () throws(InputError) in _ = try FileKind.detect(ascii(text)[...], file: "f") })
      #expect(error.code == 105 && error.exit == 3, "\(error)")
    }
    #expect(
      fault { () throws(InputError) in
        _ = try FileKind.detect(ascii(texts[0])[...], file: "f")
      }?.help == "git lfs pull")
  }

  @Test("no bytes at all")
  func empty() {
    let error = fault { () throws(InputError) in _ = try FileKind.detect([], file: "f") }
    #expect(error?.code == 102 && error?.exit == 3)
  }

  @Test("checkpoints of other tools name the exporter", arguments: FileKind.allCases)
  func foreign(_ kind: FileKind) {
    let error = fault { () throws(InputError) in try kind.rejectIfForeign(file: "m") }
    let foreign: Set<FileKind> = [.torch, .pickle, .keras, .hdf5, .tflite]
    #expect((error != nil) == foreign.contains(kind))
    if let error {
      #expect(error.code == 409 && error.exit == 4)
      let verb = [.torch: "pytorch", .pickle: "pytorch", .tflite: "tflite"][kind] ?? "keras"
      #expect(error.help?.hasPrefix("python3 Tools/export/tally_export.py \(verb) ") == true)
    }
  }

  @Test("a name that promises something else is a warning")
  func extensions() {
    #expect(FileKind.text.extensionWarning(path: "a/b.npz")?.code == 104)
    #expect(FileKind.gzip.extensionWarning(path: "x.npy")?.code == 104)
    for (kind, path) in [
      (FileKind.npz, "a.npz"), (.zip, "a.NPZ"), (.idx, "t10k-images-idx3-ubyte"),
      (.gzip, "a.csv.gz"),
      (.text, "a.b/c"), (.text, ".npz"), (.text, "a.txt"),
    ] {
      #expect(kind.extensionWarning(path: path) == nil, "\(path)")
    }
  }

  @Test(
    "real checkpoints",
    .enabled(if: SharedData.has("models"), "no data at ../shared/data"),
    arguments: [
      ("models/mnist-cntk/mnist-7.onnx", FileKind.onnx),
      ("models/dscnn-kws/dscnn-kws.onnx", .onnx),
      ("models/resnet20-cifar10/resnet20.onnx", .onnx),
      ("models/resnet8-cifar10/resnet8-cifar10.onnx", .onnx),
      ("models/resnet8-cifar10/resnet8-cifar10.safetensors", .safetensors),
      ("models/resnet8-cifar10/pretrainedResnet.h5", .hdf5),
      ("models/resnet8-cifar10/pretrainedResnet_quant.tflite", .tflite),
      ("models/resnet20-cifar10/resnet20-12fca82f.th", .pickle),
      ("digits.npz", .npz), ("tabular/iris.csv", .text),
      ("mnist/train-labels-idx1-ubyte.gz", .gzip),
    ])
  func real(_ name: String, _ kind: FileKind) throws {
    let path = SharedData.path(name)
    #expect(try FileKind.detect(try FileContents(path: path).bytes[...], file: path) == kind)
  }
}
